//! Frames on their way out: read ahead of the line, sent in pieces that never hold it for long.

use std::time::Duration;

use super::engine::{Engine, Peer};
use super::serve::Next;
use super::{Message, Output, ReadFrame, Token};
use crate::frame::PiiScope;
use crate::id::{AuthorKey, LogId};
use crate::limits;

impl Peer {
    /// Whether it may have a log's personal payloads.
    pub(super) fn covers(&self, log: &LogId) -> bool {
        self.pii_areas.iter().any(|area| area.contains(&log.area))
    }
}

impl Engine {
    /// Sends what the line has room for and reads ahead.
    pub(super) fn serve(&mut self, now: Duration, peer: AuthorKey) {
        while let Some(state) = self.peers.get_mut(&peer) {
            let (room, piece_bytes, token) = (state.line.has_room(), state.line.piece_bytes(), self.next_number + 1);
            match state.schedule.next(token, room, piece_bytes) {
                Some(Next::Read(log, from_seq)) => {
                    self.next_number = token;
                    let pii = if state.covers(&log) { PiiScope::Covered } else { PiiScope::Withheld };
                    let max_bytes = state.line.frame_bytes();
                    let (token, max_events) = (Token(token), limits::FRAME_EVENTS_MAX);
                    self.outputs.push(Output::Read { peer, token, log, from_seq, max_events, max_bytes, pii });
                }
                Some(Next::ReadPayloads(log, seqs)) => {
                    self.next_number = token;
                    let (token, covered, max_bytes) = (Token(token), state.covers(&log), state.line.frame_bytes());
                    if covered {
                        self.outputs.push(Output::ReadPayloads { peer, token, log, seqs, max_bytes });
                    } else {
                        self.on_read(now, peer, token, None);
                    }
                }
                Some(Next::Send(piece)) => self.send(now, peer, piece),
                None => {
                    if room && state.schedule.is_idle() {
                        state.line.starves();
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn on_read(&mut self, now: Duration, peer: AuthorKey, token: Token, frame: Option<ReadFrame>) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let height = |log: &LogId| self.frontier.height(log);
        if let Some(want) = state.schedule.read_done(token.0, frame, height) {
            self.send(now, peer, Message::Unavailable { want });
        }
    }
}
