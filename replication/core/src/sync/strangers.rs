//! Logs of keys without a grant: how many and how much of them is taken, and from whom.
//!
//! Anybody can invent keys and sign logs with them. Such a log counts for nothing before its author has a grant, so it is
//! not offered to others: what nodes offer, and compare, are the logs of granted authors, and a member that invents logs
//! costs the nodes that it speaks to and nobody behind them. It is not refused outright either, because a grant may come
//! later than the first events: each peer may bring a little, which is charged to it for good, however often it connects.
//! What was not taken is asked for as soon as its author has a grant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::{Input, Output};
use crate::frontier::digest;
use crate::id::{AuthorKey, Head, LogId, Stream};
use crate::limits;

/// A log without a grant that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduced {
    /// The log.
    pub log: LogId,
    /// The peer that brought it; none for an import, or where it is not known any more.
    pub by: Option<AuthorKey>,
    /// Bytes that are charged for it: those of its frames, and [`limits::SYNC_STRANGER_LOG_BYTES`].
    pub bytes: u64,
}

/// What one peer has brought of logs without a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Logs in the store.
    pub logs: u64,
    /// Bytes that are charged for them.
    pub bytes: u64,
    /// Announcements of such logs that were not heeded since the start, because the quota was used up.
    pub refused: u64,
    /// Whether it is used up.
    pub full: bool,
}

/// How much an engine remembers and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most logs in which all peers together are remembered to be ahead.
    pub logs_ahead: usize,
    /// Most logs without a grant that one peer may bring.
    pub stranger_logs: u64,
    /// Most bytes of these.
    pub stranger_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            logs_ahead: limits::SYNC_LOGS_AHEAD_MAX,
            stranger_logs: limits::SYNC_STRANGER_LOGS_MAX,
            stranger_bytes: limits::SYNC_STRANGER_BYTES_MAX,
        }
    }
}

impl Bounds {
    /// Whether one who has brought so much may bring no more.
    const fn are_met_by(&self, quota: &Quota) -> bool {
        quota.logs >= self.stranger_logs || quota.bytes >= self.stranger_bytes
    }
}

/// Who has a grant, and what is here of those who have none.
#[derive(Debug)]
pub(super) struct Strangers {
    own_key: AuthorKey,
    pub(super) bounds: Bounds,
    /// None before anybody said: then all have one.
    granted: Option<Arc<BTreeSet<AuthorKey>>>,
    held: BTreeMap<LogId, (Option<AuthorKey>, u64)>,
    quotas: BTreeMap<Option<AuthorKey>, Quota>,
    /// Logs that people had removed. They are not taken again unless their author gets a grant.
    discarded: BTreeSet<LogId>,
}

impl Strangers {
    pub(super) fn new(own_key: AuthorKey) -> Self {
        Self {
            own_key,
            bounds: Bounds::default(),
            granted: None,
            held: BTreeMap::new(),
            quotas: BTreeMap::new(),
            discarded: BTreeSet::new(),
        }
    }

    /// Whether a log is compared and offered: its author has a grant, or is this node.
    pub(super) fn counts(&self, log: &LogId) -> bool {
        let granted = self.granted.as_ref();
        log.author == self.own_key || granted.is_none_or(|granted| granted.contains(&log.author))
    }

    fn may_bring(&self, peer: AuthorKey, log: &LogId) -> bool {
        let all = self.quotas.iter().filter(|(by, _)| by.is_some()).map(|(_, quota)| *quota);
        let (logs, bytes) = all.fold((0, 0), |(logs, bytes), quota| (logs + quota.logs, bytes + quota.bytes));
        let room_in_all = logs < limits::SYNC_STRANGER_LOGS_IN_ALL && bytes < limits::SYNC_STRANGER_BYTES_IN_ALL;
        let room = self.quotas.get(&Some(peer)).is_none_or(|quota| !self.bounds.are_met_by(quota));
        !self.discarded.contains(log) && room_in_all && room
    }

    fn refuse(&mut self, peer: AuthorKey) {
        let quota = self.quotas.entry(Some(peer)).or_default();
        quota.refused = quota.refused.saturating_add(1);
    }

    /// Notes a log that is here. Whoever is charged for it stays so.
    fn hold(&mut self, log: &LogId, by: Option<AuthorKey>, bytes: u64) -> Introduced {
        let before = self.release(log);
        let (by, bytes) = match before {
            Some((known, before)) => (known.or(by), before + bytes),
            None => (by, limits::SYNC_STRANGER_LOG_BYTES + bytes),
        };
        let quota = self.quotas.entry(by).or_default();
        (quota.logs, quota.bytes) = (quota.logs + 1, quota.bytes.saturating_add(bytes));
        self.held.insert(log.clone(), (by, bytes));
        Introduced { log: log.clone(), by, bytes }
    }

    /// A log is gone, or its author has a grant.
    fn release(&mut self, log: &LogId) -> Option<(Option<AuthorKey>, u64)> {
        let (by, bytes) = self.held.remove(log)?;
        if let Some(quota) = self.quotas.get_mut(&by) {
            (quota.logs, quota.bytes) = (quota.logs.saturating_sub(1), quota.bytes.saturating_sub(bytes));
        }
        Some((by, bytes))
    }
}

impl Engine {
    /// Tells a new engine what its store knows of logs without a grant.
    #[must_use]
    pub fn with_strangers(
        mut self,
        held: impl IntoIterator<Item = Introduced>,
        discarded: impl IntoIterator<Item = LogId>,
    ) -> Self {
        for Introduced { log, by, bytes } in held {
            if self.frontier.head(&log).is_some() {
                self.strangers.hold(&log, by, bytes.saturating_sub(limits::SYNC_STRANGER_LOG_BYTES));
            }
        }
        self.strangers.discarded.extend(discarded);
        self
    }

    /// What each peer has brought of logs without a grant. None stands for imports, and for what came before it was noted.
    pub fn quotas(&self) -> impl Iterator<Item = (Option<AuthorKey>, Quota)> {
        let full = |quota: &Quota| self.strangers.bounds.are_met_by(quota);
        self.strangers.quotas.iter().map(move |(by, quota)| (*by, Quota { full: full(quota), ..*quota }))
    }

    /// Logs without a grant that a peer brought and that nothing is being appended to.
    pub fn brought_by(&self, peer: Option<AuthorKey>) -> Vec<LogId> {
        let held = self.strangers.held.iter().filter(|(_, (by, _))| *by == peer).map(|(log, _)| log);
        held.filter(|log| !self.pulls.is_appending(log)).cloned().collect()
    }

    /// Whether a log is compared and offered: its author has a grant, or is this node.
    pub(super) fn counts(&self, log: &LogId) -> bool {
        self.strangers.counts(log)
    }

    /// A hash over the heads of all logs that count.
    pub(super) fn digest_of_heads(&self) -> [u8; 32] {
        if self.strangers.held.is_empty() {
            return self.frontier.digest();
        }
        digest(|| self.frontier.iter().filter(|(log, _)| self.counts(log)))
    }

    /// A log that does not count has risen in the store.
    pub(super) fn stranger_rises(&mut self, log: &LogId) {
        if !self.strangers.held.contains_key(log) {
            self.strangers.hold(log, None, 0);
        }
        let height = self.frontier.height(log);
        let peers: Vec<AuthorKey> = self.peers.keys().copied().collect();
        for peer in peers {
            let Some(theirs) = self.peers.get(&peer).and_then(|state| state.strange.get(log)) else { continue };
            let missing = theirs.seq.saturating_sub(height);
            self.pulls.set_stranger_ahead(log, peer, missing);
            if let (0, Some(state)) = (missing, self.peers.get_mut(&peer)) {
                state.strange.remove(log);
            }
        }
    }

    /// A peer has a log that does not count: it is taken while the peer may bring more of these.
    pub(super) fn learn_stranger(&mut self, peer: AuthorKey, log: LogId, head: Head) {
        let height = self.frontier.height(&log);
        let Some(state) = self.peers.get_mut(&peer).filter(|_| head.seq > height) else { return };
        if !self.strangers.may_bring(peer, &log) {
            return self.strangers.refuse(peer);
        }
        let known = state.strange.get(&log).map(|known| known.seq);
        // Without the charter nobody would ever get a grant.
        let share = if log.stream == Stream::CHARTER { 2 } else { 1 };
        let room = known.is_some() || state.strange.len() < limits::SYNC_STRANGERS_TOLD_PER_PEER * share;
        if room && known.is_none_or(|known| known < head.seq) {
            state.strange.insert(log.clone(), head);
            self.pulls.set_stranger_ahead(&log, peer, head.seq - height);
        }
    }

    /// Whether a log may be pulled from a peer now. What it may not bring is forgotten.
    pub(super) fn may_pull(&mut self, log: &LogId, peer: AuthorKey) -> bool {
        if self.counts(log) || self.strangers.may_bring(peer, log) {
            return true;
        }
        self.forget_stranger(log, peer);
        self.strangers.refuse(peer);
        false
    }

    /// A peer is not asked for a log that does not count before it announces it again.
    pub(super) fn forget_stranger(&mut self, log: &LogId, peer: AuthorKey) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.strange.remove(log);
        }
        self.pulls.set_stranger_ahead(log, peer, 0);
    }

    /// A frame of a log without a grant is durable. Says whether its bringer may go on.
    pub(super) fn charge(&mut self, log: &LogId, peer: AuthorKey, bytes: u64) -> bool {
        if self.counts(log) {
            return true;
        }
        let introduced = self.strangers.hold(log, Some(peer), bytes);
        self.outputs.push(Output::Introduced(introduced));
        let may_go_on = self.strangers.may_bring(peer, log);
        if !may_go_on {
            self.forget_stranger(log, peer);
        }
        may_go_on
    }

    /// Others have grants than before. What is here of the authors is offered, or not any more, and everybody is asked
    /// what they have of them.
    pub(super) fn on_granted(&mut self, now: Duration, authors: Arc<BTreeSet<AuthorKey>>) {
        if self.strangers.granted.as_ref() == Some(&authors) {
            return;
        }
        let before = self.strangers.granted.replace(authors);
        let lost = before.is_none_or(|before| !before.is_subset(self.strangers.granted.as_deref().unwrap_or(&before)));
        if lost {
            self.recount();
        } else {
            self.count_granted();
        }
        self.digest = None;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.learn_again(peer);
            self.compare_anew(now, peer);
        }
    }

    /// Somebody lost a grant, or nobody had said who has one: everything is summed up anew.
    fn recount(&mut self) {
        self.ranges = Default::default();
        let (mut count, mut hold) = (vec![], vec![]);
        for (log, head) in self.frontier.iter_shared() {
            if self.counts(log) { count.push((Arc::clone(log), *head)) } else { hold.push(Arc::clone(log)) }
        }
        count.iter().for_each(|(log, head)| self.ranges.set(log, None, *head));
        for (log, _) in &count {
            self.strangers.release(log);
        }
        for log in hold.iter().filter(|log| !self.strangers.held.contains_key(log)).collect::<Vec<_>>() {
            self.strangers.hold(log, None, 0);
        }
        // What was known stood beside other heads of ours.
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.forget_heads(peer);
        }
    }

    /// What is here of those who have a grant now counts from here on.
    fn count_granted(&mut self) {
        let counting: Vec<LogId> = self.strangers.held.keys().filter(|log| self.counts(log)).cloned().collect();
        for log in counting {
            self.strangers.release(&log);
            if let (Some(head), Some(shared)) = (self.frontier.head(&log), self.frontier.shared(&log).cloned()) {
                self.count_head(&shared, None, head);
            }
        }
    }

    /// Heads that a peer told of authors who have a grant now.
    fn learn_again(&mut self, peer: AuthorKey) {
        let granted = &self.strangers;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let told = std::mem::take(&mut state.strange);
        let (again, strange) = told.into_iter().partition(|(log, _)| granted.counts(log));
        state.strange = strange;
        for (log, head) in again {
            self.pulls.set_stranger_ahead(&log, peer, 0);
            self.learn(peer, log, head);
        }
    }

    /// People had logs removed that do not count. They are not taken again while their authors have no grant.
    pub(super) fn on_discarded(&mut self, logs: Vec<LogId>) {
        for log in logs {
            if self.counts(&log) {
                continue;
            }
            self.abandon_pull(&log);
            self.frontier.remove(&log);
            self.strangers.release(&log);
            for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                self.forget_stranger(&log, peer);
            }
            self.strangers.discarded.insert(log);
        }
    }
}

impl Input {
    /// Everybody with a grant: what an engine must hear before it tells strangers' logs from others.
    pub fn granted(authors: impl IntoIterator<Item = AuthorKey>) -> Self {
        Self::Granted { authors: Arc::new(authors.into_iter().collect()) }
    }
}
