//! The liaison's morning on one page: what is open, short, expiring, under way or contradictory.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use crate::date::Date;
use crate::events::team_checked_in::Readiness;
use crate::limits::{CERTIFICATES_FOR_READY, EXPIRING_DAYS};
use crate::summary::{Detail, LotLine, OpenConflict, StockLine, Summary, TransferLine};

/// What needs somebody's attention.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Desk {
    /// Open incidents, gravest first, then latest first.
    pub incidents: Vec<Summary>,
    /// Open hazards, most overdue first; those without a due day last.
    pub hazards: Vec<Summary>,
    /// Items below their minimum or below nought.
    pub short: Vec<ShortLine>,
    /// Lots that expire soon or have expired, first to expire first.
    pub expiring: Vec<ExpiringLine>,
    /// Transfers that were sent and have not arrived, oldest first.
    pub in_transit: Vec<TransitLine>,
    /// Teams by how ready they are.
    pub teams: TeamsByReadiness,
    /// Conflicts to settle, oldest first.
    pub conflicts: Vec<ConflictLine>,
}

/// An item of which too little is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortLine {
    /// The point.
    pub point: RecordId,
    /// What people call it.
    pub point_name: String,
    /// The item.
    pub line: StockLine,
}

/// A lot that expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringLine {
    /// The point.
    pub point: RecordId,
    /// What people call it.
    pub point_name: String,
    /// The item.
    pub item: String,
    /// What it is counted in.
    pub unit: String,
    /// The lot.
    pub lot: LotLine,
    /// Days that are left; negative once it has expired.
    pub days_left: i64,
}

/// A transfer under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitLine {
    /// The sending point.
    pub from_point: RecordId,
    /// What people call it.
    pub from_name: String,
    /// What people call the receiving point, if it is known here.
    pub to_name: String,
    /// The transfer.
    pub transfer: TransferLine,
}

/// A conflict and its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictLine {
    /// The record.
    pub record: RecordId,
    /// What it is.
    pub kind: crate::state::RecordKind,
    /// What people call it.
    pub title: String,
    /// The conflict.
    pub conflict: OpenConflict,
}

/// Teams by how ready they are. Every team stands in exactly one list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TeamsByReadiness {
    /// Out at an incident.
    pub deployed: Vec<TeamLine>,
    /// With enough valid certificates, and not reported limited or unavailable.
    pub ready: Vec<TeamLine>,
    /// Reported limited, or with too few valid certificates.
    pub limited: Vec<TeamLine>,
    /// Reported unavailable.
    pub unavailable: Vec<TeamLine>,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamLine {
    /// The team.
    pub team: RecordId,
    /// What people call it.
    pub name: String,
    /// Certificates valid today.
    pub certificates_valid: u64,
    /// How ready it says it is.
    pub readiness: Option<Readiness>,
    /// Where it is deployed.
    pub deployed: Vec<RecordId>,
}

impl Desk {
    /// The desk of a day.
    pub fn from_summaries(summaries: &[Summary], today: Date) -> Self {
        let mut desk = Self::default();
        for summary in summaries {
            desk.add(summary, today);
        }
        desk.in_transit = in_transit(summaries);
        desk.incidents.sort_by_key(|s| (severity_rank(s), std::cmp::Reverse(s.last_ms), s.id));
        desk.hazards.sort_by_key(|s| (due(s).is_none(), due(s), severity_rank(s), s.id));
        desk.expiring.sort_by_key(|line| (line.lot.expires, line.point));
        desk.conflicts.sort_by_key(|line| (line.conflict.opened_ms, line.conflict.id));
        desk
    }

    fn add(&mut self, summary: &Summary, today: Date) {
        self.conflicts.extend(summary.conflicts_open.iter().map(|conflict| ConflictLine {
            record: summary.id,
            kind: summary.kind,
            title: summary.title.clone(),
            conflict: conflict.clone(),
        }));
        match &summary.detail {
            Detail::Incident { open: true, .. } => self.incidents.push(summary.clone()),
            Detail::Hazard { open: true, .. } => self.hazards.push(summary.clone()),
            Detail::SupplyPoint { stock, .. } => self.add_stock(summary, stock, today),
            Detail::Team { certificates_expire, deployed, readiness, .. } => {
                let valid = certificates_expire.iter().filter(|day| **day >= today).count();
                let line = TeamLine {
                    team: summary.id,
                    name: summary.title.clone(),
                    certificates_valid: valid as u64,
                    readiness: *readiness,
                    deployed: deployed.iter().copied().collect(),
                };
                let teams = &mut self.teams;
                match (deployed.is_empty(), readiness) {
                    (false, _) => teams.deployed.push(line),
                    (true, Some(Readiness::Unavailable)) => teams.unavailable.push(line),
                    (true, Some(Readiness::Limited)) => teams.limited.push(line),
                    (true, _) if valid < CERTIFICATES_FOR_READY => teams.limited.push(line),
                    (true, _) => teams.ready.push(line),
                }
            }
            Detail::Incident { .. }
            | Detail::Hazard { .. }
            | Detail::Plan { .. }
            | Detail::Building { .. }
            | Detail::Contact { .. }
            | Detail::Unknown => {}
        }
    }

    fn add_stock(&mut self, summary: &Summary, stock: &[StockLine], today: Date) {
        for line in stock {
            if line.balance < line.minimum.unwrap_or(0) {
                let point_name = summary.title.clone();
                self.short.push(ShortLine { point: summary.id, point_name, line: line.clone() });
            }
            let soon = line.lots.iter().filter(|lot| lot.expires.days_since(today) <= EXPIRING_DAYS);
            self.expiring.extend(soon.map(|lot| ExpiringLine {
                point: summary.id,
                point_name: summary.title.clone(),
                item: line.item.clone(),
                unit: line.unit.clone(),
                days_left: lot.expires.days_since(today),
                lot: lot.clone(),
            }));
        }
    }
}

fn severity_rank(summary: &Summary) -> u8 {
    match &summary.detail {
        Detail::Incident { severity: Some(severity), .. } | Detail::Hazard { severity: Some(severity), .. } => {
            *severity as u8
        }
        _ => u8::MAX,
    }
}

fn due(summary: &Summary) -> Option<Date> {
    match &summary.detail {
        Detail::Hazard { due, .. } => *due,
        _ => None,
    }
}

/// Sent and not arrived: the two halves of a transfer stand at different points.
fn in_transit(summaries: &[Summary]) -> Vec<TransitLine> {
    let points: std::collections::BTreeMap<RecordId, &Summary> = summaries.iter().map(|s| (s.id, s)).collect();
    let arrived = |transfer: &TransferLine| {
        points.get(&transfer.to_point).is_some_and(|point| match &point.detail {
            Detail::SupplyPoint { arrived, .. } => arrived.contains(&transfer.transfer),
            _ => false,
        })
    };
    let mut lines: Vec<TransitLine> = Vec::new();
    for summary in summaries {
        let Detail::SupplyPoint { sent, .. } = &summary.detail else { continue };
        lines.extend(sent.iter().filter(|transfer| !arrived(transfer)).map(|transfer| TransitLine {
            from_point: summary.id,
            from_name: summary.title.clone(),
            to_name: points.get(&transfer.to_point).map(|point| point.title.clone()).unwrap_or_default(),
            transfer: transfer.clone(),
        }));
    }
    lines.sort_by_key(|line| (line.transfer.sent_ms, line.transfer.transfer));
    lines
}
