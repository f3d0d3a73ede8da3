//! What a node holds, summed up range by range, so that two nodes find the logs in which they differ without naming
//! those in which they agree: range-based set reconciliation (Meyer, "Range-Based Set Reconciliation", 2023) over the
//! set of (log, head).
//!
//! A log's *key* is the first eight bytes of a hash of its id, so logs spread evenly and a range is a prefix of the
//! key. The sums of all ranges are kept up to date while heads rise; no round scans what did not change. A fingerprint
//! only steers: whether two frontiers are equal is decided by the digest over all heads, so whoever forges equal
//! fingerprints gains a delay and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::cbor::Writer;
use crate::event::domain_hash;
use crate::frame::write_log_id;
use crate::frontier::Frontier;
use crate::id::{Head, LogId};
use crate::limits;

/// Place of a log among all logs: the first eight bytes of the hash of its id, big endian.
pub type Key = u64;

/// All logs whose keys begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    depth: u8,
    prefix: u64,
}

/// What a node says of one log when ranges differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The log's key.
    pub key: Key,
    /// The first eight bytes of a hash of the log and its head.
    pub head: u64,
}

impl Range {
    /// Bits by which a range is split: into eight.
    pub const STEP: u8 = 3;
    /// Most bits: 32,768 ranges, with 30 logs in each where there are a million.
    pub const DEPTH_MAX: u8 = 15;
    /// Everything.
    pub const ALL: Self = Self { depth: 0, prefix: 0 };

    /// Checks the shape of a range from outside.
    pub const fn new(depth: u8, prefix: u64) -> Option<Self> {
        let fits = depth <= Self::DEPTH_MAX && depth.is_multiple_of(Self::STEP) && prefix < 1 << depth;
        if fits { Some(Self { depth, prefix }) } else { None }
    }

    /// How many bits: a multiple of [`Range::STEP`], at most [`Range::DEPTH_MAX`].
    pub const fn depth(self) -> u8 {
        self.depth
    }

    /// The bits.
    pub const fn prefix(self) -> u64 {
        self.prefix
    }

    pub(super) const fn of(key: Key, depth: u8) -> Self {
        Self { depth, prefix: if depth == 0 { 0 } else { key >> (64 - depth) } }
    }

    pub(super) const fn first_key(self) -> Key {
        if self.depth == 0 { 0 } else { self.prefix << (64 - self.depth) }
    }

    pub(super) const fn last_key(self) -> Key {
        if self.depth == 0 { Key::MAX } else { self.first_key() | (Key::MAX >> self.depth) }
    }

    /// Whether a key begins with these bits.
    pub const fn contains(self, key: Key) -> bool {
        self.first_key() <= key && key <= self.last_key()
    }

    /// So many ranges side by side, from this one on.
    pub fn run(self, len: usize) -> impl Iterator<Item = Self> {
        (self.prefix..).take(len).map(move |prefix| Self { depth: self.depth, prefix })
    }

    /// The eight ranges that make up this one, unless it is as deep as ranges go.
    pub fn split(self) -> Option<impl Iterator<Item = Self>> {
        let first = Self { depth: self.depth + Self::STEP, prefix: self.prefix << Self::STEP };
        (first.depth <= Self::DEPTH_MAX).then(|| first.run(1 << Self::STEP))
    }
}

/// Where a log stands among all logs: by its key, and by its name where two have one key. Without a name, before all of
/// that key.
pub(super) type Place = (Key, Option<Arc<LogId>>);

/// How many logs, how many events their heads stand for, and the sum of the hashes of their heads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    logs: u64,
    events: u64,
    hashes: u128,
}

/// The logs of a frontier by their keys, with the sums of their ranges. What their heads are, the frontier knows.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    sums: BTreeMap<Range, Sum>,
    /// Two logs with one key are there only where somebody has searched for them.
    logs: BTreeSet<Place>,
}

impl Ranges {
    /// A log has a new head, and had one `before`, or none.
    pub fn set(&mut self, log: &Arc<LogId>, before: Option<Head>, head: Head) {
        let key = key_of(log);
        self.logs.insert((key, Some(Arc::clone(log))));
        let (old, new) = (before.map_or(0, |before| hash_of(log, before)), hash_of(log, head));
        self.change(key, |sum| {
            sum.logs += u64::from(before.is_none());
            sum.events = sum.events.wrapping_sub(before.map_or(0, |before| before.seq)).wrapping_add(head.seq);
            sum.hashes = sum.hashes.wrapping_sub(old).wrapping_add(new);
        });
    }

    fn change(&mut self, key: Key, change: impl Fn(&mut Sum)) {
        for depth in (0..=Range::DEPTH_MAX).step_by(usize::from(Range::STEP)) {
            change(self.sums.entry(Range::of(key, depth)).or_default());
        }
    }

    /// How many logs a range has.
    pub fn logs(&self, range: Range) -> u64 {
        self.sums.get(&range).map_or(0, |sum| sum.logs)
    }

    /// How many events the heads of a range stand for.
    pub(super) fn events(&self, range: Range) -> u64 {
        self.sums.get(&range).map_or(0, |sum| sum.events)
    }

    /// The finest ranges within a range that ever had a log: the first key of each, and its events.
    pub(super) fn cells(&self, range: Range) -> impl Iterator<Item = (Key, u64)> {
        let cells = [range.first_key(), range.last_key()].map(|key| Range::of(key, Range::DEPTH_MAX));
        self.sums.range(cells[0]..=cells[1]).map(|(cell, sum)| (cell.first_key(), sum.events))
    }

    /// Eight bytes that are equal where two nodes hold the same heads of the same logs.
    pub fn fingerprint(&self, range: Range) -> u64 {
        let sum = self.sums.get(&range).copied().unwrap_or_default();
        first_eight(domain_hash("linli/range/1", &[&sum.logs.to_be_bytes(), &sum.hashes.to_be_bytes()]))
    }

    /// The logs of a range, in order of their keys, with what is said of them when ranges differ.
    pub fn items<'r>(&'r self, range: Range, heads: &'r Frontier) -> impl Iterator<Item = (Item, &'r Arc<LogId>)> {
        self.logs.range(places(range)).filter_map(|(key, log)| {
            let log = log.as_ref()?;
            let head = (hash_of(log, heads.head(log)?) >> 64) as u64;
            Some((Item { key: *key, head }, log))
        })
    }

    /// The logs with a key.
    pub fn with_key(&self, key: Key) -> impl Iterator<Item = &Arc<LogId>> {
        let end = key.checked_add(1).map_or(Bound::Unbounded, |next| Bound::Excluded((next, None)));
        self.logs.range((Bound::Included((key, None)), end)).filter_map(|(_, log)| log.as_ref())
    }
}

/// The places of a range.
pub(super) fn places(range: Range) -> (Bound<Place>, Bound<Place>) {
    let end = range.last_key().checked_add(1);
    (Bound::Included((range.first_key(), None)), end.map_or(Bound::Unbounded, |next| Bound::Excluded((next, None))))
}

/// The place of a log.
pub(super) fn place_of(log: &Arc<LogId>) -> Place {
    (key_of(log), Some(Arc::clone(log)))
}

/// The ranges with which a comparison of so many logs begins: some thirty logs in each, or as many ranges as are worth
/// one message.
pub fn opening(logs: u64) -> Vec<Range> {
    let mut ranges = vec![Range::ALL];
    while let Some(range) = ranges.first() {
        if range.depth >= limits::SYNC_OPENING_DEPTH_MAX || logs >> range.depth <= limits::SYNC_LOGS_PER_RANGE {
            break;
        }
        ranges = ranges.into_iter().filter_map(Range::split).flatten().collect();
    }
    ranges
}

fn key_of(log: &LogId) -> Key {
    let mut w = Writer::new();
    write_log_id(&mut w, log);
    first_eight(domain_hash("linli/log-key/1", &[&w.into_bytes()]))
}

fn hash_of(log: &LogId, head: Head) -> u128 {
    let mut w = Writer::new();
    write_log_id(&mut w, log);
    let hash = domain_hash("linli/head/1", &[&w.into_bytes(), &head.seq.to_be_bytes(), head.id.as_bytes()]);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = hash;
    u128::from_be_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}

const fn first_eight(hash: [u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{EventId, Stream};
    use crate::testkit::{area, key};

    fn log(n: u64) -> LogId {
        let stream = Stream::from_code(n % 9).unwrap();
        LogId { stream, author: key((n % 50) as u16).public(), incarnation: n, area: area("320508005") }
    }

    fn head(seq: u64) -> Head {
        Head { seq, id: EventId::from_bytes([seq as u8; 32]) }
    }

    /// A frontier and its sums.
    #[derive(Default)]
    struct Held(Frontier, Ranges);

    impl Held {
        fn rise(&mut self, n: u64, seq: u64) {
            let before = self.0.head(&log(n));
            if self.0.advance(&log(n), head(seq)) {
                self.1.set(self.0.shared(&log(n)).unwrap(), before, head(seq));
            }
        }

        fn items(&self, range: Range) -> Vec<(Item, LogId)> {
            self.1.items(range, &self.0).map(|(item, log)| (item, (**log).clone())).collect()
        }
    }

    fn of(heads: &BTreeMap<u64, u64>) -> Held {
        let mut held = Held::default();
        heads.iter().for_each(|(n, seq)| held.rise(*n, *seq));
        held
    }

    proptest! {
        #[test]
        fn sums_depend_on_what_is_held_and_not_on_the_way_there(
            rises in proptest::collection::vec((0u64..40, 1u64..5), 0..120)
        ) {
            let (mut stepwise, mut highest) = (Held::default(), BTreeMap::<u64, u64>::new());
            for (n, seq) in rises {
                stepwise.rise(n, seq);
                let known = highest.entry(n).or_default();
                *known = seq.max(*known);
            }
            let at_once = of(&highest);
            for range in opening(100_000).into_iter().chain([Range::ALL]) {
                prop_assert_eq!(stepwise.1.fingerprint(range), at_once.1.fingerprint(range));
                prop_assert_eq!(stepwise.1.logs(range), stepwise.items(range).len() as u64);
            }
            prop_assert_eq!(stepwise.1.events(Range::ALL), stepwise.0.events());
        }

        #[test]
        fn the_parts_of_a_range_hold_what_it_holds(logs in proptest::collection::btree_map(any::<u64>(), 1u64..9, 0..80)) {
            let ranges = of(&logs);
            let mut level = vec![Range::ALL];
            loop {
                let parts = |range: &Range| range.split().into_iter().flatten().flat_map(|part| ranges.items(part));
                for range in level.iter().filter(|range| range.depth < Range::DEPTH_MAX) {
                    prop_assert!(parts(range).eq(ranges.items(*range)), "{:?}", range);
                }
                let next: Vec<Range> = level.iter().filter(|r| ranges.1.logs(**r) > 0).filter_map(|r| r.split()).flatten().collect();
                if next.is_empty() { break }
                level = next;
            }
        }

        #[test]
        fn a_head_that_differs_shows_in_every_range_around_it(logs in 1u64..60, at in any::<prop::sample::Index>()) {
            let mut heads: BTreeMap<u64, u64> = (0..logs).map(|n| (n, 1)).collect();
            let ours = of(&heads);
            let changed = at.index(heads.len()) as u64;
            heads.insert(changed, 2);
            let theirs = of(&heads);
            for range in opening(100_000).into_iter().chain([Range::ALL]) {
                let inside = ours.items(range).iter().any(|(_, l)| *l == log(changed));
                prop_assert_eq!(ours.1.fingerprint(range) != theirs.1.fingerprint(range), inside);
            }
        }
    }

    #[test]
    fn an_opening_covers_everything_once_and_stays_short() {
        for logs in [0, 1, 33, 1_000, 10_000, 65_536, 1_000_000] {
            let ranges = opening(logs);
            assert!(ranges.len() <= 512, "{logs}");
            assert_eq!(ranges.first().unwrap().first_key(), 0);
            assert_eq!(ranges.last().unwrap().last_key(), Key::MAX);
            assert!(ranges.windows(2).all(|pair| pair[0].last_key() + 1 == pair[1].first_key()));
        }
    }
}
