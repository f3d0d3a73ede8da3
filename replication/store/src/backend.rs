//! What the store asks of a database: ordered families, atomic batches that are durable on demand, range reads.

use linli_core::event::ReceivedEvent;

use crate::catalogue::Family;
use crate::codec::Entry;
use crate::error::StoreError;

/// Keys with their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Writes that happen together or not at all.
///
/// Keys and short values stand one after another in one buffer, and events are only pointed to: a group commit has
/// thousands of them, and an allocation or another copy of each would cost as much as the rest of the planning.
#[derive(Debug, Clone, Default)]
pub struct Batch<'e> {
    bytes: Vec<u8>,
    writes: Vec<Write<'e>>,
    /// Of all keys and values.
    size: usize,
}

#[derive(Debug, Clone, Copy)]
struct Write<'e> {
    family: Family,
    /// Where the key begins and ends.
    from: usize,
    key_end: usize,
    value: Value<'e>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'e> {
    /// None: the key is deleted.
    Deleted,
    /// From the key's end up to here.
    UpTo(usize),
    /// The event's entry, with or without its operational payload.
    Entry(&'e ReceivedEvent, bool),
}

/// How far a batch had come, to go back there.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    bytes: usize,
    writes: usize,
    size: usize,
}

impl<'e> Batch<'e> {
    /// Sets a key to a value that is given in parts.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[&[u8]]) {
        let (from, key_end) = self.key(key);
        for part in value {
            self.bytes.extend_from_slice(part);
        }
        let end = self.bytes.len();
        self.push(Write { family, from, key_end, value: Value::UpTo(end) }, end - key_end);
    }

    /// Sets a key to an event's entry. Without `op` its operational payload is left out.
    pub fn put_entry(&mut self, family: Family, key: &[u8], event: &'e ReceivedEvent, op: bool) {
        let (from, key_end) = self.key(key);
        let mut size = 0;
        Entry::write(event, op, |parts| size = parts.iter().map(|part| part.len()).sum());
        self.push(Write { family, from, key_end, value: Value::Entry(event, op) }, size);
    }

    /// Deletes a key.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        let (from, key_end) = self.key(key);
        self.push(Write { family, from, key_end, value: Value::Deleted }, 0);
    }

    fn key(&mut self, key: &[u8]) -> (usize, usize) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(key);
        (from, self.bytes.len())
    }

    fn push(&mut self, write: Write<'e>, value_bytes: usize) {
        // What a database adds to each.
        self.size += write.key_end - write.from + value_bytes + 8;
        self.writes.push(write);
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// About how many bytes a database makes of it.
    pub const fn size_bytes(&self) -> usize {
        self.size
    }

    /// Where the batch stands now.
    pub const fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), writes: self.writes.len(), size: self.size }
    }

    /// Forgets what was added after `mark`.
    pub fn take_back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.writes.truncate(mark.writes);
        self.size = mark.size;
    }

    /// Hands family, key and value to `write`, in order; no value deletes.
    ///
    /// # Errors
    /// The first of `write`, and nothing is handed over after it.
    pub fn each<E>(&self, mut write: impl FnMut(Family, &[u8], Option<&[u8]>) -> Result<(), E>) -> Result<(), E> {
        let mut entry = vec![];
        self.writes.iter().try_for_each(|w| {
            let value = match w.value {
                Value::Deleted => None,
                Value::UpTo(end) => Some(&self.bytes[w.key_end..end]),
                Value::Entry(event, op) => {
                    entry.clear();
                    Entry::write(event, op, |parts| parts.iter().for_each(|part| entry.extend_from_slice(part)));
                    Some(&entry[..])
                }
            };
            write(w.family, &self.bytes[w.from..w.key_end], value)
        })
    }
}

/// A file that should be there and is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LostFile {
    /// Its name in the store's directory.
    pub name: String,
    /// The family whose rows it has, if it is a table.
    pub family: Option<Family>,
}

/// A database under the store.
pub trait Backend: Send + Sync {
    /// One value.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Walks from `from` (inclusive) to `to` (exclusive), ascending, one for each family: they last as long as `visit`.
    fn walks(&self, families: &[Family], from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Up to `limit` pairs from `from` (inclusive) to `to` (exclusive), ascending.
    fn range(&self, family: Family, from: &[u8], to: &[u8], limit: usize) -> Result<Pairs, StoreError> {
        let mut pairs = vec![];
        self.walks(&[family], from, to, &mut |walks| {
            for walk in walks {
                while let Some((key, value)) = walk.pair().filter(|_| pairs.len() < limit) {
                    pairs.push((key.to_vec(), value.to_vec()));
                    walk.step()?;
                }
            }
            Ok(())
        })?;
        Ok(pairs)
    }

    /// The greatest key below `to` that is at least `from`.
    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Applies a batch; with `durable`, returns after it has reached the disk.
    fn write(&self, batch: Batch<'_>, durable: bool) -> Result<(), StoreError>;

    /// Makes deleted keys of a range unreadable in the files themselves.
    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError>;

    /// Brings all that was written into files that do not depend on a log of writes.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether what was written is still where it was written to.
    fn is_in_place(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Files of the database in force that were deleted under it. They may be readable as long as it is open.
    fn lost_files(&self) -> Result<Vec<LostFile>, StoreError> {
        Ok(vec![])
    }

    /// Whether there is a log of writes: if not, somebody has deleted it, and what is in memory alone would be lost.
    fn has_write_ahead_log(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Opens the database anew after a failed write. Says whether derived families were thrown away.
    fn reopen(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Empties a family, and does away with what of it cannot be read.
    fn clear(&self, family: Family) -> Result<(), StoreError>;
}

/// What is done with walks, in the order of their families.
pub type Visit<'v> = dyn FnMut(&mut [Box<dyn Walk + '_>]) -> Result<(), StoreError> + 'v;

/// A walk over a range, standing on one pair after another. Pairs are lent, not copied: a run of events is read by three
/// walks side by side, and stops where it is long enough.
pub trait Walk {
    /// The pair it stands on; none after the last.
    fn pair(&self) -> Option<(&[u8], &[u8])>;

    /// Goes to the next pair.
    fn step(&mut self) -> Result<(), StoreError>;
}

/// The first key after all keys that start with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; 64]
}
