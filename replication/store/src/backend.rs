//! What the store asks of a database: ordered families, atomic batches that are durable on demand, range reads.

use crate::catalogue::Family;
use crate::error::StoreError;

/// Keys with their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Writes that happen together or not at all. Keys and values stand one after another in one buffer: a group commit
/// makes thousands of them, and an allocation for each would cost as much as the rest of the planning.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    writes: Vec<Write>,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    family: Family,
    /// Where key and value begin and end.
    from: usize,
    key_end: usize,
    end: usize,
    deletes: bool,
}

/// How far a batch had come, to go back there.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    bytes: usize,
    writes: usize,
}

impl Batch {
    /// An empty batch with room for about so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), writes: vec![] }
    }

    /// Sets a key to a value that is given in parts.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[&[u8]]) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        for part in value {
            self.bytes.extend_from_slice(part);
        }
        self.writes.push(Write { family, from, key_end, end: self.bytes.len(), deletes: false });
    }

    /// Deletes a key.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let end = self.bytes.len();
        self.writes.push(Write { family, from, key_end: end, end, deletes: true });
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// About how many bytes a database makes of it.
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len() + self.writes.len() * 8
    }

    /// Where the batch stands now.
    pub const fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), writes: self.writes.len() }
    }

    /// Forgets what was added after `mark`.
    pub fn take_back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.writes.truncate(mark.writes);
    }

    /// Family, key and value in order; no value deletes.
    pub fn writes(&self) -> impl Iterator<Item = (Family, &[u8], Option<&[u8]>)> {
        self.writes.iter().map(|w| {
            let value = (!w.deletes).then(|| &self.bytes[w.key_end..w.end]);
            (w.family, &self.bytes[w.from..w.key_end], value)
        })
    }
}

/// A database under the store.
pub trait Backend: Send + Sync {
    /// One value.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Walks from `from` (inclusive) to `to` (exclusive), ascending.
    fn walk(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Box<dyn Walk + '_>, StoreError>;

    /// Up to `limit` pairs from `from` (inclusive) to `to` (exclusive), ascending.
    fn range(&self, family: Family, from: &[u8], to: &[u8], limit: usize) -> Result<Pairs, StoreError> {
        let (mut walk, mut pairs) = (self.walk(family, from, to)?, vec![]);
        while let Some((key, value)) = walk.pair().filter(|_| pairs.len() < limit) {
            pairs.push((key.to_vec(), value.to_vec()));
            walk.step()?;
        }
        Ok(pairs)
    }

    /// The greatest key below `to` that is at least `from`.
    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Applies a batch; with `durable`, returns after it has reached the disk.
    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError>;

    /// Makes deleted keys of a range unreadable in the files themselves.
    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError>;

    /// Empties a family.
    fn clear(&self, family: Family) -> Result<(), StoreError>;
}

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
