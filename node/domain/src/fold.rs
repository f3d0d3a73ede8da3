//! From events to a view: a full fold in one order that every node finds, and a short way for the usual next event.
//!
//! What says the same thing twice counts once ([`repetition`]); what comes from outside waits for somebody of the record's
//! area ([`authority`]).
//!
//! Law, tested over random graphs: both ways, and any order of arrival with any repetitions, give the same bytes.

mod authority;
mod repetition;

use std::collections::{BTreeMap, BTreeSet};

use linli_core::charter::Verdict;
use linli_core::event::Header;
use linli_core::id::{EventId, RecordId};
use linli_core::limits::PARENTS_MAX;

use crate::act::ActStamp;
use crate::conflict::{Conflict, Finder, Meet, Settlement, settles_by_itself};
use crate::events::role::Role;
use crate::events::{Fact, FactError};
use crate::graph::{Graph, Vertex};
use crate::limits::LISTED_MAX;
use crate::record::{Mark, RecordView, Repeated, Rule, Unsettled, UnsettledReason};
use crate::state::keys::Keys;
use crate::state::{Context, Folded, Held, Knowledge, Recent, RecordKind, Stamp, State};

pub(crate) use authority::covers;
use authority::{Authority, Origin};
use repetition::{Acts, Followers, bucket, followers};

pub use repetition::ActRun;

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
    /// The act may stand in the record already.
    #[error("its act may stand in the record already")]
    MayRepeat,
}

/// Folds all events of a record, in whatever order and however often they are given. None without any event.
pub fn fold_record<'a>(record: RecordId, events: impl IntoIterator<Item = FoldEvent<'a>>) -> Option<RecordView> {
    let given: BTreeMap<EventId, FoldEvent<'a>> =
        events.into_iter().filter(|e| e.header.record == Some(record)).map(|e| (e.id, e)).collect();
    let mut given: Given<'a> = given.into_iter().map(|(id, event)| (id, with_reading(event))).collect();
    let graph = Graph::new(given.values().map(|(event, _)| vertex(event)).collect());
    let authority = Authority::of(&in_order(&graph, &given))?;
    let (graph, parts) = causality(graph, &given, &authority);
    let mut view = empty_view(record, &graph, &authority);
    let mut facts: Vec<Option<Folded>> = vec![None; graph.len()];
    let mut acts = Acts::default();
    for at in 0..graph.len() {
        let Some((event, reading)) = given.remove(&graph.vertex(at).id) else { continue };
        if graph.vertex(at).counts {
            meet(&mut view, &graph, &facts, Meet::Before(at));
        }
        let entry = Entry { part: parts.get(&event.id).copied(), ..Entry::new(&event, reading, &authority, &acts) };
        if let Some(stamp) = entry.new_act() {
            acts.add(&stamp, event.id, event.header);
        }
        let knowledge = Knowledge::Graph { graph: &graph, facts: &facts, at, within: None };
        let folded = step(&mut view, entry, knowledge);
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

/// Folds what whoever saw just these heads of a record had seen. None where one of them is not among the events.
pub fn fold_seen<'a>(
    record: RecordId,
    heads: &[EventId],
    events: impl IntoIterator<Item = FoldEvent<'a>>,
) -> Option<RecordView> {
    let given: BTreeMap<EventId, FoldEvent<'a>> =
        events.into_iter().filter(|e| e.header.record == Some(record)).map(|e| (e.id, e)).collect();
    if !heads.iter().all(|head| given.contains_key(head)) {
        return None;
    }
    let (mut seen, mut open) = (BTreeSet::new(), heads.to_vec());
    while let Some(event) = open.pop() {
        if let Some(known) = given.get(&event)
            && seen.insert(event)
        {
            open.extend(&known.header.parents);
        }
    }
    fold_record(record, given.into_values().filter(|event| seen.contains(&event.id)))
}

/// Folds one more event whose author had seen exactly what the view shows.
///
/// # Errors
/// [`Refold`] when that is not so, or when the event may complete something; then use [`fold_record`].
pub fn fold_next(view: &RecordView, event: &FoldEvent<'_>) -> Result<RecordView, Refold> {
    let ours = event.header.record == Some(view.record) && covers(&view.areas, &event.header.area);
    if !is_authorised(event) || !ours {
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
    let adopts = matches!(&reading, Ok(fact) if matches!(fact.role(), Role::Adopts(_)));
    let waits = view.state.document().is_some_and(|document| document.unrenderable_total > 0);
    if !complete || adopts || (edits && waits) {
        return Err(Refold::Incomplete);
    }
    let entry = Entry { event, reading, origin: Origin::Inside, begun_elsewhere: false, repeats: None, part: None };
    if entry.new_act().is_some_and(|stamp| may_repeat(view, &stamp, event.header)) {
        return Err(Refold::MayRepeat);
    }
    let mut next = view.clone();
    step(&mut next, entry, Knowledge::Everything);
    next.heads = vec![event.id];
    next.head_count = 1;
    close(&mut next);
    Ok(next)
}

/// What an event says, or why it does not enter the state.
type Reading = Result<Fact, UnsettledReason>;

/// Events with what they say.
type Given<'a> = BTreeMap<EventId, (FoldEvent<'a>, Reading)>;

/// An event on its way into a view.
struct Entry<'e> {
    event: &'e FoldEvent<'e>,
    reading: Reading,
    origin: Origin,
    begun_elsewhere: bool,
    /// The event that has said the same before.
    repeats: Option<EventId>,
    /// Which part of its transfer an arrival is; none for who has seen all that is there.
    part: Option<u64>,
}

impl<'e> Entry<'e> {
    fn new(event: &'e FoldEvent<'e>, reading: Reading, authority: &Authority, acts: &Acts) -> Self {
        let origin = authority.origin(event);
        let begun_elsewhere = authority.begun_elsewhere(&event.id);
        let mut entry = Self { event, reading, origin, begun_elsewhere, repeats: None, part: None };
        entry.repeats = entry.new_act().and_then(|stamp| acts.repeated(&stamp, event.header));
        entry
    }

    fn counts(&self) -> bool {
        is_authorised(self.event) && self.origin != Origin::Outside
    }

    /// The act of an event that counts and says nothing again.
    fn new_act(&self) -> Option<ActStamp> {
        let fact = self.reading.as_ref().ok().filter(|_| self.counts() && self.repeats.is_none())?;
        fact.said()?.act
    }
}

fn with_reading(event: FoldEvent<'_>) -> (FoldEvent<'_>, Reading) {
    let reading = read(&event);
    (event, reading)
}

fn is_authorised(event: &FoldEvent<'_>) -> bool {
    matches!(event.verdict, Verdict::Authorised { .. })
}

fn vertex(event: &FoldEvent<'_>) -> Vertex {
    Vertex {
        id: event.id,
        time: event.header.time,
        parents: event.header.parents.clone(),
        counts: is_authorised(event),
    }
}

fn in_order<'g, 'a>(graph: &Graph, given: &'g Given<'a>) -> Vec<(&'g FoldEvent<'a>, &'g Reading)> {
    let told = (0..graph.len()).filter_map(|at| given.get(&graph.vertex(at).id));
    told.map(|(event, reading)| (event, reading)).collect()
}

/// The graph in which acts from outside do not count, whoever adopts has seen what they adopt, and what says the same
/// thing again follows the first to say it; and which part of its transfer each arrival is.
fn causality(mut graph: Graph, given: &Given<'_>, authority: &Authority) -> (Graph, BTreeMap<EventId, u64>) {
    let adopted: Vec<(EventId, EventId)> = authority.seen_by_adoption().collect();
    if !adopted.is_empty() {
        graph = graph.with_seen(&adopted);
    }
    let counts = |event: &FoldEvent<'_>| is_authorised(event) && authority.origin(event) != Origin::Outside;
    graph.let_count(|id| given.get(id).is_some_and(|(event, _)| counts(event)));
    let entering = in_order(&graph, given).into_iter().filter(|(event, _)| counts(event));
    let entering = entering.filter_map(|(event, reading)| Some((event.id, event.header, reading.as_ref().ok()?)));
    let Followers { again, parts } = followers(entering, &graph);
    // Either way round they are one thing: who has seen the later one has seen the first.
    let graph = if again.is_empty() { graph } else { graph.with_seen(&again) };
    (graph, parts)
}

/// Whether an act may stand in the view already. Its bits being there says so, except for the next event of the very act
/// that was folded last.
fn may_repeat(view: &RecordView, stamp: &ActStamp, header: &Header) -> bool {
    let continues = view.last_act.is_some_and(|last| last.continues_with(&ActRun::new(*stamp, header)));
    !continues && view.acts.contains(&bucket(stamp))
}

fn note_act(view: &mut RecordView, stamp: &ActStamp, header: &Header) {
    let run = ActRun::new(*stamp, header);
    let continues = view.last_act.is_some_and(|last| last.continues_with(&run));
    let new = view.acts.insert(bucket(stamp));
    view.last_act = (new || continues).then_some(run);
}

fn empty_view(record: RecordId, graph: &Graph, authority: &Authority) -> RecordView {
    RecordView {
        record,
        area: authority.area.clone(),
        areas: authority.areas.clone(),
        begun_by: None,
        kind: RecordKind::Unknown,
        heads: Vec::new(),
        head_count: 0,
        event_count: 0,
        last_time: linli_core::time::Hlc::default(),
        state: State::Unknown,
        conflicts: Vec::new(),
        marks: Recent::default(),
        repeated: Recent::default(),
        acts: Keys::default(),
        last_act: None,
        explained: BTreeSet::new(),
        unknown: Recent::default(),
        unsettled_total: 0,
        waiting: 0,
        outside: 0,
        unsettled: Vec::new(),
        missing_parents_total: graph.missing().len() as u64,
        missing_parents: graph.missing().iter().copied().take(LISTED_MAX).collect(),
    }
}

/// What the event says, or why it does not enter the state.
fn read(event: &FoldEvent<'_>) -> Reading {
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
fn step(view: &mut RecordView, entry: Entry<'_>, knowledge: Knowledge<'_>) -> Option<Folded> {
    let (event, counts, act) = (entry.event, entry.counts(), entry.new_act());
    if counts {
        view.event_count += u64::from(entry.repeats.is_none());
        view.last_time = view.last_time.max(event.header.time);
    }
    let reading = match entry.reading {
        _ if is_authorised(event) && !counts => Err(UnsettledReason::Outside),
        reading => reading,
    };
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
    if let Some(of) = entry.repeats {
        repeat(view, &fact, of, &ctx);
        return None;
    }
    if let Some(stamp) = act {
        note_act(view, &stamp, event.header);
    }
    if view.kind == RecordKind::Unknown {
        view.kind = info.record;
        view.state = State::new(info.record);
        view.begun_by = act.map(|stamp| stamp.id);
    }
    if info.record != view.kind {
        set_aside(view, event.id, UnsettledReason::Misplaced);
        return None;
    }
    let elsewhere = entry.begun_elsewhere.then_some(Rule::BegunElsewhere);
    let adopted = (entry.origin == Origin::Adopted).then_some(Rule::AdoptedFromOutside);
    let booked = fact.booking().is_some_and(|booking| view.state.has_booked(booking, entry.part));
    let again = booked.then_some(Rule::BookedBefore);
    let broken = again.or_else(|| fact.broken_rule(&view.state, &ctx));
    for rule in [elsewhere, adopted, broken].into_iter().flatten() {
        view.marks.push(Mark { event: event.id, rule });
    }
    if booked {
        return None;
    }
    fact.apply(&mut view.state, &ctx);
    if let Role::Explains(check) = fact.role() {
        view.explained.insert(*check);
    }
    settle(view, &fact, &ctx);
    Some(Folded { fact, stamp })
}

/// An event that says again what another one said. Of a document its change is mostly the very same one; one that was made
/// on another content stays, because later ones may stand on it. All else counts once.
fn repeat(view: &mut RecordView, fact: &Fact, of: EventId, ctx: &Context<'_>) {
    if let Some(change) = fact.change().filter(|_| fact.info().is_some_and(|info| info.record == view.kind))
        && let Some(document) = view.state.document_mut()
    {
        document.apply(change, ctx);
    }
    view.repeated.push(Repeated { event: ctx.stamp.event, of });
}

fn set_aside(view: &mut RecordView, event: EventId, reason: UnsettledReason) {
    view.unsettled_total += 1;
    view.waiting += u64::from(reason == UnsettledReason::Waiting);
    view.outside += u64::from(reason == UnsettledReason::Outside);
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
