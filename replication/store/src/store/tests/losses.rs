//! What the store says when something that was durable is missing: never nothing.

use super::*;
use crate::losses::{KnownBy, Loss};

/// Flips one byte of a file.
fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

/// The newest write-ahead log of a store.
fn newest_log(dir: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ext| ext == "log")).max().unwrap()
}

fn open(dir: &Path) -> Store {
    Store::open(dir, OpenOptions::default()).unwrap()
}

/// A store whose process ended without an order after `noted` events that the heads file has and `more` that it has not.
fn crashed(from: &Path, to: &Path, noted: usize, more: usize) -> (LogId, Vec<ReceivedEvent>) {
    let store = open(from);
    let (log, events) = log_of(noted + more);
    for event in &events[..noted] {
        store.append(vec![proven(std::slice::from_ref(event))]).unwrap();
    }
    store.inner.shared.note_heads().unwrap();
    for event in &events[noted..] {
        store.append(vec![proven(std::slice::from_ref(event))]).unwrap();
    }
    // What a process that is killed leaves is what is there while it runs.
    copy(from, to);
    (log, events)
}

#[test]
fn after_an_orderly_close_nothing_depends_on_the_log_of_writes() {
    // given 30 acts acknowledged and an orderly stop
    let dir = tempfile::tempdir().unwrap();
    let (log, events) = log_of(30);
    let store = open(dir.path());
    store.append(vec![proven(&events)]).unwrap();
    store.close();
    // when every write-ahead log is damaged, wherever it has a byte
    let logs: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).collect();
    for path in logs.iter().filter(|path| path.extension().is_some_and(|ext| ext == "log")) {
        std::fs::write(path, vec![0x5a; std::fs::metadata(path).unwrap().len() as usize]).unwrap();
    }
    // then all of them are there
    let store = open(dir.path());
    assert_eq!(store.head(&log), Some(events[29].head()));
    assert_eq!(store.read(&log, 1, 99, 1 << 30).unwrap().len(), 30);
    assert!(store.losses().events.is_empty(), "{:?}", store.losses());
}

#[test]
fn what_a_damaged_log_of_writes_costs_after_a_crash_is_named_kept_and_gone_once_it_is_back() {
    // given a crash after 30 acknowledged events, of which the heads file has 20, and a byte that was flipped since
    let dir = tempfile::tempdir().unwrap();
    let (home, crash) = (dir.path().join("home"), dir.path().join("crash"));
    let (log, events) = crashed(&home, &crash, 20, 10);
    let damaged = newest_log(&crash);
    flip(&damaged, std::fs::metadata(&damaged).unwrap().len() as usize / 2);
    let as_found = std::fs::read(&damaged).unwrap();
    // when it is started, then the loss is named with its extent, and the damage in words
    let store = open(&crash);
    let here = store.frontier().height(&log);
    assert!(here < 20, "{here}: the flip was too far back to try anything");
    let losses = store.losses();
    assert_eq!(losses.events, [Loss { log: log.clone(), from: here + 1, to: 20, known_by: KnownBy::HeadsFile }]);
    assert_eq!((losses.events_total(), losses.is_empty()), (20 - here, false));
    assert!(losses.damage.is_some());
    // and the damaged file is kept as it was found
    let kept = losses.kept_in.unwrap();
    assert_eq!(std::fs::read(kept.join(damaged.file_name().unwrap())).unwrap(), as_found);
    // when it is started again, then all of that still stands
    store.close();
    let store = open(&crash);
    assert_eq!(store.losses().events_total(), 20 - here);
    assert!(store.losses().damage.is_some());
    // when the events come back from a peer, then the loss is over; the damage, whose extent nobody knows, stands until
    // a person has removed the folder
    store.append(vec![proven(&events)]).unwrap();
    assert!(store.losses().events.is_empty() && !store.losses().is_empty());
    std::fs::remove_dir_all(&kept).unwrap();
    assert!(store.losses().is_empty());
    store.close();
    assert!(open(&crash).losses().is_empty());
}

#[test]
fn a_log_of_writes_that_is_gone_or_cut_short_is_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let (home, crash) = (dir.path().join("home"), dir.path().join("crash"));
    let (log, _) = crashed(&home, &crash, 20, 0);
    let whole = dir.path().join("whole");
    copy(&crash, &whole);
    std::fs::remove_file(newest_log(&crash)).unwrap();
    let losses = open(&crash).losses();
    assert_eq!((losses.events_total(), losses.events[0].log.clone()), (20, log.clone()));
    let cut = std::fs::OpenOptions::new().write(true).open(newest_log(&whole)).unwrap();
    cut.set_len(cut.metadata().unwrap().len() / 2).unwrap();
    let store = open(&whole);
    let here = store.frontier().height(&log);
    assert!((1..20).contains(&here), "{here}");
    assert_eq!(store.losses().events, [Loss { log, from: here + 1, to: 20, known_by: KnownBy::HeadsFile }]);
}

#[test]
fn a_start_after_which_nothing_is_missing_leaves_no_second_names_of_files() {
    let dir = tempfile::tempdir().unwrap();
    let (home, crash) = (dir.path().join("home"), dir.path().join("crash"));
    crashed(&home, &crash, 5, 5);
    let store = open(&crash);
    assert!(store.losses().is_empty(), "{:?}", store.losses());
    let folders = std::fs::read_dir(&crash).unwrap().filter(|file| file.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 0);
}

#[test]
fn a_heads_file_that_is_damaged_or_gone_is_told_and_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (_, events) = log_of(3);
    let store = open(dir.path());
    store.append(vec![proven(&events)]).unwrap();
    store.close();
    let file = dir.path().join(heads::FILE);
    for spoil in [(|file: &Path| flip(file, 40)) as fn(&Path), |file| std::fs::remove_file(file).unwrap()] {
        spoil(&file);
        let store = open(dir.path());
        assert!(store.losses().damage.unwrap().contains("heads file"));
        store.close();
        assert!(open(dir.path()).losses().is_empty());
    }
}

/// A store with one own event, and the three that its writer once wrote, as a witness has them.
fn rolled_back(dir: &Path) -> (Store, LocalWriter, Vec<ReceivedEvent>) {
    let (store, w) = writer(dir, 1);
    let elsewhere = LocalWriter::open(Store::in_memory(), None, key(1), &mut || 1).unwrap();
    let theirs: Vec<_> = (1..=3).map(|n| write(&elsewhere, n)).collect();
    assert_eq!(write(&w, 1), theirs[0]);
    (store, w, theirs)
}

#[test]
fn what_a_peer_has_of_ours_and_we_have_not_is_a_loss_until_it_is_here() {
    let dir = tempfile::tempdir().unwrap();
    let (store, w, theirs) = rolled_back(dir.path());
    let (log, witness) = (theirs[0].header().log_id(), key(7).public());
    w.reported_by_peer(Some(witness), &log, theirs[2].head(), &mut || 9);
    assert_eq!(store.losses().events, [Loss { log, from: 2, to: 3, known_by: KnownBy::Peer(witness) }]);
    store.append(vec![proven(&theirs)]).unwrap();
    assert!(store.losses().is_empty());
    // A peer that makes heads up fills neither memory nor page, and says nothing of others' logs.
    for incarnation in 0..1_000 {
        let log = LogId { incarnation, ..theirs[0].header().log_id() };
        w.reported_by_peer(Some(witness), &log, Head { seq: u64::MAX, id: theirs[0].id() }, &mut || 9);
    }
    assert_eq!(store.losses().events.len(), crate::limits::TOLD_LOGS_MAX);
    assert!(store.losses().events_total() > 0);
}

#[test]
fn a_peer_that_says_it_has_events_of_ours_and_brings_none_is_doubted_and_nothing_is_missing() {
    // given a node that was rolled back, a peer that makes a head up, and one that has the later events
    let dir = tempfile::tempdir().unwrap();
    let (store, w, theirs) = rolled_back(dir.path());
    let (log, [hostile, witness]) = (theirs[0].header().log_id(), [7, 8].map(|n| key(n).public()));
    let invented = Head { seq: 10_000, id: theirs[0].id() };
    let moved = w.reported_by_peer(Some(hostile), &log, invented, &mut || 9);
    assert!(moved && w.incarnation() == 9, "going on in the log is never worth the doubt");
    let said = std::time::Instant::now();
    let at = |seconds: u64| said + std::time::Duration::from_secs(seconds);
    assert_eq!(store.losses().events_total(), 9_999);
    // when it brings nothing for a minute, then it is doubted by name and nothing is missing
    let losses = store.losses_as_of(at(61));
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(losses.doubts, [crate::losses::Doubt { peer: hostile, events: 9_999 }]);
    // and whatever else it says is not believed either
    w.reported_by_peer(Some(hostile), &LogId { area: area("320508006"), ..log.clone() }, invented, &mut || 9);
    assert!(store.losses_as_of(at(62)).is_empty());
    // and the other one is, for as long as it brings some of what it says
    w.reported_by_peer(Some(witness), &log, theirs[2].head(), &mut || 9);
    let loss = |from| Loss { log: log.clone(), from, to: 3, known_by: KnownBy::Peer(witness) };
    assert_eq!(store.losses().events, [loss(2)]);
    store.append(vec![proven(&theirs[..2])]).unwrap();
    assert_eq!(store.losses_as_of(at(50)).events, [loss(3)]);
    assert_eq!(store.losses_as_of(at(100)).events, [loss(3)]);
    // and what came is no more in question, whoever had said so
    store.append(vec![proven(&theirs[2..])]).unwrap();
    let losses = store.losses_as_of(at(200));
    assert!(losses.is_empty() && losses.doubts.iter().all(|doubt| doubt.peer == hostile), "{losses:?}");
}

#[test]
fn a_file_that_is_deleted_under_an_open_store_is_named_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (log, events) = log_of(30);
    let store = open(dir.path());
    store.append(vec![proven(&events)]).unwrap();
    store.settle().unwrap();
    let shared = &store.inner.shared;
    shared.look_for_files().unwrap();
    assert!(store.losses().is_empty());
    // when the list of tables, or a table is deleted, then it is named, and what is open is still read
    let is_needed = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == "CURRENT" || name.starts_with("MANIFEST") || name.ends_with(".sst")
    };
    let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(is_needed).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let (away, name) = (dir.path().join("away"), file.file_name().unwrap().to_string_lossy().into_owned());
        std::fs::rename(&file, &away).unwrap();
        shared.look_for_files().unwrap();
        assert_eq!((store.losses().deleted_files, store.losses().is_empty()), (vec![name], false));
        std::fs::rename(&away, &file).unwrap();
        shared.look_for_files().unwrap();
        assert!(store.losses().is_empty());
    }
    assert_eq!(store.read(&log, 1, 99, 1 << 30).unwrap().len(), 30);
}

#[test]
fn a_log_of_writes_that_is_deleted_under_an_open_store_costs_no_acknowledged_act() {
    let dir = tempfile::tempdir().unwrap();
    let (home, crash) = (dir.path().join("home"), dir.path().join("crash"));
    let store = open(&home);
    let (log, events) = log_of(30);
    store.append(vec![proven(&events[..20])]).unwrap();
    // when the log of writes is deleted, which the database does not notice,
    std::fs::remove_file(newest_log(&home)).unwrap();
    store.inner.shared.look_for_files().unwrap();
    store.append(vec![proven(&events[20..])]).unwrap();
    // then a process that is killed has lost nothing
    copy(&home, &crash);
    let crashed = open(&crash);
    assert_eq!(crashed.head(&log), Some(events[29].head()));
    assert_eq!(crashed.read(&log, 1, 99, 1 << 30).unwrap().len(), 30);
}
