//! A backlog over a radio line that is cut again and again: it resumes where it was, and nothing that was durable
//! crosses the line twice.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::Setup;
use super::alert::backlog;
use super::measure::{Report, megabytes, seconds};
use crate::district::{District, Wiring};
use crate::lab::past::{Past, Writer};
use crate::lab::process::{NodeProcess, Transport};
use crate::lab::{Pace, interrupted};

const BUREAU: usize = 0;
const STREET: usize = 1;
const PLANS: [(&str, &str, &str); 2] = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
/// The line may take so many times the time without cuts, the cuts themselves not counted.
const GOAL: f64 = 1.3;
/// Longest wait for the nodes to agree after the founding.
const PATIENCE: Duration = Duration::from_secs(120);
/// Frames that a peer has decoded and not yet made durable when its line breaks: they were received and are lost.
/// Two are on the line, four are in hand (`linli-net`, limits).
const FRAMES_LOST_PER_CUT: u64 = 6;
/// The longest frame on such a line, with room for one event beyond the target.
const FRAME_BYTES: u64 = 4 * 1024;

/// How the line is cut: so long up, so long down, again and again.
#[derive(Debug, Clone, Copy)]
struct Cuts {
    up: Duration,
    down: Duration,
}

/// What one delivery took.
struct Delivered {
    took: Duration,
    cut_for: Duration,
    cuts: u64,
    needed_events: u64,
    received_events: u64,
    /// Events that came although they were durable here.
    held_events: u64,
    received_bytes: u64,
}

pub(super) fn run(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let bytes = setup.size(setup.options.backlog, 60_000, 1_000_000);
    let past = backlog(bytes, setup.seed);
    let cuts = match setup.options.quick {
        true => Cuts { up: Duration::from_secs(3), down: Duration::from_secs(1) },
        false => Cuts { up: Duration::from_secs(20), down: Duration::from_secs(5) },
    };
    report.about(&format!(
        "a backlog of {} on 64 kbit/s (--backlog 5000000 for that of the goal: 20 minutes), cut after every {} for {}",
        megabytes(bytes),
        seconds(cuts.up),
        seconds(cuts.down)
    ));
    for transport in [Transport::Tcp, Transport::Quic] {
        if transport == Transport::Quic && setup.namespaces.is_none() {
            report.about("QUIC is not measured: the relays on loopback carry TCP only");
            continue;
        }
        let whole = deliver(setup, transport, &past, None)?;
        let broken = deliver(setup, transport, &past, Some(cuts))?;
        let ratio = broken.took.saturating_sub(broken.cut_for).as_secs_f64() / whole.took.as_secs_f64();
        let figure = format!("{ratio:.2} x");
        report.figure(
            &format!("{transport:?}, time without the cuts"),
            "<= 1.3 x the uncut time",
            &figure,
            ratio <= GOAL,
        );
        let (all, off) = (seconds(broken.took), seconds(broken.cut_for));
        report.beside(
            "   uncut / cut",
            &format!("{} / {all}, of which {off} in {} cuts", seconds(whole.took), broken.cuts),
        );
        check_once(report, &whole, &broken)?;
    }
    Ok(())
}

/// Nothing that was durable went over the line again: the same events, and the same bytes but for what a cut loses.
fn check_once(report: &mut Report, whole: &Delivered, broken: &Delivered) -> anyhow::Result<()> {
    let bytes = |delivered: &Delivered| megabytes(delivered.received_bytes);
    report.beside("   received, uncut / cut", &format!("{} / {}", bytes(whole), bytes(broken)));
    for delivered in [whole, broken] {
        let (needed, received) = (delivered.needed_events, delivered.received_events);
        ensure!(needed == received, "{needed} events were needed and {received} were received and made durable");
        ensure!(delivered.held_events == 0, "{} events came again that were durable", delivered.held_events);
    }
    let events = format!("{} = {}, {}", broken.needed_events, broken.received_events, broken.held_events);
    report.beside("   events needed and made durable, and sent again", &events);
    let allowed = whole.received_bytes + whole.received_bytes / 50 + broken.cuts * FRAMES_LOST_PER_CUT * FRAME_BYTES;
    ensure!(
        broken.received_bytes <= allowed,
        "with {} cuts {} were received instead of {}: durable events were sent again",
        broken.cuts,
        bytes(broken),
        bytes(whole)
    );
    Ok(())
}

/// From the start of a street that lacks everything until it holds what the bureau holds.
fn deliver(setup: &Setup, transport: Transport, past: &Past, cuts: Option<Cuts>) -> anyhow::Result<Delivered> {
    let root = tempfile::tempdir()?;
    let wiring = Wiring { namespaces: setup.namespaces, transport, slow: Some((STREET, Pace::RADIO)) };
    let mut district = District::wired(root.path(), &PLANS, wiring)?;
    district.wait_for_agreement(PATIENCE)?;
    let before = district.nodes[STREET].api.status()?["events"].as_u64().unwrap_or_default();
    district.nodes.iter_mut().try_for_each(NodeProcess::stop)?;
    let total = Writer::open(&district.nodes[BUREAU], past.seed)?.write(past)?;
    district.nodes[BUREAU].start()?;
    let wanted = district.nodes[BUREAU].api.status()?["frontier_digest"].clone();
    district.nodes[STREET].start()?;
    let (started, street) = (Instant::now(), &district.nodes[STREET].api);
    // Ten times what the line needs, and the cuts.
    let limit = Pace::RADIO.time_for(usize::try_from(past.events * 600)?) * 10 + Duration::from_secs(60);
    let (mut cut_for, mut count, mut next, mut down) = (Duration::ZERO, 0, cuts.map(|cuts| cuts.up), None);
    while street.status()?["frontier_digest"] != wanted {
        let now = started.elapsed();
        if now > limit || interrupted() {
            bail!("not delivered after {}: {}", seconds(now), street.status()?["events"]);
        }
        if let (Some(cuts), Some(due)) = (cuts, next)
            && now >= due
        {
            match down.take() {
                Some(since) => {
                    district.heal(STREET)?;
                    cut_for += now - since;
                    next = Some(now + cuts.up);
                }
                None => {
                    district.cut_off(STREET)?;
                    (down, count) = (Some(now), count + 1);
                    next = Some(now + cuts.down);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Delivered {
        took: started.elapsed(),
        cut_for,
        cuts: count,
        needed_events: total - before,
        received_events: street.metric("linli_mesh_received_events_total")?,
        held_events: street.metric("linli_mesh_held_events_total")?,
        received_bytes: street.metric("linli_mesh_received_bytes_total")?,
    })
}
