//! Finding the logs in which two nodes differ, by ranges: the middle of a comparison, between digests and heads.
//!
//! The side with the smaller key opens with the fingerprints of all ranges. Whoever gets fingerprints answers for those
//! that differ, with a list where few logs are and with finer fingerprints where there are many. Whoever gets a list
//! tells its own heads that are not on it, and asks for those that it lacks or has otherwise. Each message may be lost
//! or cut short: the digests will differ again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Violation;
use super::engine::Engine;
use super::message::{List, Message, Sums};
use super::ranges::{Item, Key, Range, opening, place_of};
use crate::id::AuthorKey;
use crate::limits;

impl Engine {
    /// Opens a comparison by ranges.
    pub(super) fn compare_ranges(&mut self, now: Duration, peer: AuthorKey) {
        let ranges = opening(self.ranges.logs(Range::ALL));
        let sums = ranges.first().map(|first| self.sums(*first, ranges.len()));
        self.send(now, peer, Message::Ranges { sums: sums.into_iter().collect(), lists: vec![] });
    }

    fn sums(&self, first: Range, len: usize) -> Sums {
        Sums { first, fingerprints: first.run(len).map(|range| self.ranges.fingerprint(range)).collect() }
    }

    /// A peer says what it holds in some ranges.
    pub(super) fn on_ranges(
        &mut self,
        now: Duration,
        peer: AuthorKey,
        sums: &[Sums],
        lists: &[List],
    ) -> Result<(), Violation> {
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        state.exchange.range_messages += 1;
        if state.exchange.range_messages > limits::SYNC_RECONCILE_MESSAGES_MAX {
            return Err(Violation::ComparesWithoutEnd);
        }
        let told = sums.iter().flat_map(|run| run.first.run(run.fingerprints.len()).zip(&run.fingerprints));
        let (equal, differing): (Vec<_>, Vec<_>) =
            told.partition(|(range, print)| self.ranges.fingerprint(*range) == **print);
        equal.iter().for_each(|(range, _)| self.both_hold(peer, *range));
        let most = differing.len() > limits::SYNC_LOGS_PER_RANGE as usize && differing.len() > equal.len();
        let logs: u64 = differing.iter().map(|(range, _)| self.ranges.logs(*range)).sum();
        // Where ranges have many logs, most of them differ long before most of the logs do.
        let dense = logs > differing.len() as u64 * 2 * limits::SYNC_LOGS_PER_RANGE;
        if most && (equal.is_empty() || !dense) {
            self.tell_and_ask_for_all(now, peer);
            return Ok(());
        }
        let answer = self.narrow(differing.into_iter().map(|(range, _)| range));
        if let Some(answer) = answer {
            self.send(now, peer, answer);
        }
        let asked: Vec<Key> = lists.iter().flat_map(|list| self.settle(peer, list)).collect();
        if !asked.is_empty() {
            self.send(now, peer, Message::Tell { keys: asked });
        }
        if let (false, Some(state)) = (lists.is_empty(), self.peers.get_mut(&peer)) {
            // What differs is known now; the digests will say whether that was all.
            state.exchange.check_after = Some(now + Duration::from_millis(limits::SYNC_COMPARE_AGAIN_MS));
        }
        Ok(())
    }

    /// Most of it differs: telling all heads is shorter than finding out which.
    fn tell_and_ask_for_all(&mut self, now: Duration, peer: AuthorKey) {
        let share = self.share() as u64;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.exchange.under_way.get_or_insert(None);
        if state.exchange.their_logs > share {
            self.note_overflow(peer);
        } else {
            self.send(now, peer, Message::Tell { keys: vec![] });
        }
    }

    /// A peer asks for heads.
    pub(super) fn on_tell(&mut self, peer: AuthorKey, keys: &[Key]) -> Result<(), Violation> {
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        state.exchange.tells += 1;
        if state.exchange.tells > limits::SYNC_TELLS_MAX {
            return Err(Violation::ComparesWithoutEnd);
        }
        if keys.is_empty() {
            state.exchange.under_way.get_or_insert(None);
        } else {
            state.hints.extend(keys.iter().flat_map(|key| self.ranges.with_key(*key)).cloned());
        }
        Ok(())
    }

    /// Lists of what we hold in ranges that differ, or the fingerprints of their parts, as many as one message takes.
    fn narrow(&self, differing: impl Iterator<Item = Range>) -> Option<Message> {
        let (mut sums, mut lists, mut entries) = (vec![], vec![], 0);
        for range in differing {
            let logs = self.ranges.logs(range);
            let first_part =
                range.split().filter(|_| logs > 2 * limits::SYNC_LOGS_PER_RANGE).and_then(|mut p| p.next());
            entries += if first_part.is_some() { 1 << Range::STEP } else { logs };
            if entries > limits::SYNC_RECONCILE_ENTRIES_MAX as u64 {
                break;
            }
            match first_part {
                Some(first) => sums.push(self.sums(first, 1 << Range::STEP)),
                None => lists.push(List { range, items: self.items(range) }),
            }
        }
        (!sums.is_empty() || !lists.is_empty()).then_some(Message::Ranges { sums, lists })
    }

    /// Holds a list against what we have: our heads that it does not name will be told, and the keys are returned of
    /// which it names a head that we have not.
    fn settle(&mut self, peer: AuthorKey, list: &List) -> Vec<Key> {
        let mut unknown: BTreeSet<Item> = list.items.iter().copied().collect();
        let Some(state) = self.peers.get_mut(&peer) else { return vec![] };
        for (item, log) in self.ranges.items(list.range, &self.frontier) {
            if unknown.remove(&item) {
                let ours = self.frontier.head(log);
                state.known.tell(place_of(log), ours, ours, &self.ranges, &self.frontier);
            } else {
                state.hints.insert(Arc::clone(log));
            }
        }
        unknown.into_iter().map(|item| item.key).collect()
    }

    /// The peer holds in a range exactly what we hold.
    fn both_hold(&mut self, peer: AuthorKey, range: Range) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.known.both_hold(range, &self.ranges, &self.frontier);
        }
    }

    /// All that we hold in a range.
    pub(super) fn items(&self, range: Range) -> Vec<Item> {
        self.ranges.items(range, &self.frontier).map(|(item, _)| item).collect()
    }
}

/// About how long a message of a comparison is.
pub(super) fn range_bytes(sums: &[Sums], lists: &[List]) -> u64 {
    let entries = sums.iter().map(|run| run.fingerprints.len() * 8 + 12).sum::<usize>()
        + lists.iter().map(|list| list.items.len() * 16 + 12).sum::<usize>();
    entries as u64
}
