//! A hostile member, and a hostile stranger, at the port of a street's node: what they cost it, what they cost the bureau
//! beside it, and whether honest acts arrive meanwhile.
//!
//! The goals on disk hold at any speed, so missing them ends the run with an error; the others are figures.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;

use super::Setup;
use super::measure::{Report, Times, megabytes, seconds};
use crate::district::District;
use crate::lab::process::{NodeProcess, program_beside, wait_until};

const NEIGHBOUR: usize = 0;
const VICTIM: usize = 1;
const MEMBER: usize = 2;
const PLANS: [(&str, &str, &str); 3] =
    [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道"), ("member", "320508007", "河东街道")];
/// Most disk that a hostile member may take of its victim.
const DISK_BYTES_MAX: u64 = 64_000_000;
/// What the neighbour's disk grows by the honest acts of a run and by the files that RocksDB keeps ahead: all invented
/// logs together are ten times as much.
const NEIGHBOUR_BYTES_MAX: u64 = 4_000_000;
/// Most of a core that it may take.
const CORE_SHARE_MAX: f64 = 0.10;
/// An honest act that takes longer than this is lost, and no figure.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often an honest act is recorded while the attack lasts.
const ACT_EVERY: Duration = Duration::from_millis(500);

pub(super) fn run(setup: &Setup, report: &mut Report) -> anyhow::Result<()> {
    let span = Duration::from_secs(setup.size(setup.options.seconds, 6, 60));
    for who in ["member", "stranger"] {
        report.about(&format!("a hostile {who} for {}", seconds(span)));
        let root = tempfile::tempdir()?;
        let district = besieged(root.path())?;
        let idle = Cost::of(&district, span.min(Duration::from_secs(10)), || Ok(()))?;
        let mut times = Times::default();
        let attacked = {
            let mut attack = attack(&district, who, span)?;
            let cost = Cost::of(&district, span, || honest_acts(&district, span, &mut times));
            end(&mut attack)?;
            cost?
        };
        tell(report, &idle, &attacked, &times)?;
    }
    Ok(())
}

/// A bureau and a street that run, and a member of the district that does not.
fn besieged(root: &Path) -> anyhow::Result<District> {
    let mut district = District::laid_out(root, &PLANS, Default::default())?;
    district.found_first(PLANS[NEIGHBOUR])?;
    district.admit(VICTIM, PLANS[VICTIM])?;
    district.nodes[VICTIM].peers = vec![district.dial_address(VICTIM, NEIGHBOUR)];
    district.nodes[VICTIM].start()?;
    district.admit(MEMBER, PLANS[MEMBER])?;
    // What there is to ask for.
    let past = (0..400).map(|n| report_incident(&format!("{n} 号楼"))).collect();
    district.nodes[VICTIM].api.act_all(past)?;
    let agree = || Ok(heads(&district, NEIGHBOUR)? == heads(&district, VICTIM)?);
    wait_until(PATIENCE, || agree().map(|equal| if equal { Ok(()) } else { Err("they differ".to_owned()) }))?;
    Ok(district)
}

fn heads(district: &District, node: usize) -> anyhow::Result<serde_json::Value> {
    Ok(district.nodes[node].api.status()?["frontier_digest"].clone())
}

fn report_incident(place: &str) -> serde_json::Value {
    json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": place, "summary": "全楼停水"})
}

fn attack(district: &District, who: &str, span: Duration) -> anyhow::Result<Child> {
    let (victim, member) = (&district.nodes[VICTIM], &district.nodes[MEMBER]);
    let mut command = Command::new(program_beside("examples/hostile", "cargo build --release -p linli --examples")?);
    command.arg(who).arg(&member.dir).arg(victim.multiaddr()).arg(span.as_secs().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::inherit()).spawn().context("the attack does not begin")
}

fn end(attack: &mut Child) -> anyhow::Result<()> {
    let status = attack.wait()?;
    ensure!(status.success(), "the attack ended with {status}");
    Ok(())
}

/// Acts at the neighbour, and how long each takes until the attacked node shows it.
fn honest_acts(district: &District, span: Duration, times: &mut Times) -> anyhow::Result<()> {
    let (began, mut acts) = (Instant::now(), 0);
    while began.elapsed() < span {
        let receipt = district.nodes[NEIGHBOUR].api.act(report_incident(&format!("通讯 {acts} 号")))?;
        let (acted, record) = (Instant::now(), receipt["record"].as_str().context("no record")?.to_owned());
        let shown = || Ok(district.nodes[VICTIM].api.record(&record).map(drop).map_err(|error| error.to_string()));
        wait_until(PATIENCE, shown).context("an honest act does not arrive")?;
        times.add(acted.elapsed());
        acts += 1;
        std::thread::sleep(ACT_EVERY);
    }
    Ok(())
}

/// What a span of time cost the attacked node and its neighbour.
struct Cost {
    /// Shares of a core.
    victim_core: f64,
    neighbour_core: f64,
    /// Bytes that their stores grew by.
    victim_bytes: u64,
    neighbour_bytes: u64,
}

impl Cost {
    /// Measures while `meanwhile` is done, and to the end of `span`.
    fn of(district: &District, span: Duration, meanwhile: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (victim, neighbour) = (&district.nodes[VICTIM], &district.nodes[NEIGHBOUR]);
        let look = |node: &NodeProcess| Ok::<_, anyhow::Error>((node.cpu_time()?, bytes_in(&node.store())?));
        let (began, before) = (Instant::now(), [look(victim)?, look(neighbour)?]);
        meanwhile()?;
        std::thread::sleep(span.saturating_sub(began.elapsed()));
        let (took, after) = (began.elapsed(), [look(victim)?, look(neighbour)?]);
        let core = |n: usize| (after[n].0.saturating_sub(before[n].0)).as_secs_f64() / took.as_secs_f64();
        let bytes = |n: usize| after[n].1.saturating_sub(before[n].1);
        let [victim_core, neighbour_core] = [core(0), core(1)];
        Ok(Self { victim_core, neighbour_core, victim_bytes: bytes(0), neighbour_bytes: bytes(1) })
    }
}

/// Bytes that a store occupies.
fn bytes_in(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(dir)? {
        // RocksDB deletes files while they are listed.
        bytes += file?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(bytes)
}

fn tell(report: &mut Report, idle: &Cost, attacked: &Cost, times: &Times) -> anyhow::Result<()> {
    let share = |core: f64| format!("{:.1} % of a core", core * 100.0);
    let more = (attacked.victim_core - idle.victim_core).max(0.0);
    report.figure(
        "disk of the victim",
        "<= 64 MB",
        &megabytes(attacked.victim_bytes),
        attacked.victim_bytes <= DISK_BYTES_MAX,
    );
    report.figure("time of the victim, beyond idle", "<= 10 % of a core", &share(more), more <= CORE_SHARE_MAX);
    report.beside("   idle", &share(idle.victim_core));
    let (nothing, bytes) = (attacked.neighbour_bytes <= NEIGHBOUR_BYTES_MAX, megabytes(attacked.neighbour_bytes));
    report.figure("disk of its neighbour, honest acts with it", "that of the acts", &bytes, nothing);
    let beyond = (attacked.neighbour_core - idle.neighbour_core).max(0.0);
    report.beside("   time of its neighbour beyond idle, honest acts with it", &share(beyond));
    report.beside("   honest acts, recorded at the neighbour to shown by the victim", &times.spread());
    ensure!(attacked.victim_bytes <= DISK_BYTES_MAX, "the attack filled the victim's disk");
    ensure!(nothing, "the attack filled the disk of the victim's neighbour");
    Ok(())
}
