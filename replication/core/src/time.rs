//! Hybrid logical time: milliseconds and a counter in one number, for ordering and display, never for authority.
//!
//! After Kulkarni et al., "Logical Physical Clocks" (2014). The wall clock is always an argument.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A hybrid timestamp: Unix milliseconds << 16 | counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc(u64);

impl Hlc {
    /// From the number in a header.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// From a Unix time in milliseconds, counter 0. Times past the year 10889 saturate.
    pub const fn from_unix_ms(unix_ms: u64) -> Self {
        if unix_ms >> 48 == 0 { Self(unix_ms << 16) } else { Self(u64::MAX) }
    }

    /// The number that stands in a header.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The wall-clock part: Unix milliseconds.
    pub const fn unix_ms(self) -> u64 {
        self.0 >> 16
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms+{}", self.unix_ms(), self.0 & 0xffff)
    }
}

/// A node's own hybrid clock.
#[derive(Debug, Clone, Default)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// A clock that goes on after `last`, the highest time of our own that the store knows.
    pub const fn starting_after(last: Hlc) -> Self {
        Self { last }
    }

    /// The time for a new event that stands on others, the latest of which is of `after`: greater than that, and than
    /// every time given before.
    ///
    /// It never runs more than [`limits::CLOCK_AHEAD_MS_MAX`] ahead of the wall clock. A time beyond that, of others or of
    /// our own from when the wall clock was wrong, is not followed; then the wall clock counts.
    pub fn tick_past(&mut self, after: Hlc, now_unix_ms: u64) -> Hlc {
        let wall = Hlc::from_unix_ms(now_unix_ms);
        let latest_ms = now_unix_ms.saturating_add(limits::CLOCK_AHEAD_MS_MAX);
        let followed = [self.last, after].into_iter().filter(|time| time.unix_ms() < latest_ms).max();
        self.last = match followed {
            Some(followed) if followed >= wall => Hlc(followed.0.saturating_add(1)),
            _ => wall,
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;
    const MINUTE_MS: u64 = 60_000;

    fn at(unix_ms: u64) -> Hlc {
        Hlc::from_unix_ms(unix_ms)
    }

    #[test]
    fn ticks_rise_even_when_the_wall_clock_falls() {
        let mut clock = HlcClock::default();
        let first = clock.tick_past(Hlc::default(), 1_000);
        let second = clock.tick_past(Hlc::default(), 900);
        assert!(second > first && second.unix_ms() == 1_000);
    }

    #[test]
    fn an_answer_of_a_slow_clock_sorts_after_its_question() {
        for minutes in [0, 1, 10, 14] {
            let question = HlcClock::default().tick_past(Hlc::default(), NOW_MS + minutes * MINUTE_MS);
            let answer = HlcClock::default().tick_past(question, NOW_MS);
            assert!(answer > question, "{minutes} minutes slow: {answer} is not after {question}");
        }
    }

    #[test]
    fn a_time_beyond_the_bound_does_not_drag_ours_along() {
        for ahead_ms in [limits::CLOCK_AHEAD_MS_MAX, 10 * 365 * 86_400_000, u64::MAX] {
            let wrong = at(NOW_MS.saturating_add(ahead_ms));
            assert_eq!(HlcClock::default().tick_past(wrong, NOW_MS), at(NOW_MS));
            assert_eq!(HlcClock::starting_after(wrong).tick_past(Hlc::default(), NOW_MS), at(NOW_MS));
        }
    }

    #[test]
    fn whoever_pushes_a_clock_step_by_step_comes_no_further_than_the_bound() {
        let mut clock = HlcClock::default();
        let mut pushed = at(NOW_MS + limits::CLOCK_AHEAD_MS_MAX - 1);
        for _ in 0..200_000 {
            pushed = clock.tick_past(pushed, NOW_MS);
        }
        assert!(pushed.unix_ms() <= NOW_MS + limits::CLOCK_AHEAD_MS_MAX);
    }

    #[test]
    fn a_wall_clock_at_the_end_or_the_beginning_of_time_is_no_reason_to_panic() {
        for now_ms in [0, u64::MAX >> 16, u64::MAX] {
            let mut clock = HlcClock::starting_after(at(NOW_MS));
            let first = clock.tick_past(Hlc::default(), now_ms);
            assert!(clock.tick_past(first, now_ms) >= first);
        }
    }
}
