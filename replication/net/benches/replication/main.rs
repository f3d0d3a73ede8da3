//! Replication between two nodes: real processes, each with a store on RocksDB and a mesh and without pages, in two
//! network namespaces joined by a cable (veth) where root allows, on loopback otherwise.
//!
//! Every case is printed beside its floor, measured in the same run on the same bytes: the frames over TCP through the
//! same cable, SHA-256 of each event, RocksDB batches with a sync each. Payloads and salts are random, so nothing
//! compresses that would not compress in a district.
//!
//! ```text
//! cargo bench --workspace --bench replication                 # all cases, up to 1 M events; below ten minutes
//! cargo bench --workspace --bench replication -- --quick      # seconds: every case, tiny
//!     --only catch-up|few-new|both-new|many-logs              # one case
//!     --events N                                              # catch-ups of so many events only
//!     --runs N                                                # so many runs of everything
//!     --json FILE                                             # all runs of all figures
//!     --plot FILE.svg                                         # times beside floors and goals
//! ```
//!
//! Where to look: `data` writes logs and stores, `host` starts processes in namespaces, `node` is such a process,
//! `meeting` lets two of them replicate, `cases` say who holds what and what is asked of it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod cases;
mod data;
mod delay;
mod floor;
mod host;
mod measure;
mod meeting;
mod node;
mod plot;
mod report;

use std::path::PathBuf;

use cases::Sizes;
use host::Lab;
use report::Report;

/// The first argument of a process that this benchmark starts from its own program.
pub const PROCESS: &str = "--process";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == PROCESS) {
        return node::serve(args.get(1).map(String::as_str));
    }
    let after = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let sizes = if args.iter().any(|arg| arg == "--quick") { Sizes::quick() } else { Sizes::full() };
    let number = |name: &str| after(name).map(|n| n.parse::<usize>().expect("a number after --events and --runs"));
    let sizes = sizes.chosen(number("--events"), number("--runs"));
    let lab = Lab::new();
    let mut report = Report::begin(&lab);
    cases::run(&lab, &sizes, after("--only").as_deref(), &mut report);
    report.end();
    if let Some(path) = after("--json").map(PathBuf::from) {
        std::fs::write(path, report.json()).unwrap();
    }
    if let Some(path) = after("--plot").map(PathBuf::from) {
        std::fs::write(path, plot::svg(&report)).unwrap();
    }
}
