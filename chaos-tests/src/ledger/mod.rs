//! `linli-chaos ledger`: the proof that an act happens once.
//!
//! Clients do acts under ids of their own, one by one or in batches. They time out, try again, tap twice, repeat a batch
//! from its middle and go to another node, while nodes are
//! killed, lose their power and are cut off from each other. Each client keeps a ledger of what it was told. At the end
//! all nodes are joined and quiet: every acknowledged act counts exactly once on every node, none that nobody
//! acknowledged counts twice, and whoever asks again is given the same receipt everywhere.

mod audit;
mod client;
mod deed;
mod faults;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use fastrand::Rng;

use crate::district::{District, Wiring};
use crate::lab::api::{Answer, Api};
use crate::lab::disk::{self, Disk};
use audit::{Audit, Figures};
use client::{Client, Entry, Turnstile};
use deed::{AREA, Act, Stage};
use faults::{Fault, Hand};

/// A bureau above a street, and two nodes of that street.
const PLANS: [(&str, &str, &str); 3] =
    [("bureau", "320508", "应急管理局"), ("linhu", AREA, "临湖街道"), ("linhu-2", AREA, "临湖街道二号")];
/// The node that sets up what the acts are about.
const STREET: usize = 1;
/// Longest wait for the nodes to agree.
const AGREEMENT: Duration = Duration::from_secs(180);

/// Acts by impatient clients among kills, power cuts and cuts; each must count once.
#[derive(Debug, Clone, Args)]
pub struct Ledger {
    /// Acts to be done.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..1_000_000))]
    pub acts: u32,
    /// Clients that do them.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub clients: u16,
    /// Nodes killed with -9 and started again.
    #[arg(long, default_value_t = 40)]
    pub kills: u16,
    /// Power cuts of a node's machine. They need root and loop devices.
    #[arg(long, default_value_t = 10)]
    pub power_cuts: u16,
    /// Times that a node is cut off from the others for a while.
    #[arg(long, default_value_t = 12)]
    pub cuts: u16,
    /// Replays the acts and the plan of an earlier run. The moments are the machine's.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    ledger: Ledger,
    took: Duration,
    acts: Vec<(&'static str, usize)>,
    acknowledged: usize,
    abandoned: usize,
    sent: usize,
    unanswered: usize,
    to_other_nodes: usize,
    in_batches: usize,
    figures: Figures,
}

impl Ledger {
    /// Runs it and prints the report.
    ///
    /// # Errors
    /// When anything that it proves does not hold; the message has the seed and the story of the act.
    pub fn run(&self) -> anyhow::Result<()> {
        println!("{}", self.prove()?);
        Ok(())
    }

    /// Runs it.
    ///
    /// # Errors
    /// As [`Ledger::run`].
    pub fn prove(&self) -> anyhow::Result<Report> {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        println!("--seed {seed} replays this plan");
        ensure!(
            self.power_cuts == 0 || disk::available(),
            "power cuts need root, loop devices and mkfs.ext4; without them say --power-cuts 0"
        );
        let root = tempfile::Builder::new().prefix("linli-ledger-").tempdir()?;
        let ledger = Self { seed: Some(seed), ..self.clone() };
        let outcome = ledger.play(seed, root.path());
        outcome
            .inspect_err(|_| eprintln!("the nodes' data and logs are in {}", root.keep().display()))
            .with_context(|| format!("seed {seed}"))
    }

    fn play(&self, seed: u64, root: &Path) -> anyhow::Result<Report> {
        let mut random = Rng::with_seed(seed);
        let mut district = District::laid_out(root, &PLANS, Wiring::default())?;
        let mut disks = vec![];
        if self.power_cuts > 0 {
            disks = district.nodes.iter().map(|node| Disk::for_node(&node.dir)).collect::<anyhow::Result<_>>()?;
        }
        district.found_laid_out(&PLANS)?;
        let stage = Stage::set(&district.nodes[STREET], self.acts as usize)?;
        district.wait_for_agreement(AGREEMENT).context("before the first act")?;
        let acts = stage.acts(self.acts as usize, &mut random);
        let plan = faults::plan(self.kills.into(), self.power_cuts.into(), self.cuts.into(), PLANS.len(), &mut random);
        let began = Instant::now();
        let entries = self.mishandle(&mut district, &disks, &acts, &plan, &mut random)?;
        let took = began.elapsed();
        district.wait_for_agreement(AGREEMENT).context("after the last act")?;
        let audit = Audit { district: &district, stage: &stage, entries: &entries, scratch: &root.join("export") };
        let (findings, figures) = audit.run()?;
        let report = self.report(took, &entries, figures);
        // Nodes go before their disks.
        drop(district);
        drop(disks);
        if !findings.is_empty() {
            bail!("{report}\n{}", findings.tell());
        }
        Ok(report)
    }

    /// Clients act and faults happen, until all acts are done and all that was cut is healed.
    fn mishandle(
        &self,
        district: &mut District,
        disks: &[Disk],
        acts: &[Act],
        plan: &[Fault],
        random: &mut Rng,
    ) -> anyhow::Result<Vec<Entry>> {
        let (turnstile, began) = (Turnstile::default(), Instant::now());
        let nodes: Vec<Api> = district.nodes.iter().map(|node| node.api.clone()).collect();
        let entries: Vec<Entry> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..usize::from(self.clients))
                .map(|number| {
                    let client = Client { nodes: &nodes, home: number % nodes.len(), random: random.fork(), began };
                    let turnstile = &turnstile;
                    scope.spawn(move || client.run(acts, turnstile))
                })
                .collect();
            let mut hand = Hand { district, disks, turnstile: &turnstile, random: random.fork() };
            let happened = hand.run(plan, acts.len());
            if happened.is_err() {
                turnstile.close();
            }
            let joined = clients
                .into_iter()
                .map(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            let entries: Vec<Entry> = joined.flatten().collect();
            happened.map(|()| entries)
        })?;
        ensure!(entries.len() == acts.len(), "{} of {} acts were begun", entries.len(), acts.len());
        Ok(entries)
    }

    fn report(&self, took: Duration, entries: &[Entry], figures: Figures) -> Report {
        let mut acts: Vec<(&'static str, usize)> = vec![];
        for name in entries.iter().map(|entry| entry.act.deed.name()) {
            match acts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => acts.push((name, 1)),
            }
        }
        acts.sort_unstable();
        let attempts = || entries.iter().flat_map(|entry| &entry.attempts);
        let switches = |entry: &Entry| entry.attempts.windows(2).filter(|pair| pair[0].node != pair[1].node).count();
        Report {
            ledger: self.clone(),
            took,
            acts,
            acknowledged: entries.iter().filter(|entry| entry.is_acknowledged()).count(),
            abandoned: entries.iter().filter(|entry| entry.abandoned).count(),
            sent: attempts().count(),
            unanswered: attempts().filter(|attempt| !matches!(attempt.answer, Answer::Done(_))).count(),
            to_other_nodes: entries.iter().map(switches).sum(),
            in_batches: entries.iter().filter(|entry| entry.in_batch).count(),
            figures,
        }
    }
}

impl Report {
    /// Acts that a node said were recorded.
    pub const fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// Sendings beyond the first of each act.
    pub const fn retries(&self) -> usize {
        self.sent - self.acknowledged - self.abandoned
    }

    /// Repetitions at the end that were answered with the first receipt.
    pub const fn answered_from_log(&self) -> usize {
        self.figures.answered_from_log
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ledger, figures, .. } = self;
        writeln!(f, "账本 / ledger, seed {}, {:.0} s", ledger.seed.unwrap_or_default(), self.took.as_secs_f64())?;
        writeln!(f, "   {:>6} 个行为 / acts by {} clients", self.acknowledged + self.abandoned, ledger.clients)?;
        for (name, count) in &self.acts {
            writeln!(f, "          {count:>5} {name}")?;
        }
        writeln!(
            f,
            "   {:>6} 次重发 / sent again, {} of them or before them at another node",
            self.retries(),
            self.to_other_nodes
        )?;
        writeln!(f, "   {:>6} 个成批发送 / acts sent in batches, again from their middle", self.in_batches)?;
        writeln!(f, "   {:>6} 次没有答复 / sendings without a receipt", self.unanswered)?;
        writeln!(f, "   {:>6} 个已确认 / acts acknowledged", self.acknowledged)?;
        writeln!(
            f,
            "   {:>6} 个放弃 / given up, {} of them recorded",
            self.abandoned, figures.unacknowledged_recorded
        )?;
        writeln!(
            f,
            "   {:>6} 个记录不止一次 / recorded more than once, by nodes that did not know of each other",
            figures.recorded_twice
        )?;
        writeln!(f, "   {:>6} 次由日志答复 / repetitions at the end answered from the log", figures.answered_from_log)?;
        writeln!(f, "   {:>6} 次拒绝挪用 / ids refused for another act", figures.reuse_refused)?;
        write!(
            f,
            "   kill -9: {}, 断电 / power cuts: {}, 断网 / cuts: {}",
            ledger.kills, ledger.power_cuts, ledger.cuts
        )
    }
}
