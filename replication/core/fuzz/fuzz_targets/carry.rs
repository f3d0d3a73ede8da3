//! libFuzzer target: see `carry` in targets.rs.

#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;

use linli_core::testkit::District;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::carry(data, District::with_nodes(&["320508005"]).federation()));
