//! The causal graph of one record: who could have seen what. Time is only used to break ties in the order.
//!
//! Each event's past is kept as "everything before a floor, and these bits from there on". In a history without forks
//! the floor follows the event and a past takes a word or two; across a cut it takes one bit per event of the window.
//! Memory is at most [`crate::limits::CONCURRENT_WINDOW`] bits per event; what lies further back counts as seen.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use linli_core::id::EventId;
use linli_core::time::Hlc;

use crate::limits::CONCURRENT_WINDOW;

const WORD: usize = 64;

/// An event as the graph sees it.
#[derive(Debug, Clone)]
pub(crate) struct Vertex {
    /// Its id.
    pub id: EventId,
    /// Its time, for ties.
    pub time: Hlc,
    /// What its author had seen: the record's heads, and what the event says that it has seen.
    pub parents: Vec<EventId>,
    /// Whether it counts in this record.
    pub counts: bool,
}

/// What came before one event.
#[derive(Debug, Clone, Default)]
struct Past {
    /// Everything below this index has been seen. A multiple of [`WORD`].
    floor: usize,
    /// One bit per event from the floor on.
    bits: Vec<u64>,
}

impl Past {
    fn has(&self, index: usize) -> bool {
        index < self.floor
            || self.bits.get((index - self.floor) / WORD).is_some_and(|word| word >> (index % WORD) & 1 == 1)
    }

    /// The past of an event with these parents.
    fn after<'p>(parents: impl Iterator<Item = (usize, &'p Self)> + Clone) -> Self {
        let floor = parents.clone().map(|(_, past)| past.floor).max().unwrap_or(0);
        let mut bits: Vec<u64> = Vec::new();
        for (index, past) in parents {
            if index >= floor {
                let word = (index - floor) / WORD;
                if bits.len() <= word {
                    bits.resize(word + 1, 0);
                }
                bits[word] |= 1 << (index % WORD);
            }
            let skip = (floor - past.floor) / WORD;
            for (word, seen) in past.bits.iter().skip(skip).enumerate() {
                if bits.len() <= word {
                    bits.push(0);
                }
                bits[word] |= seen;
            }
        }
        let full = bits.iter().take_while(|word| **word == u64::MAX).count();
        let beyond = bits.len().saturating_sub(CONCURRENT_WINDOW / WORD);
        let drop = full.max(beyond);
        Self { floor: floor + drop * WORD, bits: bits.split_off(drop) }
    }
}

/// The graph, in the one order that every node folds it in: parents first, ties by time, then by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    vertices: Vec<Vertex>,
    parents: Vec<Vec<usize>>,
    pasts: Vec<Past>,
    index: BTreeMap<EventId, usize>,
    missing: BTreeSet<EventId>,
}

impl Graph {
    /// Orders a set of events. Repetitions must have been removed.
    pub(crate) fn new(vertices: Vec<Vertex>) -> Self {
        let given: BTreeMap<EventId, usize> = vertices.iter().enumerate().map(|(i, v)| (v.id, i)).collect();
        let mut missing = BTreeSet::new();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); vertices.len()];
        let mut waiting_for = vec![0usize; vertices.len()];
        for (at, vertex) in vertices.iter().enumerate() {
            for parent in vertex.parents.iter().collect::<BTreeSet<_>>() {
                match given.get(parent) {
                    Some(parent) => {
                        children[*parent].push(at);
                        waiting_for[at] += 1;
                    }
                    None => drop(missing.insert(*parent)),
                }
            }
        }
        let rank = |at: usize| Reverse((vertices[at].time, vertices[at].id, at));
        let mut ready: BinaryHeap<_> = (0..vertices.len()).filter(|at| waiting_for[*at] == 0).map(rank).collect();
        let mut order = Vec::with_capacity(vertices.len());
        while let Some(Reverse((_, _, at))) = ready.pop() {
            order.push(at);
            for child in &children[at] {
                waiting_for[*child] -= 1;
                if waiting_for[*child] == 0 {
                    ready.push(rank(*child));
                }
            }
        }
        // An id is a hash over its parents, so a cycle cannot be made; an event claimed to be in one never gets ready.
        let mut graph = Self { missing, ..Self::default() };
        for at in order {
            graph.push(vertices[at].clone());
        }
        graph
    }

    /// Adds an event after all others. Those of its parents that are here stand before it.
    pub(crate) fn push(&mut self, vertex: Vertex) {
        let at = self.vertices.len();
        let mut parents: Vec<usize> = vertex.parents.iter().filter_map(|id| self.index.get(id).copied()).collect();
        parents.sort_unstable();
        parents.dedup();
        let past = Past::after(parents.iter().map(|parent| (*parent, &self.pasts[*parent])));
        self.index.insert(vertex.id, at);
        self.vertices.push(vertex);
        self.parents.push(parents);
        self.pasts.push(past);
    }

    /// Lets the last event have seen one more, which stands before it.
    pub(crate) fn let_last_see(&mut self, earlier: EventId) {
        let Some(mut vertex) = self.vertices.pop() else { return };
        self.parents.pop();
        self.pasts.pop();
        vertex.parents.push(earlier);
        self.push(vertex);
    }

    /// Says anew which events count.
    pub(crate) fn let_count(&mut self, counts: impl Fn(&EventId) -> bool) {
        for vertex in &mut self.vertices {
            vertex.counts = counts(&vertex.id);
        }
    }

    /// The same events, where each `(later, earlier)` says of one more that it was seen.
    pub(crate) fn with_seen(&self, more: &[(EventId, EventId)]) -> Self {
        let mut vertices = self.vertices.clone();
        for (later, earlier) in more {
            if let Some(at) = self.position(later)
                && !vertices[at].parents.contains(earlier)
            {
                vertices[at].parents.push(*earlier);
            }
        }
        Self::new(vertices)
    }

    /// Number of events.
    pub(crate) fn len(&self) -> usize {
        self.vertices.len()
    }

    /// The event at a place in the order.
    pub(crate) fn vertex(&self, at: usize) -> &Vertex {
        &self.vertices[at]
    }

    /// Where an event stands in the order.
    pub(crate) fn position(&self, id: &EventId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Parents that are named and not here.
    pub(crate) const fn missing(&self) -> &BTreeSet<EventId> {
        &self.missing
    }

    /// Whether the author of the event at `by` could have seen the one at `what`.
    pub(crate) fn has_seen(&self, by: usize, what: usize) -> bool {
        what < by && self.pasts[by].has(what)
    }

    /// Events that stand before `at` in the order without having been seen by its author, oldest first.
    pub(crate) fn unseen_before(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        (self.pasts[at].floor.min(at)..at).filter(move |what| !self.has_seen(at, *what))
    }

    /// Everything below this place was seen by the author of the event at `at`.
    pub(crate) fn floor(&self, at: usize) -> usize {
        self.pasts[at].floor.min(at)
    }

    /// The parents of an event that no other parent of it has seen.
    pub(crate) fn tips_below(&self, at: usize) -> Vec<usize> {
        let parents = &self.parents[at];
        parents.iter().copied().filter(|p| !parents.iter().any(|other| self.has_seen(*other, *p))).collect()
    }

    /// The events that count and that no other event that counts has seen.
    pub(crate) fn heads(&self) -> Vec<usize> {
        let mut covered = vec![false; self.vertices.len()];
        for at in (0..self.vertices.len()).rev() {
            if covered[at] || self.vertices[at].counts {
                for parent in &self.parents[at] {
                    covered[*parent] = true;
                }
            }
        }
        (0..self.vertices.len()).filter(|at| self.vertices[*at].counts && !covered[*at]).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: usize) -> EventId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        EventId::from_bytes(bytes)
    }

    fn vertex(n: usize, time: u64, parents: &[usize]) -> Vertex {
        let parents = parents.iter().map(|p| id(*p)).collect();
        Vertex { id: id(n), time: Hlc::from_unix_ms(time), parents, counts: true }
    }

    #[test]
    fn a_line_of_events_keeps_small_pasts() {
        let line: Vec<Vertex> =
            (0..1000usize).map(|n| vertex(n, 1, &n.checked_sub(1).map_or(vec![], |p| vec![p]))).collect();
        let graph = Graph::new(line);
        assert!(graph.pasts.iter().all(|past| past.bits.len() <= 2));
        assert_eq!(graph.heads(), vec![999]);
        assert!(graph.has_seen(999, 0) && !graph.has_seen(0, 999));
    }

    proptest! {
        #[test]
        fn seeing_is_reachability(shape in prop::collection::vec((0u64..20, prop::collection::vec(0usize..200, 0..3)), 1..200)) {
            let vertices: Vec<Vertex> = shape
                .iter()
                .enumerate()
                .map(|(n, (time, parents))| {
                    let parents: Vec<usize> = parents.iter().filter(|_| n > 0).map(|p| p % n.max(1)).collect();
                    vertex(n, *time, &parents)
                })
                .collect();
            let graph = Graph::new(vertices.clone());
            prop_assert_eq!(graph.len(), vertices.len());
            for at in 0..graph.len() {
                let mut reachable = BTreeSet::new();
                let mut open = graph.vertex(at).parents.clone();
                while let Some(next) = open.pop() {
                    if reachable.insert(next) {
                        open.extend(vertices.iter().find(|v| v.id == next).unwrap().parents.clone());
                    }
                }
                for what in 0..graph.len() {
                    prop_assert_eq!(graph.has_seen(at, what), reachable.contains(&graph.vertex(what).id));
                }
            }
        }
    }
}
