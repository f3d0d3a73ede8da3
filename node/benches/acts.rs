//! What an act costs, on a disk: 64 clients at once, the repetition of an act, and an id that is asked for among a million.
//!
//! `cargo bench -p linli --bench acts`

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod founded;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use founded::{NOW_MS, founded};
use linli::data_dir::DataDir;
use linli::node::{Node, new_act};
use linli_domain::act::ActId;
use linli_domain::commands::Command;
use linli_store::{OpenOptions, ProjectionBatch, Store};
use serde_json::json;

const CLIENTS: u64 = 64;
const SPAN: Duration = Duration::from_secs(8);
const IDS: u64 = 1_000_000;

fn main() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::new(root.path().join("node"));
    let node = founded(&dir);
    for round in 0..3 {
        println!("{:.0} acts a second, {CLIENTS} clients, round {round}", throughput(&node));
    }
    let acts: Vec<(ActId, Command)> = (0..2_000).map(|n| (new_act(), report(n))).collect();
    acts.iter().for_each(|(act, command)| drop(node.submit("值守员", *act, command.clone()).unwrap()));
    println!("repetition among {} acts: {:?}", acts.len(), repetition(&node, &acts));
    drop(node);
    fill(&dir);
    let node = Node::open_behind(&dir, NOW_MS).unwrap();
    println!("repetition among {IDS} more ids: {:?}", repetition(&node, &acts));
    let unknown = time(acts.len(), |_| assert!(node.recorded(&new_act()).unwrap().is_empty()));
    let known = time(acts.len(), |n| assert_eq!(node.recorded(&acts[n].0).unwrap().len(), 1));
    println!("an unknown id: {unknown:?}; a known one with its event: {known:?}");
}

fn report(n: u64) -> Command {
    let said = json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": format!("{n}号楼"), "summary": "积水"});
    serde_json::from_value(said).unwrap()
}

fn throughput(node: &Arc<Node>) -> f64 {
    let (count, started) = (AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let count = &count;
            scope.spawn(move || {
                while started.elapsed() < SPAN {
                    node.submit("值守员", new_act(), report(client)).unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner() as f64 / started.elapsed().as_secs_f64()
}

fn repetition(node: &Node, acts: &[(ActId, Command)]) -> Duration {
    time(acts.len(), |n| {
        let (act, command) = &acts[n];
        assert!(node.submit("值守员", *act, command.clone()).unwrap().repeated);
    })
}

fn time(times: usize, mut each: impl FnMut(usize)) -> Duration {
    let started = Instant::now();
    (0..times).for_each(&mut each);
    started.elapsed() / u32::try_from(times).unwrap()
}

/// A million entries as the index has them.
fn fill(dir: &DataDir) {
    let store = Store::open(&dir.store(), OpenOptions::default()).unwrap();
    let before = size(&dir.store());
    for some in 0..IDS / 2_000 {
        let mut batch = ProjectionBatch::default();
        for n in 0..2_000u64 {
            let id = ActId::derived("bench", &[&(some * 2_000 + n).to_be_bytes()]);
            let event = ActId::derived("event", &[id.as_bytes()]);
            let entry = [event.as_bytes(), event.as_bytes(), id.as_bytes(), &[7; 25][..]].concat();
            batch.put([&b"a"[..], id.as_bytes()].concat(), entry);
        }
        store.projection().write(batch).unwrap();
    }
    drop(store);
    println!("{IDS} ids take {} MB on disk, uncompacted", (size(&dir.store()) - before) >> 20);
}

fn size(path: &std::path::Path) -> u64 {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
