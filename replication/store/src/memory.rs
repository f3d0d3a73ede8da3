//! A backend in memory, deterministic, for tests and simulations. It passes the same contract as the one on disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::{Backend, Batch, Pairs, Visit, Walk};
use crate::catalogue::Family;
use crate::error::StoreError;

/// All families in one ordered map.
type Families = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

/// Families as ordered maps.
#[derive(Debug, Default)]
pub struct Memory {
    families: Mutex<Families>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Families> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().get(&(family, key.to_vec())).cloned())
    }

    fn walks(&self, families: &[Family], from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut walks: Vec<Box<dyn Walk + '_>> = vec![];
        for family in families {
            let (family, from, to) = (*family, from.to_vec(), to.to_vec());
            let mut steps = Steps { memory: self, family, from, to, ahead: VecDeque::new() };
            steps.look_ahead()?;
            walks.push(Box::new(steps));
        }
        visit(&mut walks)
    }

    fn range(&self, family: Family, from: &[u8], to: &[u8], limit: usize) -> Result<Pairs, StoreError> {
        if from >= to {
            return Ok(vec![]);
        }
        let families = self.lock();
        let found = families.range((family, from.to_vec())..(family, to.to_vec())).take(limit);
        Ok(found.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let families = self.lock();
        Ok(families.range((family, from.to_vec())..(family, to.to_vec())).next_back().map(|((_, key), _)| key.clone()))
    }

    fn write(&self, batch: Batch<'_>, _durable: bool) -> Result<(), StoreError> {
        let mut families = self.lock();
        batch.each(|family, key, value| {
            match value {
                Some(value) => drop(families.insert((family, key.to_vec()), value.to_vec())),
                None => drop(families.remove(&(family, key.to_vec()))),
            }
            Ok(())
        })
    }

    fn purge(&self, _: Family, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn clear(&self, family: Family) -> Result<(), StoreError> {
        self.lock().retain(|(f, _), _| *f != family);
        Ok(())
    }
}

/// Pairs that a walk copies at a time.
const AHEAD: usize = 64;

/// A walk that copies a few pairs at a time, so that nobody waits for the lock while it goes on.
struct Steps<'m> {
    memory: &'m Memory,
    family: Family,
    /// Where what was not copied yet begins.
    from: Vec<u8>,
    to: Vec<u8>,
    ahead: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Steps<'_> {
    fn look_ahead(&mut self) -> Result<(), StoreError> {
        if self.ahead.is_empty() {
            self.ahead = self.memory.range(self.family, &self.from, &self.to, AHEAD)?.into();
            if let Some((key, _)) = self.ahead.back() {
                self.from = [&key[..], &[0]].concat();
            }
        }
        Ok(())
    }
}

impl Walk for Steps<'_> {
    fn pair(&self) -> Option<(&[u8], &[u8])> {
        self.ahead.front().map(|(key, value)| (&key[..], &value[..]))
    }

    fn step(&mut self) -> Result<(), StoreError> {
        self.ahead.pop_front();
        self.look_ahead()
    }
}
