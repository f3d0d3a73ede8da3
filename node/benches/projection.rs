//! How fast logs become views: all read models are thrown away and folded again, beside RocksDB writing the very same
//! keys and values in batches of the same number.
//!
//! ```text
//! cargo bench --workspace --bench projection            # 20 k events, 5 rounds
//! cargo bench --workspace --bench projection -- --quick # 1 k events, 1 round
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod founded;

use std::path::Path;
use std::time::{Duration, Instant};

use founded::founded;
use linli::batch::BatchOf;
use linli::data_dir::DataDir;
use linli::node::{Node, new_act};
use linli_domain::commands::Command;
use linli_store::{OpenOptions, ProjectionBatch, Store};
use serde_json::json;

/// What one incident, one supply point and one team go through: twenty events.
const EVENTS_PER_STORY: usize = 20;
/// Stories written to the store at once.
const STORIES_AT_ONCE: usize = 50;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (rounds, events) = if quick { (1, 1_000) } else { (5, 20_000) };
    let home = tempfile::tempdir().unwrap();
    let dir = DataDir::new(home.path().join("node"));
    let node = founded(&dir);
    for first in (0..events / EVENTS_PER_STORY).step_by(STORIES_AT_ONCE) {
        write_stories(&node, first);
    }
    let status = node.status();
    println!("\n{} events of {} records, medians of {rounds} rounds", status.events, status.records);
    let (mut ours, mut floors) = (vec![], vec![]);
    for round in 0..rounds {
        let started = Instant::now();
        let (before, after) = node.rebuild().unwrap();
        ours.push(started.elapsed());
        assert_eq!(before, after, "the rebuilt views differ");
        floors.push(write_the_same(&dir, &home.path().join(format!("floor-{round}"))));
    }
    let (ours, floor) = (median(ours), median(floors));
    let rate = |took: Duration| status.events as f64 / took.as_secs_f64() / 1_000.0;
    println!("  views from logs        {:>8.1} ms  {:>7.1} k events/s", ours.as_secs_f64() * 1e3, rate(ours));
    println!("  RocksDB, same pairs    {:>8.1} ms  {:>7.1} k events/s", floor.as_secs_f64() * 1e3, rate(floor));
    println!("  ratio                  {:>8.2}", ours.as_secs_f64() / floor.as_secs_f64());
}

/// An incident with updates, a point with movements and a team with check-ins, for each of some numbers.
fn write_stories(node: &Node, first: usize) {
    let record = |kind: &str, number: usize| {
        linli_domain::commands::import_id(&"320508".parse().unwrap(), kind, &number.to_string())
    };
    let mut acts = vec![];
    for number in first..first + STORIES_AT_ONCE {
        let (incident, point, team) = (record("incident", number), record("point", number), record("team", number));
        acts.push(json!({"do": "report_incident", "record": incident, "category": "暴雨积水", "severity": "III", "place": format!("{number} 号楼"), "summary": "地下车库进水"}));
        acts.push(
            json!({"do": "form_point", "record": point, "name": format!("{number} 号储备点"), "minimums": {"水泵": 2}}),
        );
        acts.push(json!({"do": "form_team", "record": team, "name": format!("{number} 号楼队")}));
        acts.push(json!({"do": "receive_supplies", "point": point, "item": "水泵", "unit": "台", "quantity": 100, "from": "区库"}));
        for step in 0..5 {
            acts.push(json!({"do": "update_incident", "incident": incident, "text": format!("第 {step} 次通报")}));
            acts.push(json!({"do": "issue_supplies", "point": point, "item": "水泵", "quantity": 1, "to": "抢险"}));
            acts.push(json!({"do": "check_in_team", "team": team, "place": "值守点", "readiness": "ready"}));
        }
        acts.push(json!({"do": "close_incident", "incident": incident, "outcome": "积水已排除"}));
    }
    let commands: Vec<Command> = serde_json::from_value(acts.into()).unwrap();
    let acts = commands.into_iter().map(|command| (new_act(), command)).collect();
    node.submit_all("值守员", acts, BatchOf::Acts).unwrap();
}

/// The floor: every pair of the projection family again, in a fresh store, as many pairs to a batch as a pass writes.
fn write_the_same(dir: &DataDir, path: &Path) -> Duration {
    let shown = Store::open_read_only(&dir.store()).unwrap().projection();
    let pairs: Vec<_> =
        [b"c", b"e", b"v"].iter().flat_map(|kind| shown.scan(*kind, None, usize::MAX).unwrap()).collect();
    let store = Store::open(path, OpenOptions::default()).unwrap();
    let projection = store.projection();
    let started = Instant::now();
    for some in pairs.chunks(2_048) {
        let mut batch = ProjectionBatch::default();
        some.iter().for_each(|(key, value)| batch.put(key.clone(), value.clone()));
        projection.write(batch).unwrap();
    }
    started.elapsed()
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort_unstable();
    spans[spans.len() / 2]
}
