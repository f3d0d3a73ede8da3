//! Events that say the same thing again: an act that was sent to two nodes, a transfer or a receipt booked on both sides
//! of a cut. The first in fold order stands for all of them.
//!
//! Whoever has seen one of them has seen the thing itself. The graph therefore lets every later one follow the first, and
//! a count that saw the second does not add the first once more.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::event::Header;
use linli_core::id::{AuthorKey, EventId};
use serde::{Deserialize, Serialize};

use crate::act::{ActId, ActStamp};
use crate::events::Fact;
use crate::events::role::Booking;

/// The ordinal that stands for itself and all after it, so that equal ones are no repetition.
const LAST_ORDINAL: u8 = u8::MAX;

/// Who wrote the events of an act: one life of one store, in which each of them stands once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActRun {
    /// The latest event's stamp.
    pub stamp: ActStamp,
    author: AuthorKey,
    incarnation: u64,
}

impl ActRun {
    pub(super) fn new(stamp: ActStamp, header: &Header) -> Self {
        Self { stamp, author: header.author, incarnation: header.incarnation }
    }

    /// Whether `next` is the event after this one in the same act, which nobody can have written before.
    pub(super) fn continues_with(&self, next: &Self) -> bool {
        let same = (self.author, self.incarnation, self.stamp.id, self.stamp.content)
            == (next.author, next.incarnation, next.stamp.id, next.stamp.content);
        same && self.stamp.ordinal.checked_add(1) == Some(next.stamp.ordinal)
    }
}

/// A few bits of an act. Equal bits may be the same act; different bits are different acts.
pub(super) fn bucket(stamp: &ActStamp) -> [u8; 2] {
    // The last bytes of an id are random in every version of UUID that a client would draw, and hashed otherwise.
    let id = stamp.id.as_bytes();
    [id[14] ^ stamp.content[0], id[15] ^ stamp.content[1]]
}

/// The acts of a record while it is folded.
#[derive(Debug, Default)]
pub(super) struct Acts(BTreeMap<(ActId, [u8; 8]), First>);

#[derive(Debug)]
struct First {
    event: EventId,
    author: AuthorKey,
    incarnation: u64,
    ordinals: BTreeSet<u8>,
}

impl Acts {
    /// The event that stands for what this one says again. Another store's events of a known act all do, whatever lots
    /// that store drew from; the same store's only where its number in the act was there.
    pub(super) fn repeated(&self, stamp: &ActStamp, header: &Header) -> Option<EventId> {
        let first = self.0.get(&(stamp.id, stamp.content))?;
        let same_store = (first.author, first.incarnation) == (header.author, header.incarnation);
        let again = !same_store || (first.ordinals.contains(&stamp.ordinal) && stamp.ordinal != LAST_ORDINAL);
        again.then_some(first.event)
    }

    /// Remembers an event that counts.
    pub(super) fn add(&mut self, stamp: &ActStamp, event: EventId, header: &Header) {
        let first = self.0.entry((stamp.id, stamp.content)).or_insert_with(|| First {
            event,
            author: header.author,
            incarnation: header.incarnation,
            ordinals: BTreeSet::new(),
        });
        first.ordinals.insert(stamp.ordinal);
    }
}

/// For each event that says the same thing again, the one that stands for it: by an order in which parents come first.
pub(super) fn followers<'f>(
    in_order: impl Iterator<Item = (EventId, &'f Header, &'f Fact)>,
) -> Vec<(EventId, EventId)> {
    let mut acts = Acts::default();
    let mut booked: BTreeMap<Booking<'f>, EventId> = BTreeMap::new();
    let mut followers = Vec::new();
    for (event, header, fact) in in_order {
        if let Some(stamp) = fact.said().and_then(|said| said.act) {
            match acts.repeated(&stamp, header) {
                Some(first) => followers.push((event, first)),
                None => acts.add(&stamp, event, header),
            }
        }
        if let Some(booking) = fact.booking() {
            let first = *booked.entry(booking).or_insert(event);
            if first != event {
                followers.push((event, first));
            }
        }
    }
    followers
}
