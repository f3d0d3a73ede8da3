//! Where concurrent facts contradict each other: found by causality where branches meet, never by a clock.
//!
//! A conflict is looked for in each *meet*: what the author of an event with several parents had seen, and what is here
//! now if the record has several heads. So a conflict that one person could see stays on record, and none is made up
//! from an order that nobody lived through. Its id follows from the record, its class and the events, so that both
//! sides of a cut name it alike. What nobody decided twice (notes, ordinary movements, edits) never is a conflict.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::{EventId, RecordId};
use linli_core::time::Hlc;
use serde::{Deserialize, Serialize};

use crate::events::role::{Movement, Role};
use crate::graph::Graph;
use crate::state::supply_point::{Stock, bin_name};
use crate::state::{Context, Folded, Knowledge, RecordKind, State};

/// What kind of contradiction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictClass {
    /// More left a supply point than was there, because two sides did not know of each other.
    Overdraw,
    /// One team was sent to different incidents.
    DoubleDeployment,
    /// One incident was closed twice.
    TwoClosings,
    /// Two different texts of one plan were put into force.
    TwoIssued,
    /// One bin was counted on both sides, with results that do not agree. The lower one is shown until somebody counts.
    TwoCounts,
    /// One item came in two units on both sides. Only the unit that was named first is added up.
    TwoUnits,
    /// Closed on one side and reopened on the other. Open wins until somebody decides.
    ClosedAndReopened,
}

impl ConflictClass {
    /// The class as it enters a conflict's id.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Overdraw => "overdraw",
            Self::DoubleDeployment => "double_deployment",
            Self::TwoClosings => "two_closings",
            Self::TwoIssued => "two_issued",
            Self::TwoCounts => "two_counts",
            Self::TwoUnits => "two_units",
            Self::ClosedAndReopened => "closed_and_reopened",
        }
    }

    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Overdraw => "超发，需要盘点",
            Self::DoubleDeployment => "一队两派",
            Self::TwoClosings => "两次结束",
            Self::TwoIssued => "两个版本同时发布",
            Self::TwoCounts => "两次盘点不一致，需要重新盘点",
            Self::TwoUnits => "同一物资两种计量单位，需要盘点",
            Self::ClosedAndReopened => "一边结束，一边重开",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Overdraw => "overdrawn, recount needed",
            Self::DoubleDeployment => "one team sent to two places",
            Self::TwoClosings => "closed twice",
            Self::TwoIssued => "two versions issued",
            Self::TwoCounts => "two counts disagree, recount needed",
            Self::TwoUnits => "one item in two units, recount needed",
            Self::ClosedAndReopened => "closed on one side, reopened on the other",
        }
    }

    /// Whether it is about what is really there: then no side is right, and somebody has to count.
    pub const fn asks_for_a_count(self) -> bool {
        matches!(self, Self::Overdraw | Self::TwoCounts | Self::TwoUnits)
    }
}

/// A contradiction between concurrent events of one record. Nothing is overwritten; a person settles it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Follows from the record, the class and the events: the same at every node.
    pub id: RecordId,
    /// What kind of contradiction.
    pub class: ConflictClass,
    /// The item or the bin, for what is about stock; otherwise empty.
    pub subject: String,
    /// The events that contradict each other, ascending. None of their authors had seen another of them.
    pub events: Vec<EventId>,
    /// The time of the last of them.
    pub opened_at: Hlc,
    /// Who settled it, if they agree.
    pub settled: Option<EventId>,
    /// Every settlement that no other one has replaced.
    pub settlements: Vec<Settlement>,
}

/// An act that settles a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The event.
    pub event: EventId,
    /// Which of the events holds; none where all do.
    pub keep: Option<EventId>,
}

impl Conflict {
    /// The id of a conflict.
    pub fn id_of(record: &RecordId, class: ConflictClass, subject: &str, events: &[EventId]) -> RecordId {
        let mut parts: Vec<&[u8]> = vec![record.as_bytes(), class.code().as_bytes(), subject.as_bytes()];
        parts.extend(events.iter().map(|id| id.as_bytes().as_slice()));
        RecordId::derived("linli/conflict/1", &parts)
    }

    /// Whether somebody still has to settle it.
    pub const fn is_open(&self) -> bool {
        self.settled.is_none()
    }

    /// Events that a settlement has put aside. They stay readable.
    pub fn lost(&self) -> impl Iterator<Item = EventId> + '_ {
        let kept = self.settled.and(self.settlements.first()).and_then(|settlement| settlement.keep);
        self.events.iter().copied().filter(move |event| kept.is_some_and(|kept| kept != *event))
    }

    /// Notes a settlement by somebody who had seen all of its events.
    pub(crate) fn settle(&mut self, settlement: Settlement, ctx: &Context<'_>) {
        self.settlements.retain(|earlier| !ctx.has_seen(&earlier.event));
        self.settlements.push(settlement);
        let agreed = self.settlements.windows(2).all(|pair| pair[0].keep == pair[1].keep);
        self.settled = self.settlements.last().filter(|_| agreed).map(|last| last.event);
    }

    /// Whether the same contradiction, with more events, is another conflict of the list.
    pub fn is_part_of_another(&self, all: &[Self]) -> bool {
        all.iter().any(|other| {
            other.class == self.class
                && other.subject == self.subject
                && other.events.len() > self.events.len()
                && self.events.iter().all(|event| other.events.contains(event))
        })
    }
}

/// A set of events that is closed under "had seen".
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meet {
    /// What the author of the event at this place had seen.
    Before(usize),
    /// Everything that is here.
    Now,
}

/// Finds what contradicts within meets.
pub(crate) struct Finder<'a> {
    pub record: RecordId,
    /// The state after every fact folded so far.
    pub state: &'a State,
    pub graph: &'a Graph,
    pub facts: &'a [Option<Folded>],
}

impl Finder<'_> {
    /// The conflicts of a meet, given those found before. Empty where fewer than two branches meet.
    pub(crate) fn find(&self, meet: Meet, known: &[Conflict]) -> Vec<Conflict> {
        let tips = match meet {
            Meet::Before(at) => self.graph.tips_below(at),
            Meet::Now => self.graph.heads(),
        };
        if tips.len() < 2 {
            return Vec::new();
        }
        match self.state.kind() {
            RecordKind::SupplyPoint => self.about_stock(meet, &tips),
            RecordKind::Incident | RecordKind::Team | RecordKind::Plan | RecordKind::Hazard => {
                self.contradictions(meet, known)
            }
            RecordKind::Building | RecordKind::Contact | RecordKind::Unknown => Vec::new(),
        }
    }

    fn conflict(&self, class: ConflictClass, subject: &str, places: &[usize]) -> Conflict {
        let mut events: Vec<EventId> = places.iter().map(|at| self.graph.vertex(*at).id).collect();
        events.sort_unstable();
        Conflict {
            id: Conflict::id_of(&self.record, class, subject, &events),
            class,
            subject: subject.to_owned(),
            opened_at: places.iter().map(|at| self.graph.vertex(*at).time).max().unwrap_or_default(),
            events,
            settled: None,
            settlements: Vec::new(),
        }
    }

    fn contains(&self, meet: Meet, at: usize) -> bool {
        match meet {
            Meet::Before(tip) => self.graph.has_seen(tip, at),
            Meet::Now => true,
        }
    }

    /// Facts of a meet in fold order.
    fn facts_in(&self, meet: Meet, from: usize) -> impl Iterator<Item = (usize, &Folded)> {
        let facts = self.facts.iter().enumerate().skip(from);
        facts.filter_map(move |(at, fact)| fact.as_ref().filter(|_| self.contains(meet, at)).map(|fact| (at, fact)))
    }

    /// Decisions of a meet that nobody in it has knowingly replaced, and that no settlement in it has put aside.
    fn standing(&self, meet: Meet, known: &[Conflict]) -> Vec<(usize, Role<'_>)> {
        let lost = self.lost_in(meet, known);
        let mut standing: Vec<(usize, Role<'_>)> = Vec::new();
        for (at, folded) in self.facts_in(meet, 0) {
            let role = folded.fact.role();
            standing.retain(|(earlier, other)| !(replaces(role, *other) && self.graph.has_seen(at, *earlier)));
            let stands = matches!(role, Role::Closes | Role::Reopens | Role::Deploys(_) | Role::Issues(_));
            if stands && !lost.contains(&folded.stamp.event) {
                standing.push((at, role));
            }
        }
        standing
    }

    fn lost_in(&self, meet: Meet, known: &[Conflict]) -> BTreeSet<EventId> {
        let here = |event: &EventId| self.graph.position(event).is_some_and(|at| self.contains(meet, at));
        let mut lost = BTreeSet::new();
        for conflict in known {
            let keeps: BTreeSet<Option<EventId>> =
                conflict.settlements.iter().filter(|s| here(&s.event)).map(|s| s.keep).collect();
            if let (1, Some(Some(kept))) = (keeps.len(), keeps.first()) {
                lost.extend(conflict.events.iter().copied().filter(|event| event != kept));
            }
        }
        lost
    }

    fn contradictions(&self, meet: Meet, known: &[Conflict]) -> Vec<Conflict> {
        let standing = self.standing(meet, known);
        let mut found = Vec::new();
        let places = |wanted: fn(&Role<'_>) -> bool| -> Vec<usize> {
            standing.iter().filter(|(_, role)| wanted(role)).map(|(at, _)| *at).collect()
        };
        let closings = places(|role| matches!(role, Role::Closes));
        let reopenings = places(|role| matches!(role, Role::Reopens));
        if !closings.is_empty() && !reopenings.is_empty() {
            let all = places(|role| matches!(role, Role::Closes | Role::Reopens));
            found.push(self.conflict(ConflictClass::ClosedAndReopened, "", &all));
        } else if closings.len() > 1 && self.state.kind() == RecordKind::Incident {
            found.push(self.conflict(ConflictClass::TwoClosings, "", &closings));
        }
        let deployed = self.clashing(&standing, |a, b| match (a, b) {
            (Role::Deploys(here), Role::Deploys(there)) => here != there,
            _ => false,
        });
        if deployed.len() > 1 {
            found.push(self.conflict(ConflictClass::DoubleDeployment, "", &deployed));
        }
        let issued = self.clashing(&standing, |a, b| match (a, b) {
            (Role::Issues(one), Role::Issues(other)) => one != other,
            _ => false,
        });
        if issued.len() > 1 {
            found.push(self.conflict(ConflictClass::TwoIssued, "", &issued));
        }
        found
    }

    /// Those that clash with another one without either author having seen the other.
    fn clashing(&self, standing: &[(usize, Role<'_>)], clash: fn(&Role<'_>, &Role<'_>) -> bool) -> Vec<usize> {
        let concurrent = |a: usize, b: usize| a != b && !self.graph.has_seen(a, b) && !self.graph.has_seen(b, a);
        let clashes = |(at, role): &&(usize, Role<'_>)| {
            standing.iter().any(|(other, its)| clash(role, its) && concurrent(*at, *other))
        };
        standing.iter().filter(clashes).map(|(at, _)| *at).collect()
    }

    /// What contradicts about stock among the facts that not all branches have seen.
    fn about_stock(&self, meet: Meet, tips: &[usize]) -> Vec<Conflict> {
        let from = tips.iter().map(|tip| self.graph.floor(*tip)).min().unwrap_or(0);
        let not_common = |at: usize| tips.iter().any(|tip| *tip != at && !self.graph.has_seen(*tip, at));
        let apart: Vec<(usize, &Folded)> = self.facts_in(meet, from).filter(|(at, _)| not_common(*at)).collect();
        let mut found = self.overdraws(meet, &apart);
        found.extend(self.two_counts(meet, &apart));
        found.extend(self.two_units(&apart));
        found
    }

    /// Items that went below nought where the last movements of the branches did not know of each other.
    fn overdraws(&self, meet: Meet, apart: &[(usize, &Folded)]) -> Vec<Conflict> {
        let mut last: Vec<(&str, usize, bool)> = Vec::new();
        for (at, folded) in apart {
            let (item, draws) = match folded.fact.role() {
                Role::Moves(movement) if movement.delta < 0 => (movement.item, true),
                Role::Counts(count) => (count.item, false),
                _ => continue,
            };
            last.retain(|(other, earlier, _)| *other != item || !self.graph.has_seen(*at, *earlier));
            last.push((item, *at, draws));
        }
        let items: BTreeSet<&str> = last.iter().map(|(item, _, _)| *item).collect();
        let mut found = Vec::new();
        for item in items {
            let of_item = || last.iter().filter(|(other, _, _)| *other == item);
            let places: Vec<usize> = of_item().map(|(_, at, _)| *at).collect();
            let short = || self.stock_in(meet, item).is_some_and(|stock| stock.balance() < 0);
            if places.len() > 1 && of_item().any(|(_, _, draws)| *draws) && short() {
                found.push(self.conflict(ConflictClass::Overdraw, item, &places));
            }
        }
        found
    }

    /// Bins of which two people who did not know of each other have counted something else.
    fn two_counts(&self, meet: Meet, apart: &[(usize, &Folded)]) -> Vec<Conflict> {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, folded) in apart {
            if let Role::Counts(count) = folded.fact.role() {
                *counted.entry(count.item).or_default() += 1;
            }
        }
        let mut found = Vec::new();
        for (item, _) in counted.into_iter().filter(|(_, times)| *times > 1) {
            let Some(stock) = self.stock_in(meet, item) else { continue };
            for (lot, bin) in stock.bins.iter().filter(|(_, bin)| bin.is_disputed()) {
                let places: Vec<usize> = bin.counts().filter_map(|(event, _)| self.graph.position(&event)).collect();
                found.push(self.conflict(ConflictClass::TwoCounts, &bin_name(item, Some(lot)), &places));
            }
        }
        found
    }

    /// Items that came in two units by people who did not know of each other.
    fn two_units(&self, apart: &[(usize, &Folded)]) -> Vec<Conflict> {
        let mut last: Vec<(&str, &str, usize)> = Vec::new();
        for (at, folded) in apart {
            match folded.fact.role() {
                Role::Moves(Movement { item, unit: Some(unit), .. }) => {
                    let replaced = |known: &(&str, &str, usize)| (known.0, known.1) == (item, unit);
                    last.retain(|known| !(replaced(known) && self.graph.has_seen(*at, known.2)));
                    last.push((item, unit, *at));
                }
                Role::Counts(count) => {
                    last.retain(|known| known.0 != count.item || !self.graph.has_seen(*at, known.2));
                }
                _ => {}
            }
        }
        let apart = |a: usize, b: usize| !self.graph.has_seen(a, b) && !self.graph.has_seen(b, a);
        let clashes = |one: &&(&str, &str, usize)| {
            last.iter().any(|other| one.0 == other.0 && one.1 != other.1 && apart(one.2, other.2))
        };
        let mut clashing: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (item, _, at) in last.iter().filter(clashes) {
            clashing.entry(item).or_default().push(*at);
        }
        clashing.into_iter().map(|(item, places)| self.conflict(ConflictClass::TwoUnits, item, &places)).collect()
    }

    /// What was there of an item as far as the meet knows.
    fn stock_in(&self, meet: Meet, item: &str) -> Option<Cow<'_, Stock>> {
        let knows_all = match meet {
            Meet::Before(tip) => self.graph.unseen_before(tip).next().is_none(),
            Meet::Now => true,
        };
        // The usual meet after a cut has seen everything; then the state has the answer already.
        match self.state {
            State::SupplyPoint(point) if knows_all => point.stock.get(item).map(Cow::Borrowed),
            _ => Some(Cow::Owned(self.stock_within(meet, item))),
        }
    }

    fn stock_within(&self, meet: Meet, item: &str) -> Stock {
        let within = match meet {
            Meet::Before(tip) => Some(tip),
            Meet::Now => None,
        };
        let mut stock = Stock::default();
        for (at, folded) in self.facts_in(meet, 0) {
            match folded.fact.role() {
                Role::Moves(movement) if movement.item == item => stock.book(&movement, folded.stamp.event),
                Role::Counts(count) if count.item == item => {
                    let knowledge = Knowledge::Graph { graph: self.graph, facts: self.facts, at, within };
                    let ctx = Context { stamp: folded.stamp.clone(), kind: "", incarnation: 0, knowledge };
                    stock.count(&count, &ctx);
                }
                _ => {}
            }
        }
        stock
    }
}

/// Whether a fact ends the effect of an earlier one that its author had seen.
fn replaces(later: Role<'_>, earlier: Role<'_>) -> bool {
    match (later, earlier) {
        (Role::Closes | Role::Reopens, Role::Closes | Role::Reopens) => true,
        (Role::Releases(from), Role::Deploys(to)) => from == to,
        (Role::Issues(_) | Role::Withdraws, Role::Issues(_)) => true,
        _ => false,
    }
}

/// Whether a fact, by what it says, settles a conflict whose events its author had all seen.
pub(crate) fn settles_by_itself(role: Role<'_>, conflict: &Conflict, still_deployed: impl Fn() -> usize) -> bool {
    match (conflict.class, role) {
        (ConflictClass::Overdraw | ConflictClass::TwoUnits, Role::Counts(count)) => count.item == conflict.subject,
        (ConflictClass::TwoCounts, Role::Counts(count)) => bin_name(count.item, count.lot) == conflict.subject,
        (ConflictClass::DoubleDeployment, Role::Releases(_)) => still_deployed() < 2,
        (ConflictClass::TwoClosings | ConflictClass::ClosedAndReopened, Role::Closes | Role::Reopens) => true,
        (ConflictClass::TwoIssued, Role::Issues(_) | Role::Withdraws) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
