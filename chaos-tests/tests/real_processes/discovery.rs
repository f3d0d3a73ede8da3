//! Nodes on one local network find each other without being told where.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use linli_chaos::district::{District, Wiring};
use linli_chaos::lab::process::{NodeProcess, wait_until};

#[test]
#[ignore = "needs root: network namespaces"]
fn nodes_on_one_network_find_each_other_by_mdns() {
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let mut district = District::found(root.path(), &plans, Some(9)).unwrap();
    // Given two members of a district that both forget where the other is,
    for node in &mut district.nodes {
        node.stop().unwrap();
        (node.peers, node.mdns) = (vec![], true);
        // The ticket still names the old port.
        node.mesh.set_port(9421);
    }
    // when they start with nothing but multicast,
    for node in &mut district.nodes {
        node.start().unwrap();
    }
    // then they agree.
    let act = serde_json::json!({"do": "report_incident", "category": "停电", "severity": "IV", "place": "3 号楼", "summary": "全楼停电"});
    district.nodes[0].api.act(act).unwrap();
    let took = district.wait_for_agreement(Duration::from_secs(60)).unwrap();
    println!("agreed {took:?} after the start");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_network_that_has_only_link_local_addresses_is_named_as_what_keeps_nodes_apart() {
    // Given two members that hear each other,
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let wiring = Wiring { namespaces: Some(16), ..Wiring::default() };
    let mut district = District::laid_out(root.path(), &plans, wiring).unwrap();
    for node in &mut district.nodes {
        // Asked from within, when nothing reaches it from outside any more.
        (node.bind, node.mdns) = (Some(Ipv4Addr::UNSPECIFIED.into()), true);
    }
    district.found_laid_out(&plans).unwrap();
    district.wait_for_agreement(Duration::from_secs(60)).unwrap();
    let named = |node: &NodeProcess| node.exit_of(&["status"]).map(|(_, said)| said.contains("fe80::"));
    assert!(district.nodes.iter().all(|node| !named(node).unwrap()));
    // when their network keeps none but the addresses of IPv6 that every interface gives itself,
    for node in &district.nodes {
        let namespace = node.namespace.as_deref().unwrap();
        let flushed = Command::new("ip").args(["-n", namespace, "addr", "flush", "scope", "global"]).status().unwrap();
        assert!(flushed.success());
    }
    // then both say that this is what keeps them apart.
    for node in &district.nodes {
        let told = || named(node).map(|told| if told { Ok(()) } else { Err("it names no reason".to_owned()) });
        let took = wait_until(Duration::from_secs(180), told).unwrap();
        println!("{} says so after {took:?}", node.name);
    }
}
