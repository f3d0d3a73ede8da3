//! Which volumes of which bundles this node has taken in whole, so that it can say which are still missing.
//!
//! Only a hint for people: what is in the store decides what is taken. Kept node-locally, for the latest bundles.

use std::collections::BTreeSet;

use linli_core::carry::VolumeHeader;
use linli_core::cbor::{CborError, Reader, Writer};
use linli_core::limits;
use linli_store::{Local, StoreError};

/// Where it is kept: this, then the bundle's id.
const PREFIX: &[u8] = b"carry/taken/";
/// Bundles that are remembered. A street sees a few in a day.
const BUNDLES_MAX: usize = 64;

/// What is known of one bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken {
    created_ms: u64,
    /// The number of its last volume, 0 while that has not been seen.
    last: u64,
    volumes: BTreeSet<u64>,
}

impl Taken {
    /// What is known of the bundle that a volume belongs to.
    pub(super) fn of(local: &Local, header: &VolumeHeader) -> Result<Self, StoreError> {
        let kept = local.get(&key_of(header))?;
        // An entry that does not decode is of another version of this program: as good as none.
        let known = kept.and_then(|bytes| Self::decode(&bytes).ok()).unwrap_or_default();
        Ok(Self { created_ms: header.created_ms, ..known })
    }

    /// Notes a volume that was whole and left nothing over.
    pub(super) fn note(&mut self, number: u64, last: bool) {
        self.volumes.insert(number);
        if last {
            self.last = number;
        }
    }

    /// Numbers of volumes that have not been taken in, as far as can be known having met volume `met`.
    pub(super) fn missing(&self, met: u64) -> Vec<u64> {
        let highest = self.volumes.last().copied().unwrap_or(0).max(met).max(self.last);
        (1..=highest.min(limits::CARRY_VOLUMES_MAX)).filter(|n| *n != met && !self.volumes.contains(n)).collect()
    }

    /// Whether the bundle's last volume has been met, so that nothing can be missing after it.
    pub(super) const fn knows_the_end(&self) -> bool {
        self.last > 0
    }

    /// Keeps it, and forgets the oldest bundles.
    pub(super) fn keep(&self, local: &Local, header: &VolumeHeader) -> Result<(), StoreError> {
        local.put(&key_of(header), &self.encode())?;
        let mut kept = local.scan(PREFIX, None, BUNDLES_MAX * 2)?;
        kept.sort_by_key(|(_, value)| Self::decode(value).map_or(0, |taken| taken.created_ms));
        for (key, _) in kept.iter().take(kept.len().saturating_sub(BUNDLES_MAX)) {
            local.delete(key)?;
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(3).uint(self.created_ms).uint(self.last).array(self.volumes.len());
        for number in &self.volumes {
            w.uint(*number);
        }
        w.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut r = Reader::new(bytes);
        r.array_of(3, "what is known of a bundle")?;
        let (created_ms, last) = (r.uint()?, r.uint()?);
        let len = r.array_of_at_most(limits::CARRY_VOLUMES_MAX as usize, "number of volumes")?;
        let volumes = (0..len).map(|_| r.uint()).collect::<Result<_, _>>()?;
        Ok(Self { created_ms, last, volumes })
    }
}

fn key_of(header: &VolumeHeader) -> Vec<u8> {
    [PREFIX, header.bundle.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use linli_core::id::{AuthorKey, BundleId, EventId};
    use linli_store::Store;

    use super::*;

    fn header(bundle: u8, number: u64) -> VolumeHeader {
        VolumeHeader {
            federation: EventId::from_bytes([0; 32]),
            bundle: BundleId::from_bytes([bundle; 16]),
            number,
            sender: AuthorKey::from_bytes([0; 32]),
            created_ms: u64::from(bundle),
            credentials: vec![],
        }
    }

    #[test]
    fn missing_volumes_are_those_before_the_highest_that_was_met() {
        let local = Store::in_memory().local();
        let header = header(1, 3);
        let mut taken = Taken::of(&local, &header).unwrap();
        assert_eq!(taken.missing(3), [1, 2]);
        taken.note(3, false);
        taken.keep(&local, &header).unwrap();
        let mut taken = Taken::of(&local, &header).unwrap();
        assert_eq!(taken.missing(1), [2]);
        assert!(!taken.knows_the_end());
        taken.note(5, true);
        assert_eq!((taken.missing(1), taken.knows_the_end()), (vec![2, 4], true));
    }

    #[test]
    fn only_the_latest_bundles_are_remembered() {
        let local = Store::in_memory().local();
        for bundle in 0..100 {
            let header = header(bundle, 1);
            let mut taken = Taken::of(&local, &header).unwrap();
            taken.note(1, true);
            taken.keep(&local, &header).unwrap();
        }
        assert_eq!(local.scan(PREFIX, None, 200).unwrap().len(), BUNDLES_MAX);
        assert!(Taken::of(&local, &header(99, 1)).unwrap().knows_the_end());
        assert!(!Taken::of(&local, &header(3, 1)).unwrap().knows_the_end());
    }
}
