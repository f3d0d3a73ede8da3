//! What a node has: the head of every log it knows. The whole state of replication is a comparison of two of these.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use crate::id::{Head, LogId};

/// Heads by log, in order of replication priority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    heads: BTreeMap<LogId, Head>,
}

/// How two views of one log relate, as far as heads can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Same height, same head.
    Equal,
    /// They have more: from our height (0 if we lack the log) to theirs.
    Behind {
        /// Our height.
        ours: u64,
        /// Their height.
        theirs: u64,
    },
    /// We have more.
    Ahead,
    /// Same height, different heads: one author signed two histories.
    Forked,
}

impl Frontier {
    /// An empty frontier.
    pub fn new() -> Self {
        Self::default()
    }

    /// The head of a log, if anything of it is known.
    pub fn head(&self, log: &LogId) -> Option<Head> {
        self.heads.get(log).copied()
    }

    /// The height of a log; 0 if nothing of it is known.
    pub fn height(&self, log: &LogId) -> u64 {
        self.head(log).map_or(0, |head| head.seq)
    }

    /// Raises a log to `head`; a lower or equal height changes nothing. Says whether it rose.
    pub fn advance(&mut self, log: &LogId, head: Head) -> bool {
        match self.heads.entry(log.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(head);
                true
            }
            Entry::Occupied(mut known) if known.get().seq < head.seq => {
                known.insert(head);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// How our view of `log` relates to a head that somebody else reports.
    pub fn relation(&self, log: &LogId, theirs: Head) -> Relation {
        match self.head(log) {
            Some(ours) if ours == theirs => Relation::Equal,
            Some(ours) if ours.seq == theirs.seq => Relation::Forked,
            Some(ours) if ours.seq > theirs.seq => Relation::Ahead,
            ours => Relation::Behind { ours: ours.map_or(0, |head| head.seq), theirs: theirs.seq },
        }
    }

    /// All logs in order of priority.
    pub fn iter(&self) -> impl Iterator<Item = (&LogId, &Head)> {
        self.heads.iter()
    }

    /// Logs from a bound on, in order of priority.
    pub fn after<'f>(&'f self, from: Bound<&'f LogId>) -> impl Iterator<Item = (&'f LogId, &'f Head)> {
        self.heads.range::<LogId, _>((from, Bound::Unbounded))
    }

    /// Number of logs.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Number of events that the heads stand for.
    pub fn events(&self) -> u64 {
        self.heads.values().map(|head| head.seq).sum()
    }

    /// One hash over all heads: equal on two nodes exactly when they hold the same logs to the same ends.
    pub fn digest(&self) -> [u8; 32] {
        let mut w = crate::cbor::Writer::new();
        for (log, head) in &self.heads {
            crate::frame::write_log_id(&mut w, log);
            w.uint(head.seq).bytes(head.id.as_bytes());
        }
        crate::event::domain_hash("linli/frontier/1", &[&w.into_bytes()])
    }
}

impl FromIterator<(LogId, Head)> for Frontier {
    fn from_iter<T: IntoIterator<Item = (LogId, Head)>>(heads: T) -> Self {
        let mut frontier = Self::new();
        for (log, head) in heads {
            frontier.advance(&log, head);
        }
        frontier
    }
}
