//! Events that say the same thing again: an act that was sent to two nodes, a transfer or a receipt booked on both sides
//! of a cut. The first in fold order stands for all of them.
//!
//! What arrives may come in parts. Whoever books a part after having seen another one means one more; those who booked
//! without seeing each other mean the same one. So the number of a part follows from what its author had seen.
//!
//! Whoever has seen one of them has seen the thing itself. The graph therefore lets every later one follow the first, and
//! a count that saw the second does not add the first once more.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::event::Header;
use linli_core::id::{AuthorKey, EventId, RecordId};
use serde::{Deserialize, Serialize};

use crate::act::{ActId, ActStamp};
use crate::events::Fact;
use crate::events::role::Booking;
use crate::graph::Graph;

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

/// What says something again, and which part of its transfer each arrival is.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Each event that says the same thing again, with the one that stands for it.
    pub again: Vec<(EventId, EventId)>,
    /// The number of each arrival among the parts that its author knew of, counted from 1.
    pub parts: BTreeMap<EventId, u64>,
}

/// Finds them among the events that count, in the order of the graph.
pub(super) fn followers<'f>(
    in_order: impl Iterator<Item = (EventId, &'f Header, &'f Fact)>,
    graph: &Graph,
) -> Followers {
    let mut acts = Acts::default();
    let mut booked: BTreeMap<(Booking<'f>, u64), EventId> = BTreeMap::new();
    let mut arrivals = Arrivals::default();
    let mut found = Followers::default();
    for (event, header, fact) in in_order {
        let again = fact.said().and_then(|said| said.act).and_then(|stamp| {
            let first = acts.repeated(&stamp, header);
            if first.is_none() {
                acts.add(&stamp, event, header);
            }
            first
        });
        let booking = fact.booking().filter(|_| again.is_none());
        let part = match booking {
            Some(Booking::Arrived(transfer)) => arrivals.part(transfer, event, graph),
            _ => 0,
        };
        if part > 0 {
            found.parts.insert(event, part);
        }
        let first = booking.map(|booking| *booked.entry((booking, part)).or_insert(event));
        if let Some(first) = again.or(first).filter(|first| *first != event) {
            arrivals.follows(event, first, graph);
            found.again.push((event, first));
        }
    }
    found
}

/// The arrivals so far, and what each author had seen by then: also through what says the same thing again.
#[derive(Debug, Default)]
struct Arrivals<'f> {
    of: BTreeMap<&'f RecordId, Vec<(usize, u64)>>,
    /// The events up to the last arrival, in which what says something again has seen what it repeats.
    seen: Graph,
    /// What later events repeat, by their places.
    repeats: BTreeMap<usize, EventId>,
}

impl<'f> Arrivals<'f> {
    /// Which part of its transfer an arrival is: one more than the last that its author knew of.
    fn part(&mut self, transfer: &'f RecordId, event: EventId, graph: &Graph) -> u64 {
        let Some(at) = graph.position(&event) else { return 1 };
        for next in self.seen.len()..=at {
            self.seen.push(graph.vertex(next).clone());
            self.repeats.remove(&next).into_iter().for_each(|first| self.seen.let_last_see(first));
        }
        let earlier = self.of.entry(transfer).or_default();
        let known = earlier.iter().filter(|(other, _)| self.seen.has_seen(at, *other));
        let part = 1 + known.map(|(_, part)| *part).max().unwrap_or(0);
        earlier.push((at, part));
        part
    }

    /// An event says again what another one said: whoever sees it has seen that one.
    fn follows(&mut self, event: EventId, first: EventId, graph: &Graph) {
        match graph.position(&event) {
            Some(at) if at + 1 == self.seen.len() => self.seen.let_last_see(first),
            Some(at) => drop(self.repeats.insert(at, first)),
            None => {}
        }
    }
}
