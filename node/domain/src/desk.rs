//! The liaison's morning on one page: what is open, short, expiring, under way or contradictory.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use crate::crosscheck::{CrossCheck, crosschecks, on_the_way};
use crate::date::Date;
use crate::events::team_checked_in::Readiness;
use crate::limits::{CERTIFIED_FOR_READY, EXPIRING_DAYS};
use crate::state::StateWord;
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
    /// Contradictions between records, until somebody explains them, the gravest first.
    pub crosschecks: Vec<CrossCheckLine>,
    /// Records in which acts from outside wait until somebody adopts them.
    pub adoptions: Vec<AdoptionLine>,
    /// Plans in force whose last day has passed, longest ago first.
    pub expired_plans: Vec<Summary>,
    /// Plans in whose text two people wrote at one place without seeing each other, latest first.
    pub plans_to_read: Vec<Summary>,
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
    /// How much is still on the way: what was sent, less the parts that have arrived.
    pub rest: i64,
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

/// A contradiction between two records, and what people call them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossCheckLine {
    /// The contradiction.
    pub check: CrossCheck,
    /// What people call the records, in the order of the check.
    pub titles: Vec<String>,
}

/// A record that was acted on from outside its area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptionLine {
    /// The record.
    pub record: RecordId,
    /// What it is.
    pub kind: crate::state::RecordKind,
    /// What people call it.
    pub title: String,
    /// How many acts wait.
    pub acts: u64,
}

/// Teams by how ready they are. Every team stands in exactly one list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TeamsByReadiness {
    /// Out at an incident, or given a task at an open one.
    pub deployed: Vec<TeamLine>,
    /// With enough certified people, and not reported limited or unavailable.
    pub ready: Vec<TeamLine>,
    /// Reported limited, or with too few certified people.
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
    /// People on the roster whose certificates are valid today.
    pub certified: u64,
    /// How ready it says it is.
    pub readiness: Option<Readiness>,
    /// Where it is deployed.
    pub deployed: Vec<RecordId>,
    /// Open incidents where it was given a task, apart from those.
    pub assigned: Vec<RecordId>,
}

impl Desk {
    /// The desk of a day.
    pub fn from_summaries(summaries: &[Summary], today: Date) -> Self {
        let mut desk = Self::default();
        let assigned = assigned(summaries);
        for summary in summaries {
            desk.add(summary, today, &assigned);
        }
        desk.crosschecks = crosscheck_lines(summaries);
        desk.expired_plans.sort_by_key(|plan| (valid_to(plan), plan.id));
        desk.plans_to_read.sort_by_key(|plan| (std::cmp::Reverse(plan.last_ms), plan.id));
        desk.in_transit = in_transit(summaries);
        desk.incidents.sort_by_key(|s| (severity_rank(s), std::cmp::Reverse(s.last_ms), s.id));
        desk.hazards.sort_by_key(|s| (due(s).is_none(), due(s), severity_rank(s), s.id));
        desk.expiring.sort_by_key(|line| (line.lot.expires, line.point));
        desk.conflicts.sort_by_key(|line| (line.conflict.opened_ms, line.conflict.id));
        desk
    }

    fn add(&mut self, summary: &Summary, today: Date, assigned: &BTreeMap<RecordId, BTreeSet<RecordId>>) {
        self.conflicts.extend(summary.conflicts_open.iter().map(|conflict| ConflictLine {
            record: summary.id,
            kind: summary.kind,
            title: summary.title.clone(),
            conflict: conflict.clone(),
        }));
        if summary.outside > 0 {
            let (record, kind, title) = (summary.id, summary.kind, summary.title.clone());
            self.adoptions.push(AdoptionLine { record, kind, title, acts: summary.outside });
        }
        if matches!(&summary.detail, Detail::Plan { to_be_read: 1.., .. }) {
            self.plans_to_read.push(summary.clone());
        }
        match &summary.detail {
            Detail::Plan { .. } if summary.state_on(today) == StateWord::Expired => {
                self.expired_plans.push(summary.clone());
            }
            Detail::Incident { open: true, .. } => self.incidents.push(summary.clone()),
            Detail::Hazard { open: true, .. } => self.hazards.push(summary.clone()),
            Detail::SupplyPoint { stock, .. } => self.add_stock(summary, stock, today),
            Detail::Team { certified_until, deployed, readiness, .. } => {
                let certified = certified_until.iter().filter(|day| **day >= today).count();
                let assigned = assigned.get(&summary.id).into_iter().flatten();
                let assigned: Vec<RecordId> =
                    assigned.filter(|incident| !deployed.contains(incident)).copied().collect();
                let line = TeamLine {
                    team: summary.id,
                    name: summary.title.clone(),
                    certified: certified as u64,
                    readiness: *readiness,
                    deployed: deployed.iter().copied().collect(),
                    assigned,
                };
                let out = !line.deployed.is_empty() || !line.assigned.is_empty();
                let teams = &mut self.teams;
                match (!out, readiness) {
                    (false, _) => teams.deployed.push(line),
                    (true, Some(Readiness::Unavailable)) => teams.unavailable.push(line),
                    (true, Some(Readiness::Limited)) => teams.limited.push(line),
                    (true, _) if certified < CERTIFIED_FOR_READY => teams.limited.push(line),
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

/// All contradictions that are open, in their order, with what people call the records.
pub fn crosscheck_lines(summaries: &[Summary]) -> Vec<CrossCheckLine> {
    let titles: BTreeMap<RecordId, &str> = summaries.iter().map(|s| (s.id, s.title.as_str())).collect();
    let titled = |check: CrossCheck| {
        let title = |record| titles.get(record).copied().unwrap_or_default().to_owned();
        CrossCheckLine { titles: check.records.iter().map(title).collect(), check }
    };
    crosschecks(summaries).into_iter().map(titled).collect()
}

/// The open incidents where each team was given a task.
fn assigned(summaries: &[Summary]) -> BTreeMap<RecordId, BTreeSet<RecordId>> {
    let mut assigned: BTreeMap<RecordId, BTreeSet<RecordId>> = BTreeMap::new();
    for summary in summaries {
        if let Detail::Incident { open: true, teams, .. } = &summary.detail {
            for team in teams {
                assigned.entry(*team).or_default().insert(summary.id);
            }
        }
    }
    assigned
}

fn valid_to(summary: &Summary) -> Option<Date> {
    match &summary.detail {
        Detail::Plan { valid_to, .. } => *valid_to,
        _ => None,
    }
}

fn severity_rank(summary: &Summary) -> u8 {
    match &summary.detail {
        Detail::Incident { severity: Some(severity), .. } => *severity as u8,
        Detail::Hazard { grade: Some(grade), .. } => *grade as u8,
        _ => u8::MAX,
    }
}

fn due(summary: &Summary) -> Option<Date> {
    match &summary.detail {
        Detail::Hazard { due, .. } => *due,
        _ => None,
    }
}

/// Sent and not arrived, or not all of it: the two halves of a transfer stand at different points.
fn in_transit(summaries: &[Summary]) -> Vec<TransitLine> {
    let titles: BTreeMap<RecordId, &str> = summaries.iter().map(|s| (s.id, s.title.as_str())).collect();
    let title = |point: &RecordId| titles.get(point).copied().unwrap_or_default().to_owned();
    let line = |(from, transfer, rest): (RecordId, &TransferLine, i64)| TransitLine {
        from_point: from,
        from_name: title(&from),
        to_name: title(&transfer.to_point),
        rest,
        transfer: transfer.clone(),
    };
    let mut lines: Vec<TransitLine> = on_the_way(summaries).into_iter().map(line).collect();
    lines.sort_by_key(|line| (line.transfer.sent_ms, line.transfer.transfer));
    lines
}
