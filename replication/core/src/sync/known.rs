//! What is known of a peer's heads, as differences from ours.
//!
//! A copy of its frontier for each peer would cost peers times logs. So the places of all logs are divided into as many
//! *cells* as the finest ranges of a comparison. Of a cell we know that the peer holds what we hold, or we know nothing.
//! Beside that stand the logs of which we know something else. Peers that are equal cost four kilobytes, whatever they hold.
//!
//! What is not remembered is taken for not held, never the other way round: receipts count who holds what.

use std::collections::BTreeMap;

use super::ranges::{Key, Place, Range, Ranges, places};
use crate::frontier::Frontier;
use crate::id::Head;
use crate::limits;

/// Words of 64 cells each.
const WORDS: usize = (1 << Range::DEPTH_MAX) / 64;

/// The heads that a peer has, as far as it said.
#[derive(Debug)]
pub(super) struct Known {
    /// Cells in which the peer holds what we hold, one bit each.
    equal: Box<[u64; WORDS]>,
    /// Logs of which something else is known than their cell says. None: it holds nothing of a log, as far as we know.
    told: BTreeMap<Place, Option<Head>>,
    sums: Sums,
}

/// How far both sides are apart, over all logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    /// Logs in which the peer is ahead.
    logs_ahead: usize,
    /// Events that the peer has and we lack. A peer may claim almost 2⁶⁴ of each log.
    behind_events: u128,
    /// Events that we have and the peer, as far as we know, lacks.
    ahead_events: u128,
}

impl Known {
    /// Nothing is known of the peer of a node that holds so many events.
    pub(super) fn nothing(events: u64) -> Self {
        let sums = Sums { ahead_events: events.into(), ..Sums::default() };
        Self { equal: Box::new([0; WORDS]), told: BTreeMap::new(), sums }
    }

    /// The peer holds exactly what we hold.
    pub(super) fn all_equal(&mut self) {
        self.equal[..].fill(u64::MAX);
        self.told.clear();
        self.sums = Sums::default();
    }

    /// Events that the peer has and we lack.
    pub(super) fn behind_events(&self) -> u64 {
        u64::try_from(self.sums.behind_events).unwrap_or(u64::MAX)
    }

    /// Events that we have and the peer, as far as we know, lacks.
    pub(super) fn ahead_events(&self) -> u64 {
        u64::try_from(self.sums.ahead_events).unwrap_or(u64::MAX)
    }

    /// Logs in which the peer is ahead of us.
    pub(super) const fn logs_ahead(&self) -> usize {
        self.sums.logs_ahead
    }

    /// Logs of which something is remembered.
    #[cfg(test)]
    pub(super) fn logs_told(&self) -> usize {
        self.told.len()
    }

    /// The head that the peer has of a log, of which `ours` is our head.
    pub(super) fn head(&self, place: &Place, ours: Option<Head>) -> Option<Head> {
        self.told.get(place).copied().unwrap_or_else(|| ours.filter(|_| self.is_equal(place.0)))
    }

    /// The peer has a head, or none that we know. Whoever asks has seen that there is room, if it is ahead of ours.
    pub(super) fn tell(
        &mut self,
        place: Place,
        ours: Option<Head>,
        theirs: Option<Head>,
        ranges: &Ranges,
        heads: &Frontier,
    ) {
        let (key, before) = (place.0, self.head(&place, ours));
        self.sums = self.sums.without(Sums::of(ours, before)).with(Sums::of(ours, theirs));
        let by_cell = ours.filter(|_| self.is_equal(key));
        self.remember(place, by_cell, theirs);
        self.keep_few(key, ranges, heads);
    }

    /// Our head of a log rises from `before` to `ours`: what the peer has of it stays as it was.
    pub(super) fn rise(&mut self, place: Place, before: Option<Head>, ours: Head, ranges: &Ranges, heads: &Frontier) {
        let (key, theirs) = (place.0, self.head(&place, before));
        self.sums = self.sums.without(Sums::of(before, theirs)).with(Sums::of(Some(ours), theirs));
        let by_cell = Some(ours).filter(|_| self.is_equal(key));
        self.remember(place, by_cell, theirs);
        self.keep_few(key, ranges, heads);
    }

    /// The peer holds in a range exactly what we hold.
    pub(super) fn both_hold(&mut self, range: Range, ranges: &Ranges, heads: &Frontier) {
        self.sums = self.sums.without(self.sums_of(range, ranges, heads));
        for (place, _) in self.told_in(range) {
            self.told.remove(&place);
        }
        let (first, last) = (cell_of(range.first_key()), cell_of(range.last_key()));
        (first..=last).for_each(|cell| self.equal[cell / 64] |= 1 << (cell % 64));
    }

    fn remember(&mut self, place: Place, by_cell: Option<Head>, theirs: Option<Head>) {
        if theirs == by_cell {
            self.told.remove(&place);
        } else {
            self.told.insert(place, theirs);
        }
    }

    /// If too much that is not ahead of us is remembered, of the cell that is touched we know nothing any more but what is
    /// ahead.
    fn keep_few(&mut self, key: Key, ranges: &Ranges, heads: &Frontier) {
        if self.told.len().saturating_sub(self.sums.logs_ahead) <= limits::SYNC_TOLD_LOGS_PER_PEER {
            return;
        }
        let (range, cell) = (Range::of(key, Range::DEPTH_MAX), cell_of(key));
        self.sums = self.sums.without(self.sums_of(range, ranges, heads));
        for (place, theirs) in self.told_in(range) {
            if Sums::of(ours_of(heads, &place), theirs).logs_ahead == 0 {
                self.told.remove(&place);
            }
        }
        self.equal[cell / 64] &= !(1 << (cell % 64));
        self.sums = self.sums.with(self.sums_of(range, ranges, heads));
    }

    fn is_equal(&self, key: Key) -> bool {
        let cell = cell_of(key);
        self.equal[cell / 64] & 1 << (cell % 64) != 0
    }

    fn told_in(&self, range: Range) -> Vec<(Place, Option<Head>)> {
        self.told.range(places(range)).map(|(place, head)| (place.clone(), *head)).collect()
    }

    /// What a range contributes to the sums.
    fn sums_of(&self, range: Range, ranges: &Ranges, heads: &Frontier) -> Sums {
        let unknown = ranges.cells(range).filter(|(first, _)| !self.is_equal(*first)).map(|(_, events)| events);
        let mut sums = Sums { ahead_events: unknown.map(u128::from).sum(), ..Sums::default() };
        for (place, theirs) in self.told.range(places(range)) {
            let ours = ours_of(heads, place);
            if !self.is_equal(place.0) {
                sums = sums.without(Sums::of(ours, None));
            }
            sums = sums.with(Sums::of(ours, *theirs));
        }
        sums
    }
}

impl Sums {
    /// Of one log.
    fn of(ours: Option<Head>, theirs: Option<Head>) -> Self {
        let (ours, theirs) = (ours.map_or(0, |head| head.seq), theirs.map_or(0, |head| head.seq));
        let (behind, ahead) = (theirs.saturating_sub(ours), ours.saturating_sub(theirs));
        Self { logs_ahead: usize::from(behind > 0), behind_events: behind.into(), ahead_events: ahead.into() }
    }

    const fn with(self, other: Self) -> Self {
        Self {
            logs_ahead: self.logs_ahead + other.logs_ahead,
            behind_events: self.behind_events + other.behind_events,
            ahead_events: self.ahead_events + other.ahead_events,
        }
    }

    /// `other` was counted before.
    const fn without(self, other: Self) -> Self {
        Self {
            logs_ahead: self.logs_ahead - other.logs_ahead,
            behind_events: self.behind_events - other.behind_events,
            ahead_events: self.ahead_events - other.ahead_events,
        }
    }
}

fn ours_of(heads: &Frontier, place: &Place) -> Option<Head> {
    heads.head(place.1.as_deref()?)
}

const fn cell_of(key: Key) -> usize {
    (key >> (64 - Range::DEPTH_MAX)) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;

    use super::super::ranges::place_of;
    use super::*;
    use crate::id::{AuthorKey, EventId, LogId, Stream};
    use crate::testkit::{area, key};

    /// What a peer has, once as differences and once in full, beside what we have.
    struct Twice {
        heads: Frontier,
        ranges: Ranges,
        known: Known,
        in_full: BTreeMap<u64, Head>,
    }

    fn log(n: u64) -> LogId {
        static AUTHORS: LazyLock<Vec<AuthorKey>> = LazyLock::new(|| (0..5).map(|n| key(n).public()).collect());
        let author = AUTHORS[n as usize % AUTHORS.len()];
        LogId { stream: Stream::TEAMS, author, incarnation: n, area: area("320508005") }
    }

    fn head(seq: u64) -> Head {
        Head { seq, id: EventId::from_bytes([seq as u8; 32]) }
    }

    impl Twice {
        fn new() -> Self {
            let (heads, ranges) = (Frontier::new(), Ranges::default());
            Self { heads, ranges, known: Known::nothing(0), in_full: BTreeMap::new() }
        }

        fn we_rise(&mut self, n: u64, seq: u64) {
            let before = self.heads.head(&log(n));
            if self.heads.advance(&log(n), head(seq)) {
                let shared = Arc::clone(self.heads.shared(&log(n)).unwrap());
                self.ranges.set(&shared, before, head(seq));
                self.known.rise(place_of(&shared), before, head(seq), &self.ranges, &self.heads);
            }
        }

        fn it_tells(&mut self, n: u64, seq: u64) {
            self.in_full.insert(n, head(seq));
            let place = place_of(&Arc::new(log(n)));
            self.known.tell(place, self.heads.head(&log(n)), Some(head(seq)), &self.ranges, &self.heads);
        }

        fn equal_in(&mut self, range: Range) {
            self.known.both_hold(range, &self.ranges, &self.heads);
            for n in 0..40 {
                let place = place_of(&Arc::new(log(n)));
                if range.contains(place.0) {
                    self.in_full.remove(&n);
                    self.in_full.extend(self.heads.head(&log(n)).map(|ours| (n, ours)));
                }
            }
        }

        fn agree(&self) {
            let sums = (0..40).fold(Sums::default(), |sums, n| {
                let (ours, theirs) = (self.heads.head(&log(n)), self.in_full.get(&n).copied());
                assert_eq!(self.known.head(&place_of(&Arc::new(log(n))), ours), theirs, "log {n}");
                sums.with(Sums::of(ours, theirs))
            });
            assert_eq!(self.known.sums, sums);
        }
    }

    proptest! {
        #[test]
        fn differences_say_what_a_copy_would_say(acts in proptest::collection::vec((0u8..9, 0u64..40, 1u64..9), 1..120)) {
            let mut twice = Twice::new();
            for (act, n, seq) in acts {
                match act {
                    0..=3 => twice.we_rise(n, seq),
                    4..=6 => twice.it_tells(n, seq),
                    7 => twice.equal_in(Range::new(3, n % 8).unwrap()),
                    _ => {
                        twice.known.all_equal();
                        twice.in_full = (0..40).filter_map(|n| Some((n, twice.heads.head(&log(n))?))).collect();
                    }
                }
                twice.agree();
            }
        }
    }

    #[test]
    fn what_is_not_remembered_is_taken_for_not_held() {
        // Given a peer that is equal,
        let mut twice = Twice::new();
        let logs = limits::SYNC_TOLD_LOGS_PER_PEER as u64 + 500;
        (0..logs).for_each(|n| twice.we_rise(n, 1));
        twice.known.all_equal();
        // when more logs rise here than are remembered of it,
        (0..logs).for_each(|n| twice.we_rise(n, 3));
        // then memory is bounded, and it is thought to have less than it has and never more.
        assert!(twice.known.told.len() <= limits::SYNC_TOLD_LOGS_PER_PEER);
        let theirs = |n| twice.known.head(&place_of(&Arc::new(log(n))), Some(head(3)));
        assert!((0..logs).all(|n| theirs(n).is_none_or(|theirs| theirs.seq == 1)));
        assert!(twice.known.sums.ahead_events >= u128::from(2 * logs));
    }
}
