//! A record's history as people read it: who did what, where, when, how well it is signed, and what they had seen.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::area::Area;
use linli_core::cbor::Value;
use linli_core::charter::{Charter, Verdict};
use linli_core::event::{Payload, ReceivedEvent, Slot};
use linli_core::id::{AuthorKey, EventId, Kind, LogId, Stream};
use linli_domain::act::{ActId, ActStamp};
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
    /// Whether it counts.
    pub verdict: VerdictLabel,
    /// Earlier events of this record that its author had seen.
    pub seen: u64,
    /// Events of this record that sort before it and that its author had not seen.
    pub unseen: Vec<EventId>,
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

/// Tells a record's history from its events, in the order (time, id).
pub fn tell(mut events: Vec<ReceivedEvent>, charter: &Charter) -> Vec<HistoryLine> {
    events.sort_by_key(|event| (event.header().time, event.id()));
    let names = names_of(charter);
    let ancestors = ancestors_of(&events);
    let mut told: Vec<EventId> = vec![];
    let mut lines = vec![];
    for event in &events {
        let seen = ancestors.get(&event.id()).cloned().unwrap_or_default();
        let unseen = told.iter().filter(|id| !seen.contains(*id)).copied().collect();
        lines.push(line(event, charter, &names, seen.len() as u64, unseen));
        told.push(event.id());
    }
    name_sides(&mut lines);
    lines
}

/// A settlement names the event that holds, and an adoption those that count from now on. People know an event by what
/// happened, who wrote it and when, and not by its hash.
fn name_sides(lines: &mut [HistoryLine]) {
    let day_of = |ms| linli_domain::date::Date::from_unix_ms(ms, 480).map(|day| day.to_string()).unwrap_or_default();
    let names: BTreeMap<String, String> = lines
        .iter()
        .map(|line| {
            let who = if line.by.is_empty() { &line.author_name } else { &line.by };
            let label = format!("{} / {}", line.label_zh, line.label_en);
            (line.id.to_string(), format!("{label} · {who} · {} · {}", line.area, day_of(line.time_ms)))
        })
        .collect();
    for (key, value) in lines.iter_mut().flat_map(|line| &mut line.fields) {
        if matches!(key.as_str(), "keep" | "events") {
            // One id, or several as texts in diagnostic notation.
            let named = |part| names.get(part).map_or(part, String::as_str);
            *value = value.split('"').map(named).collect::<Vec<_>>().join("\"");
        }
    }
}

fn line(
    event: &ReceivedEvent,
    charter: &Charter,
    names: &BTreeMap<AuthorKey, String>,
    seen: u64,
    unseen: Vec<EventId>,
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
        seen,
        unseen,
        parents: header.parents.clone(),
    }
}

/// For each event the events of this record that its author had seen: everything reachable through `parents`.
fn ancestors_of(events: &[ReceivedEvent]) -> BTreeMap<EventId, BTreeSet<EventId>> {
    let parents: BTreeMap<EventId, &[EventId]> =
        events.iter().map(|event| (event.id(), &event.header().parents[..])).collect();
    let mut known: BTreeMap<EventId, BTreeSet<EventId>> = BTreeMap::new();
    for event in events {
        let mut reached = BTreeSet::new();
        let mut open: Vec<EventId> = event.header().parents.clone();
        while let Some(id) = open.pop() {
            if !parents.contains_key(&id) || !reached.insert(id) {
                continue;
            }
            match known.get(&id) {
                Some(further) => reached.extend(further.iter().copied()),
                None => open.extend(parents.get(&id).into_iter().flat_map(|p| p.iter().copied())),
            }
        }
        known.insert(event.id(), reached);
    }
    known
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
        let lines = tell(vec![there.clone(), here.clone(), report.clone()], &charter);
        // then the closing shows that its author had not seen the verification
        let closing = lines.iter().find(|l| l.id == there.id()).unwrap();
        assert_eq!(closing.seen, 1);
        assert!(closing.unseen.contains(&here.id()) && !closing.unseen.contains(&report.id()));
        assert_eq!(closing.author_name, "节点1");
        assert_eq!(lines[0].by, "王联络");
        assert_eq!(lines[0].verdict, VerdictLabel::Counts);
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
        let events = vec![closing, district.nodes[0].write(settled), district.nodes[0].write(adopted)];
        let charter = Charter::evaluate(district.federation(), &district.charter_events());
        let lines = tell(events, &charter);
        for field in lines.iter().flat_map(|line| &line.fields).filter(|(key, _)| key == "keep" || key == "events") {
            assert!(field.1.contains("结束 / closed · 王联络") && !field.1.contains(&keep), "{field:?}");
        }
    }
}
