//! Round trips, counted from outside: how much longer a meeting takes on a line that is longer by a known time.

use std::time::Duration;

use crate::meeting::Met;
use crate::report::{Figure, short};

use super::{Sizes, ms};

/// What a meeting needs, in round trips.
pub struct Trips {
    /// Up to an open sync stream.
    handshake: f64,
    /// From there until everything is durable.
    after: f64,
    /// The arithmetic.
    pub note: String,
}

impl Trips {
    /// Lets two nodes meet through a forwarder that delays nothing, and through one that delays by `sizes.delay`.
    pub fn count(sizes: &Sizes, meet: impl Fn(Duration) -> Met) -> Self {
        let through = |delay: Duration| {
            let met: Vec<Met> = (0..sizes.runs_short).map(|_| meet(delay)).collect();
            // A busy machine only ever adds to what a line takes.
            let least = |value: fn(&Met) -> f64| met.iter().map(value).fold(f64::INFINITY, f64::min);
            [least(|met| ms(met.handshake)), least(|met| ms(met.durable - met.handshake))]
        };
        let (near, far) = (through(Duration::ZERO), through(sizes.delay));
        let round_trip = 2.0 * ms(sizes.delay);
        let measured = [0, 1].map(|part| (far[part] - near[part]) / round_trip);
        // Whatever crosses a line takes half a round trip; the rest is what waking up a forwarder takes.
        let [handshake, after] = measured.map(|trips| (trips * 2.0).round() / 2.0);
        let part = |n: usize| {
            format!("({} - {}) ms / {} ms = {:.2}", short(far[n]), short(near[n]), short(round_trip), measured[n])
        };
        let note = format!(
            "round trips, least of {} runs through a forwarder: until the sync stream is open {}; after it {}",
            sizes.runs_short,
            part(0),
            part(1)
        );
        Self { handshake, after, note }
    }

    /// As figures.
    pub fn figures(&self, goal: f64) -> [Figure; 2] {
        [
            Figure::new("round trips until the stream is open", "", vec![self.handshake]),
            Figure::new("round trips after it", "", vec![self.after]).at_most(goal),
        ]
    }
}
