//! How far the clocks of peers are from this node's, as their greetings told.
//!
//! A greeting says what the peer's clock shows. From then on it is taken to go as fast as time does, so that the difference
//! follows at once when this node's own clock is set. When it was set by much, peers are greeted anew, and so learn it too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linli_core::id::AuthorKey;

use crate::hello::Present;
use crate::limits;

/// A clock that shows Unix milliseconds. It may be wrong, and set while it runs.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What is known of clocks.
pub(crate) struct Clocks {
    own: WallClock,
    start: Instant,
    /// What this node's clock showed at the start, by what it shows now.
    started_ms: i64,
    of_peers: BTreeMap<AuthorKey, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    clock_ms: u64,
    at: Instant,
}

impl Clocks {
    /// Nobody was heard yet.
    pub(crate) fn new(now: Instant, own: WallClock) -> Self {
        let started_ms = whole(own());
        Self { own, start: now, started_ms, of_peers: BTreeMap::new() }
    }

    /// A peer has said what its clock shows.
    pub(crate) fn told(&mut self, peer: AuthorKey, present: &Present) {
        if self.of_peers.len() >= limits::REMEMBERED_PEERS_MAX && !self.of_peers.contains_key(&peer) {
            let oldest = self.of_peers.iter().min_by_key(|(_, told)| told.at).map(|(key, _)| *key);
            oldest.and_then(|key| self.of_peers.remove(&key));
        }
        self.of_peers.insert(peer, Told { clock_ms: present.clock_ms, at: present.at });
    }

    /// By how much a peer's clock is ahead of this node's, in milliseconds; less than nothing if it is behind, none if it
    /// was not heard for long.
    pub(crate) fn ahead_ms(&self, now: Instant, peer: &AuthorKey) -> Option<i64> {
        let told = self.of_peers.get(peer)?;
        let since = now.saturating_duration_since(told.at);
        (since < limits::CLOCK_BELIEVED_FOR)
            .then(|| whole(told.clock_ms).saturating_add(ms(since)).saturating_sub(whole((self.own)())))
    }

    /// The largest difference to any peer's clock, in milliseconds.
    pub(crate) fn furthest_ms(&self, now: Instant) -> u64 {
        self.of_peers.keys().filter_map(|peer| self.ahead_ms(now, peer)).map(i64::unsigned_abs).max().unwrap_or(0)
    }

    /// Whether this node's clock was set by much since this was asked last.
    pub(crate) fn was_set(&mut self, now: Instant) -> bool {
        let started_ms = whole((self.own)()).saturating_sub(ms(now.saturating_duration_since(self.start)));
        let by = started_ms.saturating_sub(self.started_ms).unsigned_abs();
        self.started_ms = started_ms;
        u128::from(by) >= limits::CLOCK_SET_MIN.as_millis()
    }
}

fn whole(unix_ms: u64) -> i64 {
    i64::try_from(unix_ms).unwrap_or(i64::MAX)
}

fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use linli_core::testkit::key;

    use super::*;

    const NOON: u64 = 1_790_000_000_000;
    const YEAR: u64 = 365 * 24 * 3_600_000;

    fn clocks(start: Instant) -> (Arc<AtomicU64>, Clocks) {
        let shown = Arc::new(AtomicU64::new(NOON));
        let own = Arc::clone(&shown);
        (shown, Clocks::new(start, Arc::new(move || own.load(Ordering::Relaxed))))
    }

    fn present(clock_ms: u64, at: Instant) -> Present {
        Present { instance: 1, clock_ms, at }
    }

    #[test]
    fn a_difference_stays_while_both_clocks_go_and_follows_at_once_when_ours_is_put_right() {
        let start = Instant::now();
        let (shown, mut clocks) = clocks(start);
        let peer = key(2).public();
        assert_eq!((clocks.ahead_ms(start, &peer), clocks.furthest_ms(start)), (None, 0));
        // Given a peer that is four years behind us,
        clocks.told(peer, &present(NOON - 4 * YEAR, start));
        let later = start + Duration::from_secs(60);
        shown.store(NOON + 60_000, Ordering::Relaxed);
        assert!(!clocks.was_set(later));
        assert_eq!(clocks.ahead_ms(later, &peer), Some(-(4 * YEAR as i64)));
        assert_eq!(clocks.furthest_ms(later), 4 * YEAR);
        // when our clock is set back by as much, then there is no difference any more, and that it was set is said once.
        shown.store(NOON + 60_000 - 4 * YEAR, Ordering::Relaxed);
        assert_eq!(clocks.ahead_ms(later, &peer), Some(0));
        assert_eq!([clocks.was_set(later), clocks.was_set(later)], [true, false]);
        shown.store(NOON + 60_000 - 4 * YEAR + limits::CLOCK_BELIEVED_FOR.as_millis() as u64, Ordering::Relaxed);
        assert_eq!(clocks.ahead_ms(later + limits::CLOCK_BELIEVED_FOR, &peer), None, "not heard for long");
    }

    #[test]
    fn no_clock_that_a_peer_invents_makes_a_number_overflow() {
        let start = Instant::now();
        let (_, mut clocks) = clocks(start);
        for (n, clock_ms) in [0, u64::MAX].into_iter().enumerate() {
            clocks.told(key(n as u16).public(), &present(clock_ms, start));
        }
        assert!(clocks.furthest_ms(start + Duration::from_secs(1)) > 1 << 62);
        for n in 0..1_000 {
            clocks.told(key(n).public(), &present(NOON, start));
        }
        assert_eq!(clocks.of_peers.len(), limits::REMEMBERED_PEERS_MAX);
    }
}
