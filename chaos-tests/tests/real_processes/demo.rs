//! The demos of the README, over relays on loopback as they run for anybody, and in network namespaces where root is.

use std::path::Path;

use linli_chaos::demo::Demo;
use linli_chaos::lab::namespace;

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/samples/street")
}

#[test]
fn the_demo_holds_over_relays() {
    Demo::over_relays(sample()).run().unwrap();
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_demo_holds_in_namespaces() {
    assert!(namespace::available(), "network namespaces need root, ip and nft");
    Demo::in_namespaces(sample()).run().unwrap();
}

#[test]
fn nodes_behind_a_radio_a_relay_and_a_stick_end_equal_over_relays() {
    Demo::over_relays(sample()).over_bad_links().run().unwrap();
}

#[test]
#[ignore = "needs root: network namespaces"]
fn nodes_behind_a_radio_a_relay_and_a_stick_end_equal_in_namespaces() {
    assert!(namespace::can_slow_down(), "slow lines need root, ip, nft, tc and the kernel's shapers");
    Demo::in_namespaces(sample()).over_bad_links().run().unwrap();
}
