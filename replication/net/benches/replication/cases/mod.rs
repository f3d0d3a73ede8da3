//! Who holds what before two nodes meet, and what is asked of their meeting.

use std::path::PathBuf;
use std::time::Duration;

use crate::data::Stock;
use crate::floor::Floor;
use crate::host::Lab;
use crate::meeting::{Costs, Met, Room};
use crate::report::{FLOOR, Figure, Report, TIME};

mod both_new;
mod catch_up;
mod few_new;
mod many_logs;
mod round_trips;

/// How much of everything.
pub struct Sizes {
    /// Events of each catch-up.
    catch_ups: Vec<usize>,
    /// Authors, of one log each.
    logs: usize,
    /// Events that both hold before some are new.
    held: usize,
    /// Events that are new on one side.
    few: usize,
    /// Events that each side has and the other lacks.
    each_lacks: usize,
    /// Logs of one event, and how many of them differ.
    many_logs: usize,
    differ: usize,
    /// Runs of what takes seconds, and of what takes less.
    runs_long: usize,
    runs_short: usize,
    /// The longer line, each way.
    delay: Duration,
    /// How long two nodes are left alone before bytes of a small case are counted: their last comparison, which comes
    /// a second later, included.
    settle: Duration,
}

impl Sizes {
    /// What the goals speak of.
    pub fn full() -> Self {
        Self {
            catch_ups: vec![100_000, 1_000_000],
            logs: 50,
            held: 100_000,
            few: 100,
            each_lacks: 10_000,
            many_logs: 10_000,
            differ: 10,
            runs_long: 3,
            runs_short: 5,
            delay: Duration::from_millis(50),
            settle: Duration::from_millis(1_500),
        }
    }

    /// Every case in seconds.
    pub fn quick() -> Self {
        Self {
            catch_ups: vec![2_000],
            held: 2_000,
            each_lacks: 200,
            many_logs: 200,
            differ: 2,
            runs_long: 1,
            runs_short: 1,
            delay: Duration::from_millis(10),
            settle: Duration::from_millis(100),
            ..Self::full()
        }
    }

    /// With catch-ups of so many events, and so many runs, where somebody asks for it.
    pub fn chosen(mut self, events: Option<usize>, runs: Option<usize>) -> Self {
        if let Some(events) = events {
            self.catch_ups = vec![events];
        }
        if let Some(runs) = runs {
            (self.runs_long, self.runs_short) = (runs, runs);
        }
        self
    }

    /// How long two nodes are left alone in a small case. Through a forwarder nobody counts bytes.
    fn settle_for(&self, delay: Option<Duration>) -> Duration {
        if delay.is_some() { Duration::ZERO } else { self.settle }
    }

    /// How long two nodes are left alone where a few late bytes do not matter.
    fn settle_short(&self) -> Duration {
        self.settle.min(Duration::from_millis(200))
    }
}

type Case = fn(&Lab, &Sizes, &mut Report);

/// Runs all cases, or the one that is named.
pub fn run(lab: &Lab, sizes: &Sizes, only: Option<&str>, report: &mut Report) {
    let cases: [(&str, Case); 4] = [
        ("few-new", few_new::run),
        ("both-new", both_new::run),
        ("many-logs", many_logs::run),
        ("catch-up", catch_up::run),
    ];
    let chosen: Vec<_> = cases.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    assert!(!chosen.is_empty(), "no case has this name; there are few-new, both-new, many-logs, catch-up");
    for (_, case) in chosen {
        case(lab, sizes, report);
    }
}

/// A meeting and the floor that was measured just before it.
struct Round {
    floor: Floor,
    met: Met,
}

fn each(rounds: &[Round], value: impl Fn(&Round) -> f64) -> Vec<f64> {
    rounds.iter().map(value).collect()
}

/// A number of events or logs, for people.
fn many(n: usize) -> String {
    match n {
        1_000_000.. if n.is_multiple_of(1_000_000) => format!("{} M", n / 1_000_000),
        10_000.. if n.is_multiple_of(1_000) => format!("{} k", n / 1_000),
        _ => n.to_string(),
    }
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn kb(bytes: u64) -> f64 {
    bytes as f64 / 1e3
}

/// Sync messages, both ways.
fn messages(met: &Met) -> u64 {
    met.costs.iter().map(|costs| costs.received_bytes).sum()
}

/// The floor, its parts, the time, and how many floors that is.
fn times(rounds: &[Round]) -> Vec<Figure> {
    vec![
        Figure::new(FLOOR, "ms", each(rounds, |r| ms(r.floor.sum()))),
        Figure::new("  the frames over TCP", "ms", each(rounds, |r| ms(r.floor.tcp))),
        Figure::new("  SHA-256 of each event", "ms", each(rounds, |r| ms(r.floor.sha256))),
        Figure::new("  RocksDB, synced batches", "ms", each(rounds, |r| ms(r.floor.rocksdb))),
        Figure::new("  of which there are", "", each(rounds, |r| r.floor.syncs as f64)),
        Figure::new("  RocksDB, in batches of 4 MiB", "ms", each(rounds, |r| ms(r.floor.rocksdb_large))),
        Figure::new(TIME, "ms", each(rounds, |r| ms(r.met.durable))),
        Figure::new("  until the sync stream is open", "ms", each(rounds, |r| ms(r.met.handshake))),
    ]
}

fn of_the_floor(rounds: &[Round], goal: f64) -> [Figure; 2] {
    let of = |floor: fn(&Floor) -> Duration| each(rounds, |r| ms(r.met.durable) / ms(floor(&r.floor)));
    [
        Figure::new("time, of the floor", "x", of(Floor::sum)).at_most(goal),
        Figure::new("time, of one in batches of 4 MiB", "x", of(Floor::sum_of_large_batches)),
    ]
}

/// What both processes used.
fn costs(rounds: &[Round]) -> Vec<Figure> {
    let of = |node: usize, value: fn(&Costs) -> f64| each(rounds, |r| value(&r.met.costs[node]));
    let cpu = |node| of(node, |costs| costs.cpu.as_secs_f64());
    let peak = |node| of(node, |costs| mb(costs.peak_bytes));
    let syncs = |node| of(node, |costs| costs.syncs as f64);
    vec![
        Figure::new("CPU, node that is called", "s", cpu(0)),
        Figure::new("CPU, node that calls", "s", cpu(1)),
        Figure::new("peak memory, node that is called", "MB", peak(0)).at_most(200.0),
        Figure::new("peak memory, node that calls", "MB", peak(1)).at_most(200.0),
        Figure::new("synced appends, node that is called", "", syncs(0)),
        Figure::new("synced appends, node that calls", "", syncs(1)),
    ]
}

/// A copy of a store for one meeting.
fn lent(stock: &Stock, room: &Room, name: &str) -> PathBuf {
    let path = room.path(name);
    stock.lend(&path);
    path
}

/// Measures the floor of what a meeting will move.
fn floor_of(lab: &Lab, stock: &Stock, room: &Room) -> Floor {
    Floor::measure(lab, &stock.bytes, &room.path("floor"))
}
