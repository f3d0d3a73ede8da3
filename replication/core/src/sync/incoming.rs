//! What we ask of peers and what comes of it: wants, pieces of frames, appends, and peers that give nothing.

use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Peer, rate};
use super::pull::signed;
use super::{AppendFailure, DisconnectReason, Message, Output, Token, Violation};
use crate::frame::FrameHead;
use crate::id::{AuthorKey, Head, LogId};
use crate::limits;

/// A frame that the driver is appending, or payloads that it is filling in.
#[derive(Debug)]
pub(super) struct Append {
    peer: AuthorKey,
    session: u64,
    want: u64,
    pub(super) log: LogId,
    bytes: u64,
}

impl Engine {
    /// A piece of a frame: its end says whether it is the last frame of its want.
    pub(super) fn on_piece(
        &mut self,
        now: Duration,
        peer: AuthorKey,
        want: u64,
        piece: Vec<u8>,
        end: Option<bool>,
    ) -> Result<(), Violation> {
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        let bytes = (piece.len() as u64).max(limits::SYNC_FRAME_BYTES_LEAST);
        state.pieces_received += 1;
        let (session, pieces) = (state.session, state.pieces_received);
        if let Some((log, pull)) = self.pulls.by_want(&peer, want) {
            state.last_answer = now;
            let whole = pull.take(now, piece, end)?;
            // What a frame says of itself is good enough for an estimate.
            let head = whole.as_ref().and_then(|(_, frame)| FrameHead::of(frame).ok());
            state.arrivals.piece(now, bytes);
            let fill = pull.fill.clone();
            if fill.is_none() {
                state.arrivals.count(head.map_or(0, |head| head.events as u64), bytes);
            }
            if let Some((last, frame)) = whole {
                // A question for payloads has one answer.
                pull.last = last || fill.is_some();
                pull.appending += 1;
                self.pulls.append_begins(&log);
                let token = Token(self.number());
                let bytes = (frame.len() as u64).max(limits::SYNC_FRAME_BYTES_LEAST);
                self.appends.insert(token, Append { peer, session, want, log: log.clone(), bytes });
                self.outputs.push(match fill {
                    Some(seqs) => Output::Fill { token, log, seqs, frame },
                    None => Output::Append { peer, token, log, frame },
                });
            }
        } else {
            state.stale_bytes = state.stale_bytes.checked_sub(bytes).ok_or(Violation::Unasked)?;
        }
        self.send(now, peer, Message::Received { pieces });
        Ok(())
    }

    pub(super) fn on_unavailable(&mut self, now: Duration, peer: AuthorKey, want: u64) -> Result<(), Violation> {
        let Some((log, pull)) = self.pulls.by_want(&peer, want) else { return Ok(()) };
        pull.last = true;
        let (finished, fill) = (pull.appending == 0, pull.fill.is_some());
        if let Some(state) = self.peers.get_mut(&peer) {
            state.last_answer = now;
        }
        if finished && fill {
            self.fill_answered(&log, false);
            return Ok(());
        }
        if finished { self.finish_pull(now, &log) } else { Ok(()) }
    }

    /// The peer has sent all it will, and hears how far we have it durably now: receipts count who holds what. A peer
    /// that announced more than it gave was wrong: it is not asked again before it announces something new.
    fn finish_pull(&mut self, now: Duration, log: &LogId) -> Result<(), Violation> {
        let Some(pull) = self.pulls.close(log) else { return Ok(()) };
        let Some(state) = self.peers.get_mut(&pull.peer) else { return Ok(()) };
        if self.frontier.height(log) != pull.from_height {
            let counts = self.strangers.counts(log);
            let shared = self.frontier.shared(log).filter(|_| counts);
            shared.into_iter().for_each(|log| state.hints.insert(Arc::clone(log)));
            return Ok(());
        }
        let (place, ours) = (self.place(log), self.frontier.head(log));
        if self.counts(log) {
            self.tell_known(pull.peer, place, ours, None);
            self.pulls.set_ahead(log, pull.peer, 0);
        } else {
            self.forget_stranger(log, pull.peer);
        }
        let Some(state) = self.peers.get_mut(&pull.peer) else { return Ok(()) };
        let often = rate(limits::SYNC_EMPTY_PULLS_BURST);
        state.oddities.empty_pulls.spend(now, often).then_some(()).ok_or(Violation::BrokenPromises)
    }

    /// Ends a pull before the peer has sent all; what is still on its way will be dropped.
    pub(super) fn abandon_pull(&mut self, log: &LogId) {
        let Some(pull) = self.pulls.close(log) else { return };
        if let (Some(state), false) = (self.peers.get_mut(&pull.peer), pull.last) {
            let on_its_way = u64::try_from(pull.credit).unwrap_or(0) + limits::FRAME_BYTES_MAX as u64;
            state.stale_bytes = state.stale_bytes.saturating_add(on_its_way);
        }
    }

    pub(super) fn on_frame_appended(&mut self, now: Duration, token: Token, head: Head) {
        let Some(append) = self.appends.remove(&token) else { return };
        self.pulls.append_ends(&append.log);
        self.advance(now, &append.log, head);
        let may_go_on = self.charge(&append.log, append.peer, append.bytes);
        let Some((log, pull)) = self.pulls.by_want(&append.peer, append.want) else { return };
        pull.appending -= 1;
        let idle = head.seq <= pull.height;
        pull.height = pull.height.max(head.seq);
        let (last, appending) = (pull.last, pull.appending);
        pull.credit = pull.credit.saturating_add(signed(append.bytes));
        pull.answered = now;
        if idle && !self.may_be_idle(now, &append.peer) {
            return self.disconnect(append.peer, Violation::SendsWhatIsThere.into());
        }
        if last {
            if appending == 0
                && let Err(violation) = self.finish_pull(now, &log)
            {
                self.disconnect(append.peer, violation.into());
            }
            return;
        }
        if let Some(state) = self.peers.get_mut(&append.peer) {
            state.last_answer = now;
        }
        if !may_go_on {
            return self.abandon_pull(&log);
        }
        if idle {
            // Something else, an import, has overtaken this pull: it begins anew where we are now.
            return self.abandon_pull(&log);
        }
        self.send(now, append.peer, Message::Credit { want: append.want, bytes: append.bytes });
    }

    /// Frames that brought nothing: now and then they have been overtaken.
    fn may_be_idle(&mut self, now: Duration, peer: &AuthorKey) -> bool {
        let often = rate(limits::SYNC_IDLE_FRAMES_BURST);
        self.peers.get_mut(peer).is_none_or(|state| state.oddities.idle_frames.spend(now, often))
    }

    pub(super) fn on_append_failed(&mut self, now: Duration, token: Token, failure: AppendFailure) {
        let Some(append) = self.appends.remove(&token) else { return };
        self.pulls.append_ends(&append.log);
        let same_session = self.peers.get(&append.peer).is_some_and(|state| state.session == append.session);
        match failure {
            AppendFailure::BadPeer(what) if same_session && self.pull_is(&append) => {
                self.disconnect(append.peer, DisconnectReason::BadFrame { log: append.log, what });
            }
            // Frames after one that was refused cannot join either; nobody is blamed twice.
            AppendFailure::BadPeer(_) => {}
            AppendFailure::Forked { theirs } => {
                if same_session {
                    self.report_fork(append.peer, &append.log, theirs, true);
                }
                if self.pull_is(&append) {
                    self.abandon_pull(&append.log);
                }
            }
            AppendFailure::Store => {
                self.pulls.pause(&append.log, now + Duration::from_millis(limits::SYNC_STORE_RETRY_MS));
                if self.pull_is(&append) {
                    self.abandon_pull(&append.log);
                }
            }
        }
    }

    /// Whether the pull that a frame belongs to is still open.
    pub(super) fn pull_is(&mut self, append: &Append) -> bool {
        self.pulls.get_mut(&append.log).is_some_and(|pull| pull.want == append.want)
    }

    /// Peers that answer nothing, or read nothing.
    pub(super) fn useless(&self, now: Duration) -> Vec<(AuthorKey, DisconnectReason)> {
        let passed = |since: Duration, limit_ms: u64| now.saturating_sub(since) >= Duration::from_millis(limit_ms);
        let reason = |key: &AuthorKey, state: &Peer| {
            let unread = state.line.unconfirmed_since();
            if passed(state.last_answer, limits::SYNC_ANSWER_TIMEOUT_MS) && self.pulls.owes_answer(key) {
                Some(DisconnectReason::Stalled)
            } else if unread.is_some_and(|since| passed(since, limits::SYNC_CONFIRM_TIMEOUT_MS)) {
                Some(DisconnectReason::NotReading)
            } else {
                None
            }
        };
        self.peers.iter().filter_map(|(key, state)| Some((*key, reason(key, state)?))).collect()
    }

    pub(super) fn open_wants(&mut self, now: Duration) {
        let peers = &self.peers;
        let covers = |peer: &AuthorKey, log: &LogId| peers.get(peer).is_some_and(|state| state.covers(log));
        for (log, peer) in self.pulls.assign(now, peers.keys().copied(), covers) {
            if !self.may_pull(&log, peer) {
                continue;
            }
            let (want, height) = (self.number(), self.frontier.height(&log));
            if let (false, Some(state)) = (self.pulls.owes_answer(&peer), self.peers.get_mut(&peer)) {
                state.last_answer = now;
                state.arrivals.begin();
            }
            let credit = self.pulls.open(now, &log, peer, want, height);
            self.send(now, peer, Message::Want { want, log, from_seq: height + 1, credit });
        }
    }
}
