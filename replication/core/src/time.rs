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
    /// A clock that never goes below `last`, the highest time of our own that the store knows.
    pub const fn starting_after(last: Hlc) -> Self {
        Self { last }
    }

    /// The time for a new event: strictly greater than every time given or accepted before.
    pub fn tick(&mut self, now_unix_ms: u64) -> Hlc {
        let wall = Hlc::from_unix_ms(now_unix_ms);
        self.last = if wall > self.last { wall } else { Hlc(self.last.0.saturating_add(1)) };
        self.last
    }

    /// Takes note of a remote time, so that what we write next sorts after what we have seen. A remote clock that is
    /// more than [`limits::CLOCK_SKEW_MS_MAX`] ahead does not drag ours along.
    pub fn observe(&mut self, remote: Hlc, now_unix_ms: u64) {
        if remote.unix_ms() <= now_unix_ms.saturating_add(limits::CLOCK_SKEW_MS_MAX) {
            self.last = self.last.max(remote);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_rise_even_when_the_wall_clock_falls() {
        let mut clock = HlcClock::default();
        let a = clock.tick(1_000);
        let b = clock.tick(900);
        assert!(b > a && b.unix_ms() == 1_000);
        clock.observe(Hlc::from_unix_ms(5_000), 1_000);
        assert!(clock.tick(1_000).unix_ms() >= 5_000);
    }

    #[test]
    fn a_clock_ten_years_ahead_does_not_drag_ours_along() {
        let (mut clock, now) = (HlcClock::default(), 1_790_000_000_000);
        let ten_years_ms = 10 * 365 * 86_400_000;
        clock.observe(Hlc::from_unix_ms(now + ten_years_ms), now);
        assert_eq!(clock.tick(now).unix_ms(), now);
    }
}
