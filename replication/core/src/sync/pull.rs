//! What we lack, who has it, and from whom each log is being pulled.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::Violation;
use crate::id::{AuthorKey, LogId, Stream};
use crate::limits;

/// Logs of which somebody connected has more than we do, and the pulls that are under way.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// Who is ahead of us, by log, in order of priority.
    behind: BTreeMap<Arc<LogId>, Behind>,
    /// Of these the logs that may be pulled now, by peer: those that are neither pulled, nor being appended, nor left
    /// alone. Whoever announces tens of thousands of logs must not make every input a pass over them.
    urgent: Ready,
    others: Ready,
    strange: Ready,
    /// Logs that a peer was asked for and withheld while another had them. It is asked for them last.
    withheld: BTreeMap<AuthorKey, BTreeSet<LogId>>,
    /// One pull per log at most.
    open: BTreeMap<LogId, Pull>,
    by_want: BTreeMap<u64, LogId>,
    /// Frames with the driver, by log, whoever sent them. A log is not pulled anew before they are settled.
    appending: BTreeMap<LogId, usize>,
    /// Logs to be left alone for a while, because our own store failed, and the same in order of time.
    paused: BTreeMap<LogId, Duration>,
    wakes: BTreeSet<(Duration, LogId)>,
}

/// Logs by peer; no peer without any.
type Ready = BTreeMap<AuthorKey, BTreeSet<Arc<LogId>>>;

/// Peers that are ahead of us in a log, in order, and by how many events.
#[derive(Debug, Default)]
struct Behind {
    peers: Vec<(AuthorKey, u64)>,
    /// Its author has no grant.
    stranger: bool,
}

impl Behind {
    fn set(&mut self, peer: AuthorKey, missing: u64) {
        match (self.peers.binary_search_by_key(&peer, |(peer, _)| *peer), missing) {
            (Ok(at), 0) => drop(self.peers.remove(at)),
            (Ok(at), missing) => self.peers[at].1 = missing,
            (Err(_), 0) => {}
            (Err(at), missing) => self.peers.insert(at, (peer, missing)),
        }
    }
}

/// In which order logs are pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Charter and alerts.
    Urgent,
    Other,
    /// Of keys without a grant, the charter excepted: without it nobody would ever get one.
    Strange,
}

impl Class {
    fn of(log: &LogId, stranger: bool) -> Self {
        match is_urgent(log) {
            true if !stranger || log.stream == Stream::CHARTER => Self::Urgent,
            _ if stranger => Self::Strange,
            _ => Self::Other,
        }
    }
}

/// A want of ours that is open.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) peer: AuthorKey,
    pub(super) want: u64,
    /// Bytes that the peer may still send. A frame may begin while there are any, and takes all that it is long: below
    /// zero is owed. If either side forgave that, they would disagree on what is allowed.
    pub(super) credit: i64,
    /// Credit that it was given at first.
    first_credit: u64,
    class: Class,
    /// Our height when the want was opened.
    pub(super) from_height: u64,
    /// Our height after the last frame of this pull: a frame that leaves it there brought nothing.
    pub(super) height: u64,
    /// When it was asked for or last brought a frame.
    pub(super) answered: Duration,
    /// The peer has sent its last frame.
    pub(super) last: bool,
    /// The beginning of a frame that comes in parts.
    pub(super) begun: Vec<u8>,
    /// Frames of this pull that are being appended.
    pub(super) appending: usize,
    /// Positions whose payloads are asked for; none in a pull of events.
    pub(super) fill: Option<Vec<u64>>,
}

impl Pull {
    /// Takes a piece of a frame. Gives the whole frame at its `end`, and whether it is the last of this pull. A frame
    /// that was begun may be finished beyond the credit.
    ///
    /// # Errors
    /// What the peer may not do.
    pub(super) fn take(
        &mut self,
        now: Duration,
        piece: Vec<u8>,
        end: Option<bool>,
    ) -> Result<Option<(bool, Vec<u8>)>, Violation> {
        if self.last || (self.credit <= 0 && self.begun.is_empty()) {
            return Err(Violation::CreditOverrun);
        }
        if self.begun.len() + piece.len() > limits::FRAME_BYTES_MAX {
            return Err(Violation::FrameTooLong);
        }
        let bytes = piece.len() as u64;
        let counted = if self.begun.is_empty() { bytes.max(limits::SYNC_FRAME_BYTES_LEAST) } else { bytes };
        self.credit = self.credit.saturating_sub(signed(counted));
        self.answered = now;
        if end.is_some() && self.begun.is_empty() {
            return Ok(end.map(|last| (last, piece)));
        }
        self.begun.extend(piece);
        Ok(end.map(|last| (last, std::mem::take(&mut self.begun))))
    }
}

/// What a peer, or all together, carries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    urgent: usize,
    others: usize,
    strange: usize,
    /// Credit that those that are not urgent were given at first.
    bytes: u64,
}

/// What all peers together may carry, without the charter and alerts.
const IN_ALL: Load = Load {
    urgent: usize::MAX,
    others: limits::SYNC_WANTS_MAX,
    strange: limits::SYNC_STRANGER_WANTS_MAX,
    bytes: limits::SYNC_WANTED_BYTES_MAX,
};

/// What one peer may carry.
const PER_PEER: Load = Load {
    urgent: limits::SYNC_URGENT_WANTS_PER_PEER,
    others: limits::SYNC_WANTS_PER_PEER,
    strange: limits::SYNC_STRANGER_WANTS_PER_PEER,
    bytes: limits::SYNC_WANTED_BYTES_PER_PEER,
};

impl Load {
    const fn is_below(self, most: Self, class: Class) -> bool {
        // Those of strangers take their places from the others.
        let others = self.others + self.strange < most.others && self.bytes < most.bytes;
        match class {
            Class::Urgent => self.urgent < most.urgent,
            Class::Other => others,
            Class::Strange => others && self.strange < most.strange,
        }
    }

    const fn add(&mut self, class: Class, bytes: u64) {
        match class {
            Class::Urgent => return self.urgent += 1,
            Class::Other => self.others += 1,
            Class::Strange => self.strange += 1,
        }
        self.bytes += bytes;
    }

    /// All pulls.
    pub(super) const fn total(self) -> usize {
        self.urgent + self.others + self.strange
    }
}

/// Credit for a pull that lacks so many events: many short ones may be under way where one long one is.
const fn first_credit(missing: u64) -> u64 {
    if missing <= limits::SYNC_SHORT_WANT_EVENTS { limits::SYNC_SHORT_CREDIT_BYTES } else { limits::SYNC_CREDIT_BYTES }
}

/// A number of bytes, all far below what an `i64` takes.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// How long a pull may bring nothing, in milliseconds, if that holds up somebody else's events: warnings shortly, others
/// for the time in which a peer must answer at all.
pub(super) const fn patience_ms(log: &LogId) -> u64 {
    if is_urgent(log) { limits::SYNC_URGENT_PATIENCE_MS } else { limits::SYNC_ANSWER_TIMEOUT_MS }
}

const fn is_urgent(log: &LogId) -> bool {
    log.stream.code() < limits::SYNC_URGENT_STREAMS
}

impl Pulls {
    /// Notes how many events of a log a peer has that we lack.
    pub(super) fn set_ahead(&mut self, log: &LogId, peer: AuthorKey, missing: u64) {
        self.set_behind(log, peer, missing, false);
    }

    /// The same of a log whose author has no grant.
    pub(super) fn set_stranger_ahead(&mut self, log: &LogId, peer: AuthorKey, missing: u64) {
        self.set_behind(log, peer, missing, true);
    }

    fn set_behind(&mut self, log: &LogId, peer: AuthorKey, missing: u64, stranger: bool) {
        let known = self.behind.get_key_value(log).map(|(log, behind)| (Arc::clone(log), behind.stranger));
        if known.is_none() && missing == 0 {
            return;
        }
        let (log, was) = known.unwrap_or_else(|| (Arc::new(log.clone()), stranger));
        let stranger = if missing == 0 { was } else { stranger };
        if was != stranger {
            self.set_all_ready(&log, false);
        }
        let behind = self.behind.entry(Arc::clone(&log)).or_default();
        behind.set(peer, missing);
        behind.stranger = stranger;
        let class = Class::of(&log, stranger);
        if behind.peers.is_empty() {
            self.behind.remove(&log);
        }
        let free = missing > 0 && self.is_free(&log);
        self.set_ready(class, &log, peer, free);
        if was != stranger {
            self.settle(&log);
        }
    }

    /// The log's name, shared, if somebody is ahead in it.
    pub(super) fn shared(&self, log: &LogId) -> Option<&Arc<LogId>> {
        self.behind.get_key_value(log).map(|(log, _)| log)
    }

    /// What a peer said is not to be relied on any more. What is pulled from it goes on.
    pub(super) fn forget_heads(&mut self, peer: &AuthorKey) {
        self.behind.retain(|_, behind| {
            behind.set(*peer, 0);
            !behind.peers.is_empty()
        });
        for ready in [&mut self.urgent, &mut self.others, &mut self.strange] {
            ready.remove(peer);
        }
    }

    /// Whether a log is neither pulled, nor being appended, nor left alone.
    fn is_free(&self, log: &LogId) -> bool {
        !self.open.contains_key(log) && !self.appending.contains_key(log) && !self.paused.contains_key(log)
    }

    fn set_ready(&mut self, class: Class, log: &Arc<LogId>, peer: AuthorKey, ready: bool) {
        let by_peer = match class {
            Class::Urgent => &mut self.urgent,
            Class::Other => &mut self.others,
            Class::Strange => &mut self.strange,
        };
        if ready {
            by_peer.entry(peer).or_default().insert(Arc::clone(log));
        } else if let Some(logs) = by_peer.get_mut(&peer) {
            logs.remove(log);
            if logs.is_empty() {
                by_peer.remove(&peer);
            }
        }
    }

    /// A log's state has changed: it may be pulled now from all who are ahead, or from nobody.
    fn settle(&mut self, log: &LogId) {
        let free = self.is_free(log);
        self.set_all_ready(log, free);
    }

    fn set_all_ready(&mut self, log: &LogId, ready: bool) {
        let Some((log, behind)) = self.behind.get_key_value(log) else { return };
        let (log, class) = (Arc::clone(log), Class::of(log, behind.stranger));
        let peers: Vec<AuthorKey> = behind.peers.iter().map(|(peer, _)| *peer).collect();
        peers.into_iter().for_each(|peer| self.set_ready(class, &log, peer, ready));
    }

    /// Forgets a peer: its pulls end and nothing of it is ahead any more.
    pub(super) fn forget_peer(&mut self, peer: &AuthorKey) {
        self.forget_heads(peer);
        self.withheld.remove(peer);
        let ended: Vec<LogId> = self.open.iter().filter(|(_, p)| p.peer == *peer).map(|(log, _)| log.clone()).collect();
        for log in ended {
            self.close(&log);
        }
    }

    /// Chooses who should pull what now, in order of priority: each log that has no pull goes to the peer ahead of us
    /// that carries least. Costs a few look-ups for each pull that is chosen, however many logs were announced.
    ///
    /// `covers` says whether a peer may have a log's personal payloads, and so has them probably. Who may not has only
    /// their commitments, and what is pulled without a payload must be asked for again.
    pub(super) fn assign(
        &mut self,
        now: Duration,
        peers: impl Iterator<Item = AuthorKey>,
        covers: impl Fn(&AuthorKey, &LogId) -> bool,
    ) -> Vec<(LogId, AuthorKey)> {
        self.wake(now);
        let mut chosen = vec![];
        if self.urgent.is_empty() && self.others.is_empty() && self.strange.is_empty() {
            return chosen;
        }
        let mut loads: BTreeMap<AuthorKey, Load> = peers.map(|peer| (peer, Load::default())).collect();
        let mut in_all = Load::default();
        for (_, pull) in self.of_events() {
            loads.entry(pull.peer).or_default().add(pull.class, pull.first_credit);
            in_all.add(pull.class, pull.first_credit);
        }
        for ready in [(&self.urgent, Class::Urgent), (&self.others, Class::Other), (&self.strange, Class::Strange)] {
            self.assign_of(ready, &covers, &mut loads, &mut in_all, &mut chosen);
        }
        chosen
    }

    /// Chooses pulls among the logs of a class.
    fn assign_of(
        &self,
        (ready, class): (&Ready, Class),
        covers: &impl Fn(&AuthorKey, &LogId) -> bool,
        loads: &mut BTreeMap<AuthorKey, Load>,
        in_all: &mut Load,
        chosen: &mut Vec<(LogId, AuthorKey)>,
    ) {
        let mut last: Option<Arc<LogId>> = None;
        while in_all.is_below(IN_ALL, class) {
            let with_room = |peer: &AuthorKey| loads.get(peer).is_some_and(|load| load.is_below(PER_PEER, class));
            let after = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let first = |(_, logs): (&AuthorKey, &'_ BTreeSet<Arc<LogId>>)| {
                logs.range::<Arc<LogId>, _>((after, Bound::Unbounded)).next().cloned()
            };
            let Some(log) = ready.iter().filter(|(peer, _)| with_room(peer)).filter_map(first).min() else { return };
            let load_of = |peer: &AuthorKey| {
                let load = loads.get(peer).map_or(0, |load| load.total());
                (self.has_withheld(peer, &log), !covers(peer, &log), load, *peer)
            };
            if let Some(peer) = self.ahead_in(&log).filter(with_room).min_by_key(load_of) {
                let bytes = self.credit_for(&log, &peer);
                loads.entry(peer).or_default().add(class, bytes);
                in_all.add(class, bytes);
                chosen.push(((*log).clone(), peer));
            }
            last = Some(log);
        }
    }

    /// Peers that are ahead of us in a log.
    fn ahead_in(&self, log: &LogId) -> impl Iterator<Item = AuthorKey> {
        self.behind.get(log).into_iter().flat_map(|behind| behind.peers.iter().map(|(peer, _)| *peer))
    }

    fn credit_for(&self, log: &LogId, peer: &AuthorKey) -> u64 {
        let missing = self.behind.get(log).and_then(|behind| behind.peers.iter().find(|(known, _)| known == peer));
        let missing = missing.map_or(0, |(_, missing)| *missing);
        match self.class(log) {
            // A quota may be used up with the next frame.
            Class::Strange => limits::SYNC_SHORT_CREDIT_BYTES,
            Class::Urgent | Class::Other => first_credit(missing),
        }
    }

    fn class(&self, log: &LogId) -> Class {
        Class::of(log, self.behind.get(log).is_some_and(|behind| behind.stranger))
    }

    fn has_withheld(&self, peer: &AuthorKey, log: &LogId) -> bool {
        self.withheld.get(peer).is_some_and(|logs| logs.contains(log))
    }

    /// Pulls of events. Those of payloads have bounds of their own, and owe nothing.
    fn of_events(&self) -> impl Iterator<Item = (&LogId, &Pull)> {
        self.open.iter().filter(|(_, pull)| pull.fill.is_none())
    }

    /// Pulls that have brought nothing for too long although somebody else, who has not withheld the log before, has
    /// it.
    pub(super) fn withheld(&self, now: Duration) -> Vec<LogId> {
        let is_late = |log: &LogId, pull: &Pull| {
            let waits = pull.credit > 0 && !pull.last && pull.appending == 0;
            waits && now.saturating_sub(pull.answered) >= Duration::from_millis(patience_ms(log))
        };
        let elsewhere = |log: &LogId, pull: &Pull| {
            self.ahead_in(log).any(|peer| {
                peer != pull.peer && !self.has_withheld(&peer, log) && self.load(&peer).is_below(PER_PEER, pull.class)
            })
        };
        let late = self.of_events().filter(|(log, pull)| is_late(log, pull) && elsewhere(log, pull));
        late.map(|(log, _)| log.clone()).collect()
    }

    /// Remembers that a peer withheld a log.
    pub(super) fn note_withheld(&mut self, log: &LogId, peer: AuthorKey) {
        self.withheld.entry(peer).or_default().insert(log.clone());
    }

    /// Opens a pull of events; gives the credit that goes with it.
    pub(super) fn open(&mut self, now: Duration, log: &LogId, peer: AuthorKey, want: u64, height: u64) -> u64 {
        let credit = self.credit_for(log, &peer);
        self.open_for(now, log, (peer, want, height), credit, None)
    }

    /// Opens a pull of payloads; gives the credit that goes with it.
    pub(super) fn open_fill(&mut self, now: Duration, log: &LogId, peer: AuthorKey, want: u64, seqs: Vec<u64>) -> u64 {
        self.open_for(now, log, (peer, want, 0), limits::SYNC_SHORT_CREDIT_BYTES, Some(seqs))
    }

    fn open_for(
        &mut self,
        now: Duration,
        log: &LogId,
        (peer, want, height): (AuthorKey, u64, u64),
        credit: u64,
        fill: Option<Vec<u64>>,
    ) -> u64 {
        self.by_want.insert(want, log.clone());
        let pull = Pull {
            peer,
            want,
            credit: signed(credit),
            first_credit: credit,
            class: self.class(log),
            from_height: height,
            height,
            answered: now,
            last: false,
            begun: vec![],
            appending: 0,
            fill,
        };
        self.open.insert(log.clone(), pull);
        self.settle(log);
        credit
    }

    /// Whether payloads of a log may be asked for: nothing else of it is pulled, or waits to be.
    pub(super) fn may_fill(&self, log: &LogId) -> bool {
        self.is_free(log) && !self.is_behind(log)
    }

    /// Whether somebody has events of a log that we lack.
    pub(super) fn is_behind(&self, log: &LogId) -> bool {
        self.behind.contains_key(log)
    }

    /// Since when a question for payloads of a log has brought nothing, if it is open.
    pub(super) fn fill_waits_since(&self, log: &LogId) -> Option<Duration> {
        self.open.get(log).filter(|pull| pull.fill.is_some() && !pull.last).map(|pull| pull.answered)
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
        self.settle(log);
        Some(pull)
    }

    /// Whether frames of a log are with the driver.
    pub(super) fn is_appending(&self, log: &LogId) -> bool {
        self.appending.contains_key(log)
    }

    /// A frame of a log went to the driver.
    pub(super) fn append_begins(&mut self, log: &LogId) {
        *self.appending.entry(log.clone()).or_default() += 1;
        self.settle(log);
    }

    /// The driver is done with a frame of a log.
    pub(super) fn append_ends(&mut self, log: &LogId) {
        if let Some(count) = self.appending.get_mut(log) {
            *count -= 1;
            if *count == 0 {
                self.appending.remove(log);
                self.settle(log);
            }
        }
    }

    /// Leaves a log alone until then.
    pub(super) fn pause(&mut self, log: &LogId, until: Duration) {
        if let Some(before) = self.paused.insert(log.clone(), until) {
            self.wakes.remove(&(before, log.clone()));
        }
        self.wakes.insert((until, log.clone()));
        self.settle(log);
    }

    /// Takes up the logs that have been left alone for long enough.
    fn wake(&mut self, now: Duration) {
        while let Some((_, log)) = self.wakes.first().filter(|(at, _)| *at <= now).cloned() {
            self.wakes.pop_first();
            self.paused.remove(&log);
            self.settle(&log);
        }
    }

    /// How many pulls of events a peer carries.
    pub(super) fn load(&self, peer: &AuthorKey) -> Load {
        let mut load = Load::default();
        for (_, pull) in self.of_events().filter(|(_, pull)| pull.peer == *peer) {
            load.add(pull.class, pull.first_credit);
        }
        load
    }

    /// Whether a peer owes us an answer: it has credit for a want and has not finished it.
    pub(super) fn owes_answer(&self, peer: &AuthorKey) -> bool {
        self.of_events().any(|(_, pull)| pull.peer == *peer && pull.credit > 0 && !pull.last)
    }
}
