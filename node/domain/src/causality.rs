//! What each author of a record's history had seen when they signed: for telling it, a page at a time.

use std::collections::BTreeSet;

use linli_core::id::EventId;
use linli_core::time::Hlc;

use crate::graph::{Graph, Vertex};
use crate::limits::UNSEEN_LISTED_MAX;

/// An event's place among the others of its record.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its id.
    pub id: EventId,
    /// Its time, which only breaks ties in the order.
    pub time: Hlc,
    /// The heads that its author had seen.
    pub parents: Vec<EventId>,
}

/// What the author of one event had seen of the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// Events that they had seen. What lies further back than [`crate::limits::CONCURRENT_WINDOW`] counts as seen.
    pub seen: u64,
    /// Events that stand earlier in the order and that they had not seen.
    pub unseen: u64,
    /// The latest of those, oldest first, at most [`UNSEEN_LISTED_MAX`].
    pub unseen_latest: Vec<EventId>,
}

/// The history of one record, in the order in which every node folds it. Linear in its length.
#[derive(Debug, Clone)]
pub struct Causality(Graph);

impl Causality {
    /// Orders a record's events. Repetitions are dropped.
    pub fn new(events: impl IntoIterator<Item = Placed>) -> Self {
        let mut known = BTreeSet::new();
        let fresh = events.into_iter().filter(|event| known.insert(event.id));
        let vertex = |Placed { id, time, parents }| Vertex { id, time, parents, counts: true };
        Self(Graph::new(fresh.map(vertex).collect()))
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The event at a place, counted from 0.
    ///
    /// # Panics
    /// Past the end.
    pub fn at(&self, place: usize) -> EventId {
        self.0.vertex(place).id
    }

    /// Where an event stands.
    pub fn place(&self, id: &EventId) -> Option<usize> {
        self.0.position(id)
    }

    /// What the author of the event at a place had seen.
    ///
    /// # Panics
    /// Past the end.
    pub fn sight(&self, place: usize) -> Sight {
        let mut sight = Sight::default();
        for unseen in self.0.unseen_before(place) {
            sight.unseen += 1;
            if sight.unseen_latest.len() == UNSEEN_LISTED_MAX {
                sight.unseen_latest.remove(0);
            }
            sight.unseen_latest.push(self.at(unseen));
        }
        sight.seen = place as u64 - sight.unseen;
        sight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> EventId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        EventId::from_bytes(bytes)
    }

    fn placed(n: u64, parents: &[u64]) -> Placed {
        Placed { id: id(n), time: Hlc::from_unix_ms(n), parents: parents.iter().map(|p| id(*p)).collect() }
    }

    #[test]
    fn unseen_events_are_counted_and_the_latest_ten_are_named() {
        // given a report, a line of thirty acts on one side of a cut, and one act on the other
        let line = (1..=30).map(|n| placed(n, &[n - 1]));
        let told = Causality::new([placed(0, &[])].into_iter().chain(line).chain([placed(31, &[0]), placed(31, &[0])]));
        assert_eq!(told.len(), 32);
        let sight = told.sight(told.place(&id(31)).unwrap());
        assert_eq!((sight.seen, sight.unseen), (1, 30));
        assert_eq!(sight.unseen_latest, (21..=30).map(id).collect::<Vec<_>>());
        assert_eq!(told.sight(30), Sight { seen: 30, ..Sight::default() });
    }
}
