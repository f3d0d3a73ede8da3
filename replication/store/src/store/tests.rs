//! One contract, two backends; crashes, restores and failing disks.

use std::process::{Command, Stdio};

use linli_core::chain::{Join, verify_run};
use linli_core::event::ReceivedEvent;
use linli_core::id::Stream;
use linli_core::sign::KeyCache;
use linli_core::testkit::{Author, District, Draft, area, key, record};
use linli_core::time::Hlc;
use proptest::prelude::*;

mod faulty;
mod flipped;
mod logs;
mod losses;
mod opening;
mod own;
mod payloads;

use super::*;
use crate::catalogue::{DISK_FORMAT, META_FORMAT};
use crate::codec::slot_value;
use crate::heads;
use crate::rocks::Rocks;
use crate::writer::{LocalDraft, LocalWriter};

fn proven(run: &[ReceivedEvent]) -> Vec<VerifiedEvent> {
    verify_run(Join::Anywhere, run.to_vec(), &mut KeyCache::default()).unwrap()
}

fn both_backends(test: impl Fn(Store)) {
    test(Store::in_memory());
    let dir = tempfile::tempdir().unwrap();
    test(Store::open(dir.path(), OpenOptions::default()).unwrap());
}

fn log_of(len: usize) -> (LogId, Vec<ReceivedEvent>) {
    let mut author = Author::new(1, "320508005", None);
    let events = author.write_many(Stream::INCIDENTS, len, 300);
    (author.log_id(Stream::INCIDENTS), events)
}

#[test]
fn what_is_appended_reads_back_and_appending_it_again_changes_nothing() {
    both_backends(|store| {
        let (log, events) = log_of(300);
        let appended = store.append(vec![proven(&events[..200])]).unwrap();
        assert_eq!((appended.new, appended.known), (200, 0));
        let again = store.append(vec![proven(&events[100..300])]).unwrap();
        assert_eq!((again.new, again.known), (100, 100));
        let read: Vec<_> =
            store.read(&log, 1, 1000, 1 << 30).unwrap().into_iter().map(StoredEvent::into_event).collect();
        assert_eq!(read, events);
        assert_eq!(store.head(&log), Some(events[299].head()));
        assert_eq!(store.read(&log, 299, 10, 1).unwrap().len(), 1);
        assert!(store.read(&log, 301, 10, 1 << 20).unwrap().is_empty());
    });
}

#[test]
fn a_gap_is_refused_and_a_fork_leaves_history_and_evidence() {
    both_backends(|store| {
        let (log, events) = log_of(10);
        let gap = store.append(vec![proven(&events[3..])]).unwrap_err();
        assert!(matches!(gap, AppendError::Gap { expected: 1, found: 4, .. }), "{gap}");
        store.append(vec![proven(&events)]).unwrap();
        let mut other = Author::new(1, "320508005", None);
        let branch = other.write_many(Stream::INCIDENTS, 12, 200);
        let fork = store.append(vec![proven(&branch)]).unwrap_err();
        assert!(matches!(fork, AppendError::Fork { seq: 1, .. }), "{fork}");
        assert_eq!(store.head(&log), Some(events[9].head()));
        let evidence = store.forks().unwrap();
        assert_eq!((evidence.len(), evidence[0].seq, evidence[0].other), (12, 1, branch[0].id()));
    });
}

#[test]
fn a_payload_that_was_withheld_is_filled_in_later() {
    both_backends(|store| {
        let (log, events) = log_of(3);
        let bare = |e: &ReceivedEvent| {
            ReceivedEvent::new(e.header_bytes().to_vec(), e.signature().copied(), None, None).unwrap()
        };
        store.append(vec![proven(&events.iter().map(bare).collect::<Vec<_>>())]).unwrap();
        assert!(store.event(&log, 2).unwrap().unwrap().event().payload(Slot::Op).is_none());
        assert_eq!(store.append(vec![proven(&events)]).unwrap().known, 3);
        assert_eq!(store.event(&log, 2).unwrap().unwrap().into_event(), events[1]);
    });
}

#[test]
fn a_fork_within_one_request_is_seen_and_leaves_no_trace_of_it() {
    both_backends(|store| {
        // given two branches of a log that the store does not know yet, in one request
        let (log, events) = log_of(10);
        let branch = Author::new(1, "320508005", None).write_many(Stream::INCIDENTS, 5, 200);
        // when they are appended together, then the request as a whole is refused
        let refused = store.append(vec![proven(&events), proven(&branch)]).unwrap_err();
        assert!(matches!(refused, AppendError::Fork { seq: 1, .. }), "{refused}");
        assert!(store.head(&log).is_none() && store.forks().unwrap().is_empty());
        // and the local number that it would have had goes to the next log
        let mut other = Author::new(2, "320508005", None);
        let theirs = other.write_many(Stream::TEAMS, 2, 100);
        store.append(vec![proven(&theirs)]).unwrap();
        assert_eq!(store.read(&other.log_id(Stream::TEAMS), 1, 9, 1 << 20).unwrap().len(), 2);
        assert!(store.read(&log, 1, 9, 1 << 20).unwrap().is_empty());
    });
}

#[test]
fn evidence_is_kept_once_and_of_the_differing_part_only() {
    both_backends(|store| {
        let (log, events) = log_of(6);
        store.append(vec![proven(&events)]).unwrap();
        let mut author = Author::new(1, "320508005", None);
        let mut branch = author.write_many(Stream::INCIDENTS, 4, 300);
        branch.push(author.write(Draft::new(Stream::INCIDENTS, "closed", Some(record(7)))));
        for _ in 0..2 {
            let refused = store.append(vec![proven(&branch)]).unwrap_err();
            assert!(matches!(refused, AppendError::Fork { seq: 5, ours, .. } if ours == events[4].id()), "{refused}");
        }
        let evidence = store.forks().unwrap();
        assert_eq!((evidence.len(), evidence[0].seq, evidence[0].other), (1, 5, branch[4].id()));
        // and a run that continues the other branch is no gap and no continuation of ours
        let ahead = [author.write(Draft::new(Stream::INCIDENTS, "closed", None)), {
            author.write(Draft::new(Stream::INCIDENTS, "closed", None))
        }];
        let refused = store.append(vec![proven(&ahead[1..])]).unwrap_err();
        assert!(matches!(refused, AppendError::Fork { seq: 6, ours, .. } if ours == events[5].id()), "{refused}");
        assert_eq!(store.head(&log), Some(events[5].head()));
    });
}

#[test]
fn runs_of_proven_events_that_do_not_belong_together_are_refused() {
    let store = Store::in_memory();
    let (_, events) = log_of(4);
    let holed = [proven(&events[..1]), proven(&events[2..])].concat();
    assert!(matches!(store.append(vec![holed]), Err(AppendError::Gap { expected: 2, found: 3, .. })));
    let foreign = Author::new(2, "320508005", None).write_many(Stream::INCIDENTS, 2, 10);
    let mixed = [proven(&events[..1]), proven(&foreign[1..])].concat();
    assert!(store.append(vec![mixed]).is_err());
    let branch = Author::new(1, "320508005", None).write_many(Stream::INCIDENTS, 2, 200);
    let relinked = [proven(&events[..1]), proven(&branch[1..])].concat();
    assert!(matches!(store.append(vec![relinked]), Err(AppendError::Fork { seq: 1, .. })));
    assert!(store.frontier().is_empty());
}

#[test]
fn reads_stay_within_their_bounds_but_for_a_first_event() {
    both_backends(|store| {
        let (log, events) = log_of(40);
        store.append(vec![proven(&events)]).unwrap();
        let payloads = Slot::ALL.iter().filter_map(|slot| events[4].payload(*slot)).map(|p| p.bytes.len() + 16);
        let one = events[4].header_bytes().len() + payloads.sum::<usize>();
        assert_eq!(store.read(&log, 5, 99, 3 * one + 8).unwrap().len(), 3);
        assert_eq!(store.read(&log, 5, 99, one - 1).unwrap().len(), 1);
        assert_eq!(store.read(&log, 5, 7, usize::MAX).unwrap().len(), 7);
        assert!(store.read(&log, 5, 0, usize::MAX).unwrap().is_empty());
    });
}

#[test]
fn runs_for_frames_end_on_a_signature() {
    both_backends(|store| {
        let (log, mut events) = log_of(130);
        let unsigned = |e: &ReceivedEvent| {
            let payload = |slot| e.payload(slot).cloned();
            ReceivedEvent::new(e.header_bytes().to_vec(), None, payload(Slot::Op), payload(Slot::Pii)).unwrap()
        };
        for i in (0..130).filter(|i| (i + 1) % 64 != 0 && *i != 129) {
            events[i] = unsigned(&events[i]);
        }
        store.append(vec![proven(&events)]).unwrap();
        assert_eq!(store.read_run(&log, 1, 100, 1 << 20).unwrap().len(), 64);
        assert_eq!(store.read_run(&log, 1, 10, 1 << 20).unwrap().len(), 64);
        assert_eq!(store.read_run(&log, 65, 1000, 1 << 20).unwrap().len(), 66);
    });
}

#[test]
fn projections_can_be_thrown_away_and_settings_stay() {
    both_backends(|store| {
        let mut batch = crate::side::ProjectionBatch::default();
        for n in 0..5u8 {
            batch.put(vec![b'v', n], vec![n]);
        }
        store.projection().write(batch).unwrap();
        store.local().put(b"operator/1", b"x").unwrap();
        assert_eq!(store.projection().scan(b"v", Some(&[b'v', 1]), 2).unwrap().len(), 2);
        store.projection().clear().unwrap();
        assert!(store.projection().scan(b"v", None, 10).unwrap().is_empty());
        assert_eq!(store.local().get(b"operator/1").unwrap(), Some(b"x".to_vec()));
    });
}

/// Rewrites a store as format 1 had it: operational payloads in rows of their own.
fn as_format_1(store: &Store, log: &LogId) {
    let backend = &store.inner.shared.backend;
    let number = store.inner.shared.number(log).unwrap();
    let mut batch = Batch::default();
    for event in store.read(log, 1, usize::MAX, usize::MAX).unwrap() {
        let key = entry_key(number, event.event().header().seq);
        Entry::write(event.event(), false, |value| batch.put(Family::Entries, &key, value));
        batch.put(Family::Op, &key, &slot_value(event.event().payload(Slot::Op).unwrap()));
    }
    batch.put(Family::Meta, META_FORMAT, &[&1u32.to_be_bytes()]);
    backend.write(batch, true).unwrap();
}

#[test]
fn what_format_1_wrote_is_read_continued_and_given_the_new_number() {
    let store = Store::in_memory();
    let (log, events) = log_of(5);
    store.append(vec![proven(&events[..3])]).unwrap();
    as_format_1(&store, &log);
    let backend = store.inner.shared.backend.clone();
    store.close();
    let store = Store::over(backend.clone(), false).unwrap();
    store.append(vec![proven(&events)]).unwrap();
    let read = store.read(&log, 1, 9, 1 << 20).unwrap();
    assert_eq!(read.into_iter().map(StoredEvent::into_event).collect::<Vec<_>>(), events);
    assert_eq!(store.event(&log, 1).unwrap().unwrap().into_event(), events[0]);
    assert_eq!(backend.get(Family::Meta, META_FORMAT).unwrap(), Some(DISK_FORMAT.to_be_bytes().to_vec()));
    let rows = backend.range(Family::Op, &[], &[0xff; 20], 9).unwrap();
    assert_eq!(rows.len(), 3, "later events have no row of their own for their payload");
}

#[test]
fn a_newer_format_and_a_second_writer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    assert!(matches!(Store::open(dir.path(), OpenOptions::default()), Err(StoreError::InUse)));
    let (log, events) = log_of(3);
    store.append(vec![proven(&events)]).unwrap();
    let reader = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.head(&log).unwrap().seq, 3, "a reader beside the writer sees what is durable");
    assert!(matches!(reader.local().put(b"a", b"b"), Err(StoreError::ReadOnly)));
    let refused = reader.append(vec![proven(&events)]);
    assert!(matches!(refused, Err(AppendError::Store(StoreError::ReadOnly))));
    let mut batch = Batch::default();
    batch.put(Family::Meta, META_FORMAT, &[&99u32.to_be_bytes()]);
    store.inner.shared.backend.write(batch, true).unwrap();
    drop((store, reader));
    let refused = Store::open(dir.path(), OpenOptions::default()).err().unwrap();
    assert!(refused.to_string().contains("format 99"), "{refused}");
}

#[test]
fn a_newer_format_with_families_of_its_own_is_refused_by_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let newer = rocksdb::DB::open_cf(&options, dir.path(), ["meta", "attachments"]).unwrap();
    newer.put_cf(newer.cf_handle("meta").unwrap(), META_FORMAT, 7u32.to_be_bytes()).unwrap();
    drop(newer);
    let refused = Store::open(dir.path(), OpenOptions::default()).err().unwrap();
    assert!(matches!(refused, StoreError::NewerFormat { found: 7, .. }), "{refused}");
}

#[test]
fn a_reader_beside_a_busy_writer_always_opens_and_reads_whole_logs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    let (log, events) = log_of(2000);
    let proven = proven(&events);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for run in proven.chunks(50) {
                std::thread::sleep(std::time::Duration::from_millis(20));
                store.append(vec![run.to_vec()]).unwrap();
                // Erasing flushes and merges, so that files come and go while the reader opens.
                store.erase(&log, run[0].event().header().seq, Slot::Pii).unwrap();
            }
        });
        while !writing.is_finished() {
            let reader = Store::open_read_only(dir.path()).unwrap();
            let head = reader.head(&log).map_or(0, |head| head.seq);
            assert_eq!(reader.read(&log, 1, usize::MAX, usize::MAX).unwrap().len() as u64, head);
        }
    });
}

#[test]
fn an_erased_payload_is_gone_from_the_files_and_the_chain_still_proves() {
    for slot in Slot::ALL {
        erased_payloads_are_gone(slot);
    }
}

fn erased_payloads_are_gone(slot: Slot) {
    const CANARY: &[u8] = b"canary-13900000000-canary";
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    let mut author = Author::new(1, "320508005", None);
    let mut draft = Draft::new(Stream::COMMUNITY, "listed", Some(record(1)));
    match slot {
        Slot::Op => draft.op = Some(CANARY.to_vec()),
        Slot::Pii => draft.pii = Some(CANARY.to_vec()),
    }
    let events = [author.write(draft), author.write(Draft::new(Stream::COMMUNITY, "listed", Some(record(2))))];
    store.append(vec![proven(&events)]).unwrap();
    assert!(files_contain(dir.path(), CANARY));
    store.erase(&author.log_id(Stream::COMMUNITY), 1, slot).unwrap();
    assert!(!files_contain(dir.path(), CANARY));
    // and nobody who still has it brings it back
    store.append(vec![proven(&events)]).unwrap();
    assert!(!files_contain(dir.path(), CANARY));
    let log = author.log_id(Stream::COMMUNITY);
    assert!(store.is_erased(&log, 1, slot).unwrap() && !store.is_erased(&log, 2, slot).unwrap());
    let read = store.read(&log, 1, 9, 1 << 20).unwrap();
    assert!(read[0].event().payload(slot).is_none());
    proven(&read.into_iter().map(StoredEvent::into_event).collect::<Vec<_>>());
}

fn files_contain(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

fn draft(n: u64) -> LocalDraft {
    LocalDraft {
        area: area("320508005"),
        stream: Stream::SUPPLIES,
        record: Some(record(n)),
        kind: "issued".parse().unwrap(),
        parents: vec![],
        after: Hlc::default(),
        grant: Some(District::with_nodes(&[]).federation()),
        op: Some(vec![0xa0]),
        pii: None,
    }
}

fn writer(dir: &Path, incarnation: u64) -> (Store, LocalWriter) {
    let store = Store::open(&dir.join("store"), OpenOptions::default()).unwrap();
    let writer = LocalWriter::open(store.clone(), Some(&dir.join("store")), key(1), &mut || incarnation).unwrap();
    (store, writer)
}

fn write(writer: &LocalWriter, n: u64) -> ReceivedEvent {
    writer.write(draft(n), 1_790_000_000_000, &mut || [1; 16]).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &to.join(file.file_name()));
        } else {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[test]
fn every_acknowledged_event_survives_kill_minus_nine() {
    if let Ok(dir) = std::env::var("LINLI_STORE_CRASH_CHILD") {
        append_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<String> = vec![];
    for round in 0..10u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::every_acknowledged_event_survives_kill_minus_nine", "--nocapture"])
            .env("LINLI_STORE_CRASH_CHILD", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(150 + 37 * round));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        acknowledged.extend(text.lines().filter_map(|line| line.strip_prefix("ack ").map(str::to_owned)));
        let store = Store::open(&dir.path().join("store"), OpenOptions::default()).unwrap();
        let mut here = std::collections::BTreeSet::new();
        for (log, head) in store.frontier().iter() {
            let events = store.read(log, 1, usize::MAX, usize::MAX).unwrap();
            assert_eq!(events.len() as u64, head.seq);
            here.extend(events.iter().map(|event| event.event().id().to_string()));
        }
        for id in acknowledged.iter().filter(|id| id.len() == 64) {
            assert!(here.contains(id), "round {round}: {id} was acknowledged and is gone");
        }
    }
    assert!(!acknowledged.is_empty(), "no child acknowledged anything");
}

fn append_until_killed(dir: &Path) -> ! {
    let incarnation = u64::from(std::process::id());
    let (_store, w) = writer(dir, incarnation);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let w = &w;
            scope.spawn(move || {
                for n in 0.. {
                    println!("ack {}", write(w, thread * 1_000_000 + n).id());
                }
            });
        }
    });
    std::process::exit(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_interleaving_of_overlapping_runs_ends_in_the_same_store(
        cuts in proptest::collection::vec((0usize..40, 1usize..20), 1..12)
    ) {
        let (log, events) = log_of(40);
        let store = Store::in_memory();
        for (from, len) in cuts {
            let run = &events[from..(from + len).min(40)];
            let refused = store.append(vec![proven(run)]);
            let height = store.head(&log).map_or(0, |head| head.seq);
            prop_assert!(refused.is_ok() || from as u64 > height);
        }
        store.append(vec![proven(&events)]).unwrap();
        let read: Vec<_> = store.read(&log, 1, 99, 1 << 30).unwrap().into_iter().map(StoredEvent::into_event).collect();
        prop_assert_eq!(read, events);
    }
}
