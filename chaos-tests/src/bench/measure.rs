//! Samples and how they are told: goal, figure, spread, and how busy the machine was.

use std::time::Duration;

/// Times of one thing, measured several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that a share of all samples, 0 to 1, does not exceed; zero without samples.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Smallest, middle and largest, for people.
    pub(super) fn spread(&self) -> String {
        let [least, middle, most] = [0.0, 0.5, 1.0].map(|share| seconds(self.quantile(share)));
        format!("{least} / {middle} / {most} (least / p50 / most of {})", self.count())
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

pub(super) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 1.0 => format!("{:.0} ms", short * 1_000.0),
        long => format!("{long:.2} s"),
    }
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// What one case prints.
pub(super) struct Report {
    load_before: String,
}

impl Report {
    pub(super) fn begin(name: &str) -> Self {
        println!("\n== {name}");
        Self { load_before: load() }
    }

    /// What was done.
    pub(super) fn about(&mut self, text: &str) {
        println!("   {text}");
    }

    /// A figure beside its goal.
    pub(super) fn figure(&mut self, what: &str, goal: &str, figure: &str, met: bool) {
        println!("   {what}: {figure}   goal {goal}: {}", if met { "met" } else { "MISSED" });
    }

    /// Something measured that has no goal of its own: a spread, a floor, a cost.
    pub(super) fn beside(&mut self, what: &str, figure: &str) {
        println!("   {what}: {figure}");
    }

    pub(super) fn end(self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!("   machine: {cores} cores, load {} before, {} after", self.load_before, load());
    }
}

/// The load of the last minute, as the system tells it.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_and_never_better_than_what_was_seen() {
        let times: Times = (1..=100).map(Duration::from_millis).collect();
        let quantile = |share| times.quantile(share).as_millis();
        assert_eq!([quantile(0.0), quantile(0.5), quantile(0.99), quantile(1.0)], [1, 50, 99, 100]);
        let few: Times = [3, 1, 2].map(Duration::from_secs).into_iter().collect();
        assert_eq!(few.quantile(0.99), Duration::from_secs(3));
        assert_eq!(Times::default().quantile(0.5), Duration::ZERO);
    }
}
