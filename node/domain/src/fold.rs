//! From events to a view: a full fold in one order that every node finds, and a short way for the usual next event.
//!
//! Law, tested over random graphs: both ways, and any order of arrival with any repetitions, give the same bytes.

use std::collections::BTreeMap;

use linli_core::charter::Verdict;
use linli_core::event::Header;
use linli_core::id::{EventId, RecordId};
use linli_core::limits::PARENTS_MAX;

use crate::conflict::{Conflict, Finder, Meet, Settlement, settles_by_itself};
use crate::events::role::Role;
use crate::events::{Fact, FactError};
use crate::graph::{Graph, Vertex};
use crate::limits::LISTED_MAX;
use crate::record::{Mark, RecordView, Unsettled, UnsettledReason};
use crate::state::{Context, Folded, Held, Knowledge, Recent, RecordKind, Stamp, State};

/// An event as a fold takes it. Personal payloads are not part of it, so that all nodes come to the same view.
#[derive(Debug, Clone)]
pub struct FoldEvent<'a> {
    /// Its id.
    pub id: EventId,
    /// Its header.
    pub header: &'a Header,
    /// What the charter says of it.
    pub verdict: Verdict,
    /// Its operational payload, if it is here.
    pub op: Option<&'a [u8]>,
}

/// Why the short way is not open: the record has to be folded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refold {
    /// The author had not seen exactly the present heads.
    #[error("its parents are not the record's present heads")]
    NotOnHeads,
    /// The event does not count, or the record is another one.
    #[error("it does not count in this record")]
    DoesNotCount,
    /// Something that was incomplete may be complete now.
    #[error("the record waits for events that may have become available")]
    Incomplete,
}

/// Folds all events of a record, in whatever order and however often they are given. None without any event.
pub fn fold_record<'a>(record: RecordId, events: impl IntoIterator<Item = FoldEvent<'a>>) -> Option<RecordView> {
    let given: BTreeMap<EventId, FoldEvent<'a>> =
        events.into_iter().filter(|e| e.header.record == Some(record)).map(|e| (e.id, e)).collect();
    let graph = Graph::new(given.values().map(vertex).collect());
    let events: Vec<&FoldEvent<'a>> = (0..graph.len()).filter_map(|at| given.get(&graph.vertex(at).id)).collect();
    let mut view = empty_view(record, &graph, &events)?;
    let mut facts: Vec<Option<Folded>> = vec![None; graph.len()];
    for (at, event) in events.iter().enumerate() {
        let reading = read(event);
        if matches!(event.verdict, Verdict::Authorised { .. }) {
            meet(&mut view, &graph, &facts, Meet::Before(at));
        }
        let knowledge = Knowledge::Graph { graph: &graph, facts: &facts, at, within: None };
        let folded = step(&mut view, event, reading, knowledge);
        facts[at] = folded;
    }
    meet(&mut view, &graph, &facts, Meet::Now);
    let heads = graph.heads();
    view.head_count = heads.len() as u64;
    let mut latest: Vec<&Vertex> = heads.into_iter().map(|at| graph.vertex(at)).collect();
    latest.sort_unstable_by_key(|head| std::cmp::Reverse((head.time, head.id)));
    view.heads = latest.into_iter().take(PARENTS_MAX).map(|head| head.id).collect();
    view.heads.sort_unstable();
    close(&mut view);
    Some(view)
}

/// Folds one more event whose author had seen exactly what the view shows.
///
/// # Errors
/// [`Refold`] when that is not so, or when the event may complete something; then use [`fold_record`].
pub fn fold_next(view: &RecordView, event: &FoldEvent<'_>) -> Result<RecordView, Refold> {
    if !matches!(event.verdict, Verdict::Authorised { .. }) || event.header.record != Some(view.record) {
        return Err(Refold::DoesNotCount);
    }
    if view.head_count != view.heads.len() as u64 || event.header.parents != view.heads || view.heads.is_empty() {
        return Err(Refold::NotOnHeads);
    }
    let listed = |total: u64, len: usize| total == len as u64;
    let complete = listed(view.missing_parents_total, view.missing_parents.len())
        && !view.missing_parents.contains(&event.id)
        && listed(view.unsettled_total, view.unsettled.len())
        && !view.unsettled.iter().any(|unsettled| unsettled.event == event.id);
    let reading = read(event);
    let edits = matches!(&reading, Ok(fact) if matches!(fact.role(), Role::Edits));
    let waits = view.state.document().is_some_and(|document| document.unrenderable_total > 0);
    if !complete || (edits && waits) {
        return Err(Refold::Incomplete);
    }
    let mut next = view.clone();
    step(&mut next, event, reading, Knowledge::Everything);
    next.heads = vec![event.id];
    next.head_count = 1;
    close(&mut next);
    Ok(next)
}

fn vertex(event: &FoldEvent<'_>) -> Vertex {
    Vertex {
        id: event.id,
        time: event.header.time,
        parents: event.header.parents.clone(),
        counts: matches!(event.verdict, Verdict::Authorised { .. }),
    }
}

fn empty_view(record: RecordId, graph: &Graph, events: &[&FoldEvent<'_>]) -> Option<RecordView> {
    let counts = |event: &&&FoldEvent<'_>| matches!(event.verdict, Verdict::Authorised { .. });
    let first = events.iter().find(counts).or_else(|| events.first())?;
    Some(RecordView {
        record,
        area: first.header.area.clone(),
        kind: RecordKind::Unknown,
        heads: Vec::new(),
        head_count: 0,
        event_count: 0,
        last_time: linli_core::time::Hlc::default(),
        state: State::Unknown,
        conflicts: Vec::new(),
        marks: Recent::default(),
        unknown: Recent::default(),
        unsettled_total: 0,
        waiting: 0,
        unsettled: Vec::new(),
        missing_parents_total: graph.missing().len() as u64,
        missing_parents: graph.missing().iter().copied().take(LISTED_MAX).collect(),
    })
}

/// What the event says, or why it does not enter the state.
fn read(event: &FoldEvent<'_>) -> Result<Fact, UnsettledReason> {
    match event.verdict {
        Verdict::Authorised { .. } => {}
        Verdict::GrantUnknown => return Err(UnsettledReason::Waiting),
        Verdict::Refused(refusal) => return Err(UnsettledReason::refused(refusal)),
    }
    let op = match (event.op, event.header.op) {
        (Some(op), _) => op,
        // An event without a payload says no more than its kind: an empty map.
        (None, None) => &[0xa0],
        (None, Some(_)) => return Err(UnsettledReason::PayloadMissing),
    };
    Fact::decode(event.header.stream, &event.header.kind, op)
        .map_err(|error: FactError| UnsettledReason::Unreadable(error.to_string()))
}

/// Folds one event onto the view; gives back what it said, if it entered the state.
fn step(
    view: &mut RecordView,
    event: &FoldEvent<'_>,
    reading: Result<Fact, UnsettledReason>,
    knowledge: Knowledge<'_>,
) -> Option<Folded> {
    if matches!(event.verdict, Verdict::Authorised { .. }) {
        view.event_count += 1;
        view.last_time = view.last_time.max(event.header.time);
    }
    let fact = match reading {
        Ok(fact) => fact,
        Err(reason) => {
            set_aside(view, event.id, reason);
            return None;
        }
    };
    let stamp = Stamp {
        event: event.id,
        author: event.header.author,
        by: fact.said().map(|said| said.by.clone()).unwrap_or_default(),
        area: event.header.area.clone(),
        time: event.header.time,
    };
    let incarnation = event.header.incarnation;
    let ctx = Context { stamp: stamp.clone(), kind: event.header.kind.as_str(), incarnation, knowledge };
    let Some(info) = fact.info() else {
        let value = format!("{}.{}", event.header.stream, event.header.kind);
        view.unknown.push(Held { value, stamp });
        return None;
    };
    if view.kind == RecordKind::Unknown {
        view.kind = info.record;
        view.state = State::new(info.record);
    }
    let broken = fact.broken_rule(&view.state, &ctx);
    if !fact.apply(&mut view.state, &ctx) {
        set_aside(view, event.id, UnsettledReason::Misplaced);
        return None;
    }
    if let Some(rule) = broken {
        view.marks.push(Mark { event: event.id, rule });
    }
    settle(view, &fact, &ctx);
    Some(Folded { fact, stamp })
}

fn set_aside(view: &mut RecordView, event: EventId, reason: UnsettledReason) {
    view.unsettled_total += 1;
    view.waiting += u64::from(reason == UnsettledReason::Waiting);
    // By id and not in fold order: what does not count may stand after an event whose author had not seen it.
    if let Err(place) = view.unsettled.binary_search_by_key(&event, |unsettled| unsettled.event) {
        view.unsettled.insert(place, Unsettled { event, reason });
        view.unsettled.truncate(LISTED_MAX);
    }
}

/// Adds the conflicts of a meet that are not on record yet.
fn meet(view: &mut RecordView, graph: &Graph, facts: &[Option<Folded>], meet: Meet) {
    let found = Finder { record: view.record, state: &view.state, graph, facts }.find(meet, &view.conflicts);
    for conflict in found {
        if let Err(place) = view.conflicts.binary_search_by_key(&conflict.id, |known| known.id) {
            view.conflicts.insert(place, conflict);
        }
    }
}

/// Lets a fact settle the conflicts that it names or, by what it says, ends.
fn settle(view: &mut RecordView, fact: &Fact, ctx: &Context<'_>) {
    let role = fact.role();
    let named = match role {
        Role::Settles(settled) => Some(settled),
        _ => None,
    };
    // Who settles a conflict has also settled every smaller one that it contains.
    let events_named: Vec<EventId> = named
        .and_then(|settled| view.conflicts.iter().find(|conflict| conflict.id == settled.conflict))
        .map(|conflict| conflict.events.clone())
        .unwrap_or_default();
    let RecordView { conflicts, state, .. } = view;
    for conflict in conflicts.iter_mut().filter(|conflict| conflict.events.iter().all(|event| ctx.has_seen(event))) {
        let still_deployed = || still_deployed(state, conflict);
        let keep = match named {
            Some(settled) if conflict.events.iter().all(|event| events_named.contains(event)) => settled.keep,
            None if conflict.is_open() && settles_by_itself(role, conflict, still_deployed) => None,
            _ => continue,
        };
        let keep = keep.filter(|kept| conflict.events.contains(kept));
        conflict.settle(Settlement { event: ctx.stamp.event, keep }, ctx);
    }
}

/// At how many incidents a team still is, of those that a conflict is about.
fn still_deployed(state: &State, conflict: &Conflict) -> usize {
    let State::Team(team) = state else { return 0 };
    let of_conflict = team.deployments.iter().filter(|held| conflict.events.contains(&held.stamp.event));
    of_conflict.map(|held| held.value.incident).collect::<std::collections::BTreeSet<_>>().len()
}

fn close(view: &mut RecordView) {
    if let Some(document) = view.state.document_mut() {
        document.close();
    }
}

#[cfg(test)]
mod tests;
