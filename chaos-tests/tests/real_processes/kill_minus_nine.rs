//! `kill -9` while several clients write: what was acknowledged is there afterwards, on the node and on its peers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use linli_chaos::district::District;
use linli_chaos::lab::api::Api;
use serde_json::json;

use crate::held::events_of;

/// Clients that write at the same time, on each node.
const CLIENTS: usize = 3;
/// Longest wait for two nodes to agree after the last round.
const PATIENCE: Duration = Duration::from_secs(60);

fn rounds() -> usize {
    std::env::var("LINLI_TEST_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(50)
}

/// Reports incidents until told to stop or cut off, and returns the ids of the events that were acknowledged.
fn write_until(stop: &AtomicBool, node: &Api, client: usize) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    while !stop.load(Ordering::SeqCst) {
        let act = json!({"do": "report_incident", "category": "停电", "severity": "IV", "place": format!("{client} 号楼"), "summary": "全楼停电"});
        match node.act(act) {
            Ok(receipt) => acknowledged
                .extend(receipt["events"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned())),
            // The process is gone, and whether this last act was recorded nobody can say.
            Err(_) => break,
        }
    }
    acknowledged
}

/// One round: clients write at both nodes, one node is killed in the middle, and is started again.
fn round(district: &mut District, victim: usize, after: Duration) -> [BTreeSet<String>; 2] {
    let stop = AtomicBool::new(false);
    let nodes = [0, 1].map(|node| district.nodes[node].api.clone());
    let acknowledged = std::thread::scope(|scope| {
        let stop = &stop;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| nodes.each_ref().map(|node| scope.spawn(move || write_until(stop, node, client))))
            .collect();
        std::thread::sleep(after);
        district.nodes[victim].kill();
        stop.store(true, Ordering::SeqCst);
        let mut acknowledged = [BTreeSet::new(), BTreeSet::new()];
        for client in clients {
            for (node, handle) in client.into_iter().enumerate() {
                acknowledged[node].extend(handle.join().unwrap());
            }
        }
        acknowledged
    });
    district.nodes[victim].start().unwrap();
    acknowledged
}

#[test]
fn every_acknowledged_event_survives_on_the_node_and_on_its_peers() {
    let seed =
        std::env::var("LINLI_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("LINLI_TEST_SEED={seed} replays this plan");
    let mut random = fastrand::Rng::with_seed(seed);
    // Given a bureau and a street that hear each other,
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let mut district = District::found(root.path(), &plans, None).unwrap();
    let mut acknowledged = [BTreeSet::new(), BTreeSet::new()];
    // when one of them is killed again and again while both are being written to,
    for number in 0..rounds() {
        let (victim, after) = (random.usize(..2), Duration::from_millis(random.u64(30..300)));
        let [by_first, by_second] = round(&mut district, victim, after);
        acknowledged[0].extend(by_first);
        acknowledged[1].extend(by_second);
        // then all that it ever acknowledged is there as soon as it is back,
        let held = events_of(&district.nodes[victim], &root.path().join("held.linli"));
        let lost: Vec<_> = acknowledged[victim].difference(&held).collect();
        assert!(lost.is_empty(), "round {number}, seed {seed}: {} lost {lost:?}", district.nodes[victim].name);
    }
    // and in the end both hold everything, show the same, and nobody has signed two histories.
    district.wait_for_agreement(PATIENCE).unwrap();
    let acknowledged: BTreeSet<String> = acknowledged.into_iter().flatten().collect();
    for node in &district.nodes {
        let held = events_of(node, &root.path().join("held.linli"));
        let lost: Vec<_> = acknowledged.difference(&held).collect();
        assert!(lost.is_empty(), "seed {seed}: {} lacks {lost:?}", node.name);
        assert_eq!(node.api.status().unwrap()["forks"], json!(0));
    }
    println!("{} acknowledged events survived {} rounds", acknowledged.len(), rounds());
    assert!(acknowledged.len() > rounds(), "the clients hardly wrote: {} events", acknowledged.len());
}
