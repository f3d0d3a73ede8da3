//! The traps of a mesh on bad lines, each with real processes in network namespaces: packets vanish, nobody says goodbye.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use linli_chaos::district::{District, Wires};
use linli_chaos::lab::namespace::Network;
use linli_chaos::lab::process::{NodeProcess, Transport, wait_until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const TWO: [(&str, &str, &str); 2] = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
const THREE: [(&str, &str, &str); 3] =
    [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道"), ("linhu", "320508005", "临湖街道")];

fn network(district: &District) -> &Network {
    match &district.wires {
        Wires::Namespaces(network) => network,
        Wires::Relays(_) => panic!("not in namespaces"),
    }
}

fn network_mut(district: &mut District) -> &mut Network {
    match &mut district.wires {
        Wires::Namespaces(network) => network,
        Wires::Relays(_) => panic!("not in namespaces"),
    }
}

fn report(node: &NodeProcess, place: &str) {
    let act =
        json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": place, "summary": "全楼停水"});
    node.api.act(act).unwrap();
}

/// What a node says of another one, by its public name.
fn sees(node: &NodeProcess, name: &str) -> anyhow::Result<Value> {
    let peers = node.api.status()?["peers"].clone();
    let found = peers.as_array().into_iter().flatten().find(|peer| peer["name"] == name).cloned();
    Ok(found.unwrap_or(Value::Null))
}

/// Waits until what a node says of another one is as expected.
fn wait_to_see(node: &NodeProcess, name: &str, limit: Duration, expected: impl Fn(&Value) -> bool) -> Duration {
    let look = || sees(node, name).map(|peer| if expected(&peer) { Ok(()) } else { Err(format!("{peer}")) });
    wait_until(limit, look).unwrap_or_else(|error| panic!("{} of {name}: {error:#}", node.name))
}

fn connected(peer: &Value) -> bool {
    peer["connected"] == true
}

fn silent(peer: &Value) -> bool {
    peer["connected"] == false
}

fn through_a_relay(peer: &Value) -> bool {
    connected(peer) && peer["relayed"] == true
}

fn directly(peer: &Value) -> bool {
    connected(peer) && peer["relayed"] == false
}

/// A node is killed in a way that nobody is told of, and starts again at once with the same key.
fn restarts_unnoticed(quic: bool, block: u8) {
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &TWO, Some(block)).unwrap();
    for node in &mut district.nodes {
        node.stop().unwrap();
        if quic {
            node.transport = Transport::Quic;
        }
    }
    district.nodes[1].peers = vec![district.nodes[0].multiaddr()];
    for node in &mut district.nodes {
        node.start().unwrap();
    }
    wait_to_see(&district.nodes[0], "河西街道", PATIENCE, connected);
    network(&district).swallow_goodbyes(1, &[0]).unwrap();
    district.nodes[1].kill();
    assert!(connected(&sees(&district.nodes[0], "河西街道").unwrap()), "the bureau was told of the end");
    district.nodes[1].start().unwrap();
    assert!(connected(&sees(&district.nodes[0], "河西街道").unwrap()), "the bureau noticed it");
    report(&district.nodes[0], "重启期间");
    let took = district.wait_for_agreement(Duration::from_secs(10)).unwrap();
    println!("agreed {took:?} after a restart that nobody noticed");
    wait_to_see(&district.nodes[0], "河西街道", PATIENCE, connected);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_node_that_restarts_before_its_peers_noticed_replicates_at_once_over_tcp() {
    restarts_unnoticed(false, 20);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_node_that_restarts_before_its_peers_noticed_replicates_at_once_over_quic() {
    restarts_unnoticed(true, 21);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_node_that_is_reached_only_through_a_relay_is_reached_again_when_the_relay_restarts() {
    // Given a street that reaches nobody but the bureau, and that nobody can call,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &THREE, Some(22)).unwrap();
    for node in &mut district.nodes[1..] {
        node.stop().unwrap();
    }
    network(&district).hide(1, &[0]).unwrap();
    let bureau = district.nodes[0].multiaddr();
    for node in &mut district.nodes[1..] {
        node.peers = vec![bureau.clone()];
        node.start().unwrap();
    }
    // when it has found out, then the other street is connected to it through the bureau;
    let took = wait_to_see(&district.nodes[2], "河西街道", PATIENCE, through_a_relay);
    println!("reached through the relay after {took:?}");
    assert_eq!(district.nodes[1].api.status().unwrap()["reachability"], "relayed");
    // and again after the bureau was killed and came back.
    district.nodes[0].kill();
    wait_to_see(&district.nodes[2], "河西街道", PATIENCE, silent);
    district.nodes[0].start().unwrap();
    let took = wait_to_see(&district.nodes[2], "河西街道", PATIENCE, through_a_relay);
    println!("reached through the restarted relay after {took:?}");
    report(&district.nodes[1], "中继恢复之后");
    district.wait_for_agreement(PATIENCE).unwrap();
}

/// Both ends lose each other in some way for as long as `lasts`: both notice, and are together soon after the heal.
fn lose_and_find_each_other(block: u8, lasts: Duration, lose: impl Fn(&Network)) {
    let root = tempfile::tempdir().unwrap();
    let district = District::found(root.path(), &TWO, Some(block)).unwrap();
    let both = [(0, "河西街道"), (1, "应急管理局")];
    for (node, other) in both {
        wait_to_see(&district.nodes[node], other, PATIENCE, connected);
    }
    let begun = Instant::now();
    lose(network(&district));
    let noticed = both.map(|(node, other)| wait_to_see(&district.nodes[node], other, Duration::from_secs(25), silent));
    println!("noticed after {noticed:?}");
    report(&district.nodes[0], "中断期间,应急管理局");
    report(&district.nodes[1], "中断期间,河西街道");
    std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
    assert!(!district.disagreement().unwrap().is_empty(), "the line was not cut");
    district.heal(1).unwrap();
    let took = district.wait_for_agreement(Duration::from_secs(25)).unwrap();
    println!("agreed {took:?} after the heal");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_cut_longer_than_every_keep_alive_is_noticed_and_healed() {
    // Probes give up after 15 s, QUIC after 10 s, and what the system buffered is resent for longer than that.
    lose_and_find_each_other(23, Duration::from_secs(40), |network| network.cut(1, &[0]).unwrap());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_line_that_carries_one_way_only_is_noticed_and_healed() {
    lose_and_find_each_other(24, Duration::from_secs(20), |network| network.deafen(1, &[0]).unwrap());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_half_open_connection_is_replaced_when_the_peer_is_back_at_another_place() {
    // Given two nodes, one of which listens wherever its machine happens to be,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &TWO, Some(25)).unwrap();
    let mesh_port = district.nodes[1].mesh.port();
    let side = network(&district).open_side_door(1, mesh_port).unwrap();
    let moving = &mut district.nodes[1];
    moving.stop().unwrap();
    (moving.bind, moving.api.http) = (Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), (side, moving.api.http.port()).into());
    moving.start().unwrap();
    wait_to_see(&district.nodes[0], "河西街道", PATIENCE, connected);
    // when that one is carried to another address: its old connection is half open, and its peer hears nothing of it,
    network_mut(&mut district).move_to(1, 77).unwrap();
    report(&district.nodes[1], "搬迁之后");
    // then it calls by itself, and the new connection replaces the old one before any keep-alive has run out.
    let agreed = district.wait_for_agreement(Duration::from_secs(14));
    let took = agreed.unwrap_or_else(|error| panic!("{error:#}: {}", district.nodes[1].last_log_lines()));
    println!("agreed {took:?} after the move");
    wait_to_see(&district.nodes[0], "河西街道", PATIENCE, connected);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn two_nodes_behind_routers_of_their_own_punch_a_hole_and_leave_the_relay() {
    // Given two streets, each behind a router that lets in only what was asked for,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &THREE, Some(26)).unwrap();
    for node in &mut district.nodes {
        node.stop().unwrap();
        node.transport = Transport::Quic;
        std::fs::remove_file(node.dir.join("addresses")).unwrap();
    }
    let bureau = district.nodes[0].multiaddr();
    for host in [1, 2] {
        let inside = network_mut(&mut district).put_behind_router(host, 8420).unwrap();
        let node = &mut district.nodes[host];
        (node.bind, node.peers) = (Some(inside.into()), vec![bureau.clone()]);
    }
    for node in &mut district.nodes {
        node.start().unwrap();
    }
    // when they have found each other through the bureau, then they end up with a connection of their own,
    let took = wait_to_see(&district.nodes[1], "临湖街道", PATIENCE, directly);
    println!("connected directly after {took:?}");
    wait_to_see(&district.nodes[2], "河西街道", PATIENCE, directly);
    // which carries on without the bureau.
    district.nodes[0].stop().unwrap();
    report(&district.nodes[1], "没有应急管理局");
    let same = || {
        let [a, b] = [1, 2].map(|i: usize| district.nodes[i].api.status().map(|s| s["frontier_digest"].clone()));
        let (a, b) = (a?, b?);
        Ok(if a == b { Ok(()) } else { Err(format!("{a} {b}")) })
    };
    let took = wait_until(Duration::from_secs(10), same).unwrap();
    println!("agreed without the bureau after {took:?}");
}
