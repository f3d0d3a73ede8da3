//! What a disk does to a node, and that the node says so: a byte that rots, a disk that fills, a directory that is deleted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use linli_chaos::district::District;
use linli_chaos::lab::api::Answer;
use linli_chaos::lab::disk::Disk;
use linli_chaos::lab::process::{NodeProcess, wait_until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// How many events a node knows to be missing.
const MISSING: &str = "linli_store_events_missing";
const ACTS: usize = 30;
const PLANS: [(&str, &str, &str); 2] = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];

fn incident(place: &str) -> Value {
    json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": place, "summary": "全楼停水"})
}

fn report(node: &NodeProcess, place: &str) -> String {
    node.api.act(incident(place)).unwrap()["record"].as_str().unwrap().to_owned()
}

fn try_to_report(node: &NodeProcess, place: &str) -> Answer {
    let id = format!("try-{:x}", fastrand::u64(..));
    node.api.try_act(&id, "值守员", &incident(place), Duration::from_secs(20))
}

fn degraded(node: &NodeProcess) -> Vec<String> {
    degraded_in(&node.api.status().unwrap())
}

fn degraded_in(status: &Value) -> Vec<String> {
    let reasons = status["degraded"].as_array().unwrap().iter();
    reasons.map(|reason| reason.as_str().unwrap().to_owned()).collect()
}

/// The node says on every way of asking that something is wrong.
fn says_that_something_is_wrong(node: &NodeProcess) -> anyhow::Result<Result<(), String>> {
    let reasons = node.api.status()?["degraded"].clone();
    let (ready, _) = node.api.page("/readyz", None)?;
    let (exit, said) = node.exit_of(&["status"])?;
    let all = reasons != json!([]) && ready == 503 && exit == 3;
    Ok(if all { Ok(()) } else { Err(format!("degraded {reasons}, /readyz {ready}, exit code {exit}: {said}")) })
}

/// Files of a store that end in `.{suffix}` and hold something, oldest first.
fn files(node: &NodeProcess, suffix: &str) -> Vec<PathBuf> {
    let held = std::fs::read_dir(node.store()).unwrap().map(|entry| entry.unwrap().path());
    let suffixed = |path: &PathBuf| path.extension().is_some_and(|extension| extension == suffix);
    let mut files: Vec<_> = held.filter(|path| suffixed(path) && path.metadata().unwrap().len() > 0).collect();
    files.sort();
    files
}

fn flip_a_byte(file: &Path, share: f64) {
    let mut bytes = std::fs::read(file).unwrap();
    // What is allocated ahead is zero and says nothing.
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let place = (written as f64 * share) as usize;
    bytes[place] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

/// How many of the records a node shows.
fn shown(node: &NodeProcess, records: &[String]) -> usize {
    records.iter().filter(|record| node.api.record(record).is_ok()).count()
}

/// Given a street whose acts are acknowledged and known to it alone; when it has stopped and a byte of each file of one
/// kind rots; then all acts are there, or the store is refused with a reason, or the loss is told everywhere.
fn a_byte_rots(suffix: &str, killed: bool) {
    let root = tempfile::tempdir().unwrap();
    let mut district = District::found(root.path(), &PLANS, None).unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    district.cut_off(1).unwrap();
    let records: Vec<String> = (0..ACTS).map(|n| report(&district.nodes[1], &format!("{n} 号楼"))).collect();
    let street = &mut district.nodes[1];
    if killed {
        street.kill()
    } else {
        street.stop().unwrap()
    }
    let rotten = files(street, suffix);
    println!("{} files that end in .{suffix}: {rotten:?}", rotten.len());
    for file in &rotten {
        flip_a_byte(file, 0.35);
    }
    match street.start() {
        Err(refused) => {
            let refused = format!("{refused:#}");
            println!("refused: {refused}");
            assert!(
                refused.contains(suffix) || refused.contains("damaged") || refused.contains("corrupt"),
                "{refused}"
            );
            assert!(!refused.contains("another process") && !refused.contains("linli init"), "misleading: {refused}");
        }
        Ok(()) => {
            let there = shown(street, &records);
            println!("{there} of {ACTS} acts are there; degraded: {:?}", degraded(street));
            if there < ACTS {
                wait_until(PATIENCE, || says_that_something_is_wrong(street)).unwrap();
                let told = degraded(street).join("; ");
                // How much is missing, and how that is known, or that damage makes it unknown.
                let counted = told.contains("missing: log") && street.api.metric(MISSING).unwrap() > 0;
                assert!(counted || told.contains("damaged"), "a loss is not called a loss: {told}");
            }
        }
    }
}

#[test]
fn a_byte_that_rots_in_the_write_ahead_log_after_an_orderly_stop_is_never_silent() {
    a_byte_rots("log", false);
}

#[test]
fn a_byte_that_rots_in_the_write_ahead_log_of_a_killed_node_is_never_silent() {
    a_byte_rots("log", true);
}

#[test]
fn a_byte_that_rots_in_a_table_after_an_orderly_stop_is_never_silent() {
    a_byte_rots("sst", false);
}

#[test]
fn a_data_directory_that_is_deleted_is_noticed_and_no_act_is_acknowledged_any_more() {
    // Given a node that runs and is ready,
    let root = tempfile::tempdir().unwrap();
    let district = District::found(root.path(), &PLANS[..1], None).unwrap();
    let node = &district.nodes[0];
    report(node, "从前");
    assert_eq!(node.api.page("/readyz", None).unwrap().0, 200);
    // when somebody deletes its data directory,
    let token = std::fs::read_to_string(node.dir.join("api-token")).unwrap();
    std::fs::remove_dir_all(&node.dir).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    // then it acknowledges nothing that would be gone at its end, and is not ready.
    assert_eq!(node.api.page("/readyz", None).unwrap().0, 503);
    let answer = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let answer = answer.post(format!("http://{}/api/v1/commands", node.api.http));
    let answer = answer.header("authorization", format!("Bearer {}", token.trim()));
    let answer = answer.send_json(json!({"by": "值守员", "command": incident("以后")})).unwrap();
    assert!(answer.status().is_server_error(), "{answer:?}");
}

#[test]
#[ignore = "needs root: loop devices"]
fn a_disk_that_was_full_and_is_freed_loses_no_acknowledged_act_and_the_node_goes_on_by_itself() {
    // Given a node on a disk of its own that somebody fills,
    let root = tempfile::tempdir().unwrap();
    let mut district = District::laid_out(root.path(), &PLANS[..1], Default::default()).unwrap();
    let disk = Disk::for_node(&district.nodes[0].dir).unwrap();
    district.found_laid_out(&PLANS[..1]).unwrap();
    let filler = district.nodes[0].dir.join("filler");
    fill(&filler);
    // when acts go on until one is refused,
    let node = &district.nodes[0];
    let mut acknowledged = vec![];
    let refused = loop {
        let batch: Vec<Value> = (0..500).map(|n| incident(&format!("{} 号楼", acknowledged.len() + n))).collect();
        match node.api.act_all(batch) {
            Ok(receipts) => acknowledged.extend(
                receipts.as_array().unwrap().iter().map(|receipt| receipt["record"].as_str().unwrap().to_owned()),
            ),
            Err(error) => break format!("{error:#}"),
        }
        assert!(acknowledged.len() < 500_000, "the disk never fills");
    };
    println!("{} acts fitted on the disk, then: {refused}", acknowledged.len());
    // and somebody takes every bit of room that the node gives back,
    let freed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !freed.load(Ordering::SeqCst) {
                fill(&filler);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        // then the node says so everywhere, with the cause, for as long as it can record nothing,
        let told = wait_until(PATIENCE, || match try_to_report(node, "满盘") {
            Answer::Refused(500.., _) => says_that_something_is_wrong(node),
            other => Ok(Err(format!("{other:?}"))),
        });
        let status = node.api.status();
        freed.store(true, Ordering::SeqCst);
        told.unwrap();
        let reasons = degraded_in(&status.unwrap());
        assert!(reasons.iter().any(|reason| reason.contains("write") && reason.contains("写入")), "{reasons:?}");
    });
    assert!(node.api.metric("linli_store_write_failures_total").unwrap() > 0);
    // and when there is room again, it goes on without being started again,
    std::fs::remove_file(&filler).unwrap();
    wait_until(PATIENCE, || match try_to_report(node, "腾出空间之后") {
        Answer::Done(_) => Ok(Ok(())),
        other => Ok(Err(format!("{other:?}"))),
    })
    .unwrap();
    wait_until(PATIENCE, || match node.api.page("/readyz", None)? {
        (200, _) => Ok(Ok(())),
        other => Ok(Err(format!("{other:?}"))),
    })
    .unwrap();
    // and all that it ever acknowledged is there, now and after a restart.
    acknowledged.extend((0..20).map(|n| report(node, &format!("最后 {n}"))));
    assert_eq!(shown(node, &acknowledged), acknowledged.len());
    district.nodes[0].stop().unwrap();
    district.nodes[0].start().unwrap();
    let node = &district.nodes[0];
    wait_until(PATIENCE, || Ok(if node.api.status()?["lag_events"] == json!(0) { Ok(()) } else { Err(String::new()) }))
        .unwrap();
    assert_eq!(shown(node, &acknowledged), acknowledged.len());
    drop(district);
    drop(disk);
}

/// Takes all the room that is left on a file's disk.
fn fill(filler: &Path) {
    for unit in ["64M", "1M", "4K"] {
        let grows = || {
            let mut command = Command::new("fallocate");
            command.args(["-o", &size(filler).to_string(), "-l", unit]).arg(filler);
            command.output().unwrap().status.success()
        };
        while grows() {}
    }
}

fn size(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}
