//! What a node has: the head of every log it knows. The whole state of replication is a comparison of two of these.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::id::{Head, LogId};

/// Heads by log, in order of replication priority. Names of logs are shared with copies and with whoever asks: a district
/// may have a million.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    heads: BTreeMap<Arc<LogId>, Head>,
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
        match self.heads.get_mut(log) {
            Some(known) if known.seq >= head.seq => return false,
            Some(known) => *known = head,
            None => drop(self.heads.insert(Arc::new(log.clone()), head)),
        }
        true
    }

    /// Forgets a log; gives the head that it had.
    pub fn remove(&mut self, log: &LogId) -> Option<Head> {
        self.heads.remove(log)
    }

    /// The log's name, shared.
    pub(crate) fn shared(&self, log: &LogId) -> Option<&Arc<LogId>> {
        self.heads.get_key_value(log).map(|(log, _)| log)
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
        self.heads.iter().map(|(log, head)| (&**log, head))
    }

    /// All logs in order of priority, by their shared names.
    pub(crate) fn iter_shared(&self) -> impl Iterator<Item = (&Arc<LogId>, &Head)> {
        self.heads.iter()
    }

    /// Logs from a bound on, in order of priority.
    pub fn after<'f>(&'f self, from: Bound<&'f LogId>) -> impl Iterator<Item = (&'f LogId, &'f Head)> {
        self.heads.range::<LogId, _>((from, Bound::Unbounded)).map(|(log, head)| (&**log, head))
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
        digest(|| self.iter())
    }
}

/// The hash of [`Frontier::digest`] over heads in order of priority. They are walked twice, for their length stands before
/// them, and never written down in one piece: those of a million logs are 100 MB.
pub(crate) fn digest<'f, I: Iterator<Item = (&'f LogId, &'f Head)>>(heads: impl Fn() -> I) -> [u8; 32] {
    let item = |(log, head): (&LogId, &Head)| {
        let mut w = crate::cbor::Writer::new();
        crate::frame::write_log_id(&mut w, log);
        w.uint(head.seq).bytes(head.id.as_bytes());
        w.into_bytes()
    };
    let bytes: usize = heads().map(|head| item(head).len()).sum();
    crate::event::domain_hash_of("linli/frontier/1", bytes as u64, heads().map(item))
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
