//! Two halves of a district that wrote while they were cut off from each other: how long after the heal until all nodes
//! hold the same.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::Setup;
use super::measure::{Report, Times, seconds};
use super::visible::{street_nodes, tell_cost};
use crate::district::District;
use crate::lab::api::Api;
use crate::lab::interrupted;

const GOAL_P50: Duration = Duration::from_secs(10);
const GOAL_P99: Duration = Duration::from_secs(30);
/// Longest wait for the nodes to agree.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) fn run(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let count = setup.size(setup.options.nodes, 4, 12);
    let cut = Duration::from_secs(setup.size(setup.options.cut_seconds, 4, 60));
    let events = setup.size(setup.options.events, 40, 1_000);
    let rounds = setup.size(setup.options.rounds, 1, 3);
    report.about(&format!(
        "{count} nodes in two halves, a cut of {}, {events} events on each side, {rounds} rounds",
        seconds(cut)
    ));
    let root = tempfile::tempdir()?;
    let district = street_nodes(root.path(), count, setup)?;
    district.wait_for_agreement(PATIENCE)?;
    let (mut held, mut shown, mut each) = (Times::default(), Times::default(), vec![]);
    for number in 1..=rounds {
        let round = round(&district, cut, events)?;
        report.beside(
            &format!("round {number}: all hold the same / show the same after the heal"),
            &format!("{} / {}", seconds(round.held), seconds(round.shown)),
        );
        held.add(round.held);
        shown.add(round.shown);
        each.extend(round.each);
    }
    let (middle, worst) = (held.quantile(0.5), held.quantile(0.99));
    report.figure("equal after the heal, p50 of the rounds", "<= 10 s", &seconds(middle), middle <= GOAL_P50);
    report.figure("equal after the heal, p99 of the rounds", "<= 30 s", &seconds(worst), worst <= GOAL_P99);
    report.beside("   spread over rounds, logs", &held.spread());
    report.beside("   spread over rounds, views", &shown.spread());
    report.beside("   a single node holds everything", &each.into_iter().collect::<Times>().spread());
    tell_cost(report, &district.nodes)
}

struct Round {
    /// Until all nodes held the same logs.
    held: Duration,
    /// Until all of them showed the same.
    shown: Duration,
    /// Until each node held everything.
    each: Vec<Duration>,
}

fn round(district: &District, cut: Duration, events: u64) -> anyhow::Result<Round> {
    let apart: Vec<usize> = (0..district.nodes.len() / 2).collect();
    let before = district.nodes[0].api.status()?["events"].as_u64().unwrap_or_default();
    district.split(&apart)?;
    write_on_both_sides(district, apart.len(), cut, events)?;
    ensure!(!district.disagreement()?.is_empty(), "the cut did not separate the nodes");
    district.rejoin(&apart)?;
    let each = until_everywhere(district, before + 2 * events)?;
    let healed_for = each.iter().max().copied().unwrap_or_default();
    let after = district.wait_for_agreement(PATIENCE)?;
    Ok(Round { held: healed_for, shown: healed_for + after, each })
}

/// Each side records its events, spread over its nodes and over the whole cut.
fn write_on_both_sides(district: &District, left: usize, cut: Duration, events: u64) -> anyhow::Result<()> {
    let until = Instant::now() + cut;
    let (near, far) = district.nodes.split_at(left);
    std::thread::scope(|scope| {
        let mut writers = vec![];
        for side in [near, far] {
            for (n, node) in side.iter().enumerate() {
                let share = events / side.len() as u64 + u64::from((n as u64) < events % side.len() as u64);
                writers.push(scope.spawn(move || write(&node.api, share, cut)));
            }
        }
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a writer panicked"))))
    })?;
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    Ok(())
}

fn write(node: &Api, count: u64, cut: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    for n in 0..count {
        let due = cut.mul_f64(n as f64 / count as f64);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        ensure!(!interrupted(), "interrupted");
        node.act(json!({"do": "report_incident", "category": "停电", "severity": "IV", "place": format!("{n} 号楼"), "summary": "全楼停电"}))?;
    }
    Ok(())
}

/// Until each node holds so many events, from now on.
fn until_everywhere(district: &District, events: u64) -> anyhow::Result<Vec<Duration>> {
    let healed = Instant::now();
    std::thread::scope(|scope| {
        let watch = |api: &Api| {
            crate::lab::process::wait_until(PATIENCE, || {
                let holds = api.status()?["events"].as_u64().unwrap_or_default();
                Ok(if holds >= events { Ok(()) } else { Err(format!("{holds} of {events} events")) })
            })?;
            Ok(healed.elapsed())
        };
        let watchers: Vec<_> = district.nodes.iter().map(|node| scope.spawn(move || watch(&node.api))).collect();
        watchers
            .into_iter()
            .map(|watcher| watcher.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a watcher panicked"))))
            .collect()
    })
}
