//! A data directory that was copied, run on and put back: it does not fork, and gets its lost tail back from its peers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use linli_chaos::district::District;
use linli_chaos::lab::process::NodeProcess;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const STREET: usize = 1;

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "cp -a {} {}", from.display(), to.display());
}

/// Reports an incident and returns the record.
fn report(node: &NodeProcess, place: &str) -> String {
    let act =
        json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": place, "summary": "全楼停水"});
    node.api.act(act).unwrap()["record"].as_str().unwrap().to_owned()
}

/// Incarnations in which a node has written, as it knows itself.
fn own_logs(node: &NodeProcess) -> usize {
    let status = node.api.status().unwrap();
    let own = |log: &&serde_json::Value| log["own"] == json!(true) && log["log"]["stream"] == json!("incidents");
    status["logs"].as_array().unwrap().iter().filter(own).count()
}

/// Given a bureau and a street; when the street's directory is copied while `copied_running` or stopped, runs on, and
/// is put back; then nothing forks and nothing is lost.
fn restores(copied_running: bool, cut_off_at_first: bool) {
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let mut district = District::found(root.path(), &plans, None).unwrap();
    let (dir, backup) = (district.nodes[STREET].dir.clone(), root.path().join("backup"));
    let before: Vec<String> = (0..5).map(|n| report(&district.nodes[STREET], &format!("备份前 {n}"))).collect();
    if !copied_running {
        district.nodes[STREET].stop().unwrap();
    }
    copy(&dir, &backup);
    if !copied_running {
        district.nodes[STREET].start().unwrap();
    }
    let after: Vec<String> = (0..5).map(|n| report(&district.nodes[STREET], &format!("备份后 {n}"))).collect();
    district.wait_for_agreement(PATIENCE).unwrap();
    let logs_before = own_logs(&district.nodes[STREET]);
    district.nodes[STREET].kill();
    std::fs::remove_dir_all(&dir).unwrap();
    copy(&backup, &dir);
    if cut_off_at_first {
        district.cut_off(STREET).unwrap();
    }
    district.nodes[STREET].start().unwrap();
    // It writes at once, before it has heard that it once wrote more.
    let at_once = report(&district.nodes[STREET], "恢复后立即上报");
    if cut_off_at_first {
        assert!(district.nodes[STREET].api.record(&after[4]).is_err(), "the copy cannot know what came after it");
        district.heal(STREET).unwrap();
    }
    district.wait_for_agreement(PATIENCE).unwrap();
    for node in &district.nodes {
        assert_eq!(node.api.status().unwrap()["forks"], json!(0), "{} sees a fork", node.name);
        for record in before.iter().chain(&after).chain([&at_once]) {
            node.api.record(record).unwrap_or_else(|error| panic!("{} lost {record}: {error:#}", node.name));
        }
    }
    assert!(own_logs(&district.nodes[STREET]) > logs_before, "no new incarnation was opened");
}

#[test]
fn a_copy_of_a_stopped_node_that_is_put_back_goes_on_without_a_fork() {
    restores(false, false);
}

#[test]
fn a_copy_that_is_put_back_during_a_cut_writes_at_once_and_does_not_fork_when_its_peers_return() {
    restores(false, true);
}

#[test]
fn a_copy_of_a_running_node_that_is_put_back_goes_on_without_a_fork() {
    restores(true, true);
}
