//! `demo --bad-links`: a district whose streets hang on bad lines, and in the end all of them hold and show the same.
//!
//! One street is behind a radio of 64 kbit/s, one can be called by nobody and is met through a neighbour's relay, one has
//! no network at all and is served by a courier with a USB stick.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{COMMUNITY, PATIENCE, say};
use crate::district::{District, Plan, Wires, Wiring};
use crate::lab::Pace;
use crate::lab::process::{NodeProcess, wait_until};

const BUREAU: usize = 0;
const LINHU: usize = 1;
const RADIO: usize = 2;
const HIDDEN: usize = 3;
const STICK: usize = 4;
const PLANS: [Plan<'static>; 5] = [
    ("bureau", "320508", "应急管理局"),
    ("linhu", "320508005", "临湖街道"),
    ("hexi", "320508006", "河西街道"),
    ("dongwan", "320508007", "东湾街道"),
    ("beishan", "320508008", "北山街道"),
];
/// Whom each calls. Nobody can call the hidden one; the one with the stick calls nobody.
const CALLS: [&[usize]; 5] = [&[], &[BUREAU], &[BUREAU, LINHU], &[LINHU], &[]];

/// The lines, the nodes, and what a courier carries.
struct Stage {
    district: District,
    stick: PathBuf,
    trips: usize,
}

/// Runs it, with its files below `root`, and keeps the nodes running at the end if they stay.
///
/// # Errors
/// When anything that the demo promises does not hold.
pub(super) fn play(root: &Path, sample: &Path, namespaces: Option<u8>, stays: bool) -> anyhow::Result<()> {
    let lines = if namespaces.is_some() { "network namespaces" } else { "loopback relays" };
    say("1", &format!("五个节点,线路各不相同 / five nodes on lines of all kinds ({lines})"));
    let mut stage = Stage { district: district(root, namespaces)?, stick: root.join("stick"), trips: 0 };
    std::fs::create_dir(&stage.stick)?;
    for (node, line) in [
        (BUREAU, "有线 / a good line"),
        (LINHU, "有线,兼作中继 / a good line; its relay serves others"),
        (RADIO, "电台 64 kbit/s / a radio of 64 kbit/s"),
        (HIDDEN, "在路由器后,谁也呼不到 / behind a box: nobody can call it"),
        (STICK, "没有网络,靠 U 盘 / no network: a USB stick"),
    ] {
        println!("   {:8} {line}", stage.district.nodes[node].name);
    }

    say("2", "示例街道导入临湖节点 / the sample street is imported at linhu");
    let sample = sample.to_str().context("the sample's path is not UTF-8")?;
    let imported = stage.district.nodes[LINHU].command(&["import", "--area", COMMUNITY, sample])?;
    println!("   {} items", imported["written"]);
    stage.tell_arrivals()?;

    say("3", "东湾街道经临湖中继与应急局相连 / bureau and dongwan meet through linhu's relay");
    stage.check_relayed()?;

    say("4", "信使带 U 盘到北山街道 / a courier brings a stick to beishan");
    stage.carry(BUREAU, STICK)?;
    ensure!(stage.behind(STICK)? == 0, "beishan lacks events that the stick was to bring");

    say("5", "五个街道各自行动 / all five act");
    for node in &stage.district.nodes {
        node.api.act(json!({"do": "report_incident", "category": "暴雨积水", "severity": "III", "place": format!("{}路口", node.name), "summary": "积水深约 40 厘米"}))?;
    }
    stage.tell_arrivals()?;

    say("6", "信使往返一趟 / the courier goes there and back");
    stage.carry(STICK, BUREAU)?;
    stage.tell_arrivals()?;
    stage.carry(BUREAU, STICK)?;

    say("7", "五个节点完全一致 / all five are equal");
    stage.district.wait_for_agreement(PATIENCE)?;
    let shown = stage.district.nodes[STICK].api.records("incident")?.len();
    ensure!(shown == PLANS.len(), "beishan shows {shown} incidents instead of {}", PLANS.len());
    let status = stage.district.nodes[STICK].api.status()?;
    println!("   heads  {}", status["frontier_digest"].as_str().unwrap_or_default());
    println!("   views  {}", status["projection_digest"].as_str().unwrap_or_default());
    println!("   {} events, {} records", status["events"], status["records"]);
    if stays {
        super::stay(&stage.district);
    }
    Ok(())
}

fn district(root: &Path, namespaces: Option<u8>) -> anyhow::Result<District> {
    let wiring = Wiring { namespaces, slow: Some((RADIO, Pace::RADIO)), ..Wiring::default() };
    let mut district = District::laid_out(root, &PLANS, wiring)?;
    match &district.wires {
        Wires::Namespaces(network) => {
            network.hide(HIDDEN, &[LINHU])?;
            network.hide(STICK, &[])?;
        }
        Wires::Relays(_) => {
            // What listens nowhere cannot be called either. It may be met through a relay, and the others, being confined,
            // tell nobody where they are: so it cannot call the bureau either.
            (district.nodes[HIDDEN].listens, district.nodes[HIDDEN].confined) = (false, false);
            district.nodes[STICK].listens = false;
            district.cut_off(STICK)?;
        }
    }
    district.found_first(PLANS[BUREAU])?;
    for (node, plan) in PLANS.iter().enumerate().skip(1) {
        district.admit(node, *plan)?;
        district.nodes[node].peers = CALLS[node].iter().map(|other| district.dial_address(node, *other)).collect();
        district.nodes[node].start().with_context(|| format!("starting {}", plan.0))?;
    }
    Ok(district)
}

impl Stage {
    /// Waits until every node with a network holds what linhu and the bureau hold, and says how long each took.
    fn tell_arrivals(&self) -> anyhow::Result<()> {
        let started = std::time::Instant::now();
        for node in [BUREAU, HIDDEN, RADIO] {
            self.wait_for(LINHU, node)?;
            println!("   {:8} {:>5.1} s", self.district.nodes[node].name, started.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn wait_for(&self, from: usize, to: usize) -> anyhow::Result<Duration> {
        let digest = |node: usize| -> anyhow::Result<Value> {
            Ok(self.district.nodes[node].api.status()?["frontier_digest"].clone())
        };
        wait_until(PATIENCE, || {
            let equal = digest(from)? == digest(to)?;
            let (from, to) = (&self.district.nodes[from].name, &self.district.nodes[to].name);
            Ok(if equal { Ok(()) } else { Err(format!("{to} does not hold what {from} holds")) })
        })
    }

    /// Events that a node lacks of what the bureau has.
    fn behind(&self, node: usize) -> anyhow::Result<u64> {
        let events = |node: &NodeProcess| -> anyhow::Result<u64> {
            node.api.status()?["events"].as_u64().context("a status without events")
        };
        Ok(events(&self.district.nodes[BUREAU])?.saturating_sub(events(&self.district.nodes[node])?))
    }

    /// The bureau cannot call dongwan, and dongwan cannot call the bureau; still they are connected.
    fn check_relayed(&self) -> anyhow::Result<()> {
        let line = |at: usize, of: usize| -> anyhow::Result<Value> {
            let peers = self.district.nodes[at].api.get("/peers")?;
            let name = PLANS[of].2;
            let found =
                peers.as_array().and_then(|peers| peers.iter().find(|peer| peer["name"] == json!(name)).cloned());
            found.with_context(|| format!("{} does not know {name}", PLANS[at].0))
        };
        wait_until(PATIENCE, || {
            let (there, back) = (line(BUREAU, HIDDEN)?, line(HIDDEN, BUREAU)?);
            let met =
                [&there, &back].iter().all(|peer| peer["connected"] == json!(true) && peer["relayed"] == json!(true));
            Ok(if met { Ok(()) } else { Err(format!("not connected through a relay: {there} {back}")) })
        })?;
        let peer = line(BUREAU, HIDDEN)?;
        println!("   往返 / round trip {} ms", peer["rtt_ms"]);
        Ok(())
    }

    /// A courier takes a request of `to` to `from`, and brings back what `to` lacks.
    fn carry(&mut self, from: usize, to: usize) -> anyhow::Result<()> {
        self.trips += 1;
        let folder = self.stick.join(self.trips.to_string());
        std::fs::create_dir(&folder)?;
        let path = |name: &str| -> anyhow::Result<String> {
            folder.join(name).to_str().map(str::to_owned).context("a path that is not UTF-8")
        };
        let (from, to) = (&self.district.nodes[from], &self.district.nodes[to]);
        let asked = to.command(&["carry", "request", &path("request.age")?])?;
        println!("   {:8} carry request   {} events, {} logs", to.name, asked["events"], asked["logs"]);
        let carried = from.command(&["carry", "out", "--to", &path("")?, "--for", &path("request.age")?])?;
        let volumes: Vec<&str> =
            carried["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        println!("   {:8} carry out       {} events, {} volumes", from.name, carried["events"], volumes.len());
        let brought = to.command(&[&["carry", "in"], &volumes[..]].concat())?;
        println!("   {:8} carry in        {} new, {} known", to.name, brought["new"], brought["known"]);
        let receipt = to.command(&["carry", "receipt", &path("receipt.age")?])?;
        println!("   {:8} carry receipt   {} events", to.name, receipt["events"]);
        Ok(())
    }
}
