//! A record's history as people read it: who did what, where, when, how well it is signed, and what they had seen.
//!
//! It is told a page at a time: of all other events only place, time and parents are held.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use linli_core::area::Area;
use linli_core::cbor::Value;
use linli_core::charter::{Charter, Verdict};
use linli_core::event::{Payload, ReceivedEvent, Slot};
use linli_core::id::{AuthorKey, EventId, Kind, LogId, Stream};
use linli_domain::act::{ActId, ActStamp};
use linli_domain::causality::{Causality, Placed, Sight};
use linli_domain::record::RecordView;
use serde::Serialize;

/// One event of a record.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryLine {
    /// Its id.
    pub id: EventId,
    /// The log it stands in.
    pub log: LogId,
    /// Its position there.
    pub seq: u64,
    /// What it is about.
    pub stream: Stream,
    /// What happened.
    pub kind: Kind,
    /// The same in Chinese.
    pub label_zh: String,
    /// The same in English.
    pub label_en: String,
    /// The act that it is of, if it has one.
    pub act: Option<ActId>,
    /// The operational payload, readable.
    pub fields: Vec<(String, String)>,
    /// The personal payload, where this node may show it.
    pub personal: Personal,
    /// Whose key signed.
    pub author: AuthorKey,
    /// The public label of that key's grant, or its short form.
    pub author_name: String,
    /// The operator for whom a node signed (节点代签); empty if the payload names none.
    pub by: String,
    /// Where it applies.
    pub area: Area,
    /// When, by the author's clock: Unix milliseconds.
    pub time_ms: u64,
    /// How its author is proven.
    pub grade: SignatureGrade,
    /// Whether its author had the right to write it.
    pub verdict: VerdictLabel,
    /// It is about another area's record and waits for adoption: it does not count yet.
    pub outside: bool,
    /// Earlier events of this record that its author had seen.
    pub seen: u64,
    /// Events of this record that sort before it and that its author had not seen: the latest ten.
    pub unseen: Vec<EventId>,
    /// How many those are in all.
    pub unseen_total: u64,
    /// The record's heads that its author named.
    pub parents: Vec<EventId>,
}

/// What can be said of a personal payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "fields")]
pub enum Personal {
    /// There is none.
    None,
    /// It is here and readable.
    Shown(Vec<(String, String)>),
    /// It is not on this node: withheld from it, or erased. The commitment remains.
    NotHere,
}

/// How the author of an event is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureGrade {
    /// By the event's own signature, kept here.
    Signed,
    /// By the signature of a later event of the same log.
    CoveredByLater,
}

/// Whether an event counts, by the charter as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "reason")]
pub enum VerdictLabel {
    /// It counts.
    Counts,
    /// It counts, and was written after its grant had expired.
    CountsExpired,
    /// The grant that it names has not arrived here.
    Waiting,
    /// It does not count.
    Refused(String),
}

/// Public names of keys, from the charter.
pub fn names_of(charter: &Charter) -> BTreeMap<AuthorKey, String> {
    charter.grants().map(|(_, grant)| (grant.subject, grant.label.clone())).collect()
}

/// Most lines that are told at once: a program asks again for more.
pub const LINES_MAX: usize = 500;

/// Part of a record's history.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The lines asked for, in the order in which every node folds them.
    pub lines: Vec<HistoryLine>,
    /// The place of the first of them, counted from 0.
    pub from: usize,
    /// How many lines the whole history has.
    pub total: usize,
    /// Other lines that were asked for by their event, such as sides of a conflict.
    pub others: Vec<HistoryLine>,
}

/// Which part of a history is wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Up to so many lines from a place on, counted from the first.
    From(usize, usize),
    /// The page that an event stands on, or the last, where pages of this size are counted back from the end.
    PageOf(Option<EventId>, usize),
    /// A page of this size, counted back from the end: 0 is the last.
    PageBack(usize, usize),
}

impl Told {
    /// Marks the lines of acts that stand outside the record, of those that its view lists.
    #[must_use]
    pub fn with_outside(mut self, view: &RecordView) -> Self {
        let waiting: BTreeSet<EventId> = view.outside().collect();
        for line in self.lines.iter_mut().chain(&mut self.others) {
            line.outside = waiting.contains(&line.id);
        }
        self
    }
}

impl Wanted {
    fn range(&self, told: &Causality) -> Range<usize> {
        let total = told.len();
        let back = |page: usize, size: usize| {
            let end = total.saturating_sub(page.saturating_mul(size));
            end.saturating_sub(size)..end
        };
        match self {
            Self::From(from, count) => {
                let from = (*from).min(total);
                from..from.saturating_add(*count).min(total)
            }
            Self::PageBack(page, size) => back(*page, *size),
            Self::PageOf(event, size) => {
                let place = event.and_then(|event| told.place(&event)).unwrap_or(total.saturating_sub(1));
                back((total.saturating_sub(1).saturating_sub(place)) / (*size).max(1), *size)
            }
        }
    }
}

/// A settlement names the event that holds, and an adoption those that count from now on. People know an event by what
/// happened, who wrote it and when, and not by its hash.
fn name_sides(told: &mut Told) {
    let day_of = |ms| {
        linli_domain::date::Date::from_unix_ms(ms, crate::http::ZONE_MINUTES)
            .map(|day| day.to_string())
            .unwrap_or_default()
    };
    let told_lines = || told.lines.iter().chain(&told.others);
    let names: BTreeMap<String, String> = told_lines()
        .map(|line| {
            let who = if line.by.is_empty() { &line.author_name } else { &line.by };
            let label = format!("{} / {}", line.label_zh, line.label_en);
            (line.id.to_string(), format!("{label} · {who} · {} · {}", line.area, day_of(line.time_ms)))
        })
        .collect();
    let lines = told.lines.iter_mut().chain(&mut told.others);
    for (_, value) in lines.flat_map(|line| &mut line.fields).filter(|(key, _)| names_events(key)) {
        // One id, or several as texts in diagnostic notation.
        let named = |part| names.get(part).map_or(part, String::as_str);
        *value = value.split('"').map(named).collect::<Vec<_>>().join("\"");
    }
}

/// Fields that hold ids of events of the same record.
fn names_events(key: &str) -> bool {
    matches!(key, "keep" | "events")
}

/// Whoever names an event, such as one that they let count, has seen it, whatever else they stood on.
fn forget_what_it_names(line: &mut HistoryLine) {
    let named: BTreeSet<EventId> = named_by(line).collect();
    let before = line.unseen.len();
    line.unseen.retain(|event| !named.contains(event));
    let seen = (before - line.unseen.len()) as u64;
    (line.seen, line.unseen_total) = (line.seen + seen, line.unseen_total - seen);
}

/// The events that a line's fields name.
fn named_by(line: &HistoryLine) -> impl Iterator<Item = EventId> {
    let values = line.fields.iter().filter(|(key, _)| names_events(key)).map(|(_, value)| value);
    values.flat_map(|value| value.split('"')).filter_map(|part| part.parse().ok())
}

/// Tells part of a record's history. `places` are its events' logs and positions, `read` reads one of them, and `also`
/// are events that are told besides.
///
/// # Errors
/// What `read` returns.
pub fn tell<E>(
    places: &[(LogId, u64)],
    read: impl Fn(&LogId, u64) -> Result<Option<ReceivedEvent>, E>,
    charter: &Charter,
    wanted: &Wanted,
    also: &[EventId],
) -> Result<Told, E> {
    let mut at: BTreeMap<EventId, &(LogId, u64)> = BTreeMap::new();
    let mut placed = vec![];
    for place in places {
        let Some(event) = read(&place.0, place.1)? else { continue };
        let header = event.header();
        at.insert(event.id(), place);
        placed.push(Placed { id: event.id(), time: header.time, parents: header.parents.clone() });
    }
    let causality = Causality::new(placed);
    let names = names_of(charter);
    let tell_one = |place: usize| -> Result<Option<HistoryLine>, E> {
        let Some((log, seq)) = at.get(&causality.at(place)) else { return Ok(None) };
        let event = read(log, *seq)?;
        Ok(event.map(|event| line(&event, charter, &names, causality.sight(place))))
    };
    let range = wanted.range(&causality);
    let mut told = Told { from: range.start, total: causality.len(), ..Told::default() };
    for place in range.clone() {
        told.lines.extend(tell_one(place)?);
    }
    let mut others: Vec<usize> = also.iter().filter_map(|event| causality.place(event)).collect();
    others.extend(told.lines.iter().flat_map(|line| &line.unseen).filter_map(|event| causality.place(event)));
    others.extend(told.lines.iter().flat_map(named_by).filter_map(|event| causality.place(&event)));
    others.sort_unstable();
    others.dedup();
    for place in others.into_iter().filter(|place| !range.contains(place)) {
        told.others.extend(tell_one(place)?);
    }
    told.lines.iter_mut().chain(&mut told.others).for_each(forget_what_it_names);
    name_sides(&mut told);
    Ok(told)
}

/// One event, with what its author had seen of its record.
pub(crate) fn line(
    event: &ReceivedEvent,
    charter: &Charter,
    names: &BTreeMap<AuthorKey, String>,
    sight: Sight,
) -> HistoryLine {
    let header = event.header();
    let info = linli_domain::events::kind_info(header.stream, header.kind.as_str());
    let unknown = format!("{}.{}", header.stream, header.kind);
    let mut fields = readable(event.payload(Slot::Op));
    // The stamp says nothing to people; its id is what a client knows the act by.
    fields.retain(|(key, _)| key != "act");
    let act = event.payload(Slot::Op).and_then(|payload| ActStamp::in_payload(&payload.bytes)).map(|stamp| stamp.id);
    let by = fields.iter().position(|(key, _)| key == "by").map(|at| fields.remove(at).1).unwrap_or_default();
    HistoryLine {
        id: event.id(),
        log: header.log_id(),
        seq: header.seq,
        stream: header.stream,
        kind: header.kind.clone(),
        label_zh: info.map_or_else(|| unknown.clone(), |info| info.zh.to_owned()),
        label_en: info.map_or_else(|| unknown.clone(), |info| info.en.to_owned()),
        act,
        fields,
        personal: match (header.pii, event.payload(Slot::Pii)) {
            (None, _) => Personal::None,
            (Some(_), Some(payload)) => Personal::Shown(readable(Some(payload))),
            (Some(_), None) => Personal::NotHere,
        },
        author: header.author,
        author_name: names.get(&header.author).cloned().unwrap_or_else(|| header.author.short()),
        by,
        area: header.area.clone(),
        time_ms: header.time.unix_ms(),
        grade: if event.signature().is_some() { SignatureGrade::Signed } else { SignatureGrade::CoveredByLater },
        verdict: match charter.verdict(&event.id(), header) {
            Verdict::Authorised { expired: false } => VerdictLabel::Counts,
            Verdict::Authorised { expired: true } => VerdictLabel::CountsExpired,
            Verdict::GrantUnknown => VerdictLabel::Waiting,
            Verdict::Refused(reason) => VerdictLabel::Refused(reason.to_string()),
        },
        outside: false,
        seen: sight.seen,
        unseen: sight.unseen_latest,
        unseen_total: sight.unseen,
        parents: header.parents.clone(),
    }
}

/// The operator for whom a node signed, if the payload is here and names one.
pub(crate) fn operator_of(event: &ReceivedEvent) -> Option<String> {
    let payload = Value::decode(&event.payload(Slot::Op)?.bytes).ok()?;
    payload.get("by")?.as_text().map(str::to_owned)
}

/// A payload as key and text, nested values in CBOR diagnostic notation.
fn readable(payload: Option<&Payload>) -> Vec<(String, String)> {
    let Some(Ok(Value::Map(pairs))) = payload.map(|p| Value::decode(&p.bytes)) else { return vec![] };
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) if bytes.len() > 32 => format!("({} bytes)", bytes.len()),
        other => format!("{other:?}"),
    };
    pairs.iter().filter(|(_, v)| *v != Value::Null).map(|(key, value)| (text(key), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::{District, Draft, record};

    use super::*;

    #[test]
    fn each_line_says_what_its_author_had_seen() {
        // given one report, and two streets that act on it without hearing each other
        let mut district = District::with_nodes(&["320508005", "320508006"]);
        let about = Some(record(1));
        let mut draft = Draft::new(Stream::INCIDENTS, "reported", about);
        draft.op = Some(Value::map_of([("by", Value::Text("王联络".into()))]).encode());
        let report = district.nodes[0].write(draft);
        let after = |kind| Draft { parents: vec![report.id()], ..Draft::new(Stream::INCIDENTS, kind, about) };
        let here = district.nodes[0].write(after("verified"));
        district.nodes[1].write(after("updated"));
        let there = district.nodes[1].write(after("closed"));
        let charter = Charter::evaluate(district.federation(), &district.charter_events());
        // when the history is told
        let all = [there.clone(), here.clone(), report.clone()];
        let places: Vec<(LogId, u64)> = all.iter().map(|e| (e.header().log_id(), e.header().seq)).collect();
        let read = |log: &LogId, seq: u64| {
            let found = all.iter().find(|e| e.header().log_id() == *log && e.header().seq == seq);
            Ok::<_, std::convert::Infallible>(found.cloned())
        };
        let told = |wanted| tell(&places, read, &charter, &wanted, &[]).unwrap();
        let lines = told(Wanted::From(0, 100)).lines;
        // then the closing shows that its author had not seen the verification
        let closing = lines.iter().find(|l| l.id == there.id()).unwrap();
        assert_eq!(closing.seen, 1);
        assert!(closing.unseen.contains(&here.id()) && !closing.unseen.contains(&report.id()));
        assert_eq!(closing.author_name, "节点1");
        assert_eq!(lines[0].by, "王联络");
        assert_eq!(lines[0].verdict, VerdictLabel::Counts);
        // and told a line at a time it says the same, with the unseen one beside
        let page = told(Wanted::PageOf(Some(there.id()), 1));
        assert_eq!((page.lines[0].id, page.total, page.lines[0].unseen_total), (there.id(), 3, 1));
        assert_eq!(page.others.iter().map(|line| line.id).collect::<Vec<_>>(), [here.id()]);
        assert_eq!(told(Wanted::PageBack(2, 1)).lines[0].id, report.id());
        assert!(told(Wanted::PageBack(usize::MAX, 50)).lines.is_empty() && told(Wanted::From(9, 9)).lines.is_empty());
    }

    #[test]
    fn a_page_of_a_long_history_costs_one_look_at_each_event_and_a_second_at_those_that_it_shows() {
        // given a report with two thousand updates, and one act whose author had seen the report only
        let mut district = District::with_nodes(&["320508005", "320508006"]);
        let about = Some(record(1));
        let mut all = vec![district.nodes[0].write(Draft::new(Stream::INCIDENTS, "reported", about))];
        for _ in 0..2_000 {
            let parents = vec![all[all.len() - 1].id()];
            all.push(district.nodes[0].write(Draft { parents, ..Draft::new(Stream::INCIDENTS, "updated", about) }));
        }
        let parents = vec![all[0].id()];
        all.push(district.nodes[1].write(Draft { parents, ..Draft::new(Stream::INCIDENTS, "closed", about) }));
        let places: Vec<(LogId, u64)> = all.iter().map(|e| (e.header().log_id(), e.header().seq)).collect();
        let by_place: BTreeMap<&(LogId, u64), &ReceivedEvent> = places.iter().zip(&all).collect();
        let looks = std::cell::Cell::new(0);
        let read = |log: &LogId, seq: u64| {
            looks.set(looks.get() + 1);
            Ok::<_, std::convert::Infallible>(by_place.get(&(log.clone(), seq)).map(|event| (*event).clone()))
        };
        let charter = Charter::evaluate(district.federation(), &district.charter_events());
        // when a page is told
        let told = tell(&places, read, &charter, &Wanted::PageBack(0, 50), &[]).unwrap();
        // then all were looked at once, and what is shown once more
        assert!(looks.get() <= all.len() + 50 + 11, "{}", looks.get());
        assert!(told.lines.iter().all(|line| line.unseen.len() <= 10));
        let closing = tell(&places, read, &charter, &Wanted::PageOf(Some(all[2_001].id()), 1), &[]).unwrap();
        let line = &closing.lines[0];
        assert_eq!(
            (line.seen + line.unseen_total, line.unseen.len() as u64),
            (closing.from as u64, line.unseen_total.min(10))
        );
    }

    #[test]
    fn a_settlement_names_the_side_that_holds_and_not_its_hash() {
        let mut district = District::with_nodes(&["320508005"]);
        let about = Some(record(1));
        let mut closing = Draft::new(Stream::INCIDENTS, "closed", about);
        closing.op = Some(Value::map_of([("by", Value::Text("王联络".into()))]).encode());
        let closing = district.nodes[0].write(closing);
        let mut settled = Draft::new(Stream::INCIDENTS, "settled", about);
        let keep = closing.id().to_string();
        settled.op = Some(Value::map_of([("keep", Value::Text(keep.clone()))]).encode());
        let mut adopted = Draft::new(Stream::INCIDENTS, "incident_adopted", about);
        adopted.op = Some(Value::map_of([("events", Value::Array(vec![Value::Text(keep.clone())]))]).encode());
        let events = [closing, district.nodes[0].write(settled), district.nodes[0].write(adopted)];
        let charter = Charter::evaluate(district.federation(), &district.charter_events());
        let places: Vec<(LogId, u64)> = events.iter().map(|e| (e.header().log_id(), e.header().seq)).collect();
        let read = |_: &LogId, seq: u64| Ok::<_, std::convert::Infallible>(events.get(seq as usize - 1).cloned());
        // A page of one line has the side that it names beside it.
        let lines: Vec<HistoryLine> =
            (0..3).flat_map(|at| tell(&places, read, &charter, &Wanted::From(at, 1), &[]).unwrap().lines).collect();
        assert_eq!(lines.len(), 3);
        for field in lines.iter().flat_map(|line| &line.fields).filter(|(key, _)| key == "keep" || key == "events") {
            assert!(field.1.contains("结束 / closed · 王联络") && !field.1.contains(&keep), "{field:?}");
        }
    }
}
