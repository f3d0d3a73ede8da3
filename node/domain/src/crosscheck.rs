//! Cross-checks (对照): where two records contradict each other, as after a cut in which both sides began a record of one
//! thing. A conflict is found inside one record; this looks across.
//!
//! A pure function over summaries: nodes that show the same records show the same cross-checks, under the same ids. One
//! ends when the records agree again (a plan is replaced, a team comes back), or when somebody explains it by an event
//! in either record.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::area::Area;
use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use crate::events::plan_drafted::Tier;
use crate::limits::CROSSCHECKS_MAX;
use crate::summary::{Detail, Summary, TransferLine};

/// What kind of contradiction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckClass {
    /// Two plans are in force for one scope.
    TwoPlansInForce,
    /// One person is out with two teams at different incidents.
    OnePersonTwoPlaces,
    /// One team has tasks at two open incidents.
    OneTeamTwoTasks,
    /// A team is still at an incident that was closed.
    TeamAtClosedIncident,
    /// One address is in the register twice.
    OneAddressTwoBuildings,
    /// One transfer was booked in at two points.
    OneTransferTwoArrivals,
    /// A transfer was booked in at another point than it was sent to.
    ArrivedElsewhere,
    /// Another quantity arrived than was sent: less as long as the rest is on the way or lost, or more.
    LostOnTheWay,
    /// One act has begun two records.
    OneActTwoRecords,
}

impl CheckClass {
    /// The class as it enters an id.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TwoPlansInForce => "two_plans_in_force",
            Self::OnePersonTwoPlaces => "one_person_two_places",
            Self::OneTeamTwoTasks => "one_team_two_tasks",
            Self::TeamAtClosedIncident => "team_at_closed_incident",
            Self::OneAddressTwoBuildings => "one_address_two_buildings",
            Self::OneTransferTwoArrivals => "one_transfer_two_arrivals",
            Self::ArrivedElsewhere => "arrived_elsewhere",
            Self::LostOnTheWay => "lost_on_the_way",
            Self::OneActTwoRecords => "one_act_two_records",
        }
    }

    /// How soon somebody should look, 0 first: people and plans before stock, and stock before registers.
    pub const fn rank(self) -> u8 {
        match self {
            Self::TwoPlansInForce => 0,
            Self::OneTeamTwoTasks => 1,
            Self::OnePersonTwoPlaces => 2,
            Self::TeamAtClosedIncident => 3,
            Self::OneTransferTwoArrivals => 4,
            Self::ArrivedElsewhere => 5,
            Self::LostOnTheWay => 6,
            Self::OneActTwoRecords => 7,
            Self::OneAddressTwoBuildings => 8,
        }
    }

    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::TwoPlansInForce => "同一范围两份预案在施行",
            Self::OnePersonTwoPlaces => "一人同时在两处出动",
            Self::OneTeamTwoTasks => "一队两处任务",
            Self::TeamAtClosedIncident => "事件已结束，队伍未归队",
            Self::OneAddressTwoBuildings => "同一地址登记了两栋",
            Self::OneTransferTwoArrivals => "同一调拨在两处入库",
            Self::ArrivedElsewhere => "调拨入错了物资点",
            Self::LostOnTheWay => "在途差异",
            Self::OneActTwoRecords => "同一行为建了两条记录",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::TwoPlansInForce => "two plans in force for one scope",
            Self::OnePersonTwoPlaces => "one person out at two places",
            Self::OneTeamTwoTasks => "one team with tasks at two places",
            Self::TeamAtClosedIncident => "incident closed, team still there",
            Self::OneAddressTwoBuildings => "one address, two buildings",
            Self::OneTransferTwoArrivals => "one transfer booked in at two points",
            Self::ArrivedElsewhere => "transfer booked in at another point",
            Self::LostOnTheWay => "difference on the way",
            Self::OneActTwoRecords => "one act began two records",
        }
    }
}

/// A contradiction between two records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CrossCheck {
    /// Follows from the class, the records and what they say: the same at every node.
    pub id: RecordId,
    /// What kind of contradiction.
    pub class: CheckClass,
    /// The two records, ascending.
    pub records: Vec<RecordId>,
    /// What it is about, for people.
    pub subject: String,
}

impl CrossCheck {
    /// `key` tells apart what two records contradict each other about; unlike the subject it never depends on a title.
    fn new(class: CheckClass, pair: [RecordId; 2], key: &[&[u8]], subject: String) -> Self {
        let mut records = pair.to_vec();
        records.sort_unstable();
        let mut parts: Vec<&[u8]> = vec![class.code().as_bytes()];
        parts.extend(records.iter().map(|record| record.as_bytes().as_slice()));
        parts.extend(key);
        Self { id: RecordId::derived("linli/crosscheck/1", &parts), class, records, subject }
    }
}

/// Everything that contradicts between the records and that nobody has explained, the gravest first, then ascending by id.
pub fn crosschecks(summaries: &[Summary]) -> Vec<CrossCheck> {
    let all: BTreeMap<RecordId, &Summary> = summaries.iter().map(|summary| (summary.id, summary)).collect();
    let mut found = BTreeSet::new();
    plans(&all, &mut found);
    buildings(&all, &mut found);
    acts(&all, &mut found);
    transfers(&all, &mut found);
    let out = teams_out(&all);
    tasks(&all, &out, &mut found);
    people(&all, &out, &mut found);
    let mut open: Vec<CrossCheck> = found.into_iter().filter(|check| !is_explained(&all, check)).collect();
    open.sort_by_key(|check| (check.class.rank(), check.id));
    open.truncate(CROSSCHECKS_MAX);
    open
}

/// Whether somebody has explained it in either record.
fn is_explained(all: &All<'_>, check: &CrossCheck) -> bool {
    check.records.iter().any(|record| all.get(record).is_some_and(|known| known.explained.contains(&check.id)))
}

/// Whether another plan is in force for the scope of this one, so that both must not be.
pub fn in_force_for_the_same(plan: &Summary, other: &Summary) -> bool {
    let same = scope_of(plan).is_some_and(|scope| scope_of(other) == Some(scope));
    same && other.id != plan.id && other.state.is_in_force() && overlap(&plan.area, &other.area)
}

type All<'s> = BTreeMap<RecordId, &'s Summary>;
type Found = BTreeSet<CrossCheck>;

/// A plan's tier and scope.
fn scope_of(summary: &Summary) -> Option<(Tier, &str)> {
    match &summary.detail {
        Detail::Plan { tier: Some(tier), scope, .. } => Some((*tier, scope.trim())),
        _ => None,
    }
}

fn overlap(one: &Area, other: &Area) -> bool {
    one.contains(other) || other.contains(one)
}

/// Of records that claim the same, each later one with the first that it contradicts.
fn pairs<'s, K: Ord>(
    all: &All<'s>,
    key: impl Fn(&'s Summary) -> Option<K>,
    contradict: impl Fn(&Summary, &Summary) -> bool,
    mut found: impl FnMut(&Summary, &Summary),
) {
    let mut groups: BTreeMap<K, Vec<&Summary>> = BTreeMap::new();
    for summary in all.values() {
        if let Some(key) = key(summary) {
            groups.entry(key).or_default().push(summary);
        }
    }
    for group in groups.values() {
        for (n, later) in group.iter().enumerate() {
            if let Some(first) = group.iter().take(n).find(|first| contradict(first, later)) {
                found(first, later);
            }
        }
    }
}

fn plans(all: &All<'_>, found: &mut Found) {
    fn in_force(summary: &Summary) -> Option<(Tier, &str)> {
        scope_of(summary).filter(|_| summary.state.is_in_force())
    }
    pairs(
        all,
        in_force,
        |first, later| overlap(&first.area, &later.area),
        |first, later| {
            let scope = scope_of(later).map(|(_, scope)| scope.to_owned()).unwrap_or_default();
            found.insert(CrossCheck::new(CheckClass::TwoPlansInForce, [first.id, later.id], &[], scope));
        },
    );
}

fn buildings(all: &All<'_>, found: &mut Found) {
    fn address(summary: &Summary) -> Option<&str> {
        let is_building = matches!(summary.detail, Detail::Building { .. });
        Some(summary.title.trim()).filter(|address| is_building && !address.is_empty())
    }
    pairs(
        all,
        address,
        |first, later| overlap(&first.area, &later.area),
        |first, later| {
            let subject = later.title.trim().to_owned();
            found.insert(CrossCheck::new(CheckClass::OneAddressTwoBuildings, [first.id, later.id], &[], subject));
        },
    );
}

fn acts(all: &All<'_>, found: &mut Found) {
    pairs(
        all,
        |summary| summary.begun_by,
        |_, _| true,
        |first, later| {
            let subject = later.begun_by.map(|act| act.to_string()).unwrap_or_default();
            found.insert(CrossCheck::new(CheckClass::OneActTwoRecords, [first.id, later.id], &[], subject));
        },
    );
}

/// Where each transfer arrived, and how much of it.
fn arrivals(all: &All<'_>) -> BTreeMap<RecordId, Vec<(RecordId, i64)>> {
    let mut arrivals: BTreeMap<RecordId, Vec<(RecordId, i64)>> = BTreeMap::new();
    for summary in all.values() {
        if let Detail::SupplyPoint { arrived, .. } = &summary.detail {
            for line in arrived {
                arrivals.entry(line.transfer).or_default().push((summary.id, line.quantity));
            }
        }
    }
    arrivals
}

/// A transfer as the records of both its ends tell it.
struct Passage<'s> {
    from: RecordId,
    line: &'s TransferLine,
    /// How much has arrived where it was sent to; none if nothing was booked in there.
    arrived: Option<i64>,
    /// What was booked in at other points.
    elsewhere: Vec<(RecordId, i64)>,
}

fn passages<'s>(all: &All<'s>, arrivals: &BTreeMap<RecordId, Vec<(RecordId, i64)>>) -> Vec<Passage<'s>> {
    let lines = all.values().flat_map(|summary| match &summary.detail {
        Detail::SupplyPoint { sent, .. } => sent.iter().map(|line| (summary.id, line)).collect(),
        _ => Vec::new(),
    });
    let passage = |(from, line): (RecordId, &'s TransferLine)| {
        let at = arrivals.get(&line.transfer).map(Vec::as_slice).unwrap_or_default();
        Passage {
            from,
            line,
            arrived: at.iter().find(|(point, _)| *point == line.to_point).map(|(_, quantity)| *quantity),
            elsewhere: at.iter().copied().filter(|(point, _)| *point != line.to_point).collect(),
        }
    };
    lines.map(passage).collect()
}

impl Passage<'_> {
    /// What was booked in at other points, each as a contradiction that somebody explains.
    fn arrived_elsewhere(&self) -> impl Iterator<Item = (CrossCheck, i64)> + '_ {
        self.elsewhere.iter().map(|(point, quantity)| {
            let key: [&[u8]; 2] = [self.line.transfer.as_bytes(), &quantity.to_be_bytes()];
            let subject = format!("{} {quantity}", self.line.item);
            (CrossCheck::new(CheckClass::ArrivedElsewhere, [self.from, *point], &key, subject), *quantity)
        })
    }

    /// The contradiction between what was sent and what arrived, if there is one.
    fn difference(&self) -> Option<CrossCheck> {
        let (sent, arrived) = (self.line.quantity, self.arrived.filter(|arrived| *arrived != self.line.quantity)?);
        let key: [&[u8]; 3] = [self.line.transfer.as_bytes(), &sent.to_be_bytes(), &arrived.to_be_bytes()];
        let subject = format!("{} {sent} → {arrived}", self.line.item);
        Some(CrossCheck::new(CheckClass::LostOnTheWay, [self.from, self.line.to_point], &key, subject))
    }
}

/// A transfer of which something is on its way: its sender, what was sent, and how much of it is still on the way. What
/// somebody has explained is on its way no more.
pub(crate) fn on_the_way(summaries: &[Summary]) -> Vec<(RecordId, &TransferLine, i64)> {
    let all: BTreeMap<RecordId, &Summary> = summaries.iter().map(|summary| (summary.id, summary)).collect();
    let passages = passages(&all, &arrivals(&all));
    let rest = |passage: &Passage<'_>| {
        if passage.difference().is_some_and(|check| is_explained(&all, &check)) {
            return 0;
        }
        let explained = passage.arrived_elsewhere().filter(|(check, _)| is_explained(&all, check));
        let gone = explained.map(|(_, quantity)| quantity).fold(passage.arrived.unwrap_or(0), i64::saturating_add);
        passage.line.quantity.saturating_sub(gone)
    };
    let on_the_way = passages.iter().map(|passage| (passage.from, passage.line, rest(passage)));
    on_the_way.filter(|(_, _, rest)| *rest > 0).collect()
}

fn transfers(all: &All<'_>, found: &mut Found) {
    let arrivals = arrivals(all);
    for (transfer, points) in &arrivals {
        let Some(((first, _), later)) = points.split_first() else { continue };
        for (point, quantity) in later {
            let class = CheckClass::OneTransferTwoArrivals;
            found.insert(CrossCheck::new(class, [*first, *point], &[transfer.as_bytes()], quantity.to_string()));
        }
    }
    for passage in passages(all, &arrivals) {
        found.extend(passage.arrived_elsewhere().map(|(check, _)| check));
        found.extend(passage.difference());
    }
}

/// A team that is out: where it is deployed, and where else it has a task at an open incident.
struct Out {
    deployed: BTreeSet<RecordId>,
    all: BTreeSet<RecordId>,
}

fn teams_out(all: &All<'_>) -> BTreeMap<RecordId, Out> {
    let mut out: BTreeMap<RecordId, Out> = BTreeMap::new();
    for summary in all.values() {
        if let Detail::Team { deployed, .. } = &summary.detail {
            out.insert(summary.id, Out { deployed: deployed.clone(), all: deployed.clone() });
        }
    }
    for summary in all.values() {
        if let Detail::Incident { open: true, teams, .. } = &summary.detail {
            for team in teams {
                if let Some(out) = out.get_mut(team) {
                    out.all.insert(summary.id);
                }
            }
        }
    }
    out
}

fn tasks(all: &All<'_>, out: &BTreeMap<RecordId, Out>, found: &mut Found) {
    let is_closed = |incident: &RecordId| {
        all.get(incident).is_some_and(|known| matches!(known.detail, Detail::Incident { open: false, .. }))
    };
    for (team, out) in out {
        let title = || all.get(team).map(|known| known.title.clone()).unwrap_or_default();
        for incident in out.deployed.iter().filter(|incident| is_closed(incident)) {
            found.insert(CrossCheck::new(CheckClass::TeamAtClosedIncident, [*team, *incident], &[], title()));
        }
        // Two deployments of one team contradict each other inside its own record.
        let open: Vec<&RecordId> = out.all.iter().filter(|incident| !is_closed(incident)).collect();
        let Some((first, later)) = open.split_first() else { continue };
        let both_deployed =
            |one: &RecordId, other: &RecordId| out.deployed.contains(one) && out.deployed.contains(other);
        for incident in later.iter().filter(|incident| !both_deployed(first, incident)) {
            let key = [team.as_bytes().as_slice()];
            found.insert(CrossCheck::new(CheckClass::OneTeamTwoTasks, [**first, **incident], &key, title()));
        }
    }
}

fn people(all: &All<'_>, out: &BTreeMap<RecordId, Out>, found: &mut Found) {
    let mut teams_of: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
    for summary in all.values() {
        if let Detail::Team { people, .. } = &summary.detail
            && out.get(&summary.id).is_some_and(|out| !out.all.is_empty())
        {
            for person in people {
                teams_of.entry(*person).or_default().push(summary.id);
            }
        }
    }
    let places = |team: &RecordId| out.get(team).map(|out| &out.all);
    for teams in teams_of.values() {
        let Some((first, later)) = teams.split_first() else { continue };
        for team in later.iter().filter(|team| places(team) != places(first)) {
            let names = [first, team].map(|team| all.get(team).map(|known| known.title.as_str()).unwrap_or_default());
            found.insert(CrossCheck::new(CheckClass::OnePersonTwoPlaces, [*first, *team], &[], names.join("、")));
        }
    }
}

#[cfg(test)]
mod tests;
