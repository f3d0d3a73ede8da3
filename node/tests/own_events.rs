//! What this node signs itself: under which incarnation, and as of when.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod district;

use district::{act, deliver, done, logs_of, now_ms, two_streets};
use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, LogId, RecordId, Stream};
use linli_core::testkit::key;
use linli_core::time::Hlc;
use linli_domain::events::incident_updated::IncidentUpdated;
use linli_domain::events::{Fact, Said};
use linli_store::{LocalDraft, LocalWriter, Store};
use serde_json::json;

fn log_in(store: &Store, stream: Stream) -> (LogId, Vec<ReceivedEvent>) {
    let mut found = logs_of(store).into_iter().filter(|(log, _)| log.stream == stream);
    let log = found.next().unwrap();
    assert!(found.next().is_none(), "one log of {stream} was expected");
    log
}

/// What a copy of the store that runs elsewhere signs at the next position of one of its logs.
fn next_of_a_copy(run: &[ReceivedEvent]) -> ReceivedEvent {
    let (store, header) = (Store::in_memory(), run[0].header().clone());
    deliver(&store, run);
    let copy = LocalWriter::open(store, None, key(1), &mut || header.incarnation).unwrap();
    let draft = LocalDraft {
        area: header.area,
        stream: header.stream,
        record: Some(linli_core::testkit::record(1)),
        kind: header.kind,
        parents: vec![],
        after: Hlc::default(),
        grant: header.grant,
        op: run[0].payload(linli_core::event::Slot::Op).map(|payload| payload.bytes.clone()),
        pii: None,
    };
    copy.write(draft, now_ms(), &mut || [5; 16]).unwrap()
}

#[test]
fn the_first_edit_after_a_refused_write_is_made_under_the_incarnation_that_signs_it() {
    // given a plan, and a copy of this node that has written on in the same log
    let (node, store) = district::node(&two_streets(), 0);
    let draft =
        json!({"do": "draft_plan", "tier": "community", "scope": "全街", "title": "防汛", "text": "一、东门集合。"});
    let plan = done(&node, "甲", draft);
    let (_, run) = log_in(&store, Stream::PLANS);
    deliver(&store, &[next_of_a_copy(&run)]);
    // when an edit is refused because its position is taken, and is made again
    let edit = |text: &str| json!({"do": "edit_plan", "plan": plan, "text": text});
    act(&node, "甲", edit("一、西门集合。")).unwrap_err();
    done(&node, "甲", edit("一、西门集合。"));
    // then it is what the plan says, here and wherever the events arrive
    let view = node.view(&plan).unwrap().unwrap();
    let document = view.state.document().unwrap();
    assert_eq!((document.rendered.text.as_str(), document.unrenderable_total), ("一、西门集合。", 0));
}

#[test]
fn an_answer_sorts_after_its_question_although_this_clock_is_ten_minutes_slow() {
    // given an incident here, and a question about it from a node whose clock is ten minutes ahead of ours
    let district = two_streets();
    let (node, store) = district::node(&district, 0);
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "积水"});
    let incident = done(&node, "值班", report);
    let question = question_about(&district, incident, node.view(&incident).unwrap().unwrap().heads);
    deliver(&store, std::slice::from_ref(&question));
    node.rebuild().unwrap();
    // when somebody here answers
    let answer = act(&node, "值班", json!({"do": "update_incident", "incident": incident, "text": "是。"})).unwrap();
    // then the answer is the last line of the history, and the record's time is the answer's
    let lines = node.history(&incident).unwrap();
    let told: Vec<EventId> = lines.iter().map(|line| line.id).collect();
    assert_eq!(told[1..], [question.id(), answer.events[0]]);
    assert!(lines[2].time_ms >= lines[1].time_ms);
}

fn question_about(district: &linli_core::testkit::District, record: RecordId, parents: Vec<EventId>) -> ReceivedEvent {
    let asking = district::author(district, 1);
    let said = Said::by("邻街值班", None);
    let asked = IncidentUpdated { text: "水还在涨吗?".into(), dead: None, injured: None, missing: None, said };
    let draft = LocalDraft {
        area: asking.area,
        stream: Stream::INCIDENTS,
        record: Some(record),
        kind: "updated".parse().unwrap(),
        parents,
        after: Hlc::default(),
        grant: asking.grant,
        op: Some(Fact::IncidentUpdated(asked).encode().unwrap()),
        pii: None,
    };
    let writer = LocalWriter::open(Store::in_memory(), None, asking.key, &mut || 1).unwrap();
    writer.write(draft, now_ms() + 600_000, &mut || [6; 16]).unwrap()
}
