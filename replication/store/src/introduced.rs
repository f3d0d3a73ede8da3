//! Logs of authors without a grant: who is charged for them, and what remains of those that people had removed.
//!
//! Both are node-local rows. What is charged outlives connections and restarts, or a quota would be worth nothing. Of a log
//! that was removed its head stays, with header and signature: it proves who signed how much, for the header names the
//! event before it by its hash, and so on to the first.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use linli_core::event::event_id;
use linli_core::id::{AuthorKey, Head, LogId};
use linli_core::sign::Signature;
use linli_core::sync::Introduced;

use crate::backend::Batch;
use crate::catalogue::Family;
use crate::codec::{Entry, entry_key, log_key, read_log_key};
use crate::error::StoreError;
use crate::store::Store;

/// Before a log's key: bytes that are charged for it (u64 BE), and the key of its bringer if that is known.
const CHARGED: &[u8] = b"charged/";
/// Before a log's key: the height that it had (u64 BE), the signature of its last event if there was one, else zeros, and
/// that event's header.
const DISCARDED: &[u8] = b"discarded/";
/// Rows that are read at a time.
const PAGE: usize = 4_096;

/// A log that people had removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// The log.
    pub log: LogId,
    /// Its head.
    pub head: Head,
    /// The encoded header of its last event.
    pub header: Vec<u8>,
    /// That event's signature, if it was kept.
    pub signature: Option<Signature>,
}

impl Store {
    /// Notes what is charged for logs from now on. Durable when it returns.
    ///
    /// # Errors
    /// When the store is read-only or the database fails.
    pub fn charge(&self, charged: &[Introduced]) -> Result<(), StoreError> {
        self.refuse_read_only()?;
        let mut batch = Batch::default();
        for Introduced { log, by, bytes } in charged {
            let by = by.as_ref().map_or(&[][..], |by| by.as_bytes());
            batch.put(Family::Local, &[CHARGED, &log_key(log)].concat(), &[&bytes.to_be_bytes(), by]);
        }
        self.inner.shared.backend.write(batch, true)
    }

    /// What is charged, by log. May name logs whose authors have got a grant since.
    ///
    /// # Errors
    /// When the database fails or holds damaged rows.
    pub fn charged(&self) -> Result<Vec<Introduced>, StoreError> {
        self.rows_of(CHARGED, |log, value| {
            let (bytes, by) = value.split_first_chunk()?;
            let by = if by.is_empty() { None } else { Some(AuthorKey::from_bytes(by.try_into().ok()?)) };
            Some(Introduced { log, by, bytes: u64::from_be_bytes(*bytes) })
        })
    }

    /// Removes a log, all but its name and its head, which stay as proof and as a note not to fetch it again. Gives the
    /// head, or nothing if the log is not here. Nothing may be appending to it; that it counts for nothing is for the
    /// caller to know.
    ///
    /// # Errors
    /// When the store is read-only or the database fails; then the log is as it was.
    pub fn discard(&self, log: &LogId) -> Result<Option<Head>, StoreError> {
        self.refuse_read_only()?;
        let shared = &self.inner.shared;
        let _filling_in_waits = shared.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(number), Some(head)) = (shared.number(log), shared.head(log)) else { return Ok(None) };
        let (from, end) = (entry_key(number, 0), entry_key(number, u64::MAX));
        let last = shared.backend.get(Family::Entries, &entry_key(number, head.seq))?;
        let last = last.ok_or_else(|| StoreError::Damaged(format!("log {log}: its head is missing")))?;
        let (mut batch, key) = (Batch::default(), log_key(log));
        let Entry { signature, header, .. } = Entry::read(&last)?;
        let signature = signature.map_or([0; 64], |signature| *signature.as_bytes());
        let proof: [&[u8]; 3] = [&head.seq.to_be_bytes(), &signature, header];
        batch.put(Family::Local, &[DISCARDED, &key].concat(), &proof);
        batch.delete(Family::Local, &[CHARGED, &key].concat());
        for family in [Family::Entries, Family::Op, Family::Pii, Family::Lacking] {
            shared.backend.walks(&[family], &from, &end, &mut |walks| {
                for rows in walks {
                    while let Some((key, _)) = rows.pair() {
                        batch.delete(family, key);
                        rows.step()?;
                    }
                }
                Ok(())
            })?;
        }
        shared.write_durably(batch)?;
        {
            let mut frontier = shared.frontier.write().unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut frontier).remove(log);
        }
        // What a person had removed is no loss at the next start. Should this fail, the next writing of the file does it.
        shared.published.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = shared.note_heads() {
            tracing::warn!(%error, "the heads file still has a log that was removed");
        }
        Ok(Some(head))
    }

    /// Logs that people had removed, whether or not they have been fetched again since.
    ///
    /// # Errors
    /// When the database fails or holds damaged rows.
    pub fn discarded(&self) -> Result<Vec<Discarded>, StoreError> {
        self.rows_of(DISCARDED, |log, value| {
            let (seq, rest) = value.split_first_chunk()?;
            let (signature, header) = rest.split_first_chunk::<64>()?;
            let signature = (*signature != [0; 64]).then(|| Signature::from_bytes(*signature));
            let head = Head { seq: u64::from_be_bytes(*seq), id: event_id(header) };
            Some(Discarded { log, head, header: header.to_vec(), signature })
        })
    }

    fn refuse_read_only(&self) -> Result<(), StoreError> {
        if self.inner.read_only { Err(StoreError::ReadOnly) } else { Ok(()) }
    }

    fn rows_of<T>(&self, prefix: &[u8], read: impl Fn(LogId, &[u8]) -> Option<T>) -> Result<Vec<T>, StoreError> {
        let (mut rows, mut after) = (vec![], None::<Vec<u8>>);
        loop {
            let page = self.local().scan(prefix, after.as_deref(), PAGE)?;
            for (key, value) in &page {
                let log = read_log_key(key.get(prefix.len()..).unwrap_or_default())?;
                let damaged = || StoreError::Damaged(format!("what is noted of log {log}"));
                rows.push(read(log.clone(), value).ok_or_else(damaged)?);
            }
            match page.into_iter().next_back().filter(|_| rows.len().is_multiple_of(PAGE)) {
                Some((last, _)) => after = Some(last),
                None => return Ok(rows),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use linli_core::chain::{Join, verify_by_tail};
    use linli_core::id::Stream;
    use linli_core::sign::KeyCache;
    use linli_core::testkit::{Author, key};

    use super::*;
    use crate::OpenOptions;

    #[test]
    fn what_is_charged_and_what_was_removed_outlive_a_restart_and_the_head_stays_as_proof() {
        // Given a store with two logs of strangers, and what is charged for them,
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), OpenOptions::default()).unwrap();
        let store = open();
        let mut authors = [Author::new(50, "320508", None), Author::new(51, "320508", None)];
        let logs = [0, 1].map(|n: usize| authors[n].log_id(Stream::COMMUNITY));
        let runs = authors.each_mut().map(|author| author.write_personal(Stream::COMMUNITY, 70, 60));
        for run in &runs {
            store.append(vec![verify_by_tail(Join::Start, run.clone(), &mut KeyCache::default()).unwrap()]).unwrap();
        }
        let charge = |n: usize, by| Introduced { log: logs[n].clone(), by, bytes: 700 + n as u64 };
        let charged = [charge(0, Some(key(7).public())), charge(1, None)];
        store.charge(&charged).unwrap();
        // when one of them is removed and the node starts anew,
        let head = runs[0][69].head();
        assert_eq!(store.discard(&logs[0]).unwrap(), Some(head));
        assert_eq!(store.discard(&logs[0]).unwrap(), None);
        store.close();
        let store = open();
        // then its events and payloads are gone, the other log is whole,
        assert_eq!((store.head(&logs[0]), store.frontier().len()), (None, 1));
        assert!(store.read(&logs[0], 1, 100, 1 << 20).unwrap().is_empty());
        assert_eq!(store.read(&logs[1], 1, 100, 1 << 20).unwrap().len(), 70);
        assert_eq!(store.charged().unwrap(), [charged[1].clone()]);
        // its head is still proven,
        let [proof] = &store.discarded().unwrap()[..] else { panic!() };
        assert_eq!((&proof.log, proof.head, proof.signature), (&logs[0], head, runs[0][69].signature().copied()));
        assert_eq!(proof.header, runs[0][69].header_bytes());
        // and it may be taken again from its first event on, should its author get a grant.
        let again = verify_by_tail(Join::Start, runs[0].clone(), &mut KeyCache::default()).unwrap();
        assert_eq!(store.append(vec![again]).unwrap().new, 70);
        store.close();
        assert_eq!(open().head(&logs[0]), Some(head));
    }

    #[test]
    fn more_is_noted_than_is_read_at_a_time() {
        let store = Store::in_memory();
        let log = |incarnation| LogId { incarnation, ..Author::new(50, "320508", None).log_id(Stream::TEAMS) };
        for count in [PAGE as u64, PAGE as u64 + 1] {
            let charged: Vec<_> = (0..count).map(|n| Introduced { log: log(n), by: None, bytes: n }).collect();
            store.charge(&charged).unwrap();
            assert_eq!(store.charged().unwrap(), charged);
        }
    }
}
