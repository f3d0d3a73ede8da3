//! An act happens once: sent again after a lost answer, a restart, a crash, or to another node, it is answered with its
//! first receipt; and what two people save at one moment both stands.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::io::Write as _;
use std::sync::Arc;

use browser::page::{fill, form_to, text};
use browser::{Answer, Served, wait_until};
use district::{deliver, done, logs_of, meet, now_ms, one_street, sample_street, two_streets};
use linli::batch::BatchOf;
use linli::import::{apply, read_street};
use linli::node::{Node, Receipt, SubmitError, new_act};
use linli_core::id::RecordId;
use linli_core::testkit::{District, key};
use linli_domain::act::ActId;
use linli_domain::commands::{Command, DraftPlan};
use linli_domain::state::State;
use linli_domain::state::document::DocumentState;
use linli_store::{ProjectionBatch, Store};
use serde_json::{Value, json};

/// A request to the API as a program on this machine sends it.
fn call(served: &Served, method: &str, path: &str, act: Option<&str>, body: &Value) -> Answer {
    let token = format!("Bearer {}", district::API_TOKEN);
    let mut headers = vec![("authorization", &*token), ("content-type", "application/json")];
    headers.extend(act.map(|act| ("idempotency-key", act)));
    let body = if method == "GET" { String::new() } else { body.to_string() };
    served.visitor().ask(method, path, &headers, body.as_bytes())
}

fn command(served: &Served, act: &str, command: &Value) -> Answer {
    call(served, "POST", "/api/v1/commands", Some(act), &json!({"by": "仓管", "command": command}))
}

fn submit(node: &Node, act: ActId, command: &Value) -> Result<Receipt, SubmitError> {
    node.submit("仓管", act, serde_json::from_value(command.clone()).unwrap())
}

/// A supply point with ten blankets.
fn stocked(node: &Node) -> RecordId {
    let point =
        done(node, "仓管", json!({"do": "form_point", "name": "东区", "keeper": "甲", "address": "葑门横街1号"}));
    let receive =
        json!({"do": "receive_supplies", "point": point, "item": "毛毯", "unit": "条", "quantity": 10, "from": "区库"});
    done(node, "仓管", receive);
    point
}

fn issue(point: RecordId, quantity: u64) -> Value {
    json!({"do": "issue_supplies", "point": point, "item": "毛毯", "quantity": quantity, "to": "三号楼"})
}

fn blankets(node: &Node, point: &RecordId) -> i64 {
    match node.view(point).unwrap().unwrap().state {
        State::SupplyPoint(state) => state.balance("毛毯"),
        other => panic!("{other:?}"),
    }
}

fn field(node: &Node, record: &RecordId, key: &str) -> Option<String> {
    node.view(record).unwrap().unwrap().state.document().unwrap().field(key).map(str::to_owned)
}

/// The same store after a crash: whatever was folded and not synced is gone.
fn after_a_crash(store: &Store) -> Arc<Node> {
    store.projection().clear().unwrap();
    let node = Node::assemble(store.clone(), key(1), district::API_TOKEN.to_owned(), None, now_ms()).unwrap();
    node.rebuild().unwrap();
    node
}

#[test]
fn an_act_that_is_sent_again_is_answered_with_its_first_receipt() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let point = stocked(&served.node);
    // given an act under the client's own id
    let first = command(&served, "order-4711", &issue(point, 3));
    assert_eq!(first.status, 201, "{first:?}");
    // when it is sent again, and asked for
    let again = command(&served, "order-4711", &issue(point, 3));
    let asked = call(&served, "GET", "/api/v1/acts/order-4711", None, &Value::Null);
    // then it happened once, and both answers are its receipt
    assert_eq!((again.status, asked.status, blankets(&served.node, &point)), (200, 200, 7));
    let receipt = |answer: &Answer| {
        let json = answer.json();
        [json["act"].clone(), json["record"].clone(), json["events"].clone()]
    };
    assert_eq!((receipt(&again), receipt(&asked)), (receipt(&first), receipt(&first)));
    assert_eq!((first.json()["repeated"].clone(), again.json()["repeated"].clone()), (json!(false), json!(true)));
    // and the same id for another act is refused, naming both
    let other = command(&served, "order-4711", &issue(point, 4));
    let said = other.json();
    assert_eq!((other.status, said["code"].as_str()), (409, Some("act_reused")));
    let content = |quantity| {
        let command: Command = serde_json::from_value(issue(point, quantity)).unwrap();
        data_encoding::HEXLOWER.encode(&command.content("仓管"))
    };
    for named in [content(3), content(4), point.to_string()] {
        assert!(
            said["zh"].as_str().unwrap().contains(&named) && said["en"].as_str().unwrap().contains(&named),
            "{said}"
        );
    }
    assert_eq!(blankets(&served.node, &point), 7);
}

#[test]
fn an_act_that_nobody_recorded_is_not_known_as_of_now_and_a_bad_id_is_refused() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let unknown = call(&served, "GET", "/api/v1/acts/018f3c1e-0000-7000-8000-000000000000", None, &Value::Null);
    assert_eq!((unknown.status, unknown.json()["code"].as_str()), (404, Some("act_unknown")));
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "水"});
    for bad in ["", "two words", &"x".repeat(201)] {
        let refused = command(&served, bad, &report);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("act_id")), "{bad:?}");
    }
    // a refused act leaves its id free for the corrected one
    let act = "018f3c1e-0000-7000-8000-000000000001";
    let point = stocked(&served.node);
    assert_eq!(command(&served, act, &issue(point, 11)).status, 422);
    assert_eq!(command(&served, act, &issue(point, 10)).status, 201);
}

#[test]
fn an_answer_that_is_lost_can_be_asked_for() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let point = stocked(&served.node);
    // given a client that sends an act and hangs up before the answer
    let body = json!({"by": "仓管", "command": issue(point, 3)}).to_string();
    let token = format!("Bearer {}", district::API_TOKEN);
    let headers =
        [("authorization", &*token), ("content-type", "application/json"), ("idempotency-key", "lost-answer")];
    let client = served.visitor();
    let mut line = client.connect();
    line.write_all(&client.request("POST", "/api/v1/commands", &headers, body.as_bytes())).unwrap();
    wait_until("the act is recorded", || blankets(&served.node, &point) == 7);
    drop(line);
    // when it asks, and sends the act again
    let asked = call(&served, "GET", "/api/v1/acts/lost-answer", None, &Value::Null);
    let again = command(&served, "lost-answer", &issue(point, 3));
    // then both answers are the receipt, and it happened once
    assert_eq!((asked.status, again.status, blankets(&served.node, &point)), (200, 200, 7));
    assert_eq!(asked.json()["events"], again.json()["events"]);
}

#[test]
fn eight_taps_at_one_moment_are_one_act() {
    let (node, _) = district::node(&two_streets(), 0);
    let point = stocked(&node);
    let act = new_act();
    let taps: Vec<_> = (0..8)
        .map(|_| {
            let node = node.clone();
            std::thread::spawn(move || submit(&node, act, &issue(point, 1)).unwrap())
        })
        .collect();
    let receipts: Vec<Receipt> = taps.into_iter().map(|tap| tap.join().unwrap()).collect();
    assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.events == receipts[0].events));
    assert_eq!(blankets(&node, &point), 9);
}

#[test]
fn an_act_is_known_after_a_crash_between_the_disk_and_the_answer() {
    let (node, store) = district::node(&two_streets(), 0);
    let point = stocked(&node);
    let (act, report) = (
        new_act(),
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "水"}),
    );
    let (issued, reported) = (submit(&node, act, &issue(point, 5)).unwrap(), new_act());
    let incident = submit(&node, reported, &report).unwrap();
    // given a crash after the events were durable and before anything of them was folded durably
    drop(node);
    let node = after_a_crash(&store);
    // when both are sent again
    let again = submit(&node, act, &issue(point, 5)).unwrap();
    let second = submit(&node, reported, &report).unwrap();
    // then each is answered from the log
    assert_eq!((again.record, again.events, again.repeated), (issued.record, issued.events, true));
    assert_eq!((second.record, second.events, second.repeated), (incident.record, incident.events, true));
    assert_eq!(blankets(&node, &point), 5);
}

#[test]
fn another_node_that_has_heard_of_an_act_answers_with_its_receipt() {
    let district = two_streets();
    let ((here, ours), (there, theirs)) = (district::node(&district, 0), district::node(&district, 1));
    let point = stocked(&here);
    let act = new_act();
    let first = submit(&here, act, &issue(point, 3)).unwrap();
    // given the other node, which has heard all of it
    meet(&ours, &theirs);
    there.rebuild().unwrap();
    // when the client turns to that one
    let again = submit(&there, act, &issue(point, 3)).unwrap();
    // then it is the first receipt, and another content under that id is refused there as well
    assert_eq!((again.events, again.repeated), (first.events, true));
    assert!(matches!(submit(&there, act, &issue(point, 4)), Err(SubmitError::ActReused(_))));
    assert_eq!(blankets(&there, &point), 7);
}

#[test]
fn two_nodes_that_have_not_met_begin_one_record_for_one_act() {
    let district = two_streets();
    let (here, there) = (district::node(&district, 0).0, district::node(&district, 1).0);
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "水"});
    let act = new_act();
    let (one, other) = (submit(&here, act, &report).unwrap(), submit(&there, act, &report).unwrap());
    assert_eq!(one.record, other.record);
    assert_ne!(one.events, other.events);
}

#[test]
fn what_its_author_had_no_right_to_write_does_not_take_an_act_id() {
    let district = two_streets();
    let (node, store) = district::node(&district, 0);
    let point = stocked(&node);
    // given an act of ours that a stranger's store signs as its own, without a grant of ours
    let stranger = District::with_nodes(&["320508009"]);
    let (elsewhere, foreign) = district::node(&stranger, 0);
    let act = new_act();
    let report = json!({"do": "report_incident", "category": "x", "severity": "IV", "place": "x", "summary": "x"});
    submit(&elsewhere, act, &report).unwrap();
    let mut runs = logs_of(&foreign);
    runs.retain(|log, _| log.stream == linli_core::id::Stream::INCIDENTS);
    // (both districts draw their keys alike, so the log is one of our own key and counts only by its grant)
    runs.values().for_each(|run| deliver(&store, run));
    node.rebuild().unwrap();
    // when the act is sent here, then it is recorded: the stranger's event says nothing
    assert_eq!(node.recorded(&act).unwrap(), []);
    assert!(!submit(&node, act, &issue(point, 1)).unwrap().repeated);
}

#[test]
fn a_batch_is_repeated_from_the_middle() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let point = stocked(&served.node);
    let batch = |acts: &[Value]| {
        call(&served, "POST", "/api/v1/commands/batch", Some("batch-1"), &json!({"by": "仓管", "commands": acts}))
    };
    let with_id = |quantity: u64, act: &str| {
        let mut element = issue(point, quantity);
        element["act"] = json!(act);
        element
    };
    // given a batch of which the first half was recorded before
    let half = batch(&[with_id(1, "a"), with_id(2, "b")]);
    assert_eq!((half.status, blankets(&served.node, &point)), (201, 7));
    // when the whole is sent, one of them twice
    let whole = batch(&[with_id(1, "a"), with_id(2, "b"), with_id(1, "c"), with_id(1, "c")]);
    // then the known ones are answered with their first receipts and the others are recorded, each once
    assert_eq!((whole.status, blankets(&served.node, &point)), (201, 6));
    let (half, whole) = (half.json(), whole.json());
    let events = |receipts: &Value, at: usize| receipts[at]["events"].clone();
    assert_eq!((events(&half, 0), events(&half, 1)), (events(&whole, 0), events(&whole, 1)));
    assert_eq!(events(&whole, 2), events(&whole, 3));
    // and elements without ids of their own have those of the batch and their place
    let plain = [issue(point, 1), issue(point, 1)];
    assert_eq!((batch(&plain).status, blankets(&served.node, &point)), (201, 4));
    assert_eq!((batch(&plain).status, blankets(&served.node, &point)), (201, 4));
    // and if one id has another content, nothing of the batch is recorded
    let reused = batch(&[with_id(1, "d"), with_id(3, "a")]);
    assert_eq!((reused.status, blankets(&served.node, &point)), (409, 4));
}

#[test]
fn an_import_is_repeated_corrected_and_corrected_back() {
    let (node, _) = district::node(&two_streets(), 0);
    let acts = apply::acts(&read_street(&sample_street()).unwrap(), &district::STREET.parse().unwrap()).unwrap();
    let import = |acts: &[(ActId, Command)]| {
        let receipts = node.submit_all("导入", acts.to_vec(), BatchOf::Statements).unwrap();
        receipts.iter().filter(|receipt| !receipt.repeated).count()
    };
    assert_eq!((import(&acts), import(&acts)), (acts.len(), 0));
    // given a line that was corrected: another act, since its id follows from what it says
    let households = |count: u64| {
        let mut said = serde_json::to_value(&acts[0].1).unwrap();
        said["households"] = json!(count);
        let command: Command = serde_json::from_value(said).unwrap();
        (ActId::derived("a corrected line", &[&command.content("导入")]), command)
    };
    let shown =
        || match node.view(&acts[0].1.subject(ActId::from_bytes([0; 16]).new_record([0; 8]))).unwrap().unwrap().state {
            State::Building(building) => building.surveys.latest().unwrap().value.households,
            other => panic!("{other:?}"),
        };
    let as_it_was = shown();
    let corrected = [vec![households(as_it_was + 7)], acts[1..].to_vec()].concat();
    assert_eq!((import(&corrected), shown()), (1, as_it_was + 7));
    // when the first list comes in again, whose lines are all on record
    // then it is stated again, and that is recorded; a third time nothing is
    assert_eq!((import(&acts), shown()), (1, as_it_was));
    assert_eq!((import(&acts), import(&corrected), shown()), (0, 1, as_it_was + 7));
}

#[test]
fn two_people_who_save_a_plan_at_one_moment_both_keep_their_text() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let draft = json!({"do": "draft_plan", "tier": "community", "scope": "全街", "title": "防汛", "text": "一、东门集合。\n二、走南路。\n三、点名。\n"});
    let plan = done(&served.node, "甲", draft);
    // given two people who have the same plan open, five times
    for round in 0..5 {
        let people = [served.operator("甲"), served.operator("乙")];
        let path = format!("/records/{plan}");
        let opened = people.each_ref().map(|by| form_to(&by.get(&path).body, "/act/edit_plan"));
        let shown = opened[0].value("text").unwrap().to_owned();
        let texts = [format!("甲第{round}次。\n{shown}"), format!("{}\n乙第{round}次。\n", shown.trim_end())];
        // when both save at the same moment
        let saved: Vec<Answer> = std::thread::scope(|scope| {
            let saving: Vec<_> = (0..2)
                .map(|i| {
                    let (form, by, text) = (&opened[i], &people[i], &texts[i]);
                    scope.spawn(move || fill(form, &[("text", text)], by))
                })
                .collect();
            saving.into_iter().map(|one| one.join().unwrap()).collect()
        });
        // then both are told that it is done, and both texts stand
        assert!(saved.iter().all(|answer| answer.status == 303), "{saved:?}");
        let view = served.node.view(&plan).unwrap().unwrap();
        let now = &view.state.document().unwrap().rendered.text;
        assert!(now.contains(&format!("甲第{round}次。")) && now.contains(&format!("乙第{round}次。")), "{now}");
        assert!(now.contains("二、走南路。") && view.heads.len() == 1, "{now}");
    }
}

#[test]
fn a_profile_form_changes_what_was_changed_on_it_and_takes_nobody_s_change_back() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let point = stocked(&served.node);
    let path = format!("/records/{point}");
    let (one, other) = (served.operator("甲"), served.operator("乙"));
    let opened = [&one, &other].map(|by| form_to(&by.get(&path).body, "/act/set_point"));
    // given that a colleague changes the keeper while the form is open
    assert_eq!(fill(&opened[0], &[("keeper", "丙"), ("minimums", "毛毯 5\n雨衣 2")], &one).status, 303);
    // when somebody changes the name on the older form, and empties the address
    assert_eq!(fill(&opened[1], &[("name", "东区一号"), ("address", "")], &other).status, 303);
    // then both changes stand, and the emptied field is gone
    let fields = ["name", "keeper", "address"].map(|key| field(&served.node, &point, key));
    assert_eq!(fields, [Some("东区一号".to_owned()), Some("丙".to_owned()), None]);
    let minimums = served.node.view(&point).unwrap().unwrap().state.document().unwrap().list("minimums").unwrap().len();
    assert_eq!(minimums, 2);
    // and a field that both changed is asked about, with what stands there now and what was typed
    let asked = fill(&opened[1], &[("name", "东区一号"), ("keeper", "丁"), ("address", "")], &other);
    assert_eq!(asked.status, 409, "{}", text(&asked.body));
    let again = fill(&opened[1], &[("keeper", "丁"), ("_act", &new_act().to_string())], &other);
    assert_eq!(again.status, 409);
    assert!(text(&again.body).contains('丙'), "{}", text(&again.body));
    let form = form_to(&again.body, "/act/set_point");
    assert_eq!(
        (form.value("keeper"), form.value("name"), form.value("address")),
        (Some("丁"), Some("东区一号"), Some(""))
    );
    // and whoever has read that may decide
    assert_eq!(fill(&form, &[], &other).status, 303);
    assert_eq!(field(&served.node, &point, "keeper").as_deref(), Some("丁"));
    // and an item that is taken off the list of minimums is gone
    let form = form_to(&one.get(&path).body, "/act/set_point");
    assert_eq!(fill(&form, &[("minimums", "雨衣 2")], &one).status, 303);
    let view = served.node.view(&point).unwrap().unwrap();
    assert_eq!(view.state.document().unwrap().list("minimums").unwrap().keys().collect::<Vec<_>>(), ["雨衣"]);
}

#[test]
fn a_view_that_does_not_decode_is_folded_again_and_nothing_else_is_thrown_away() {
    let (node, store) = district::node(&two_streets(), 0);
    let point = stocked(&node);
    let untouched = stocked(&node);
    let (view, digest) = (node.view(&point).unwrap(), node.status().projection_digest);
    // given a view and a summary of which the disk made something else
    let mut batch = ProjectionBatch::default();
    for kind in [b"v", b"s"] {
        batch.put([&kind[..], point.as_bytes()].concat(), vec![0xff; 40]);
    }
    store.projection().write(batch).unwrap();
    // when it is read, in this process and after a restart
    assert_eq!(node.view(&point).unwrap(), view);
    drop(node);
    let node = Node::assemble(store.clone(), key(1), district::API_TOKEN.to_owned(), None, now_ms()).unwrap();
    assert_eq!(node.view(&point).unwrap(), view);
    // then it says what its events say, acts go on, and the others were not folded anew
    assert_eq!(node.status().projection_digest, digest);
    assert!(node.view(&untouched).unwrap().is_some());
    submit(&node, new_act(), &issue(point, 4)).unwrap();
    assert_eq!(blankets(&node, &point), 6);
    let kept = store.projection().get(&[&b"v"[..], point.as_bytes()].concat()).unwrap().unwrap();
    assert_ne!(kept, vec![0xff; 40]);
}

#[test]
fn an_act_that_was_recorded_outside_the_area_first_is_recorded_by_whoever_speaks_for_it() {
    // given a point of this street with ten blankets, which the street beside it knows
    let district = two_streets();
    let ((here, ours), (there, theirs)) = (district::node(&district, 0), district::node(&district, 1));
    let point = stocked(&here);
    meet(&ours, &theirs);
    there.rebuild().unwrap();
    // when a client hands three out at the node beside, which may not speak for the point, and then turns to this one
    let (act, once) = (new_act(), issue(point, 3));
    let outside = submit(&there, act, &once).unwrap();
    meet(&ours, &theirs);
    here.rebuild().unwrap();
    assert_eq!(blankets(&here, &point), 10);
    let inside = submit(&here, act, &once).unwrap();
    // then it is recorded here as well, and counts
    assert_eq!((inside.repeated, blankets(&here, &point)), (false, 7));
    // and once only, also when what stood outside is adopted, and for whoever sends it again
    done(&here, "主任", json!({"do": "adopt_acts", "record": point, "events": outside.events}));
    assert!(submit(&here, act, &once).unwrap().repeated);
    meet(&ours, &theirs);
    there.rebuild().unwrap();
    assert_eq!((blankets(&here, &point), blankets(&there, &point)), (7, 7));
}

#[test]
fn a_line_of_an_import_whose_id_somebody_took_is_imported_all_the_same() {
    // given that somebody used the id of a line for something else
    let (node, _) = district::node(&two_streets(), 0);
    let acts = apply::acts(&read_street(&sample_street()).unwrap(), &district::STREET.parse().unwrap()).unwrap();
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "积水"});
    submit(&node, acts[0].0, &report).unwrap();
    // when the street is imported, then every line of it is recorded, and again none
    for expected in [acts.len(), 0] {
        let receipts = node.submit_all("导入", acts.clone(), BatchOf::Statements).unwrap();
        assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), expected);
    }
}

/// Two nodes of one street, after they have heard each other.
struct TwoNodes([(Arc<Node>, Store); 2]);

impl TwoNodes {
    fn new() -> Self {
        let district = one_street();
        Self([district::node(&district, 0), district::node(&district, 1)])
    }

    fn each(&self) -> [&Node; 2] {
        self.0.each_ref().map(|(node, _)| &**node)
    }

    fn meet(&self) {
        meet(&self.0[0].1, &self.0[1].1);
        for node in self.each() {
            node.rebuild().unwrap();
        }
        let digests = self.each().map(|node| node.status().projection_digest);
        assert_eq!(digests[0], digests[1]);
    }

    fn document(&self, plan: &RecordId) -> DocumentState {
        self.0[0].0.view(plan).unwrap().unwrap().state.document().unwrap().clone()
    }

    fn plan(&self, text: &str) -> RecordId {
        let draft = json!({"do": "draft_plan", "tier": "community", "scope": "全街", "title": "防汛", "text": text});
        let plan = done(self.each()[0], "甲", draft);
        self.meet();
        plan
    }
}

#[test]
fn the_same_import_on_both_sides_of_a_cut_writes_each_text_once() {
    let nodes = TwoNodes::new();
    let acts = apply::acts(&read_street(&sample_street()).unwrap(), &district::STREET.parse().unwrap()).unwrap();
    // given one import that ran at two nodes, by two people, before they heard each other
    for (node, by) in nodes.each().into_iter().zip(["甲", "乙"]) {
        node.submit_all(by, acts.clone(), BatchOf::Statements).unwrap();
    }
    // when they meet
    nodes.meet();
    // then each plan says what the import says, once
    let drafts: Vec<&DraftPlan> =
        acts.iter().filter_map(|(_, act)| if let Command::DraftPlan(d) = act { Some(d) } else { None }).collect();
    assert!(!drafts.is_empty());
    for draft in drafts {
        let document = nodes.document(&draft.record.unwrap());
        assert_eq!(document.rendered.text, draft.text.as_ref().unwrap().trim_end_matches('\n'));
        assert_eq!((document.changes, document.to_be_read.len(), document.unrenderable_total), (1, 0, 0));
    }
}

#[test]
fn an_edit_of_a_plan_that_goes_to_two_nodes_is_one_change_of_its_text() {
    let nodes = TwoNodes::new();
    let plan = nodes.plan("一、东门集合。");
    let (act, whole) = (new_act(), "一、东门集合。\n二、走南路。");
    let edit = json!({"do": "edit_plan", "plan": plan, "text": whole});
    for node in nodes.each() {
        assert!(!submit(node, act, &edit).unwrap().repeated);
    }
    // given that the second node goes on before it hears of the first
    done(nodes.each()[1], "乙", json!({"do": "edit_plan", "plan": plan, "text": format!("{whole}\n三、点名。")}));
    nodes.meet();
    let document = nodes.document(&plan);
    assert_eq!((document.rendered.text, document.changes), (format!("{whole}\n三、点名。"), 3));
}

#[test]
fn a_line_that_two_people_changed_is_shown_to_everybody_until_somebody_saves_the_text() {
    let nodes = TwoNodes::new();
    let plan = nodes.plan("一、集合。\n二、打119。");
    // given a number that was changed on both sides of a cut
    for (node, number) in nodes.each().into_iter().zip(["110", "112"]) {
        done(node, "甲", json!({"do": "edit_plan", "plan": plan, "text": format!("一、集合。\n二、打{number}。")}));
    }
    nodes.meet();
    assert_eq!(nodes.document(&plan).to_be_read, [2, 3]);
    // then the plan's page and the desk say so, with both lines, and no number that nobody wrote
    let served = Served::over(nodes.0[0].0.clone());
    let (one, other) = (served.operator("丙"), served.operator("丁"));
    let path = format!("/records/{plan}");
    let page = text(&one.get(&path).body);
    let said = "有人同时改了同一处";
    assert!(page.contains(said) && page.contains("二、打110。") && page.contains("二、打112。"), "{page}");
    assert!(!page.contains("打1120") && !page.contains("打1102"), "{page}");
    assert!(text(&one.get("/").body).contains("需要通读的预案"));
    // when two people have the text open, and the one saves it as it stands
    let opened = [&one, &other].map(|by| form_to(&by.get(&path).body, "/act/edit_plan"));
    assert_eq!(fill(&opened[0], &[], &one).status, 303);
    // then nothing is to be read, and saving it once more changes nothing
    let settled = one.get(&path);
    assert!(!text(&settled.body).contains(said) && !text(&one.get("/").body).contains("需要通读的预案"));
    assert_eq!(fill(&form_to(&settled.body, "/act/edit_plan"), &[], &one).status, 422);
    // and when the one decides for a number and the other, on the older text, for the other one
    let decide = |number: &str| format!("一、集合。\n二、打{number}。");
    assert_eq!(fill(&form_to(&settled.body, "/act/edit_plan"), &[("text", &decide("112"))], &one).status, 303);
    let asked = fill(&opened[1], &[("text", &decide("110"))], &other);
    // then the other is asked, on a form that holds both
    assert_eq!(asked.status, 409, "{}", text(&asked.body));
    let form = form_to(&asked.body, "/act/edit_plan");
    assert_eq!(nodes.document(&plan).rendered.text, decide("112"));
    let both = form.value("text").unwrap().to_owned();
    assert!(both.contains("打112") && both.contains("打110"), "{both}");
    assert_eq!(fill(&form, &[("text", &decide("110"))], &other).status, 303);
    assert_eq!(nodes.document(&plan).rendered.text, decide("110"));
}
