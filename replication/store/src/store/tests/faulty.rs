//! A disk that fails on request, and what the store owes to those whom it has answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::backend::{Pairs, Visit};
use crate::side::ProjectionBatch;

/// What the disk does when it fails.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The write is refused and nothing of it is there, as on a full disk.
    Write,
    /// The bytes are there, and the sync that should make them durable fails: they may be gone after a power cut.
    Sync,
}

/// Passes everything on until the `nth` durable write, which fails.
struct Faulty {
    inner: Arc<dyn Backend>,
    durable_writes: AtomicU64,
    nth: u64,
    fault: Fault,
}

impl Backend for Faulty {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn walks(&self, families: &[Family], from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.walks(families, from, to, visit)
    }

    fn range(&self, family: Family, from: &[u8], to: &[u8], limit: usize) -> Result<Pairs, StoreError> {
        self.inner.range(family, from, to, limit)
    }

    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.last(family, from, to)
    }

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        if !durable || self.durable_writes.fetch_add(1, Ordering::SeqCst) + 1 != self.nth {
            return self.inner.write(batch, durable);
        }
        if matches!(self.fault, Fault::Sync) {
            self.inner.write(batch, false)?;
        }
        Err(StoreError::Backend(format!("{:?} number {} fails, as asked", self.fault, self.nth)))
    }

    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        self.inner.purge(family, from, to)
    }

    fn clear(&self, family: Family) -> Result<(), StoreError> {
        self.inner.clear(family)
    }
}

/// Four clients append their logs event by event while the `nth` durable write fails.
fn what_was_acknowledged_is_there_after(backend: Arc<dyn Backend>, nth: u64, fault: Fault) {
    let faulty = Faulty { inner: backend.clone(), durable_writes: AtomicU64::new(0), nth, fault };
    // The first durable write notes the on-disk version.
    let store = Store::over(Arc::new(faulty), false).unwrap();
    let acknowledged: Vec<(LogId, Vec<ReceivedEvent>)> = std::thread::scope(|scope| {
        let client = |n: u16| {
            let mut author = Author::new(n, "320508005", None);
            let events = author.write_many(Stream::INCIDENTS, 8, 60);
            let store = &store;
            scope.spawn(move || {
                let mut kept = vec![];
                let mut refused = false;
                for event in events {
                    match store.append(vec![proven(std::slice::from_ref(&event))]) {
                        Ok(_) => {
                            assert!(!refused, "acknowledged after a failed write");
                            kept.push(event);
                        }
                        Err(AppendError::Store(StoreError::Poisoned(_))) => refused = true,
                        Err(other) => panic!("write {nth}, {fault:?}: {other}"),
                    }
                }
                (author.log_id(Stream::INCIDENTS), kept)
            })
        };
        let clients: Vec<_> = (1..=4).map(client).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for (log, kept) in &acknowledged {
        assert_eq!(store.head(log), kept.last().map(ReceivedEvent::head), "what failed must not be shown");
        assert_eq!(store.read(log, 1, 99, usize::MAX).unwrap().len(), kept.len());
    }
    drop(store);
    // when it is opened anew on a disk that works
    let store = Store::over(backend, false).unwrap();
    for (log, kept) in acknowledged {
        let read = store.read(&log, 1, 99, usize::MAX).unwrap();
        let read: Vec<ReceivedEvent> = read.into_iter().map(StoredEvent::into_event).collect();
        assert!(read.starts_with(&kept), "write {nth}, {fault:?}: an acknowledged event of {log} is gone");
        let next = Author::new(9, "320508", None).write_many(Stream::TEAMS, 1, 9);
        store.append(vec![proven(&next)]).unwrap();
    }
}

#[test]
fn a_disk_that_fails_at_any_write_loses_nothing_that_was_acknowledged() {
    for fault in [Fault::Write, Fault::Sync] {
        for nth in 2..14 {
            what_was_acknowledged_is_there_after(Arc::new(Memory::default()), nth, fault);
        }
        for nth in [2, 3, 7] {
            let dir = tempfile::tempdir().unwrap();
            what_was_acknowledged_is_there_after(Arc::new(Rocks::open(dir.path(), false).unwrap()), nth, fault);
        }
    }
}

/// A disk that refuses writes as long as it is broken, durable ones or all, and that may be opened anew.
struct Breakable {
    inner: Arc<dyn Backend>,
    broken: AtomicBool,
    refuses_all: AtomicBool,
}

impl Backend for Breakable {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(family, key)
    }

    fn walks(&self, families: &[Family], from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.walks(families, from, to, visit)
    }

    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.last(family, from, to)
    }

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        let broken = (durable || self.refuses_all.load(Ordering::SeqCst)) && self.broken.load(Ordering::SeqCst);
        // The bytes arrive, and nobody knows whether they stay: the harder case.
        self.inner.write(batch, durable && !broken)?;
        if broken { Err(StoreError::Backend("no space left, as asked".into())) } else { Ok(()) }
    }

    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        self.inner.purge(family, from, to)
    }

    fn clear(&self, family: Family) -> Result<(), StoreError> {
        self.inner.clear(family)
    }

    fn reopen(&self) -> Result<bool, StoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Backend("still full".into())) } else { Ok(false) }
    }
}

fn breakable() -> (Arc<Breakable>, Store) {
    let (inner, broken, refuses_all) = (Arc::new(Memory::default()), AtomicBool::default(), AtomicBool::default());
    let disk = Arc::new(Breakable { inner, broken, refuses_all });
    (disk.clone(), Store::over(disk, false).unwrap())
}

/// Writes something durably, given a log, its events without their payloads, and one payload; says whether it could.
type Way = fn(&Store, &LogId, &[ReceivedEvent], &(u64, linli_core::event::Payload)) -> bool;

#[test]
fn every_way_to_write_durably_stops_after_one_has_failed_and_says_why() {
    let mut author = Author::new(1, "320508005", None);
    let events = author.write_personal(Stream::COMMUNITY, 4, 20);
    let log = author.log_id(Stream::COMMUNITY);
    let withheld: Vec<_> = events.iter().map(|event| event.clone().without_pii()).collect();
    let payload = (2, events[1].payload(Slot::Pii).unwrap().clone());
    let ways: [(&str, Way); 4] = [
        ("append", |store, _, withheld, _| store.append(vec![proven(withheld)]).is_ok()),
        ("fill", |store, log, _, payload| store.fill(log, std::slice::from_ref(payload)).is_ok()),
        ("erase", |store, log, _, _| store.erase(log, 3, Slot::Pii).is_ok()),
        ("settings", |store, _, _, _| store.local().put(b"a", b"b").is_ok()),
    ];
    for (first, fails) in ways {
        let (disk, store) = breakable();
        store.append(vec![proven(&withheld[..3])]).unwrap();
        disk.broken.store(true, Ordering::SeqCst);
        assert!(!fails(&store, &log, &withheld, &payload), "{first}");
        disk.broken.store(false, Ordering::SeqCst);
        // The disk works again, and nobody has opened the store anew: nothing more is written.
        for (second, writes) in ways {
            assert!(!writes(&store, &log, &withheld, &payload), "{second} after a failed {first}");
        }
        let cause = store.write_trouble().unwrap().to_string();
        assert!(cause.contains("no space left"), "{cause}");
        assert_eq!((store.write_failures(), store.head(&log).unwrap().seq), (1, 3));
        store.inner.shared.recover().unwrap();
        for (way, writes) in ways {
            assert!(writes(&store, &log, &withheld, &payload), "{way} after a failed {first} and a recovery");
        }
    }
}

#[test]
fn a_store_goes_on_by_itself_after_a_failed_write_and_shows_what_is_durable() {
    // given a node with one act, whose disk is full
    let (disk, store) = breakable();
    let w = LocalWriter::open(store.clone(), None, key(1), &mut || 1).unwrap();
    let first = write(&w, 1);
    disk.broken.store(true, Ordering::SeqCst);
    let refused = w.write(draft(2), 1_790_000_000_000, &mut || [1; 16]).unwrap_err();
    assert!(refused.to_string().contains("no space left"), "{refused}");
    assert!(store.inner.shared.recover().is_err() && store.write_trouble().is_some());
    assert_eq!(store.head(&first.header().log_id()), Some(first.head()), "what failed is not shown");
    // when the disk has room again
    disk.broken.store(false, Ordering::SeqCst);
    store.inner.shared.recover().unwrap();
    // then what is on disk is shown, the next act follows it in the same log, and nothing counts as lost
    let next = write(&w, 3);
    assert_eq!((next.header().incarnation, next.header().seq), (1, 3));
    assert!(store.losses().is_empty() && store.write_trouble().is_none() && store.forks().unwrap().is_empty());
    assert_eq!(store.read(&next.header().log_id(), 1, 9, 1 << 20).unwrap().len(), 3);
}

#[test]
fn read_models_that_cannot_be_written_are_a_failed_write_that_is_told_and_mended_like_any_other() {
    // given a node whose disk fills up while its read models are written, after an act was acknowledged
    let (disk, store) = breakable();
    let (log, events) = log_of(2);
    store.append(vec![proven(&events[..1])]).unwrap();
    disk.refuses_all.store(true, Ordering::SeqCst);
    disk.broken.store(true, Ordering::SeqCst);
    let batch = || {
        let mut batch = ProjectionBatch::default();
        batch.put(b"v".to_vec(), b"view".to_vec());
        batch
    };
    store.projection().write(batch()).unwrap_err();
    // then that is told, and nothing more is acknowledged, until the store was opened anew on a disk with room
    assert!(store.write_trouble().unwrap().to_string().contains("no space left"));
    assert_eq!(store.write_failures(), 1);
    assert!(matches!(store.append(vec![proven(&events)]), Err(AppendError::Store(StoreError::Poisoned(_)))));
    disk.broken.store(false, Ordering::SeqCst);
    store.inner.shared.recover().unwrap();
    store.projection().write(batch()).unwrap();
    store.append(vec![proven(&events)]).unwrap();
    assert!(store.write_trouble().is_none());
    assert_eq!(store.head(&log), Some(events[1].head()));
}

#[test]
fn listeners_hear_of_what_a_recovery_found() {
    let (disk, store) = breakable();
    let heard: Arc<Mutex<Vec<(LogId, Head)>>> = Arc::default();
    let hearing = heard.clone();
    store.on_append(Box::new(move |heads| hearing.lock().unwrap().extend_from_slice(heads)));
    let (log, events) = log_of(2);
    disk.broken.store(true, Ordering::SeqCst);
    store.append(vec![proven(&events)]).unwrap_err();
    disk.broken.store(false, Ordering::SeqCst);
    store.inner.shared.recover().unwrap();
    assert_eq!(*heard.lock().unwrap(), [(log, events[1].head())]);
}

#[test]
fn a_directory_that_is_deleted_under_a_running_store_is_noticed_and_nothing_is_acknowledged() {
    // given a running store with some acts
    let dir = tempfile::tempdir().unwrap();
    let (home, away) = (dir.path().join("store"), dir.path().join("away"));
    let store = Store::open(&home, OpenOptions::default()).unwrap();
    let (log, events) = log_of(4);
    store.append(vec![proven(&events[..1])]).unwrap();
    // when its directory is moved away, then the next act is not acknowledged
    std::fs::rename(&home, &away).unwrap();
    let refused = store.append(vec![proven(&events[..2])]).unwrap_err();
    assert!(refused.to_string().contains("deleted, moved or replaced"), "{refused}");
    // and another store in its place is not taken for it
    std::fs::create_dir(&home).unwrap();
    assert!(store.inner.shared.recover().is_err());
    std::fs::remove_dir(&home).unwrap();
    // when it is put back, then the store goes on by itself
    std::fs::rename(&away, &home).unwrap();
    let waiting = std::time::Instant::now();
    while store.write_trouble().is_some() {
        assert!(waiting.elapsed().as_secs() < 30, "{:?}", store.write_trouble());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    store.append(vec![proven(&events)]).unwrap();
    assert_eq!(store.head(&log), Some(events[3].head()));
    // when it is deleted while nobody writes, then that is noticed within a second or two
    std::fs::remove_dir_all(&home).unwrap();
    let waiting = std::time::Instant::now();
    while store.write_trouble().is_none() {
        assert!(waiting.elapsed().as_secs() < 5, "nobody noticed");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(matches!(store.write_trouble(), Some(StoreError::DirectoryGone(_))));
}

#[test]
fn a_database_is_opened_anew_under_readers_and_writers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    let (log, events) = log_of(300);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reads = 0;
            while store.head(&log).is_none_or(|head| head.seq < 300) {
                let height = store.head(&log).map_or(0, |head| head.seq);
                assert!(store.read(&log, 1, usize::MAX, usize::MAX).unwrap().len() as u64 >= height);
                reads += 1;
            }
            reads
        });
        for (event, n) in events.iter().zip(0..) {
            store.append(vec![proven(std::slice::from_ref(event))]).unwrap();
            if n % 60 == 59 {
                store.inner.shared.recover().unwrap();
            }
        }
        assert!(reading.join().unwrap() > 0);
    });
    assert_eq!(store.read(&log, 1, usize::MAX, usize::MAX).unwrap().len(), 300);
    assert!(store.losses().is_empty());
}
