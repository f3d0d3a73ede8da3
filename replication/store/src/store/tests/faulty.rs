//! A disk that fails on request, and what the store owes to those whom it has answered.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::backend::{Pairs, Walk};

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

    fn walk(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Box<dyn Walk + '_>, StoreError> {
        self.inner.walk(family, from, to)
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
