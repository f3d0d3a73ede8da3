//! Whose acts count in a record: those for its area or a larger one, and those that somebody of that area has adopted.
//!
//! Two passes over all events, neither of which depends on an order: first what is inside, then what adoptions that are
//! inside name. So an adoption cannot let itself or another adoption in, and every node decides alike.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::area::Area;
use linli_core::charter::Verdict;
use linli_core::id::EventId;

use super::{FoldEvent, Reading};
use crate::events::begins_a_record;
use crate::events::role::Role;

/// What decides about a record's events.
#[derive(Debug)]
pub(super) struct Authority {
    /// The area of the first root.
    pub area: Area,
    /// The smallest areas of all roots, ascending.
    pub areas: Vec<Area>,
    /// What was adopted, and by which events.
    adopted: BTreeMap<EventId, BTreeSet<EventId>>,
    /// Roots that lie outside the first one's area.
    elsewhere: BTreeSet<EventId>,
}

/// Where an event that the charter lets count comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// For the record's area, or a larger one.
    Inside,
    /// For another area, and adopted.
    Adopted,
    /// For another area.
    Outside,
}

impl Authority {
    /// From all events of a record in fold order; none where there is no event.
    pub(super) fn of(events: &[(&FoldEvent<'_>, &Reading)]) -> Option<Self> {
        let roots = roots(events);
        let first = *roots.first().or(events.first().map(|(event, _)| event))?;
        let area = first.header.area.clone();
        let areas = smallest(roots.iter().map(|root| &root.header.area));
        let elsewhere = roots.iter().filter(|root| !root.header.area.contains(&area)).map(|root| root.id).collect();
        let mut authority = Self { area, areas, adopted: BTreeMap::new(), elsewhere };
        for (event, reading) in events {
            let inside = counts(event) && covers(&authority.areas, &event.header.area);
            let Some(Role::Adopts(named)) = reading.as_ref().ok().map(|fact| fact.role()).filter(|_| inside) else {
                continue;
            };
            for named in named.iter().filter(|named| **named != event.id) {
                authority.adopted.entry(*named).or_default().insert(event.id);
            }
        }
        Some(authority)
    }

    /// Where an event comes from.
    pub(super) fn origin(&self, event: &FoldEvent<'_>) -> Origin {
        if covers(&self.areas, &event.header.area) {
            Origin::Inside
        } else if self.adopted.contains_key(&event.id) {
            Origin::Adopted
        } else {
            Origin::Outside
        }
    }

    /// Whether an event is a later root that lies outside the first one's area.
    pub(super) fn begun_elsewhere(&self, event: &EventId) -> bool {
        self.elsewhere.contains(event)
    }

    /// For each adoption the events that it names: whoever adopts an act has seen it.
    pub(super) fn seen_by_adoption(&self) -> impl Iterator<Item = (EventId, EventId)> + '_ {
        self.adopted.iter().flat_map(|(named, by)| by.iter().map(|by| (*by, *named)))
    }
}

/// Whether an area equals or contains one of those that decide, which stand in ascending order.
pub(crate) fn covers(areas: &[Area], area: &Area) -> bool {
    areas.get(areas.partition_point(|deciding| deciding < area)).is_some_and(|deciding| area.contains(deciding))
}

fn counts(event: &FoldEvent<'_>) -> bool {
    matches!(event.verdict, Verdict::Authorised { .. })
}

/// The events that begin the record, in fold order: those whose kind begins one, else those that name no parents, else
/// the first that is here.
fn roots<'e, 'a>(events: &[(&'e FoldEvent<'a>, &Reading)]) -> Vec<&'e FoldEvent<'a>> {
    let counting = || events.iter().map(|(event, _)| *event).filter(|event| counts(event));
    let parentless: Vec<&FoldEvent<'a>> = counting().filter(|event| event.header.parents.is_empty()).collect();
    let beginnings: Vec<_> = parentless
        .iter()
        .copied()
        .filter(|event| begins_a_record(event.header.stream, event.header.kind.as_str()))
        .collect();
    match (beginnings.is_empty(), parentless.is_empty()) {
        (false, _) => beginnings,
        (true, false) => parentless,
        (true, true) => counting().next().into_iter().collect(),
    }
}

/// Areas that contain no other of them, ascending: whoever covers a larger one covers these. Each costs a signed event, and
/// none is left out: whoever made enough of them up would otherwise shut out the record's own. What an area contains stands
/// right behind it.
fn smallest<'a>(areas: impl Iterator<Item = &'a Area>) -> Vec<Area> {
    let all: Vec<&Area> = areas.collect::<BTreeSet<_>>().into_iter().collect();
    let smallest = all.iter().enumerate().filter(|(at, area)| all.get(at + 1).is_none_or(|next| !area.contains(next)));
    smallest.map(|(_, area)| (*area).clone()).collect()
}
