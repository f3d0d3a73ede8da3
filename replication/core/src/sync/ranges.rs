//! What a node holds, summed up range by range, so that two nodes find the logs in which they differ without naming
//! those in which they agree: range-based set reconciliation (Meyer, "Range-Based Set Reconciliation", 2023) over the
//! set of (log, head).
//!
//! A log's *key* is the first eight bytes of a hash of its id, so logs spread evenly and a range is a prefix of the
//! key. The sums of all ranges are kept up to date while heads rise; no round scans what did not change. A fingerprint
//! only steers: whether two frontiers are equal is decided by the digest over all heads, so whoever forges equal
//! fingerprints gains a delay and nothing else.

use std::collections::BTreeMap;

use crate::cbor::Writer;
use crate::event::domain_hash;
use crate::frame::write_log_id;
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
    /// Most bits: 32,768 ranges, two logs in each at the most logs that one peer may have.
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

    const fn of(key: Key, depth: u8) -> Self {
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

/// How many logs, and the sum of the hashes of their heads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    logs: u64,
    hashes: u128,
}

/// Heads of all logs with the sums of their ranges.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    sums: BTreeMap<Range, Sum>,
    /// By key. Two logs with one key are there only where somebody has searched for them.
    heads: BTreeMap<Key, BTreeMap<LogId, u128>>,
}

impl Ranges {
    /// A log has a new head.
    pub fn set(&mut self, log: &LogId, head: Head) {
        let (key, hash) = (key_of(log), hash_of(log, head));
        let before = self.heads.entry(key).or_default().insert(log.clone(), hash);
        for depth in (0..=Range::DEPTH_MAX).step_by(usize::from(Range::STEP)) {
            let sum = self.sums.entry(Range::of(key, depth)).or_default();
            sum.logs += u64::from(before.is_none());
            sum.hashes = sum.hashes.wrapping_sub(before.unwrap_or(0)).wrapping_add(hash);
        }
    }

    /// How many logs a range has.
    pub fn logs(&self, range: Range) -> u64 {
        self.sums.get(&range).map_or(0, |sum| sum.logs)
    }

    /// Eight bytes that are equal where two nodes hold the same heads of the same logs.
    pub fn fingerprint(&self, range: Range) -> u64 {
        let sum = self.sums.get(&range).copied().unwrap_or_default();
        first_eight(domain_hash("linli/range/1", &[&sum.logs.to_be_bytes(), &sum.hashes.to_be_bytes()]))
    }

    /// The logs of a range, in order of their keys.
    pub fn items(&self, range: Range) -> impl Iterator<Item = (Item, &LogId)> {
        let logs = self.heads.range(range.first_key()..=range.last_key());
        logs.flat_map(|(key, logs)| logs.iter().map(|(log, hash)| (Item { key: *key, head: (hash >> 64) as u64 }, log)))
    }

    /// The logs with a key.
    pub fn with_key(&self, key: Key) -> impl Iterator<Item = &LogId> {
        self.heads.get(&key).into_iter().flat_map(BTreeMap::keys)
    }
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

    fn of(heads: &BTreeMap<u64, u64>) -> Ranges {
        let mut ranges = Ranges::default();
        heads.iter().for_each(|(n, seq)| ranges.set(&log(*n), head(*seq)));
        ranges
    }

    proptest! {
        #[test]
        fn sums_depend_on_what_is_held_and_not_on_the_way_there(
            rises in proptest::collection::vec((0u64..40, 1u64..5), 0..120)
        ) {
            let (mut stepwise, mut last) = (Ranges::default(), BTreeMap::new());
            for (n, seq) in rises {
                stepwise.set(&log(n), head(seq));
                last.insert(n, seq);
            }
            let at_once = of(&last);
            for range in opening(100_000).into_iter().chain([Range::ALL]) {
                prop_assert_eq!(stepwise.fingerprint(range), at_once.fingerprint(range));
                prop_assert_eq!(stepwise.logs(range), stepwise.items(range).count() as u64);
            }
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
                let next: Vec<Range> = level.iter().filter(|r| ranges.logs(**r) > 0).filter_map(|r| r.split()).flatten().collect();
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
                let inside = ours.items(range).any(|(_, l)| *l == log(changed));
                prop_assert_eq!(ours.fingerprint(range) != theirs.fingerprint(range), inside);
            }
        }
    }

    #[test]
    fn an_opening_covers_everything_once_and_stays_short() {
        for logs in [0, 1, 33, 1_000, 10_000, 65_536] {
            let ranges = opening(logs);
            assert!(ranges.len() <= 512, "{logs}");
            assert_eq!(ranges.first().unwrap().first_key(), 0);
            assert_eq!(ranges.last().unwrap().last_key(), Key::MAX);
            assert!(ranges.windows(2).all(|pair| pair[0].last_key() + 1 == pair[1].first_key()));
        }
    }
}
