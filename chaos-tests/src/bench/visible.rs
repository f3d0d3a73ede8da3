//! A district on one LAN, people acting all over it: how long from the moment at which a node says that an act is
//! recorded until it is on the pages of every node.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;

use super::Setup;
use super::measure::{Report, Times, megabytes, seconds};
use crate::district::{District, Wiring};
use crate::lab::api::Api;
use crate::lab::interrupted;
use crate::lab::process::NodeProcess;

/// Events in all, in a second.
const EVENTS_PER_SECOND: usize = 10;
const GOAL: Duration = Duration::from_secs(1);
/// Longest wait for the nodes to agree after the founding, and for the last act to be seen everywhere.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a node that has just heard of everything is left alone before the first act.
const SETTLING: Duration = Duration::from_secs(3);

/// An act: its record, the node that took it, and when it said so.
struct Act {
    record: String,
    node: usize,
    acknowledged: Instant,
}

/// When each record first appeared on a node's pages.
type Seen = BTreeMap<String, Instant>;

pub(super) fn run(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let count = setup.size(setup.options.nodes, 6, 24);
    let span = Duration::from_secs(setup.size(setup.options.seconds, 5, 30));
    report.about(&format!("{count} nodes on one LAN, {EVENTS_PER_SECOND} events/s in all for {}", seconds(span)));
    let root = tempfile::tempdir()?;
    let district = street_nodes(root.path(), count, setup)?;
    let founded = Instant::now();
    district.wait_for_agreement(PATIENCE)?;
    report.beside("all nodes agree after the last one's start", &seconds(founded.elapsed()));
    std::thread::sleep(SETTLING);
    let (acts, seen) = act_and_watch(&district, span, setup.seed)?;
    let (everywhere, here) = delays(&district, &acts, &seen)?;
    let p99 = everywhere.quantile(0.99);
    report.figure("acknowledged to visible on every node, p99", "<= 1 s", &seconds(p99), p99 <= GOAL);
    report.beside("   spread", &everywhere.spread());
    let own = format!("p99 {}, {}", seconds(here.quantile(0.99)), here.spread());
    report.beside("   floor: visible on the node that took it", &own);
    tell_cost(report, &district.nodes)
}

/// A bureau and streets below it.
pub(super) fn street_nodes(root: &std::path::Path, count: usize, setup: &Setup) -> anyhow::Result<District> {
    ensure!((2..=99).contains(&count), "2 to 99 nodes");
    let names: Vec<[String; 3]> = (0..count)
        .map(|n| match n {
            0 => ["bureau".into(), "320508".into(), "应急管理局".into()],
            n => [format!("street{n}"), format!("320508{n:03}"), format!("第 {n} 街道")],
        })
        .collect();
    let plans: Vec<_> =
        names.iter().map(|[name, area, label]| (name.as_str(), area.as_str(), label.as_str())).collect();
    District::wired(root, &plans, Wiring { namespaces: setup.namespaces, ..Wiring::default() })
}

fn act_and_watch(district: &District, span: Duration, seed: u64) -> anyhow::Result<(Vec<Act>, Vec<Seen>)> {
    let apis: Vec<Api> = district.nodes.iter().map(|node| node.api.clone()).collect();
    let seen: Vec<Mutex<Seen>> = apis.iter().map(|_| Mutex::default()).collect();
    let streams = apis.iter().map(Api::changes).collect::<anyhow::Result<Vec<_>>>()?;
    let (done, acts) = (Mutex::new(false), Mutex::new(vec![]));
    let is_done = || *done.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for (stream, seen) in streams.into_iter().zip(&seen) {
            // Ends with the first change after the end: one more act is done for that.
            scope.spawn(|| {
                for record in stream {
                    if is_done() {
                        break;
                    }
                    seen.lock().unwrap_or_else(PoisonError::into_inner).entry(record).or_insert_with(Instant::now);
                }
            });
        }
        let outcome = std::thread::scope(|writing| {
            let writers: Vec<_> = (0..EVENTS_PER_SECOND)
                .map(|n| {
                    let (apis, acts) = (&apis, &acts);
                    writing.spawn(move || write(apis, n, span, seed, acts))
                })
                .collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a writer panicked"))))
        });
        let outcome = outcome.and_then(|()| {
            let written = acts.lock().unwrap_or_else(PoisonError::into_inner).len();
            wait_for_all(&seen, written)
        });
        *done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        apis.iter().try_for_each(|api| report_incident(api).map(drop)).and(outcome)
    })?;
    let seen = seen.into_iter().map(|seen| seen.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    Ok((acts.into_inner().unwrap_or_else(PoisonError::into_inner), seen))
}

/// One act a second, at any node.
fn write(apis: &[Api], n: usize, span: Duration, seed: u64, acts: &Mutex<Vec<Act>>) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed ^ n as u64);
    let (started, offset) = (Instant::now(), Duration::from_secs(1) * n as u32 / EVENTS_PER_SECOND as u32);
    for second in 0..span.as_secs() {
        let due = offset + Duration::from_secs(second);
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        if interrupted() {
            break;
        }
        let node = random.usize(..apis.len());
        let record = report_incident(&apis[node])?;
        let act = Act { record, node, acknowledged: Instant::now() };
        acts.lock().unwrap_or_else(PoisonError::into_inner).push(act);
    }
    Ok(())
}

fn report_incident(api: &Api) -> anyhow::Result<String> {
    let act = json!({"do": "report_incident", "category": "停电", "severity": "IV", "place": "3 号楼", "summary": "全楼停电"});
    api.act(act)?["record"].as_str().map(str::to_owned).context("no record in the receipt")
}

fn wait_for_all(seen: &[Mutex<Seen>], written: usize) -> anyhow::Result<()> {
    crate::lab::process::wait_until(PATIENCE, || {
        let counts = seen.iter().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner).len());
        let least = counts.min().unwrap_or(0);
        Ok(if least >= written { Ok(()) } else { Err(format!("{least} of {written} acts are visible everywhere")) })
    })?;
    Ok(())
}

/// From acknowledged to visible: on the last node, and on the one that took the act.
fn delays(district: &District, acts: &[Act], seen: &[Seen]) -> anyhow::Result<(Times, Times)> {
    let (mut everywhere, mut here) = (vec![], vec![]);
    for act in acts {
        let delay = |node: usize| {
            let shown = seen[node].get(&act.record);
            let shown = shown.with_context(|| format!("{} never showed {}", district.nodes[node].name, act.record))?;
            // The page of the node itself may be told before the answer has arrived.
            Ok::<_, anyhow::Error>(shown.saturating_duration_since(act.acknowledged))
        };
        let all = (0..seen.len()).map(delay).collect::<anyhow::Result<Vec<_>>>()?;
        here.push(all[act.node]);
        everywhere.push(all.into_iter().max().unwrap_or_default());
    }
    Ok((everywhere.into_iter().collect(), here.into_iter().collect()))
}

/// What the processes of a district cost this machine.
pub(super) fn tell_cost(report: &mut Report, nodes: &[NodeProcess]) -> anyhow::Result<()> {
    let counted = |key: &str| nodes.iter().map(|node| node.counted(key)).collect::<anyhow::Result<Vec<_>>>();
    let (resident, threads) = (counted("VmRSS")?, counted("Threads")?);
    let most = resident.iter().max().copied().unwrap_or(0) * 1024;
    let all = resident.iter().sum::<u64>() * 1024;
    let figure = format!(
        "{} the largest, {} together; {} threads the most, {} together",
        megabytes(most),
        megabytes(all),
        threads.iter().max().copied().unwrap_or(0),
        threads.iter().sum::<u64>()
    );
    report.beside("   resident memory and threads of the nodes", &figure);
    Ok(())
}
