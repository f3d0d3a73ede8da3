//! Who is told of a new head, and when.
//!
//! Up to [`limits::SYNC_HINTS_AT_ONCE`] peers hear of it at once. With more, some of them do, others for each head, and
//! the rest only hear if they have not said meanwhile that they have it: whoever gets an event tells its own neighbours,
//! so in a large mesh nearly everybody has it by then. Why there is no gossip layer: `docs/adr/0008`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::engine::Engine;
use crate::id::{AuthorKey, Head, LogId};
use crate::limits;

/// Logs whose new heads one peer is to be told.
#[derive(Debug, Default)]
pub(super) struct Hints {
    now: BTreeSet<LogId>,
    /// Told when due, unless it says before that it has them.
    later: BTreeMap<LogId, Duration>,
}

impl Hints {
    pub(super) fn insert(&mut self, log: LogId) {
        self.later.remove(&log);
        self.now.insert(log);
    }

    fn insert_later(&mut self, log: &LogId, due: Duration) {
        if !self.now.contains(log) {
            self.later.entry(log.clone()).or_insert(due);
        }
    }

    pub(super) fn remove(&mut self, log: &LogId) {
        self.now.remove(log);
        self.later.remove(log);
    }

    pub(super) fn extend(&mut self, logs: impl Iterator<Item = LogId>) {
        logs.for_each(|log| self.insert(log));
    }

    pub(super) fn clear(&mut self) {
        self.now.clear();
        self.later.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// The first of those that are to be told now.
    pub(super) fn take(&mut self, most: usize) -> Vec<LogId> {
        let mut taken = vec![];
        while taken.len() < most
            && let Some(log) = self.now.pop_first()
        {
            taken.push(log);
        }
        taken
    }

    fn take_due(&mut self, now: Duration) -> Vec<LogId> {
        let due: Vec<LogId> = self.later.iter().filter(|(_, at)| **at <= now).map(|(log, _)| log.clone()).collect();
        self.later.retain(|_, at| *at > now);
        due
    }
}

/// Whether the peer at this place, of so many, is among those that hear of a head at once. Head and teller decide where
/// they begin: each peer has its turn, and two tellers choose different ones.
fn at_once(place: usize, peers: usize, head: &Head, teller: &AuthorKey) -> bool {
    let number = |bytes: &[u8; 32]| usize::from(u16::from_be_bytes([bytes[30], bytes[31]]));
    let first = (number(head.id.as_bytes()) + number(teller.as_bytes())) % peers;
    (place + peers - first) % peers < limits::SYNC_HINTS_AT_ONCE
}

impl Engine {
    /// The store holds a log up to `head`: peers that lack it are told, peers that were ahead are compared anew.
    pub(super) fn advance(&mut self, now: Duration, log: &LogId, head: Head) {
        if !self.frontier.advance(log, head) {
            return;
        }
        self.ranges.set(log, head);
        self.digest = None;
        let keys: Vec<AuthorKey> = self.peers.keys().copied().collect();
        for (place, peer) in keys.iter().enumerate() {
            let Some(state) = self.peers.get_mut(peer) else { continue };
            let theirs = state.theirs.get(log).copied();
            if theirs.is_none_or(|theirs| theirs.seq < head.seq) {
                if at_once(place, keys.len(), &head, &self.own_key) {
                    state.hints.insert(log.clone());
                } else {
                    state.hints.insert_later(log, now + Duration::from_millis(limits::SYNC_LATER_HINTS_MS));
                }
            }
            if let Some(theirs) = theirs {
                self.compare(*peer, log, theirs);
            }
        }
    }

    /// Peers that have not said in time that they have a head are told of it.
    pub(super) fn tell_later_hints(&mut self, now: Duration) {
        for state in self.peers.values_mut() {
            for log in state.hints.take_due(now) {
                let theirs = state.theirs.get(&log).map_or(0, |head| head.seq);
                if theirs < self.frontier.height(&log) {
                    state.hints.insert(log);
                }
            }
        }
    }
}
