//! What honest peers do now and then and hostile ones without end: so many at once, and then one in a while.

use std::time::Duration;

/// How often something may be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// So many at once.
    pub(super) burst: u32,
    /// One more after each of these spans.
    pub(super) every: Duration,
}

/// How much of it a peer has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    /// When everything done so far is forgotten.
    forgotten_at: Duration,
}

impl Allowance {
    /// Does it once. False when it was done too often.
    pub(super) fn spend(&mut self, now: Duration, rate: Rate) -> bool {
        let forgotten_at = self.forgotten_at.max(now).saturating_add(rate.every);
        let allowed = forgotten_at.saturating_sub(now) <= rate.every.saturating_mul(rate.burst);
        if allowed {
            self.forgotten_at = forgotten_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_in_a_while_and_a_burst_again_after_a_rest() {
        let rate = Rate { burst: 3, every: Duration::from_secs(2) };
        let mut allowance = Allowance::default();
        let mut done = |at: u64| allowance.spend(Duration::from_secs(at), rate);
        assert_eq!([done(100), done(100), done(100), done(100)], [true, true, true, false]);
        assert_eq!([done(101), done(102), done(102), done(104)], [false, true, false, true]);
        assert_eq!([done(200), done(200), done(200), done(200)], [true, true, true, false]);
        assert!(!allowance.spend(Duration::ZERO, rate), "time that falls is no reason to panic");
    }
}
