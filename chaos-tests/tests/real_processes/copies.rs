//! A machine that was cloned runs beside the original: nothing forks, the original is heard as before, and all say what
//! is going on.

use std::process::Command;
use std::time::{Duration, Instant};

use linli_chaos::district::District;
use linli_chaos::lab::process::{NodeProcess, wait_until};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
/// Longest that an act of the original may take to its peer while a copy runs.
const HEARD_WITHIN: Duration = Duration::from_secs(10);
const ROUNDS: usize = 12;
const PLANS: [(&str, &str, &str); 2] = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];

fn report(node: &NodeProcess, place: &str) -> String {
    let act =
        json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": place, "summary": "全楼停水"});
    node.api.act(act).unwrap()["record"].as_str().unwrap().to_owned()
}

fn speaks_of_a_copy(node: &NodeProcess) -> anyhow::Result<Result<(), String>> {
    let degraded = node.api.status()?["degraded"].to_string();
    let told = degraded.contains("copy of") && degraded.contains("副本");
    Ok(if told { Ok(()) } else { Err(format!("{}: {degraded}", node.name)) })
}

#[test]
fn a_copy_that_runs_beside_the_original_is_called_a_copy_and_the_original_is_heard_as_before() {
    // Given a bureau and a street that hear each other,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &PLANS, None).unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    // when the street's machine is cloned and the clone runs beside it,
    let mut clone = NodeProcess::new("clone", root.path(), district.nodes[1].mesh.ip(), None).unwrap();
    (clone.confined, clone.peers) = (true, vec![district.nodes[0].multiaddr()]);
    district.nodes[1].stop().unwrap();
    let copied = Command::new("cp").arg("-a").args([&district.nodes[1].dir, &clone.dir]).status().unwrap();
    assert!(copied.success());
    district.nodes[1].start().unwrap();
    // (An act that arrives shows that it replicates again: two nodes that are apart may hold the same events, and whoever
    // replicates first stands.)
    report(&district.nodes[1], "停机之后");
    district.wait_for_agreement(PATIENCE).unwrap();
    clone.start().unwrap();
    // then every act of the original reaches its peer soon, as if there were no copy,
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let (record, acted) = (report(&district.nodes[1], &format!("原机 {round}")), Instant::now());
        wait_until(HEARD_WITHIN, || Ok(district.nodes[0].api.record(&record).map(drop).map_err(|e| format!("{e:#}"))))
            .unwrap_or_else(|error| panic!("round {round}: {error:#}"));
        slowest = slowest.max(acted.elapsed());
        std::thread::sleep(Duration::from_millis(500));
    }
    println!("the slowest of {ROUNDS} acts of the original was heard after {slowest:?}");
    // all three say that there is a copy,
    for node in [&district.nodes[0], &district.nodes[1], &clone] {
        wait_until(PATIENCE, || speaks_of_a_copy(node)).unwrap();
    }
    // and nobody has signed two histories.
    clone.stop().unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    for node in &district.nodes {
        assert_eq!(node.api.status().unwrap()["forks"], json!(0));
    }
}
