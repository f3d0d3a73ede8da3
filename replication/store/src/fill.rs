//! Personal payloads that come after their events: which are lacking, giving those that are here, writing what came.

use std::sync::PoisonError;

use linli_core::event::{Header, LentPayload, Payload, Slot};
use linli_core::id::LogId;
use linli_core::payloads::payload_bytes;

use crate::append::PayloadNews;
use crate::backend::{Backend, Batch, prefix_end};
use crate::catalogue::Family;
use crate::codec::{Entry, entry_key, log_of, read_slot, seq_of, slot_value};
use crate::error::{FillError, StoreError};
use crate::store::Store;

/// Bytes of a migration's writes in one batch.
const MIGRATED_BYTES: usize = 1 << 20;

impl Store {
    /// Positions past `after` of events of a log whose personal payload is neither here nor erased, ascending.
    ///
    /// # Errors
    /// When the database fails.
    pub fn lacking(&self, log: &LogId, after: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        let Some((number, height)) = self.inner.shared.durable(log).filter(|(_, height)| after < *height) else {
            return Ok(vec![]);
        };
        let (from, end) = (entry_key(number, after + 1), entry_key(number, height + 1));
        let pairs = self.inner.shared.backend.range(Family::Lacking, &from, &end, most)?;
        pairs.iter().map(|(key, _)| seq_of(key)).collect()
    }

    /// Logs of which a personal payload is lacking. Costs a look-up for each of them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn logs_lacking(&self) -> Result<Vec<LogId>, StoreError> {
        let logs = self.inner.shared.logs_by_number();
        let (mut found, mut from) = (vec![], vec![]);
        while let Some((key, _)) = self.inner.shared.backend.range(Family::Lacking, &from, &[0xff; 64], 1)?.first() {
            let number = log_of(key).ok_or_else(|| StoreError::Damaged("key of a lacking payload".into()))?;
            found.extend(logs.get(&number).cloned());
            from = prefix_end(&number.to_be_bytes());
        }
        Ok(found)
    }

    /// Personal payloads of these events of a log, those that are here, up to so many bytes of a payload frame, but at
    /// least one if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub fn personal_payloads(
        &self,
        log: &LogId,
        seqs: &[u64],
        bytes_max: usize,
    ) -> Result<Vec<(u64, Payload)>, StoreError> {
        let Some((number, height)) = self.inner.shared.durable(log) else { return Ok(vec![]) };
        let (mut payloads, mut bytes) = (vec![], 0usize);
        for seq in seqs.iter().filter(|seq| **seq <= height) {
            let Some(value) = self.inner.shared.backend.get(Family::Pii, &entry_key(number, *seq))? else { continue };
            let Some(payload) = read_slot(&value)?.map(LentPayload::to_payload) else { continue };
            bytes = bytes.saturating_add(payload_bytes(&payload));
            if bytes > bytes_max && !payloads.is_empty() {
                break;
            }
            payloads.push((*seq, payload));
        }
        Ok(payloads)
    }

    /// Writes personal payloads of events that are here, all that are lacking or none, and says how many. Durable when it
    /// returns. What is here already or was erased stays as it is.
    ///
    /// # Errors
    /// [`FillError::WrongPayload`] for one that is not what its event's header commits to.
    pub fn fill(&self, log: &LogId, payloads: &[(u64, Payload)]) -> Result<u64, FillError> {
        let shared = &self.inner.shared;
        if self.inner.read_only {
            return Err(StoreError::ReadOnly.into());
        }
        shared.is_sound()?;
        let Some((number, height)) = shared.durable(log) else { return Ok(0) };
        let (mut batch, mut news, mut filled) = (Batch::default(), PayloadNews::default(), 0);
        let erasing_waits = shared.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        for (seq, payload) in payloads.iter().filter(|(seq, _)| *seq <= height) {
            let key = entry_key(number, *seq);
            if shared.backend.get(Family::Lacking, &key)?.is_none() {
                continue;
            }
            let entry = shared.backend.get(Family::Entries, &key)?;
            let header = header_of(&entry.ok_or_else(|| StoreError::Damaged("an entry is missing".into()))?)?;
            if header.pii != Some(payload.slot_ref(Slot::Pii)) {
                return Err(FillError::WrongPayload { seq: *seq });
            }
            batch.put(Family::Pii, &key, &slot_value(payload));
            batch.delete(Family::Lacking, &key);
            news.filled.extend(header.record);
            filled += 1;
        }
        if !batch.is_empty() {
            shared.write_durably(batch)?;
        }
        drop(erasing_waits);
        shared.tell(&news);
        Ok(filled)
    }
}

fn header_of(entry: &[u8]) -> Result<Header, StoreError> {
    Header::decode(Entry::read(entry)?.header).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// From format 1 to 2: the index of lacking payloads, found out from all entries.
pub fn index_lacking(backend: &dyn Backend) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    backend.walks(&[Family::Entries], &[], &[0xff; 64], &mut |walks| {
        for entries in walks {
            while let Some((key, entry)) = entries.pair() {
                if header_of(entry)?.pii.is_some() && backend.get(Family::Pii, key)?.is_none() {
                    batch.put(Family::Lacking, key, &[]);
                }
                if batch.size_bytes() >= MIGRATED_BYTES {
                    backend.write(std::mem::take(&mut batch), false)?;
                }
                entries.step()?;
            }
        }
        Ok(())
    })?;
    backend.write(batch, true)
}
