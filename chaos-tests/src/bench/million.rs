//! A node with a long past: how long from the start of its process until its pages answer, and its memory then.
//!
//! Pages answer as soon as the node is up, and say how far the views behind them are. At the very first start on such a
//! store no view is there yet: that start is told apart from the one after it, which finds the views folded.

use std::time::{Duration, Instant};

use super::Setup;
use super::measure::{Report, Times, megabytes, seconds};
use crate::district::District;
use crate::lab::past::{Past, Writer};
use crate::lab::process::{NodeProcess, wait_until};

const PLANS: [(&str, &str, &str); 1] = [("bureau", "320508", "应急管理局")];
const GOAL_READY: Duration = Duration::from_secs(1);
const GOAL_RESIDENT_BYTES: u64 = 150_000_000;
/// Longest wait for a million events to be folded.
const PATIENCE: Duration = Duration::from_secs(900);
/// What happens to one incident from its report to its end.
const EVENTS_PER_INCIDENT: u64 = 20;
/// Six bits a letter: with the other fields, payloads of about 300 bytes.
const TEXT_LETTERS: usize = 240;

pub(super) fn run(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let events = setup.size(setup.options.events, 20_000, 1_000_000);
    let rounds = setup.size(setup.options.rounds, 1, 3);
    let root = tempfile::tempdir()?;
    let mut node = District::found(root.path(), &PLANS, None)?.nodes.remove(0);
    node.stop()?;
    let past = Past {
        events,
        logs: 50,
        events_per_incident: EVENTS_PER_INCIDENT,
        text_letters: TEXT_LETTERS,
        seed: setup.seed,
    };
    let began = Instant::now();
    let total = Writer::open(&node, setup.seed)?.write(&past)?;
    report.about(&format!(
        "{total} events of {} incidents in 50 logs, written in {}",
        events.div_ceil(EVENTS_PER_INCIDENT),
        seconds(began.elapsed())
    ));
    first_start(&mut node, report)?;
    let (mut ready, mut resident) = (Times::default(), vec![]);
    for _ in 0..rounds {
        node.stop()?;
        let began = Instant::now();
        node.start()?;
        ready.add(began.elapsed());
        resident.push(node.counted("VmRSS")? * 1024);
    }
    let (worst, most) = (ready.quantile(1.0), resident.iter().copied().max().unwrap_or(0));
    report.figure("start of the process to first answer, views there", "<= 1 s", &seconds(worst), worst <= GOAL_READY);
    report.beside("   spread", &ready.spread());
    report.figure("resident then", "<= 150 MB", &megabytes(most), most <= GOAL_RESIDENT_BYTES);
    Ok(())
}

fn first_start(node: &mut NodeProcess, report: &mut Report) -> anyhow::Result<()> {
    let began = Instant::now();
    node.start()?;
    let answered = began.elapsed();
    let behind = node.api.status()?["lag_events"].as_u64().unwrap_or_default();
    report.beside(
        "first start, no view there yet: first answer",
        &format!("{}, {behind} events behind", seconds(answered)),
    );
    wait_until(PATIENCE, || {
        let lag = node.api.status()?["lag_events"].as_u64().unwrap_or_default();
        Ok(if lag == 0 { Ok(()) } else { Err(format!("{lag} events are not folded")) })
    })?;
    let resident = node.counted("VmRSS")? * 1024;
    let peak = node.counted("VmHWM")? * 1024;
    let figure = format!("{}, resident {}, at most {}", seconds(began.elapsed()), megabytes(resident), megabytes(peak));
    report.beside("   everything folded", &figure);
    Ok(())
}
