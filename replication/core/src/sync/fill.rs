//! Personal payloads that are lacking: of which logs, who is asked, and when again.
//!
//! An event may be here without a personal payload that this node may have: it came from a peer which may not have it, or
//! before this node was entitled. Peers that may have it are asked for what is lacking of a log, one at a time and some
//! events at a time. Only those are asked whose head of the log is ours: they hold the same history, so the headers here
//! prove what they send. New events come first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::engine::Engine;
use super::{Message, Output, Token};
use crate::id::{AuthorKey, LogId};
use crate::limits;

/// Logs of which payloads are lacking that this node may have, and those that somebody is being asked for.
#[derive(Debug, Default)]
pub(super) struct Fills {
    lacking: BTreeSet<LogId>,
    passes: BTreeMap<LogId, Pass>,
    /// The log that was looked at last.
    looked_at: Option<LogId>,
}

/// One peer is asked for all that is lacking of a log, from its start to its end. While neither a list is awaited nor a
/// want is open, the pass waits for the log to be free.
#[derive(Debug)]
struct Pass {
    peer: AuthorKey,
    /// The list of what to ask for next.
    listing: Option<Token>,
    /// Nothing more can be had from the peer up to here.
    after: u64,
    /// Something was given.
    gave: bool,
}

/// What one peer need not be asked for now.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Logs of which it has given what it had, until when, and how long that pause is.
    logs: BTreeMap<LogId, (Duration, Duration)>,
    /// It left a question without any answer, as one does that does not know such questions.
    silent_until: Duration,
}

impl Settled {
    fn may_be_asked(&self, now: Duration, log: &LogId) -> bool {
        now >= self.silent_until && self.logs.get(log).is_none_or(|(until, _)| now >= *until)
    }

    /// Leaves the peer alone for a log: longer each time that nothing came of it.
    fn settle(&mut self, now: Duration, log: LogId, gave: bool) {
        let (least, most) = (limits::SYNC_FILL_AGAIN_MS, limits::SYNC_FILL_AGAIN_MS_MAX);
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        let before = self.logs.get(&log).filter(|_| !gave);
        let pause = before.map_or(least, |(_, pause)| (*pause * 2).min(most));
        self.logs.insert(log, (now + pause, pause));
    }

    /// It may have more than before.
    pub(super) fn clear(&mut self) {
        self.logs.clear();
    }
}

impl Fills {
    /// Forgets whom to ask.
    pub(super) fn forget_peer(&mut self, peer: &AuthorKey) {
        self.passes.retain(|_, pass| pass.peer != *peer);
    }

    fn passes_of(&self, peer: &AuthorKey) -> usize {
        self.passes.values().filter(|pass| pass.peer == *peer).count()
    }

    /// The next logs to look at, in turn.
    fn turn(&mut self) -> Vec<LogId> {
        let after = self.looked_at.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.lacking.range((after, Bound::Unbounded));
        let turn: Vec<LogId> = rest.take(limits::SYNC_FILL_LOGS_PER_TICK).cloned().collect();
        self.looked_at = turn.last().filter(|_| turn.len() == limits::SYNC_FILL_LOGS_PER_TICK).cloned();
        turn
    }
}

impl Engine {
    /// Payloads of a log are lacking, perhaps since just now: everybody may be asked.
    pub(super) fn on_lacks(&mut self, log: LogId) {
        for state in self.peers.values_mut() {
            state.settled.logs.remove(&log);
        }
        self.fills.lacking.insert(log);
    }

    /// Goes on with passes that had to wait, and begins others.
    pub(super) fn begin_fills(&mut self, now: Duration) {
        let waits = |(log, pass): &(&LogId, &Pass)| pass.listing.is_none() && self.pulls.may_fill(log);
        let waiting: Vec<LogId> = self.fills.passes.iter().filter(waits).map(|(log, _)| log.clone()).collect();
        waiting.iter().for_each(|log| self.list_lacking(log));
        for log in self.fills.turn() {
            if self.fills.passes.len() >= limits::SYNC_FILLS_MAX {
                return;
            }
            if self.fills.passes.contains_key(&log) || !self.pulls.may_fill(&log) {
                continue;
            }
            if let Some(peer) = self.peer_to_fill_from(now, &log) {
                self.fills.passes.insert(log.clone(), Pass { peer, listing: None, after: 0, gave: false });
                self.list_lacking(&log);
            }
        }
    }

    /// Who may have payloads of a log and holds the same history of it; of these the one that is asked for least.
    fn peer_to_fill_from(&self, now: Duration, log: &LogId) -> Option<AuthorKey> {
        let (ours, place) = (self.frontier.head(log)?, self.place(log));
        let candidates = self.peers.iter().filter(|(peer, state)| {
            state.covers(log)
                && state.known.head(&place, Some(ours)) == Some(ours)
                && state.settled.may_be_asked(now, log)
                && self.fills.passes_of(peer) < limits::SYNC_FILLS_PER_PEER
        });
        candidates.map(|(peer, _)| *peer).min_by_key(|peer| (self.fills.passes_of(peer), *peer))
    }

    fn list_lacking(&mut self, log: &LogId) {
        let token = Token(self.number());
        if let Some(pass) = self.fills.passes.get_mut(log) {
            pass.listing = Some(token);
            self.outputs.push(Output::ListLacking { token, log: log.clone(), after: pass.after });
        }
    }

    /// What is lacking of a log, past what its pass has asked for: asks for it, or the pass is over.
    pub(super) fn on_lacking(&mut self, now: Duration, token: Token, seqs: Vec<u64>) {
        let listed = self.fills.passes.iter_mut().find(|(_, pass)| pass.listing == Some(token));
        let Some((log, pass)) = listed else { return };
        pass.listing = None;
        let (log, peer, after, gave) = (log.clone(), pass.peer, pass.after, pass.gave);
        if !seqs.is_empty() {
            return self.ask_for_payloads(now, log, peer, seqs);
        }
        self.fills.passes.remove(&log);
        if after == 0 {
            self.fills.lacking.remove(&log);
        } else if let Some(state) = self.peers.get_mut(&peer) {
            state.settled.settle(now, log, gave);
        }
        self.begin_fills(now);
    }

    fn ask_for_payloads(&mut self, now: Duration, log: LogId, peer: AuthorKey, seqs: Vec<u64>) {
        if !self.pulls.may_fill(&log) {
            return;
        }
        if let (false, Some(state)) = (self.pulls.owes_answer(&peer), self.peers.get_mut(&peer)) {
            state.arrivals.begin();
        }
        let want = self.number();
        let credit = self.pulls.open_fill(now, &log, peer, want, seqs.clone());
        self.send(now, peer, Message::Fill { want, log, seqs, credit });
    }

    /// The payloads of a frame that were lacking are durable.
    pub(super) fn on_filled(&mut self, token: Token, payloads: u64) {
        let Some(append) = self.appends.remove(&token) else { return };
        self.pulls.append_ends(&append.log);
        if self.pull_is(&append) {
            self.fill_answered(&append.log, payloads > 0);
        }
    }

    /// A question was answered. What was asked for and not given had no room in the answer, if something was given.
    pub(super) fn fill_answered(&mut self, log: &LogId, gave: bool) {
        let asked = self.pulls.close(log).and_then(|pull| pull.fill?.last().copied());
        let (Some(asked), Some(pass)) = (asked, self.fills.passes.get_mut(log)) else { return };
        if gave {
            pass.gave = true;
        } else {
            pass.after = asked;
        }
        if self.pulls.may_fill(log) {
            self.list_lacking(log);
        }
    }

    /// Gives up questions that are not answered: at once those that new events wait for, and whoever answers nothing at
    /// all is not asked for payloads for a while. It is no fault: earlier versions do not know such questions.
    pub(super) fn give_up_fills(&mut self, now: Duration) {
        let passed = |since: Duration, limit_ms: u64| now.saturating_sub(since) >= Duration::from_millis(limit_ms);
        let asked: Vec<(LogId, AuthorKey)> =
            self.fills.passes.iter().map(|(log, pass)| (log.clone(), pass.peer)).collect();
        for (log, peer) in asked {
            let Some(since) = self.pulls.fill_waits_since(&log) else { continue };
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            let silent = passed(since.max(state.last_answer), limits::SYNC_ANSWER_TIMEOUT_MS);
            if silent {
                state.settled.silent_until = now + Duration::from_millis(limits::SYNC_FILL_AGAIN_MS_MAX);
                self.fills.passes.remove(&log);
            }
            if silent || self.pulls.is_behind(&log) && passed(since, super::pull::patience_ms(&log)) {
                self.abandon_pull(&log);
            }
        }
    }
}
