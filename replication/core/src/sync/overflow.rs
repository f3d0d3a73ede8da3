//! When a peer has more logs that we lack than are remembered of it: it is asked for them range by range, as there is room.
//!
//! A peer tells all heads that differ as fast as its line takes them, and a district may have a million logs. Remembering
//! them all would cost as much for each peer as holding them. So each peer has a share, what goes beyond it is dropped, and
//! as pulls make room the peer is sent lists of what we hold, one range after the other; it tells what is not on them.

use std::time::Duration;

use super::engine::Engine;
use super::message::{List, Message};
use super::ranges::Range;
use crate::id::{AuthorKey, LogId};
use crate::limits;

/// How far a peer has been asked for what was dropped.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    /// The ranges that it is asked for, and how many were.
    depth: u8,
    asked: u64,
    messages: u32,
    again_at: Duration,
}

impl Engine {
    /// How many logs may be remembered in which a peer is ahead.
    pub(super) fn share(&self) -> usize {
        let least = limits::SYNC_LOGS_AHEAD_PER_PEER.min(self.strangers.bounds.logs_ahead);
        (self.strangers.bounds.logs_ahead / self.peers.len().max(1)).max(least)
    }

    /// Whether one more log may be remembered in which a peer is ahead.
    pub(super) fn has_room_for(&self, peer: AuthorKey, log: &LogId) -> bool {
        let urgent = log.stream.code() < limits::SYNC_URGENT_STREAMS;
        let more = if urgent { limits::SYNC_LOGS_AHEAD_PER_PEER } else { 0 };
        self.peers.get(&peer).is_some_and(|state| state.known.logs_ahead() < self.share() + more)
    }

    /// Something that a peer told was dropped, or will be.
    pub(super) fn note_overflow(&mut self, peer: AuthorKey) {
        let (share, ours) = (self.share() as u64, self.ranges.logs(Range::ALL));
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.overflow.is_none()) else { return };
        let logs = state.exchange.their_logs.max(ours);
        let most = limits::SYNC_RECONCILE_ENTRIES_MAX as u64 / limits::SYNC_OVERFLOW_RANGES;
        let fits = |depth: &u8| logs >> depth <= (share / 4).min(most);
        let depth = (0..Range::DEPTH_MAX).step_by(usize::from(Range::STEP)).find(fits).unwrap_or(Range::DEPTH_MAX);
        state.overflow = Some(Overflow { depth, ..Overflow::default() });
    }

    /// Asks peers whose logs had no room for those of the next range, where there is room now. After the last range
    /// digests tell whether that was all.
    pub(super) fn ask_for_overflow(&mut self, now: Duration) {
        let share = self.share();
        let with_room = self.peers.iter().filter(|(_, state)| {
            let due = state.overflow.as_ref().is_some_and(|overflow| now >= overflow.again_at);
            due && state.known.logs_ahead() <= share / 2 && state.line.has_room_for_heads()
        });
        let peers: Vec<AuthorKey> = with_room.map(|(peer, _)| *peer).collect();
        for peer in peers {
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            let Some(overflow) = &mut state.overflow else { continue };
            let (depth, from) = (overflow.depth, overflow.asked);
            let logs = state.exchange.their_logs.max(self.ranges.logs(Range::ALL)) >> depth;
            let ranges = (share as u64 / 2 / logs.max(1)).clamp(1, limits::SYNC_OVERFLOW_RANGES);
            overflow.asked += ranges;
            overflow.messages += 1;
            overflow.again_at = now + Duration::from_millis(limits::SYNC_OVERFLOW_INTERVAL_MS);
            // The peer counts messages of a comparison between two digests.
            let is_last = overflow.asked >= 1 << depth;
            if is_last || overflow.messages.is_multiple_of(limits::SYNC_RECONCILE_MESSAGES_MAX / 2) {
                state.exchange.next_compare = now;
            }
            if is_last {
                state.overflow = None;
            }
            let ranges = (from..from + ranges).map_while(|prefix| Range::new(depth, prefix));
            let lists = ranges.map(|range| List { range, items: self.items(range) }).collect();
            self.send(now, peer, Message::Ranges { sums: vec![], lists });
        }
    }
}
