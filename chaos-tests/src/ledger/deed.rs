//! What the clients of the ledger do, and what each of it must add up to.
//!
//! Every act bears a label of its own in its payload, so that the logs tell how often it was recorded, and a quantity or a
//! place of its own, so that the views tell how often it counts.

use anyhow::{Context, ensure};
use fastrand::Rng;
use linli_domain::record::RecordView;
use linli_domain::state::{State, SupplyPointState};
use linli_domain::summary::{Detail, Summary};
use serde_json::{Value, json};

use crate::lab::process::NodeProcess;

/// The area of the supply points and of most of what is reported. Two of the three nodes are of it, the third above it.
pub(super) const AREA: &str = "320508005";
/// What is handed out, from one heap that everybody draws on.
const WATER: &str = "矿泉水";
/// What is sent from one point to another.
const SANDBAGS: &str = "沙袋";
/// What comes in, each time as a lot of its own.
const BLANKETS: &str = "棉被";
/// More than all acts together take away.
const PLENTY: i64 = 1_000_000_000;
/// Follow-up reports of one incident: its view lists the latest hundred lines.
const UPDATES_PER_INCIDENT: usize = 60;
/// Quantities begin here, so that an act counted twice is told from two others counted once.
const QUANTITY_FROM: i64 = 1_000;

/// The kinds of acts that are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Reports an incident: a record of its own.
    Incident,
    /// Reports a hazard: a record of its own.
    Hazard,
    /// Adds a line to one of the incidents that all know.
    Update,
    /// Books in a lot of its own.
    Receive,
    /// Hands out from the common heap.
    Issue,
    /// Sends to the other point.
    Send,
}

const DEEDS: [Deed; 6] = [Deed::Incident, Deed::Hazard, Deed::Update, Deed::Receive, Deed::Issue, Deed::Send];

impl Deed {
    /// How the report calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Incident => "报事 / incidents",
            Self::Hazard => "报隐患 / hazards",
            Self::Update => "续报 / updates",
            Self::Receive => "入库 / receipts of supplies",
            Self::Issue => "领用 / issues of supplies",
            Self::Send => "调出 / transfers of supplies",
        }
    }
}

/// An act to be done once.
#[derive(Debug, Clone)]
pub(super) struct Act {
    /// Its id, which the client keeps for every attempt.
    pub id: String,
    /// Who does it.
    pub by: String,
    /// What kind of act.
    pub deed: Deed,
    /// Stands in its payload and nowhere else.
    pub label: String,
    /// How much, for supplies: no two acts have the same.
    pub quantity: i64,
    /// What is sent.
    pub command: Value,
}

/// The records that all nodes know before the first act.
pub(super) struct Stage {
    point: String,
    other_point: String,
    incidents: Vec<String>,
}

/// What a node shows of all that the acts touch.
pub(super) struct Shown {
    point: SupplyPointState,
    /// Quantities of the transfers that were sent.
    sent: Vec<i64>,
    incidents: Vec<RecordView>,
    reported: Vec<(Summary, RecordView)>,
}

impl Stage {
    /// Sets up supply points and incidents at a node of [`AREA`].
    ///
    /// # Errors
    /// When the node refuses.
    pub(super) fn set(node: &NodeProcess, acts: usize) -> anyhow::Result<Self> {
        let record = |command: Value| -> anyhow::Result<String> {
            let receipt = node.api.act(command)?;
            receipt["record"].as_str().map(str::to_owned).context("no record in the receipt")
        };
        let point = record(json!({"do": "form_point", "name": "账本一号点"}))?;
        let other_point = record(json!({"do": "form_point", "name": "账本二号点"}))?;
        for item in [WATER, SANDBAGS] {
            record(
                json!({"do": "receive_supplies", "point": point, "item": item, "unit": "件", "quantity": PLENTY, "from": "区仓库"}),
            )?;
        }
        let incidents = (0..acts.div_ceil(UPDATES_PER_INCIDENT)).map(|n| {
            let place = format!("共用 {n}");
            record(json!({"do": "report_incident", "category": "暴雨积水", "severity": "III", "place": place, "summary": "车库进水"}))
        });
        Ok(Self { incidents: incidents.collect::<anyhow::Result<_>>()?, point, other_point })
    }

    /// Draws acts.
    pub(super) fn acts(&self, count: usize, random: &mut Rng) -> Vec<Act> {
        (0..count).map(|number| self.act(number, random)).collect()
    }

    fn act(&self, number: usize, random: &mut Rng) -> Act {
        let deed = DEEDS[random.usize(..DEEDS.len())];
        let (label, quantity) = (format!("账{number:06}号"), QUANTITY_FROM + number as i64);
        let point = &self.point;
        let mut command = match deed {
            Deed::Incident => {
                json!({"do": "report_incident", "category": "停电", "severity": "IV", "place": label, "summary": "全楼停电"})
            }
            Deed::Hazard => {
                json!({"do": "report_hazard", "category": "楼道堆物", "grade": "general", "place": label, "summary": "堵塞通道"})
            }
            Deed::Update => {
                let incident = &self.incidents[number % self.incidents.len()];
                json!({"do": "update_incident", "incident": incident, "text": label})
            }
            Deed::Receive => {
                json!({"do": "receive_supplies", "point": point, "item": BLANKETS, "unit": "床", "lot": label, "quantity": quantity, "from": "社会捐赠"})
            }
            Deed::Issue => {
                json!({"do": "issue_supplies", "point": point, "item": WATER, "quantity": quantity, "to": label})
            }
            Deed::Send => {
                json!({"do": "send_supplies", "point": point, "to_point": self.other_point, "item": SANDBAGS, "quantity": quantity, "note": label})
            }
        };
        // Without it a record gets the area of the node that is asked first.
        if matches!(deed, Deed::Incident | Deed::Hazard) && random.u8(..4) > 0 {
            command["area"] = AREA.into();
        }
        Act {
            id: draw_id(number, random), by: format!("值守员{}", random.u8(1..=20)), deed, label, quantity, command
        }
    }

    /// Reads from a node what the acts have come to.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(super) fn shown_by(&self, node: &NodeProcess) -> anyhow::Result<Shown> {
        let view = node.api.record(&self.point)?;
        ensure!(
            view.unsettled_total == 0,
            "{}: {} events do not count: {:?}",
            node.name,
            view.unsettled_total,
            view.unsettled
        );
        let State::SupplyPoint(point) = view.state else { anyhow::bail!("{} is no supply point", self.point) };
        let incidents = self.incidents.iter().map(|id| node.api.record(id)).collect::<anyhow::Result<_>>()?;
        let mut reported = vec![];
        for kind in ["incident", "hazard"] {
            for summary in node.api.records(kind)? {
                let view = node.api.record(&summary.id.to_string())?;
                reported.push((summary, view));
            }
        }
        let listed = node.api.records("supply_point")?.into_iter().filter(|summary| summary.id == view.record);
        let sent = listed.flat_map(|summary| match summary.detail {
            Detail::SupplyPoint { sent, .. } => sent.into_iter().map(|line| line.quantity).collect(),
            _ => vec![],
        });
        Ok(Shown { point: *point, sent: sent.collect(), incidents, reported })
    }
}

/// A UUID, as most clients draw, or any other text.
fn draw_id(number: usize, random: &mut Rng) -> String {
    if random.u8(..4) == 0 {
        return format!("phone-{:08x}/act-{number}", random.u32(..));
    }
    let (a, b, c) = (random.u32(..), random.u16(..), random.u16(..0x1000));
    format!("{a:08x}-{b:04x}-4{c:03x}-a{:03x}-{:012x}", random.u16(..0x1000), random.u64(..1 << 48))
}

impl Shown {
    /// How often an act counts here. What is handed out from the common heap is told by [`Shown::handed_out`] alone.
    pub(super) fn counted(&self, act: &Act) -> Option<i64> {
        let count = match act.deed {
            Deed::Incident | Deed::Hazard => self.reports(&act.label),
            Deed::Update => {
                let lines = self.incidents.iter().filter_map(|view| match &view.state {
                    State::Incident(incident) => Some(&incident.timeline.latest),
                    _ => None,
                });
                lines.flatten().filter(|line| line.text.contains(&act.label)).count() as i64
            }
            Deed::Receive => {
                let bin = self.point.stock.get(BLANKETS).and_then(|stock| stock.bins.get(&act.label));
                // A balance that is no multiple is not "once" either.
                let balance = bin.map_or(0, |bin| bin.balance());
                if balance % act.quantity == 0 { balance / act.quantity } else { -1 }
            }
            Deed::Send => self.sent.iter().filter(|quantity| **quantity == act.quantity).count() as i64,
            Deed::Issue => return None,
        };
        Some(count)
    }

    fn reports(&self, label: &str) -> i64 {
        let about = self.reported.iter().filter(|(summary, _)| match &summary.detail {
            Detail::Incident { place, .. } | Detail::Hazard { place, .. } => place == label,
            _ => false,
        });
        let reports = about.map(|(_, view)| match &view.state {
            State::Incident(incident) => incident.reports.len(),
            State::Hazard(hazard) => hazard.reports.len(),
            _ => 0,
        });
        reports.sum::<usize>() as i64
    }

    /// Stock that left by handing out and by sending, by the books.
    pub(super) fn gone(&self) -> [(Deed, i64); 2] {
        [(Deed::Issue, PLENTY - self.point.balance(WATER)), (Deed::Send, PLENTY - self.point.balance(SANDBAGS))]
    }

    /// Records whose events do not all count.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &RecordView> {
        let views = self.incidents.iter().chain(self.reported.iter().map(|(_, view)| view));
        views.filter(|view| view.unsettled_total > 0)
    }
}
