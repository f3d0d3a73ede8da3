//! What we lack, who has it, and from whom each log is being pulled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::{AuthorKey, LogId};
use crate::limits;

/// Logs of which somebody connected has more than we do, and the pulls that are under way.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// Peers that are ahead of us, by log, in order of priority.
    behind: BTreeMap<LogId, BTreeSet<AuthorKey>>,
    /// One pull per log at most.
    open: BTreeMap<LogId, Pull>,
    by_want: BTreeMap<u64, LogId>,
    /// Frames with the driver, by log, whoever sent them. A log is not pulled anew before they are settled.
    appending: BTreeMap<LogId, usize>,
    /// Logs to be left alone for a while, because our own store failed.
    not_before: BTreeMap<LogId, Duration>,
}

/// A want of ours that is open.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) peer: AuthorKey,
    pub(super) want: u64,
    /// Bytes that the peer may still send.
    pub(super) credit: i64,
    /// Our height when the want was opened.
    pub(super) from_height: u64,
    /// The peer has sent its last frame.
    pub(super) last: bool,
    /// Frames of this pull that are being appended.
    pub(super) appending: usize,
}

/// How many pulls a peer carries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    urgent: usize,
    others: usize,
}

impl Load {
    fn has_room(self, urgent: bool) -> bool {
        if urgent {
            self.urgent < limits::SYNC_URGENT_WANTS_PER_PEER
        } else {
            self.others < limits::SYNC_WANTS_PER_PEER
        }
    }

    fn add(&mut self, urgent: bool) {
        if urgent { self.urgent += 1 } else { self.others += 1 }
    }

    /// All pulls.
    pub(super) const fn total(self) -> usize {
        self.urgent + self.others
    }
}

const fn is_urgent(log: &LogId) -> bool {
    log.stream.code() < limits::SYNC_URGENT_STREAMS
}

impl Pulls {
    /// Notes whether a peer is ahead of us in a log.
    pub(super) fn set_ahead(&mut self, log: &LogId, peer: AuthorKey, ahead: bool) {
        if ahead {
            self.behind.entry(log.clone()).or_default().insert(peer);
        } else if let Some(peers) = self.behind.get_mut(log) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.behind.remove(log);
            }
        }
    }

    /// Forgets a peer: its pulls end and nothing of it is ahead any more.
    pub(super) fn forget_peer(&mut self, peer: &AuthorKey) {
        self.behind.retain(|_, peers| {
            peers.remove(peer);
            !peers.is_empty()
        });
        let ended: Vec<LogId> = self.open.iter().filter(|(_, p)| p.peer == *peer).map(|(log, _)| log.clone()).collect();
        for log in ended {
            self.close(&log);
        }
    }

    /// Chooses who should pull what now, in order of priority: each log that has no pull goes to the peer ahead of us
    /// that carries least.
    pub(super) fn assign(&self, now: Duration, peers: impl Iterator<Item = AuthorKey>) -> Vec<(LogId, AuthorKey)> {
        if self.behind.is_empty() {
            return vec![];
        }
        let mut loads: BTreeMap<AuthorKey, Load> = peers.map(|peer| (peer, Load::default())).collect();
        for (log, pull) in &self.open {
            loads.entry(pull.peer).or_default().add(is_urgent(log));
        }
        let mut others: usize = loads.values().map(|load| load.others).sum();
        let mut chosen = vec![];
        for (log, ahead) in &self.behind {
            let urgent = is_urgent(log);
            let full = !urgent && others >= limits::SYNC_WANTS_MAX;
            if full || !loads.values().any(|load| load.has_room(urgent)) {
                if urgent {
                    continue;
                }
                break;
            }
            let waits = self.not_before.get(log).is_some_and(|at| now < *at);
            if waits || self.open.contains_key(log) || self.appending.contains_key(log) {
                continue;
            }
            let with_room = |peer: &&AuthorKey| loads.get(peer).is_some_and(|load| load.has_room(urgent));
            let load_of = |peer: &&AuthorKey| (loads.get(peer).map_or(0, |load| load.total()), **peer);
            let Some(peer) = ahead.iter().filter(with_room).min_by_key(load_of).copied() else { continue };
            loads.entry(peer).or_default().add(urgent);
            others += usize::from(!urgent);
            chosen.push((log.clone(), peer));
        }
        chosen
    }

    /// Opens a pull.
    pub(super) fn open(&mut self, log: LogId, peer: AuthorKey, want: u64, from_height: u64) {
        self.not_before.remove(&log);
        self.by_want.insert(want, log.clone());
        let credit = limits::SYNC_CREDIT_BYTES as i64;
        self.open.insert(log, Pull { peer, want, credit, from_height, last: false, appending: 0 });
    }

    /// The open pull that a peer's answer belongs to.
    pub(super) fn by_want(&mut self, peer: &AuthorKey, want: u64) -> Option<(LogId, &mut Pull)> {
        let log = self.by_want.get(&want)?;
        let pull = self.open.get_mut(log).filter(|pull| pull.peer == *peer)?;
        Some((log.clone(), pull))
    }

    /// The open pull of a log.
    pub(super) fn get_mut(&mut self, log: &LogId) -> Option<&mut Pull> {
        self.open.get_mut(log)
    }

    /// Ends a pull and returns it.
    pub(super) fn close(&mut self, log: &LogId) -> Option<Pull> {
        let pull = self.open.remove(log)?;
        self.by_want.remove(&pull.want);
        Some(pull)
    }

    /// A frame of a log went to the driver.
    pub(super) fn append_begins(&mut self, log: &LogId) {
        *self.appending.entry(log.clone()).or_default() += 1;
    }

    /// The driver is done with a frame of a log.
    pub(super) fn append_ends(&mut self, log: &LogId) {
        if let Some(count) = self.appending.get_mut(log) {
            *count -= 1;
            if *count == 0 {
                self.appending.remove(log);
            }
        }
    }

    /// Leaves a log alone until then.
    pub(super) fn pause(&mut self, log: &LogId, until: Duration) {
        self.not_before.insert(log.clone(), until);
    }

    /// How many pulls a peer carries.
    pub(super) fn load(&self, peer: &AuthorKey) -> Load {
        let mut load = Load::default();
        for (log, _) in self.open.iter().filter(|(_, pull)| pull.peer == *peer) {
            load.add(is_urgent(log));
        }
        load
    }

    /// Whether a peer owes us an answer: it has credit for a want and has not finished it.
    pub(super) fn owes_answer(&self, peer: &AuthorKey) -> bool {
        self.open.values().any(|pull| pull.peer == *peer && pull.credit > 0 && !pull.last)
    }
}
