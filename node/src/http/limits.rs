//! Bounds on what a client may send and how often, each with its reason.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// Largest form: an event's payload is at most 64 KiB, so nothing larger could be recorded.
pub(crate) const FORM_BYTES_MAX: usize = 64 << 10;
/// Largest single JSON body: one command with room for escapes.
pub(crate) const JSON_BYTES_MAX: usize = 256 << 10;
/// Largest body of an import: ten thousand commands of a few hundred bytes.
pub(crate) const BATCH_BYTES_MAX: usize = 8 << 20;
/// Most commands in one import: a street of the pilot has about two thousand lines.
pub(crate) const BATCH_COMMANDS_MAX: usize = 10_000;
/// Largest volume that a courier may bring: what `linli carry out` may write.
pub(crate) const VOLUME_BYTES_MAX: usize = linli_core::limits::CARRY_VOLUME_BYTES_MAX;
/// A request, its body included, must be over by then; a slow client frees its place.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// An import may take longer: it is signed event by event and synced once. So may a courier's volume.
pub(crate) const BATCH_TIME_MAX: Duration = Duration::from_secs(120);
/// When a client that is told to come back may do so, in seconds: most acts are recorded within one.
pub(crate) const BUSY_RETRY_S: u64 = 2;
/// The request line and headers must have arrived by then.
pub(crate) const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
/// A client that takes nothing of its answer for so long loses its place; phones in a stairwell stall for seconds.
pub(crate) const UNREAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Most connections at once: a street office, its phones and residents on one LAN; each costs a few tens of KB.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;
/// Most connections at once from one address or IPv6 network, so that one visitor cannot take all places.
pub(crate) const CONNECTIONS_PER_ADDRESS_MAX: usize = 128;
/// Most bodies of people who are not signed in that may be on their way at once: signing in takes a moment.
pub(crate) const STRANGERS_BODIES_MAX: usize = 64;
/// Most of them from one address or IPv6 network: a family behind one router signs in at the same time.
pub(crate) const STRANGERS_BODIES_PER_ADDRESS_MAX: usize = 4;
/// Most bodies of people who are signed in, in places that no stranger can take.
pub(crate) const OPERATORS_BODIES_MAX: usize = 256;
/// Most of them from one address or IPv6 network: a few browsers, each sending one form.
pub(crate) const OPERATORS_BODIES_PER_ADDRESS_MAX: usize = 32;
/// A stranger's body, a few bytes of a sign-in form, must have arrived by then.
pub(crate) const STRANGERS_BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Places for this machine itself: its command line and its own browser.
pub(crate) const LOCAL_CONNECTIONS_MAX: usize = 128;
/// Places for addresses from which somebody signed in has asked lately.
pub(crate) const REGULAR_CONNECTIONS_MAX: usize = 256;
/// Most addresses that are remembered so; the longest unheard go first.
pub(crate) const REGULARS_MAX: usize = 256;
/// How long an address counts so: a shift.
pub(crate) const REGULAR_TIME_MAX: Duration = Duration::from_secs(8 * 3_600);
/// Most connections from one address once half of all places are taken: a browser opens six.
pub(crate) const CONNECTIONS_PER_ADDRESS_UNDER_PRESSURE: usize = 16;
/// How long an answer that many ask for stands, so that a crowd costs no more than one of them.
pub(crate) const RECENT_TIME: Duration = Duration::from_secs(1);
/// Most histories told at once. Each reads all events of its record, one after the other; two keep two cores busy.
pub(crate) const TELLINGS_MAX: usize = 2;
/// How long open requests may go on after a stop is asked for.
pub(crate) const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// A stream of changes ends after this long; browsers reconnect by themselves and are authenticated anew.
pub(crate) const CHANGES_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Keys that a limiter remembers before it drops those that are at rest.
const KEYS_MAX: usize = 4_096;

const fn per(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Somebody signed in, by name.
    Operator(String),
    /// Anybody else, by address.
    Address(IpAddr),
}

/// Limits on sign-in attempts and on writes.
pub(crate) struct RateLimits {
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    writes: DefaultKeyedRateLimiter<Client>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            // A code has 30^8 values and lives a day: at five attempts a minute guessing is hopeless.
            sign_ins: DefaultKeyedRateLimiter::keyed(Quota::per_minute(per(5))),
            // A person filling forms never gets near; a script with a stolen session is slowed down.
            writes: DefaultKeyedRateLimiter::keyed(Quota::per_second(per(2)).allow_burst(per(60))),
        }
    }
}

impl RateLimits {
    /// Counts an attempt to sign in.
    ///
    /// # Errors
    /// The seconds to wait when there were too many.
    pub(crate) fn sign_in(&self, address: IpAddr) -> Result<(), u64> {
        check(&self.sign_ins, &network_of(address))
    }

    /// Counts a write.
    ///
    /// # Errors
    /// The seconds to wait when there were too many.
    pub(crate) fn write(&self, client: &Client) -> Result<(), u64> {
        check(&self.writes, client)
    }
}

/// One household or one machine: an IPv4 address, or the /64 that an IPv6 host may pick addresses from.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

fn check<K: Clone + Eq + std::hash::Hash>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), u64> {
    if limiter.len() > KEYS_MAX {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|not_until| {
        let wait = not_until.wait_time_from(MonotonicClock.now());
        wait.as_secs() + 1
    })
}

/// The address that stands for a client whose address is not known, as in tests without a socket.
pub(crate) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_attempt_in_a_minute_waits_and_other_addresses_do_not() {
        let limits = RateLimits::default();
        let guesser: IpAddr = "192.0.2.7".parse().unwrap();
        assert!((0..5).all(|_| limits.sign_in(guesser).is_ok()));
        let wait = limits.sign_in(guesser).unwrap_err();
        assert!((1..=13).contains(&wait), "{wait}");
        assert!(limits.sign_in("192.0.2.8".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_ipv6_host_cannot_multiply_itself() {
        let limits = RateLimits::default();
        let attempt = |i: u16| limits.sign_in(format!("2001:db8::{i:x}").parse().unwrap());
        assert!((0..5).all(|i| attempt(i).is_ok()));
        assert!(attempt(9).is_err());
    }
}
