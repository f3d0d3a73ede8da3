//! Many short keys of one length in one run of bytes: what a view has to know for ever costs it a few bytes each.

use serde::{Deserialize, Serialize};

/// Keys of `N` bytes, ascending, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keys<const N: usize>(#[serde(with = "serde_bytes")] Vec<u8>);

impl<const N: usize> Keys<N> {
    /// Whether a key is there.
    pub fn contains(&self, key: &[u8; N]) -> bool {
        self.place(key).is_ok()
    }

    /// Adds a key; says whether it is new.
    pub fn insert(&mut self, key: [u8; N]) -> bool {
        match self.place(&key) {
            Ok(_) => false,
            Err(at) => {
                self.0.splice(at * N..at * N, key);
                true
            }
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len() / N
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, key: &[u8; N]) -> Result<usize, usize> {
        self.0.as_chunks::<N>().0.binary_search(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scenario::Dice;

    #[test]
    fn keys_are_a_set() {
        let (mut keys, mut set, mut dice) = (Keys::<2>::default(), BTreeSet::new(), Dice(7));
        for _ in 0..500 {
            let key = (dice.roll(300) as u16).to_be_bytes();
            assert_eq!(keys.contains(&key), set.contains(&key));
            assert_eq!(keys.insert(key), set.insert(key));
        }
        assert_eq!(keys.len(), set.len());
        assert_eq!(keys.0, set.into_iter().flatten().collect::<Vec<u8>>());
    }
}
