//! An alert behind a backlog: a bureau has a day's events for a street behind a radio line, and while they flow a
//! courier brings alerts of a monitoring post to the bureau. How long does each take to the street?
//!
//! No page raises alerts yet, so they come the way in which somebody else's alert comes without a network: as a volume
//! of the post, which the bureau acknowledges when it is durable.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use linli_core::id::LogId;
use serde_json::json;

use super::Setup;
use super::measure::{Report, Times, megabytes, seconds};
use crate::district::{District, Wiring};
use crate::lab::Pace;
use crate::lab::past::{Past, Writer};
use crate::lab::process::{NodeProcess, Transport, wait_until};

const BUREAU: usize = 0;
const STREET: usize = 1;
const POST: usize = 2;
const PLANS: [(&str, &str, &str); 3] =
    [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道"), ("post", "320508007", "监测站")];
const GOAL: Duration = Duration::from_secs(2);
/// An alert that takes longer than this is a failure and no figure.
const PATIENCE: Duration = Duration::from_secs(120);
/// Letters of a backlog's events: with six bits a letter, 300 bytes that do not compress.
const TEXT_LETTERS: usize = 400;
/// What one of them about weighs on the wire.
const EVENT_BYTES: u64 = 330;
/// A backlog is as good as gone with so few events: an alert has nothing to overtake any more.
const BACKLOG_EVENTS_MIN: u64 = 50;

/// A backlog of about so many bytes on the wire, in 50 logs.
pub(super) fn backlog(bytes: u64, seed: u64) -> Past {
    Past { events: (bytes / EVENT_BYTES).max(50), logs: 50, events_per_incident: 4, text_letters: TEXT_LETTERS, seed }
}

pub(super) fn run(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let bytes = setup.size(setup.options.backlog, 150_000, 5_000_000);
    let alerts = setup.size(setup.options.alerts, 2, 10);
    report.about(&format!("{alerts} alerts behind a backlog of {} on 64 kbit/s", megabytes(bytes)));
    for transport in [Transport::Tcp, Transport::Quic] {
        if transport == Transport::Quic && setup.namespaces.is_none() {
            report.about("QUIC is not measured: the relays on loopback carry TCP only");
            continue;
        }
        let times = alerts_behind(setup, transport, &backlog(bytes, setup.seed), alerts)?;
        let (acknowledged, handed) = times;
        let worst = acknowledged.quantile(1.0);
        let what = format!("{transport:?}, acknowledged to held by the street, worst of {}", acknowledged.count());
        report.figure(&what, "<= 2 s", &seconds(worst), worst <= GOAL);
        report.beside("   spread", &acknowledged.spread());
        report.beside("   from handing the volume in", &handed.spread());
    }
    Ok(())
}

/// Times of the alerts from their acknowledgement, and from the moment at which the bureau was given the volume.
fn alerts_behind(setup: &Setup, transport: Transport, past: &Past, alerts: usize) -> anyhow::Result<(Times, Times)> {
    let root = tempfile::tempdir()?;
    let wiring = Wiring { namespaces: setup.namespaces, transport, slow: Some((STREET, Pace::RADIO)) };
    let mut district = District::wired(root.path(), &PLANS, wiring)?;
    district.wait_for_agreement(PATIENCE)?;
    district.nodes.iter_mut().try_for_each(NodeProcess::stop)?;
    let total = Writer::open(&district.nodes[BUREAU], past.seed)?.write(past)?;
    let volumes = (1..=alerts)
        .map(|number| raise(&district.nodes[POST], number, root.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    district.nodes[BUREAU].start()?;
    district.nodes[STREET].start()?;
    let (bureau, street) = (&district.nodes[BUREAU].api, &district.nodes[STREET].api);
    let before = street.status()?["events"].as_u64().unwrap_or_default();
    wait_until(PATIENCE, || {
        let now = street.status()?["events"].as_u64().unwrap_or_default();
        Ok(if now > before + 20 { Ok(()) } else { Err("the backlog does not flow".to_owned()) })
    })?;
    let mut random = fastrand::Rng::with_seed(past.seed);
    let (mut from_acknowledged, mut from_handed) = (Times::default(), Times::default());
    for (volume, log, seq) in volumes {
        // Moments at which a frame is anywhere between the store and the line.
        std::thread::sleep(Duration::from_millis(random.u64(2_000..5_000)));
        let status = street.status()?;
        let waiting = total.saturating_sub(status["events"].as_u64().unwrap_or_default());
        if waiting < BACKLOG_EVENTS_MIN {
            break;
        }
        let handed = Instant::now();
        let taken = bureau.take_volume(&volume)?;
        let acknowledged = Instant::now();
        ensure!(taken["new"] == json!(1), "the bureau says of the alert's volume: {taken}");
        wait_until(PATIENCE, || {
            let held = height(&street.status()?, &log) >= seq;
            Ok(if held { Ok(()) } else { Err(format!("alert {seq} is not at the street")) })
        })?;
        from_acknowledged.add(acknowledged.elapsed());
        from_handed.add(handed.elapsed());
    }
    ensure!(from_acknowledged.count() > 0, "the backlog ran out before the first alert: take a larger --backlog");
    Ok((from_acknowledged, from_handed))
}

/// The post signs an alert and gives all it has to a courier.
fn raise(post: &NodeProcess, number: usize, root: &Path) -> anyhow::Result<(Vec<u8>, LogId, u64)> {
    let (log, seq) = Writer::open(post, number as u64)?.alert(&format!("第 {number} 号预警:水位超过警戒线"))?;
    let stick = root.join(format!("stick-{number}"));
    std::fs::create_dir(&stick)?;
    let carried = post.command(&["carry", "out", "--to", stick.to_str().context("a path that is not UTF-8")?])?;
    let volume = carried["volumes"][0].as_str().context("no volume was written")?;
    Ok((std::fs::read(volume)?, log, seq))
}

/// How far a node holds a log.
fn height(status: &serde_json::Value, log: &LogId) -> u64 {
    let wanted = json!(log);
    let logs = status["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    logs.iter().find(|line| line["log"] == wanted).and_then(|line| line["height"].as_u64()).unwrap_or(0)
}
