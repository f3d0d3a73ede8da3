//! The two families beside the logs: read models that may be thrown away, and node-local settings.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::append::Shared;
use crate::backend::{Backend, Batch, Pairs, prefix_end};
use crate::catalogue::Family;
use crate::error::StoreError;

/// Read models. Written atomically, not synced: after a crash they are behind, and their cursors say so. Where they cannot
/// be read they are damaged as a whole, until somebody throws them away.
#[derive(Clone)]
pub struct Projection {
    pub(crate) shared: Arc<Shared>,
}

/// Writes to read models that happen together.
#[derive(Debug, Clone, Default)]
pub struct ProjectionBatch(Batch<'static>);

impl ProjectionBatch {
    /// Sets a key.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.put(Family::Projection, &key, &[&value]);
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.0.delete(Family::Projection, &key);
    }
}

impl Projection {
    /// One value.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.are_there()?;
        self.noting(self.shared.backend.get(Family::Projection, key))
    }

    /// Up to `limit` pairs whose keys start with `prefix`, ascending, past `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Pairs, StoreError> {
        self.are_there()?;
        self.noting(scan(&*self.shared.backend, Family::Projection, prefix, after, limit))
    }

    /// Applies a batch. A disk that refuses it takes no acts either: a failure is noted as that of any write, so that people
    /// are told and the store is opened anew.
    ///
    /// # Errors
    /// When the database fails, or a write has failed before.
    pub fn write(&self, batch: ProjectionBatch) -> Result<(), StoreError> {
        self.shared.is_sound()?;
        self.shared.backend.write(batch.0, false).inspect_err(|error| self.shared.failed(error))
    }

    /// Throws all read models away, also those that cannot be read: whatever is found damaged after this is damaged anew.
    ///
    /// # Errors
    /// When the database fails.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.shared.backend.clear(Family::Projection).inspect_err(|error| self.shared.failed(error))?;
        *self.shared.derived_damage.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.derived_is_gone.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// What was read back is no read model: all of them are damaged from now on, until they are thrown away.
    pub fn is_damaged(&self, why: String) {
        self.shared.derived_is_damaged(why);
    }

    fn are_there(&self) -> Result<(), StoreError> {
        match self.shared.derived_is_gone.load(Ordering::SeqCst) {
            true => Err(StoreError::Damaged("the read models were thrown away".into())),
            false => Ok(()),
        }
    }

    fn noting<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        read.inspect_err(|error| {
            if let StoreError::Damaged(why) = error {
                self.shared.derived_is_damaged(why.clone());
            }
        })
    }
}

/// Settings of this node. Every write is durable when it returns.
#[derive(Clone)]
pub struct Local {
    pub(crate) shared: Arc<Shared>,
}

impl Local {
    /// One value.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.backend.get(Family::Local, key)
    }

    /// Sets a key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(Family::Local, key, &[value]);
        self.shared.write_durably(batch)
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete(&self, key: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.delete(Family::Local, key);
        self.shared.write_durably(batch)
    }

    /// Up to `limit` pairs whose keys start with `prefix`, ascending, past `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Pairs, StoreError> {
        scan(&*self.shared.backend, Family::Local, prefix, after, limit)
    }
}

fn scan(
    backend: &dyn Backend,
    family: Family,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Pairs, StoreError> {
    let from = after.map_or_else(|| prefix.to_vec(), |key| [key, &[0]].concat());
    backend.range(family, &from, &prefix_end(prefix), limit)
}
