//! What the store asks of a database: ordered families, atomic batches that are durable on demand, range reads.

use crate::catalogue::Family;
use crate::error::StoreError;

/// Keys with their values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Writes that happen together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In order; `None` deletes.
    pub writes: Vec<(Family, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.writes.push((family, key, Some(value)));
    }

    /// Deletes a key.
    pub fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.writes.push((family, key, None));
    }
}

/// A database under the store.
pub trait Backend: Send + Sync {
    /// One value.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs from `from` (inclusive) to `to` (exclusive), ascending.
    fn range(&self, family: Family, from: &[u8], to: &[u8], limit: usize) -> Result<Pairs, StoreError>;

    /// The greatest key below `to` that is at least `from`.
    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Applies a batch; with `durable`, returns after it has reached the disk.
    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError>;

    /// Makes deleted keys of a range unreadable in the files themselves.
    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError>;

    /// Empties a family.
    fn clear(&self, family: Family) -> Result<(), StoreError>;
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
