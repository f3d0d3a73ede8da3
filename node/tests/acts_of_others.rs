//! What others do to an act: copies of its stamp, rights that come later, a batch or a crowd beside it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::sync::atomic::{AtomicUsize, Ordering};

use browser::page::form_to;
use browser::{Answer, Served};
use district::{deliver, done, meet, now_ms, one_street, two_streets};
use linli::batch::BatchOf;
use linli::node::{Node, Receipt, SubmitError, new_act};
use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, RecordId, Stream};
use linli_core::testkit::key;
use linli_core::time::Hlc;
use linli_domain::act::{ActId, ActStamp};
use linli_domain::commands::Command;
use linli_domain::events::incident_updated::IncidentUpdated;
use linli_domain::events::{Fact, Said};
use linli_domain::state::State;
use linli_store::{LocalDraft, LocalWriter, Store};
use serde_json::{Value, json};

fn command(act: &Value) -> Command {
    serde_json::from_value(act.clone()).unwrap()
}

fn submit(node: &Node, act: ActId, what: &Value) -> Result<Receipt, SubmitError> {
    node.submit("仓管", act, command(what))
}

fn report(place: &str) -> Value {
    json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "水"})
}

fn issue(point: RecordId, quantity: u64) -> Value {
    json!({"do": "issue_supplies", "point": point, "item": "毛毯", "quantity": quantity, "to": "三号楼"})
}

/// A supply point with ten blankets.
fn stocked(node: &Node) -> RecordId {
    let point = done(node, "仓管", json!({"do": "form_point", "name": "东区", "keeper": "甲"}));
    let receive =
        json!({"do": "receive_supplies", "point": point, "item": "毛毯", "unit": "条", "quantity": 10, "from": "区库"});
    done(node, "仓管", receive);
    point
}

fn blankets(node: &Node, point: &RecordId) -> i64 {
    match node.view(point).unwrap().unwrap().state {
        State::SupplyPoint(state) => state.balance("毛毯"),
        other => panic!("{other:?}"),
    }
}

/// What a member writes who knows an act's stamp: three times `count` events that bear it, dated an hour ago.
fn copies(by: u16, grant: Option<EventId>, stamp: ActStamp, record: u64, count: u8) -> Vec<ReceivedEvent> {
    let writer = LocalWriter::open(Store::in_memory(), None, key(by), &mut || record).unwrap();
    let draft = |ordinal: u8| {
        let said = Said { act: Some(ActStamp { ordinal, ..stamp }), ..Said::by("仓管", None) };
        let fact = IncidentUpdated { text: "x".into(), dead: None, injured: None, missing: None, said };
        LocalDraft {
            area: district::STREET.parse().unwrap(),
            stream: Stream::INCIDENTS,
            record: Some(linli_core::testkit::record(record)),
            kind: "updated".parse().unwrap(),
            parents: vec![],
            after: Hlc::default(),
            grant,
            op: Some(Fact::IncidentUpdated(fact).encode().unwrap()),
            pii: None,
        }
    };
    let drafts = (0..3).flat_map(|_| 0..count).map(draft).collect();
    writer.write_all(drafts, now_ms() - 3_600_000, &mut || [6; 16]).unwrap()
}

#[test]
fn a_copied_stamp_neither_replaces_nor_crowds_out_the_act() {
    // given an act of this node, and a member of the same street who copies its stamp into hundreds of events that seem
    // to be older, about a record of their own
    let district = linli_core::testkit::District::with_nodes(&[district::STREET; 3]);
    let ((here, ours), (there, theirs)) = (district::node(&district, 0), district::node(&district, 1));
    let point = stocked(&here);
    let (act, once) = (new_act(), issue(point, 3));
    let first = submit(&here, act, &once).unwrap();
    let hostile = district::author(&district, 2);
    let stamp = ActStamp { id: act, content: command(&once).content("仓管"), ordinal: 0 };
    let copied = copies(3, hostile.grant, stamp, 9, 120);
    // when both nodes hear of all of it, the copies first
    deliver(&theirs, &copied);
    there.rebuild().unwrap();
    meet(&ours, &theirs);
    for node in [&here, &there] {
        node.rebuild().unwrap();
    }
    // then the act is answered with its own receipt at either, and counts once
    for node in [&here, &there] {
        let again = submit(node, act, &once).unwrap();
        assert_eq!((again.repeated, again.record, again.events), (true, point, first.events.clone()));
        assert_eq!(blankets(node, &point), 7);
        // and of what the member piled up, a bounded part was noted
        let noted = node.recorded(&act).unwrap();
        assert_eq!(noted.iter().map(|known| known.events.len()).sum::<usize>(), 1 + 256);
    }
    assert_eq!(here.recorded(&act).unwrap()[0].events, first.events);
    // and a member's copy is no receipt for an act that a node has not heard of
    let other = new_act();
    let stamp = ActStamp { id: other, content: command(&issue(point, 2)).content("仓管"), ordinal: 0 };
    deliver(&ours, &copies(3, hostile.grant, stamp, 8, 1));
    here.rebuild().unwrap();
    assert!(!submit(&here, other, &issue(point, 2)).unwrap().repeated);
    assert_eq!(blankets(&here, &point), 5);
}

#[test]
fn an_act_is_known_once_its_author_s_grant_has_come() {
    // given an event of an act whose author's grant is not here yet
    let mut district = one_street();
    let grant = district.grant_writer(&key(7), district::STREET);
    let (projector, store) = district::projector(&district, 0);
    let act = new_act();
    let stamp = ActStamp { id: act, content: [1; 8], ordinal: 0 };
    let written = copies(7, Some(grant.id()), stamp, 9, 1);
    deliver(&store, &written);
    projector.catch_up().unwrap();
    let noted = || store.projection().get(&[&b"a"[..], act.as_bytes()].concat()).unwrap();
    assert_eq!(noted(), None, "nobody without a right is noted");
    // when it comes, then the act is known
    deliver(&store, &[grant]);
    projector.catch_up().unwrap();
    assert!(noted().is_some_and(|entries| !entries.is_empty()));
}

fn batch_of(reports: usize) -> Vec<(ActId, Command)> {
    (0..reports).map(|n| (new_act(), command(&report(&format!("{n}号楼"))))).collect()
}

#[test]
fn other_acts_go_on_beside_a_long_batch() {
    let (node, store) = district::node(&two_streets(), 0);
    let batch = batch_of(2_000);
    let (first, own) = (batch[0].0, batch.iter().map(|(act, _)| *act).collect::<Vec<_>>());
    // given a batch that takes long
    let (receipts, beside) = std::thread::scope(|scope| {
        let long = scope.spawn(|| node.submit_all("导入", batch, BatchOf::Acts).unwrap());
        while !node.is_underway(&first) {
            std::thread::yield_now();
        }
        // when somebody acts meanwhile
        let mut beside = vec![];
        while node.is_underway(&first) {
            let receipt = submit(&node, new_act(), &report("东门")).unwrap();
            beside.push((receipt, node.is_underway(&first)));
        }
        (long.join().unwrap(), beside)
    });
    // then most of those acts are recorded and shown while it still goes on
    let before_it_ended = beside.iter().filter(|(_, underway)| *underway).count();
    assert!(before_it_ended >= 10, "{before_it_ended} of {}", beside.len());
    // and every act of the batch stands, under the events that its receipt names
    assert_eq!(receipts.iter().map(|receipt| receipt.act).collect::<Vec<_>>(), own);
    for receipt in receipts.iter().chain(beside.iter().map(|(receipt, _)| receipt)) {
        let recorded = node.recorded(&receipt.act).unwrap();
        assert_eq!((recorded.len(), &recorded[0].events), (1, &receipt.events));
        assert!(receipt.shown && node.view(&receipt.record).unwrap().is_some());
    }
    // and another node reads the same from the logs
    let digest = node.status().projection_digest;
    node.rebuild().unwrap();
    assert_eq!(node.status().projection_digest, digest);
    drop(store);
}

#[test]
fn a_batch_whose_ground_somebody_changes_meanwhile_is_checked_anew_and_stays_whole() {
    for round in 0..3 {
        let (node, _) = district::node(&two_streets(), 0);
        let (point, plan) = (
            stocked(&node),
            json!({"do": "draft_plan", "tier": "community", "scope": "全街", "title": "防汛", "text": "一、东门集合。"}),
        );
        let plan = done(&node, "甲", plan);
        // given a batch that hands eight of ten blankets out and edits a plan, and goes on for long
        let edit = |text: &str| json!({"do": "edit_plan", "plan": plan, "text": text});
        let mut batch: Vec<(ActId, Command)> =
            [issue(point, 8), edit("一、西门集合。")].iter().map(|what| (new_act(), command(what))).collect();
        batch.extend(batch_of(400));
        let first = batch[0].0;
        let events = node.status().events;
        // when somebody else hands five out, and edits the plan, before it is written
        let (whole, single) = std::thread::scope(|scope| {
            let long = scope.spawn(|| node.submit_all("仓管", batch, BatchOf::Acts));
            while !node.is_underway(&first) {
                std::thread::yield_now();
            }
            std::thread::sleep(std::time::Duration::from_millis(10 * round));
            let single = submit(&node, new_act(), &issue(point, 5));
            let edited = submit(&node, new_act(), &edit("一、南门集合。"));
            assert!(edited.is_ok(), "{edited:?}");
            (long.join().unwrap(), single)
        });
        // then one of the two is refused, whole, and no blanket is handed out twice
        let written = node.status().events - events;
        match (&whole, &single) {
            (Err(SubmitError::Refused(_)), Ok(_)) => assert_eq!((blankets(&node, &point), written), (5, 2)),
            (Ok(receipts), Err(SubmitError::Refused(_))) => {
                assert_eq!((blankets(&node, &point), receipts.len(), written), (2, 402, 403));
            }
            other => panic!("{other:?}"),
        }
        // and the plan can be read
        let view = node.view(&plan).unwrap().unwrap();
        assert_eq!(view.state.document().unwrap().unrenderable_total, 0);
    }
}

#[test]
fn a_crowd_waits_in_bounded_number_and_the_rest_is_told_to_come_back() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let node = &served.node;
    let batch = batch_of(1_500);
    let first = batch[0].0;
    let (turned_away, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // given three hundred clients who act beside a batch that is being written
    let mut away: Vec<ActId> = std::thread::scope(|scope| {
        let long = scope.spawn(|| node.submit_all("导入", batch, BatchOf::Acts).unwrap());
        while !node.is_underway(&first) {
            std::thread::yield_now();
        }
        let crowd: Vec<_> = (0..300)
            .map(|client| {
                let turned_away = &turned_away;
                scope.spawn(move || {
                    let mut away = vec![];
                    while node.is_underway(&first) {
                        let act = new_act();
                        match submit(node, act, &report(&format!("{client}号楼"))) {
                            Err(SubmitError::Busy) => {
                                turned_away.fetch_add(1, Ordering::SeqCst);
                                away.push(act);
                                std::thread::sleep(std::time::Duration::from_millis(5));
                            }
                            other => drop(other.unwrap()),
                        }
                    }
                    away
                })
            })
            .collect();
        // when the status is asked meanwhile
        while node.is_underway(&first) {
            let status = node.status();
            if status.degraded.iter().any(|line| line.contains("acts wait to be recorded")) {
                assert!(status.acts_in_hand > 128);
                told.fetch_add(1, Ordering::SeqCst);
            }
        }
        long.join().unwrap();
        crowd.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    // then the status says how many wait, some were told to come back, and of those nothing was recorded
    assert!(turned_away.into_inner() > 0 && told.into_inner() > 0);
    away.truncate(50);
    assert!(away.iter().all(|act| node.recorded(act).unwrap().is_empty()));
    // and nobody is in hand once all is over
    assert_eq!(node.status().acts_in_hand, 0);
    assert!(served.visitor().get("/metrics").body.contains("linli_acts_in_hand 0"));
}

fn post(served: &Served, id: &str, what: &Value) -> Answer {
    let token = format!("Bearer {}", district::API_TOKEN);
    let headers = [("authorization", &*token), ("content-type", "application/json"), ("idempotency-key", id)];
    let body = json!({"by": "仓管", "command": what}).to_string();
    served.visitor().ask("POST", "/api/v1/commands", &headers, body.as_bytes())
}

#[test]
fn one_id_in_quotes_in_capitals_and_bare_is_one_act() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let point = stocked(&served.node);
    let id = "018f3c1e-0000-7000-8000-00000000abcd";
    let capitals = id.to_uppercase();
    let answers = [id, &capitals, &format!("\"{id}\""), &format!("\"{capitals}\"")]
        .map(|written| post(&served, written, &issue(point, 3)).status);
    assert_eq!((answers, blankets(&served.node, &point)), ([201, 200, 200, 200], 7));
    let refused = post(&served, "\"open", &issue(point, 3));
    assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("act_id")));
}

#[test]
fn a_form_whose_act_id_cannot_be_read_is_shown_anew_and_records_nothing() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let by = served.operator("值守员");
    let typed = [("category", "内涝"), ("severity", "III"), ("place", "东门"), ("summary", "积水")];
    let form = form_to(&by.get("/new/report_incident").body, "/act/report_incident");
    let send = |form: &browser::page::Form, more: &[(&str, &str)]| {
        let fields = form.filled(&[&typed[..], more].concat());
        let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        by.post(&form.action, &fields)
    };
    let before = served.node.status().events;
    // when what stands in the hidden field is no id
    let refused = send(&form, &[("_act", "不是 编号")]);
    // then nothing is recorded, and the form says so, with what was typed and another id
    assert_eq!((refused.status, served.node.status().events), (422, before));
    let anew = form_to(&refused.body, "/act/report_incident");
    assert_eq!(anew.value("place"), Some("东门"));
    let id: ActId = anew.value("_act").unwrap().parse().unwrap();
    assert_ne!(Some(&*id.to_string()), form.value("_act"));
    // and that one is recorded, once
    assert_eq!([send(&anew, &[]).status, send(&anew, &[]).status], [303, 303]);
    assert_eq!(served.node.status().events, before + 1);
}
