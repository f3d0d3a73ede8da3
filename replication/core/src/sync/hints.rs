//! Who is told of a new head, and when.
//!
//! Up to [`limits::SYNC_HINTS_AT_ONCE`] peers hear of it at once. With more, some of them do, others for each head, and
//! the rest only hear if they have not said meanwhile that they have it: whoever gets an event tells its own neighbours,
//! so in a large mesh nearly everybody has it by then. Why there is no gossip layer: `docs/adr/0008`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Peer};
use super::ranges::place_of;
use crate::id::{AuthorKey, Head, LogId};
use crate::limits;

/// Logs whose new heads one peer is to be told.
#[derive(Debug, Default)]
pub(super) struct Hints {
    now: BTreeSet<Arc<LogId>>,
    /// Told when due, unless it says before that it has them.
    later: BTreeMap<Arc<LogId>, Duration>,
}

impl Hints {
    pub(super) fn insert(&mut self, log: Arc<LogId>) {
        self.later.remove(&log);
        self.now.insert(log);
    }

    fn insert_later(&mut self, log: &Arc<LogId>, due: Duration) {
        if !self.now.contains(log) {
            self.later.entry(Arc::clone(log)).or_insert(due);
        }
    }

    pub(super) fn remove(&mut self, log: &LogId) {
        self.now.remove(log);
        self.later.remove(log);
    }

    pub(super) fn extend(&mut self, logs: impl Iterator<Item = Arc<LogId>>) {
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
    pub(super) fn take(&mut self, most: usize) -> Vec<Arc<LogId>> {
        let mut taken = vec![];
        while taken.len() < most
            && let Some(log) = self.now.pop_first()
        {
            taken.push(log);
        }
        taken
    }

    fn take_due(&mut self, now: Duration) -> Vec<Arc<LogId>> {
        let due: Vec<Arc<LogId>> =
            self.later.iter().filter(|(_, at)| **at <= now).map(|(log, _)| log.clone()).collect();
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
        let before = self.frontier.head(log);
        if !self.frontier.advance(log, head) {
            return;
        }
        if !self.counts(log) {
            return self.stranger_rises(log);
        }
        let Some(log) = self.frontier.shared(log).cloned() else { return };
        let told = self.count_head(&log, before, head);
        let peers = told.len();
        for (place, (peer, theirs)) in told.into_iter().enumerate() {
            let at_once = at_once(place, peers, &head, &self.own_key);
            self.hint(now, peer, &log, theirs, head, at_once);
        }
    }

    /// A head of ours counts that did not, and what peers have of the log stays as it was. Returns it, by peer: what is
    /// remembered of each has its bound, and this log may be what is forgotten.
    pub(super) fn count_head(
        &mut self,
        log: &Arc<LogId>,
        before: Option<Head>,
        head: Head,
    ) -> Vec<(AuthorKey, Option<Head>)> {
        self.ranges.set(log, before, head);
        self.digest = None;
        let place = place_of(log);
        let (ranges, heads) = (&self.ranges, &self.frontier);
        let rise = |(peer, state): (&AuthorKey, &mut Peer)| {
            let theirs = state.known.head(&place, before);
            state.known.rise(place.clone(), before, head, ranges, heads);
            (*peer, theirs)
        };
        self.peers.iter_mut().map(rise).collect()
    }

    /// A peer that lacks a head is told, now or later, and one that said more of the log is compared anew.
    fn hint(
        &mut self,
        now: Duration,
        peer: AuthorKey,
        log: &Arc<LogId>,
        theirs: Option<Head>,
        head: Head,
        at_once: bool,
    ) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if theirs.is_none_or(|theirs| theirs.seq < head.seq) {
            if at_once {
                state.hints.insert(Arc::clone(log));
            } else {
                state.hints.insert_later(log, now + Duration::from_millis(limits::SYNC_LATER_HINTS_MS));
            }
        }
        if let Some(theirs) = theirs {
            self.compare(peer, log, theirs);
        }
    }

    /// Peers that have not said in time that they have a head are told of it.
    pub(super) fn tell_later_hints(&mut self, now: Duration) {
        for state in self.peers.values_mut() {
            for log in state.hints.take_due(now) {
                let ours = self.frontier.head(&log);
                let theirs = state.known.head(&place_of(&log), ours);
                if theirs.map_or(0, |head| head.seq) < ours.map_or(0, |head| head.seq) {
                    state.hints.insert(log);
                }
            }
        }
    }
}
