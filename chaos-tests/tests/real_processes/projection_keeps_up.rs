//! Views follow the logs in the background: catch-up does not wait for them, their memory is bounded, and no page
//! claims to be complete, or a list to be empty, while they are behind.

use std::time::{Duration, Instant};

use linli_chaos::district::District;
use linli_chaos::lab::process::NodeProcess;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(300);
/// Acts in one request.
const ACTS_AT_ONCE: usize = 2_000;
/// Incidents that all updates are about, so that each record has many.
const INCIDENTS: usize = 1_000;
/// What folding may add to a process, in bytes. A pass holds events of 8 MiB at most, which are some times as much when
/// decoded, the batch of their views, and one record at a time; RocksDB's tables in memory come on top.
const FOLDING_BYTES_MAX: u64 = 160 << 20;

/// Writes so many events at a node.
fn write(node: &NodeProcess, events: usize) {
    let send = |acts: &[Value]| -> Vec<String> {
        let body = json!({"by": "值守员", "commands": acts});
        let receipts = node.api.post("/commands/batch", &body).unwrap();
        receipts.as_array().unwrap().iter().map(|receipt| receipt["record"].as_str().unwrap().to_owned()).collect()
    };
    let report = |n: usize| {
        let place = format!("{n} 号楼");
        json!({"do": "report_incident", "category": "暴雨积水", "severity": "III", "place": place, "summary": "车库进水"})
    };
    let incidents = send(&(0..INCIDENTS).map(report).collect::<Vec<_>>());
    let update = |n: usize| {
        let text = format!("第 {n} 次通报: 水位仍在上升, 抽排继续");
        json!({"do": "update_incident", "incident": incidents[n % INCIDENTS], "text": text})
    };
    let updates: Vec<Value> = (0..events.saturating_sub(INCIDENTS)).map(update).collect();
    updates.chunks(ACTS_AT_ONCE).for_each(|acts| drop(send(acts)));
}

/// Peak resident memory of a running node, in bytes.
fn peak_bytes(node: &NodeProcess) -> u64 {
    node.counted("VmHWM").unwrap() * 1024
}

/// A page that an operator has open: it may say that it is behind, but not that nothing is going on.
fn desk_is_honest(node: &NodeProcess, session: &str) -> bool {
    let (status, page) = node.api.page("/", Some(session)).unwrap();
    assert_eq!(status, 200, "{page}");
    assert!(!page.contains("没有进行中的事件"), "the desk calls a list empty that is being folded");
    page.contains("条待整理")
}

#[test]
fn catch_up_does_not_wait_for_views_and_pages_say_how_far_they_are_behind() {
    // Given a bureau with many events that a street has not seen, because its line is cut,
    let events = std::env::var("LINLI_TEST_PROJECTION_EVENTS").map_or(20_000, |events| events.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("linhu", "320508005", "临湖街道")];
    let mut district = District::found(root.path(), &plans, None).unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    district.cut_off(1).unwrap();
    write(&district.nodes[0], events);
    let all = district.nodes[0].api.status().unwrap()["events"].as_u64().unwrap();
    // when the line comes back,
    let started = Instant::now();
    district.heal(1).unwrap();
    let street = &district.nodes[1];
    let (mut durable, mut most_behind) = (None, 0);
    loop {
        let status = street.api.status().unwrap();
        let (held, behind) = (status["events"].as_u64().unwrap(), status["lag_events"].as_u64().unwrap());
        most_behind = most_behind.max(behind);
        if held == all && durable.is_none() {
            durable = Some((started.elapsed(), behind));
        }
        if held == all && behind == 0 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{status}");
        std::thread::sleep(Duration::from_millis(10));
    }
    // then all events are durable while views are still behind, and the street says so.
    let (durable_after, behind) = durable.unwrap();
    eprintln!("{all} events durable after {durable_after:?}, {behind} of them not folded; at most {most_behind}");
    assert!(behind > 0, "the logs waited for the views, or nothing could be seen of it");
    district.wait_for_agreement(PATIENCE).unwrap();

    // And when a node that was started anew throws its views away,
    district.nodes[1].stop().unwrap();
    district.nodes[1].start().unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    let street = &district.nodes[1];
    let session = street.api.sign_in().unwrap();
    assert!(!desk_is_honest(street, &session), "everything is shown, and yet the desk says otherwise");
    let before = peak_bytes(street);
    let shown = street.api.status().unwrap()["projection_digest"].clone();
    let mut told_behind = 0;
    std::thread::scope(|scope| {
        // With many events the answer comes too late for a request, and the work goes on.
        let rebuilding = scope.spawn(|| drop(street.api.post("/rebuild", &json!({}))));
        let asked = Instant::now();
        while !rebuilding.is_finished() || street.api.status().unwrap()["lag_events"] != json!(0) {
            told_behind += usize::from(desk_is_honest(street, &session));
            assert!(asked.elapsed() < PATIENCE, "the views do not catch up");
        }
    });
    assert_eq!(street.api.status().unwrap()["projection_digest"], shown);
    // then its pages say how much is missing, and never that there is nothing; memory stays within its bound.
    let grown = peak_bytes(street) - before;
    eprintln!("folding {all} events anew grew the peak from {before} by {grown} bytes; behind on {told_behind} pages");
    assert!(told_behind > 0, "no page said that it was behind");
    assert!(grown < FOLDING_BYTES_MAX, "folding took {grown} bytes");
    let metrics = street.api.page("/metrics", None).unwrap().1;
    assert!(metrics.contains("\nlinli_projection_lag_events 0\n"), "{metrics}");
    assert!(!metrics.contains("\nlinli_projection_complete_timestamp_seconds 0\n"), "{metrics}");
}
