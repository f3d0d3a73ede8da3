//! `kill -9` of either side in the middle of a catch-up: both finish, nothing is lost or doubled, what was durable stays
//! durable, and none of it is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use linli_chaos::district::{District, Wiring};
use linli_chaos::lab::Pace;
use linli_chaos::lab::past::{Past, Writer};
use linli_chaos::lab::process::{NodeProcess, wait_until};
use linli_store::Store;
use serde_json::json;

use crate::held::events_of;

const SENDER: usize = 0;
const RECEIVER: usize = 1;
/// What the receiver lacks.
const EVENTS: u64 = 20_000;
/// A line on which catching up takes two or three seconds, so that a kill meets it in the middle.
const LINE: Pace = Pace { bytes_per_second: 4_000_000, queue: Duration::from_millis(100) };
const PATIENCE: Duration = Duration::from_secs(120);
/// A round takes seconds, so that even a nightly run has no more of them.
const ROUNDS_MAX: usize = 50;
/// Frames that the receiver has decoded and not yet handed to its store when the sender dies: they were received and
/// come again (`linli-net`, limits), each of at most 256 KiB.
const FRAMES_LOST: u64 = 4;
const FRAME_BYTES_MAX: u64 = 256 * 1024;

fn rounds() -> usize {
    let asked = std::env::var("LINLI_TEST_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    asked.unwrap_or(5).min(ROUNDS_MAX)
}

/// Durable heights by log, as the node tells them.
fn heights(node: &NodeProcess) -> BTreeMap<String, u64> {
    let status = node.api.status().unwrap();
    let logs = status["logs"].as_array().unwrap();
    logs.iter().map(|log| (log["log"].to_string(), log["height"].as_u64().unwrap())).collect()
}

/// Durable heights by log, as they stand on the disk of a node that does not run.
fn heights_on_disk(node: &NodeProcess) -> BTreeMap<String, u64> {
    let store = Store::open_read_only(&node.store()).unwrap();
    store.frontier().iter().map(|(log, head)| (json!(log).to_string(), head.seq)).collect()
}

fn events(heights: &BTreeMap<String, u64>) -> u64 {
    heights.values().sum()
}

fn assert_none_fell(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, context: &str) {
    for (log, height) in before {
        let now = after.get(log).copied().unwrap_or(0);
        assert!(now >= *height, "{context}: {log} was durable up to {height} and is up to {now}");
    }
}

/// A bureau with a long past and a street that knows the district and lacks the past.
struct Stage {
    district: District,
    /// The street's data directory as it was before it learned anything.
    empty: PathBuf,
    /// Everything there is.
    all: BTreeSet<String>,
    /// What the street holds at first.
    known: u64,
}

impl Stage {
    fn set(root: &Path, seed: u64) -> Self {
        let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
        let wiring = Wiring { slow: Some((RECEIVER, LINE)), ..Wiring::default() };
        let mut district = District::wired(root, &plans, wiring).unwrap();
        district.wait_for_agreement(PATIENCE).unwrap();
        district.nodes.iter_mut().for_each(|node| node.stop().unwrap());
        let empty = root.join("empty");
        copy(&district.nodes[RECEIVER].dir, &empty);
        let known = events(&heights_on_disk(&district.nodes[RECEIVER]));
        let past = Past { events: EVENTS, logs: 50, events_per_incident: 8, text_letters: 400, seed };
        Writer::open(&district.nodes[SENDER], seed).unwrap().write(&past).unwrap();
        district.nodes[SENDER].start().unwrap();
        let all = events_of(&district.nodes[SENDER], &root.join("all.linli"));
        assert_eq!(all.len() as u64, known + EVENTS);
        Self { district, empty, all, known }
    }

    /// The street forgets everything and starts.
    fn begin_anew(&mut self) {
        let street = &mut self.district.nodes[RECEIVER];
        street.kill();
        std::fs::remove_dir_all(&street.dir).unwrap();
        copy(&self.empty, &street.dir);
        street.start().unwrap();
    }

    /// Waits until the street holds so many events; its heights then. They never fall on the way.
    fn until(&self, wanted: u64, context: &str) -> BTreeMap<String, u64> {
        let street = &self.district.nodes[RECEIVER];
        let mut seen = heights(street);
        let reached = wait_until(PATIENCE, || {
            let now = heights(street);
            assert_none_fell(&seen, &now, context);
            seen = now;
            Ok(if events(&seen) >= wanted { Ok(()) } else { Err(format!("{} of {wanted}", events(&seen))) })
        });
        reached.unwrap_or_else(|error| panic!("{context}: {error:#}\n{}", street.last_log_lines()));
        seen
    }

    /// The street has all of it, once, verified; and shows the same.
    fn check_whole(&self, root: &Path, context: &str) {
        let street = &self.district.nodes[RECEIVER];
        self.district.wait_for_agreement(PATIENCE).unwrap_or_else(|error| panic!("{context}: {error:#}"));
        assert_eq!(events_of(street, &root.join("held.linli")), self.all, "{context}");
        let file = root.join("verified.linli");
        street.command(&["log", "export", file.to_str().unwrap()]).unwrap();
        let verified = street.command(&["log", "verify", file.to_str().unwrap()]).unwrap();
        assert_eq!(verified["events"], json!(self.all.len()), "{context}");
        std::fs::remove_file(file).unwrap();
        assert_eq!(street.api.status().unwrap()["forks"], json!(0), "{context}");
    }

    /// Events made durable and bytes received since its last start, in which no event came that it held.
    fn received(&self, context: &str) -> (u64, u64) {
        let count = |name| self.district.nodes[RECEIVER].api.metric(name).unwrap();
        assert_eq!(count("linli_mesh_held_events_total"), 0, "{context}: durable events were sent again");
        (count("linli_mesh_received_events_total"), count("linli_mesh_received_bytes_total"))
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "cp -a {} {}", from.display(), to.display());
}

#[test]
fn either_side_is_killed_in_the_middle_of_a_catch_up_and_both_finish_it() {
    let seed =
        std::env::var("LINLI_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("LINLI_TEST_SEED={seed} replays this plan");
    let mut random = fastrand::Rng::with_seed(seed);
    // Given a bureau with a past that a street lacks, and what an undisturbed catch-up costs,
    let root = tempfile::tempdir().unwrap();
    let mut stage = Stage::set(root.path(), seed);
    let total = stage.all.len() as u64;
    stage.begin_anew();
    stage.until(total, "undisturbed");
    stage.check_whole(root.path(), "undisturbed");
    let (received, undisturbed_bytes) = stage.received("undisturbed");
    assert_eq!(received, EVENTS);
    let mut in_the_middle = 0;
    for number in 0..rounds() {
        let victim = number % 2;
        let (at, after) = (stage.known + random.u64(..EVENTS), Duration::from_millis(random.u64(..40)));
        let name = stage.district.nodes[victim].name.clone();
        let context = format!("round {number}, seed {seed}, {name} killed at {at} of {total} events");
        // when one of them is killed on the way,
        stage.begin_anew();
        let seen = stage.until(at, &context);
        std::thread::sleep(after);
        stage.district.nodes[victim].kill();
        let held = if victim == RECEIVER {
            heights_on_disk(&stage.district.nodes[RECEIVER])
        } else {
            heights(&stage.district.nodes[RECEIVER])
        };
        // then nothing falls that was durable,
        assert_none_fell(&seen, &held, &context);
        in_the_middle += usize::from(events(&held) < total);
        stage.district.nodes[victim].start().unwrap();
        stage.until(total, &context);
        // both finish, nothing lost, nothing doubled,
        stage.check_whole(root.path(), &context);
        // and what was durable is not sent again.
        let (received, bytes) = stage.received(&context);
        let (missing, lost) = match victim {
            RECEIVER => (total - events(&held), 0),
            _ => (EVENTS, FRAMES_LOST * FRAME_BYTES_MAX),
        };
        assert_eq!(received, missing, "{context}");
        // A tenth more, and the comparison of heads, for shorter frames at the ends of what was there.
        let allowed = undisturbed_bytes * missing / EVENTS * 11 / 10 + 64 * 1024 + lost;
        assert!(bytes <= allowed, "{context}: {missing} events came in {bytes} bytes instead of at most {allowed}");
    }
    println!("{in_the_middle} of {} kills met a catch-up in its middle", rounds());
    assert!(in_the_middle > 0, "no kill met a catch-up in its middle");
}
