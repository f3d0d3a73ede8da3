//! `linli-chaos bench`: real nodes under bad conditions, each case beside its goal, with its spread and the machine's load.
//!
//! Figures are printed, never asserted: a shared machine proves nothing about speed. What must hold at any speed (nothing
//! lost, nothing sent twice) ends the run with an error when it does not. In network namespaces where root is, over relays
//! on loopback elsewhere.

mod alert;
mod hostile;
mod interrupted;
mod measure;
mod million;
mod reunion;
mod visible;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::lab::namespace;
use measure::Report;

/// The third number of a benchmark's addresses in 10.77.0.0/16; those of tests lie below.
const BLOCKS_FROM: u8 = 20;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// An alert that is raised behind a backlog on a line of 64 kbit/s.
    Alert,
    /// The same line with a cut every 20 s for 5 s: nothing durable is sent again.
    Interrupted,
    /// A district on one LAN: from acknowledged to visible on every node.
    Visible,
    /// Two halves that wrote during a cut: until all are equal after the heal.
    Reunion,
    /// A node with a long past: until it answers, and its memory.
    Million,
    /// A hostile member and a hostile stranger: what they cost a node and its neighbour.
    Hostile,
}

/// Benchmarks of districts under bad conditions.
#[derive(Debug, Clone, Args)]
pub struct Bench {
    /// Which cases; all when none is named.
    #[arg(value_enum)]
    cases: Vec<Case>,
    /// Small sizes and one round, to see that everything still runs: about a minute.
    #[arg(long)]
    quick: bool,
    /// Use relays on loopback even where root could make network namespaces.
    #[arg(long)]
    no_namespaces: bool,
    /// Rounds of the cases that have rounds.
    #[arg(long)]
    rounds: Option<usize>,
    /// Bytes that wait when the slow line comes up (alert: 5,000,000; interrupted: 1,000,000, which takes 5 minutes).
    #[arg(long)]
    backlog: Option<u64>,
    /// Alerts that are raised, one after the other.
    #[arg(long)]
    alerts: Option<usize>,
    /// Nodes of the district (visible: 24; reunion: 12).
    #[arg(long)]
    nodes: Option<usize>,
    /// How long events are written (visible: 30), or an attack lasts (hostile: 60).
    #[arg(long)]
    seconds: Option<u64>,
    /// How long the cut lasts (reunion: 60).
    #[arg(long)]
    cut_seconds: Option<u64>,
    /// Events of the past (million: 1,000,000), or on each side of a cut (reunion: 1,000).
    #[arg(long)]
    events: Option<u64>,
    /// Replays texts and moments of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
}

/// What all cases share.
#[derive(Debug, Clone)]
struct Setup {
    options: Bench,
    /// The block of addresses, if there are namespaces.
    namespaces: Option<u8>,
    seed: u64,
}

impl Setup {
    /// What was asked for, or the size of a quick or of a full run.
    fn size<T>(&self, asked: Option<T>, quick: T, full: T) -> T {
        asked.unwrap_or(if self.options.quick { quick } else { full })
    }
}

impl Bench {
    /// Runs the cases and prints what was measured.
    ///
    /// # Errors
    /// When a case cannot be carried out, or events were lost or sent twice.
    pub fn run(&self) -> anyhow::Result<()> {
        let real = !self.no_namespaces && namespace::available() && namespace::can_slow_down();
        let namespaces = real.then(|| (std::process::id() % 200) as u8 + BLOCKS_FROM);
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let setup = Setup { options: self.clone(), namespaces, seed };
        println!(
            "{}, seed {seed} (--seed replays it)",
            if real { "network namespaces" } else { "relays on loopback (namespaces need root, ip, nft and tc)" }
        );
        let chosen = match self.cases.as_slice() {
            [] => Case::value_variants(),
            cases => cases,
        };
        for case in chosen {
            let name = format!("{case:?}").to_lowercase();
            let mut report = Report::begin(&name);
            let measured = match case {
                Case::Alert => alert::run(&setup, &mut report),
                Case::Interrupted => interrupted::run(&setup, &mut report),
                Case::Visible => visible::run(&setup, &mut report),
                Case::Reunion => reunion::run(&setup, &mut report),
                Case::Million => million::run(&setup, &mut report),
                Case::Hostile => hostile::run(&setup, &mut report),
            };
            report.end();
            measured.with_context(|| format!("the case {name}"))?;
        }
        Ok(())
    }
}
