//! What has gone over a connection in frames, in either direction: how long an event is on this line, and how fast
//! events come in. What waits and how long it will take is reckoned from it.

use std::time::Duration;

use super::Moved;

/// Smallest stretch that says something about how fast frames arrive, in bytes; below it latency dominates.
const SAMPLE_BYTES_MIN: u64 = 1024;
/// A stretch this long in bytes is a sample, however short it took: a fast line has many of them.
const SAMPLE_BYTES: u64 = 64 * 1024;
/// A stretch this long in time is a sample, if it has [`SAMPLE_BYTES_MIN`]: a slow line has nothing better.
const SAMPLE_TIME: Duration = Duration::from_millis(500);

impl Moved {
    /// Counts a frame, or a piece of one.
    pub(super) const fn add(&mut self, events: u64, bytes: u64) {
        self.events = self.events.saturating_add(events);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// About how many bytes so many events are on this line; none before any has moved, except that nothing is nothing.
    pub fn bytes_of(&self, events: u64) -> Option<u64> {
        if events == 0 {
            return Some(0);
        }
        let bytes = u128::from(events) * u128::from(self.bytes) / u128::from((self.events > 0).then_some(self.events)?);
        Some(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

/// Frames that arrive, and how fast while the sender had leave to send.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    moved: Moved,
    /// Since when the present stretch is counted, and its bytes so far. None until a first piece starts it: the time
    /// before that went by with the question, not with the answer.
    stretch: Option<(Duration, u64)>,
    bytes_per_second: Option<u64>,
}

impl Arrivals {
    /// The peer has been asked for something and owed nothing before: time goes by for its answers from the first on.
    pub(super) const fn begin(&mut self) {
        self.stretch = None;
    }

    /// Counts a piece of a frame of events that arrived; its end brings the events.
    pub(super) const fn count(&mut self, events: u64, bytes: u64) {
        self.moved.add(events, bytes);
    }

    /// Takes note of when a piece of any frame arrived.
    pub(super) fn piece(&mut self, now: Duration, bytes: u64) {
        let Some((since, before)) = self.stretch else {
            self.stretch = Some((now, 0));
            return;
        };
        let (bytes, span) = (before.saturating_add(bytes), now.saturating_sub(since));
        let long_enough = bytes >= SAMPLE_BYTES || span >= SAMPLE_TIME || self.bytes_per_second.is_none();
        if bytes < SAMPLE_BYTES_MIN || span.is_zero() || !long_enough {
            self.stretch = Some((since, bytes));
            return;
        }
        let sample = u128::from(bytes) * 1_000_000 / span.as_micros().max(1);
        let sample = u64::try_from(sample).unwrap_or(u64::MAX);
        let smoothed = |known: u64| known / 4 * 3 + sample / 4;
        self.bytes_per_second = Some(self.bytes_per_second.map_or(sample, smoothed));
        self.stretch = Some((now, 0));
    }

    pub(super) const fn moved(&self) -> Moved {
        self.moved
    }

    pub(super) const fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_between_frames_and_not_that_of_waiting_for_something_to_ask_for() {
        let mut arrivals = Arrivals::default();
        let mut now = Duration::from_secs(3);
        arrivals.begin();
        arrivals.piece(now, 4_000);
        assert_eq!(arrivals.bytes_per_second(), None, "one frame has no speed");
        for _ in 0..20 {
            now += Duration::from_millis(500);
            arrivals.piece(now, 4_000);
        }
        assert_eq!(arrivals.bytes_per_second(), Some(8_000));
        now += Duration::from_secs(3_600);
        arrivals.begin();
        arrivals.piece(now, 4_000);
        assert_eq!(arrivals.bytes_per_second(), Some(8_000), "an hour in which nothing was asked for is no sample");
    }

    #[test]
    fn what_waits_is_reckoned_from_what_moved_and_unknown_before() {
        let mut moved = Moved::default();
        assert_eq!((moved.bytes_of(0), moved.bytes_of(7)), (Some(0), None));
        moved.add(100, 33_000);
        assert_eq!(moved.bytes_of(7), Some(2_310));
        assert_eq!(moved.bytes_of(u64::MAX), Some(u64::MAX));
    }
}
