//! Reads through all that is in the files, a little at a time: a damaged place is found before somebody needs what was there.

use std::ops::Bound;
use std::sync::PoisonError;

use linli_core::event::StoredEvent;
use linli_core::id::LogId;

use crate::append::Shared;
use crate::catalogue::Family;
use crate::codec::{Entry, LogNumber, entry_key, log_of, seq_of};
use crate::error::StoreError;
use crate::store::Store;

/// Past every key of a family whose keys begin with a log's number.
const END: [u8; 64] = [0xff; 64];

/// How far the reading has come.
#[derive(Debug, Default)]
pub struct ReadThrough {
    /// Which of all families.
    family: usize,
    /// The next key, in or before which the next row is.
    from: Vec<u8>,
    /// The log and position that was read last, for families that are kept by log.
    last: Option<(LogNumber, u64)>,
}

impl Shared {
    /// Reads on for about so many rows. Says whether there is more.
    pub fn read_on(&self, at: &mut ReadThrough, rows: usize) -> bool {
        let Some(family) = Family::ALL.get(at.family).copied() else { return false };
        let (mut read, mut key_after) = (0, None);
        let from = at.from.clone();
        let outcome = self.backend.walks(&[family], &from, &END, &mut |walks| {
            for walk in walks {
                while let Some((key, value)) = walk.pair() {
                    if read == rows {
                        key_after = Some(key.to_vec());
                        return Ok(());
                    }
                    self.look_at(family, &mut at.last, key, value);
                    at.from = [key, &[0]].concat();
                    read += 1;
                    walk.step()?;
                }
            }
            Ok(())
        });
        match (outcome, key_after) {
            (Ok(()), Some(key)) => at.from = key,
            (Ok(()), None) => *at = ReadThrough { family: at.family + 1, ..ReadThrough::default() },
            (Err(error), _) => self.step_over(family, at, &error),
        }
        at.family < Family::ALL.len()
    }

    /// Whether a row decodes and is in its place: no position of a log is left out.
    fn look_at(&self, family: Family, last: &mut Option<(LogNumber, u64)>, key: &[u8], value: &[u8]) {
        let place = log_of(key).zip(seq_of(key).ok()).filter(|_| family.is_by_log());
        let Some((number, seq)) = place else { return };
        if family == Family::Entries {
            let expected = last.filter(|(log, _)| *log == number).map_or(1, |(_, seq)| seq.saturating_add(1));
            if seq > expected {
                self.unreadable(number, expected, seq - 1);
            }
            if Entry::read(value).is_err() {
                self.unreadable(number, seq, seq);
            }
        }
        *last = Some((number, seq));
    }

    /// Notes what cannot be read, and goes on behind it.
    fn step_over(&self, family: Family, at: &mut ReadThrough, error: &StoreError) {
        tracing::error!(family = family.name(), %error, "a part of the store cannot be read");
        let text = format!("{} cannot be read: {error}", family.name());
        if family == Family::Projection {
            // Whoever folds throws them away, when no act is in between.
            self.derived_is_damaged(text);
        } else if family.is_derived() {
            let _nobody_commits = self.payloads.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.renew(family, text) {
                self.missing.lock().unwrap_or_else(PoisonError::into_inner).spoiled(family.name(), error.to_string());
            }
        } else if family.is_by_log() {
            let (mut number, mut from) = at.last.map_or((0, 1), |(number, seq)| (number, seq.saturating_add(1)));
            let heights = self.heights();
            loop {
                let height = heights.get(&number).map_or(0, |(_, height)| *height);
                if let Some(seq) = self.readable_from(family, number, from, height) {
                    self.unreadable(number, from, seq - 1);
                    *at = ReadThrough { from: entry_key(number, seq).to_vec(), last: Some((number, seq - 1)), ..*at };
                    return;
                }
                self.unreadable(number, from, height);
                let next = heights.range((Bound::Excluded(number), Bound::Unbounded)).next();
                let Some((next, _)) = next else { break };
                (number, from) = (*next, 1);
            }
        } else {
            self.missing.lock().unwrap_or_else(PoisonError::into_inner).spoiled(family.name(), text);
        }
        *at = ReadThrough { family: at.family + 1, ..ReadThrough::default() };
    }

    /// The first position from which on a log can be read again. What is damaged is one block or the rest of a file, so it is
    /// looked for in growing steps and then narrowed down.
    fn readable_from(&self, family: Family, number: LogNumber, from: u64, height: u64) -> Option<u64> {
        let reads = |seq: u64| self.backend.walks(&[family], &entry_key(number, seq), &END, &mut |_| Ok(())).is_ok();
        let steps = (0..u64::BITS).map_while(|bit| from.checked_add(1 << bit)).take_while(|seq| *seq <= height);
        let mut good =
            std::iter::once(from).chain(steps).chain([height]).filter(|seq| *seq <= height).find(|seq| reads(*seq))?;
        let mut bad = from;
        while !reads(bad) && good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if reads(middle) { good = middle } else { bad = middle }
        }
        Some(if reads(bad) { bad } else { good })
    }

    fn unreadable(&self, number: LogNumber, from: u64, to: u64) {
        let heights = self.heights();
        let Some((log, _)) = heights.get(&number).filter(|_| from <= to) else { return };
        tracing::error!(%log, from, to, "events cannot be read");
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).unreadable(log, from, to);
    }

    fn heights(&self) -> std::collections::BTreeMap<LogNumber, (LogId, u64)> {
        let logs = self.logs_by_number().into_iter();
        logs.map(|(number, log)| {
            let height = self.head(&log).map_or(0, |head| head.seq);
            (number, (log, height))
        })
        .collect()
    }
}

impl Shared {
    /// Whether all rows of a family can be read.
    ///
    /// # Errors
    /// When they cannot.
    pub fn reads(&self, family: Family) -> Result<(), StoreError> {
        self.backend.walks(&[family], &[], &END, &mut |walks| {
            walks.iter_mut().try_for_each(|walk| {
                while walk.pair().is_some() {
                    walk.step()?;
                }
                Ok(())
            })
        })
    }
}

impl Store {
    /// The events of a log at so many positions from one on, but those that cannot be read: these are in
    /// [`Store::losses`] afterwards. One by one, for a walk ends where it cannot go on.
    ///
    /// # Errors
    /// When the database fails otherwise.
    pub fn read_around_damage(
        &self,
        log: &LogId,
        from_seq: u64,
        positions: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = vec![];
        let Some((number, height)) = self.inner.shared.durable(log) else { return Ok(events) };
        for seq in (from_seq..=height).take(positions) {
            match self.event(log, seq) {
                Ok(event) => events.extend(event),
                Err(StoreError::Damaged(_)) => self.inner.shared.unreadable(number, seq, seq),
                Err(error) => return Err(error),
            }
        }
        Ok(events)
    }

    /// Reads through everything now. What cannot be read is in [`Store::losses`] afterwards. An open store does this by
    /// itself, slowly.
    pub fn read_through(&self) {
        let mut at = ReadThrough::default();
        while self.inner.shared.read_on(&mut at, usize::MAX) {}
    }
}
