//! What this node signs itself: under which incarnation, as of when, and what it says when it cannot or when some of it is
//! gone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use browser::page::form_to;
use browser::{Served, wait_until};
use district::{act, deliver, done, import_sample, logs_of, now_ms, one_street, two_streets};
use linli::enrolment::Enrolment;
use linli::node::Node;
use linli_core::enrol::Ticket;
use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, LogId, RecordId, Stream};
use linli_core::testkit::key;
use linli_core::time::Hlc;
use linli_domain::events::incident_updated::IncidentUpdated;
use linli_domain::events::{Fact, Said};
use linli_store::{LocalDraft, LocalWriter, OpenOptions, Store};
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
    let district = one_street();
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

/// A node on a disk of its own, whose store is in `dir`.
fn node_on_disk(dir: &Path) -> Arc<Node> {
    let node = started(dir);
    node.rebuild().unwrap();
    node
}

/// The same, with the read models as it finds them.
fn started(dir: &Path) -> Arc<Node> {
    let district = two_streets();
    let store = Store::open(dir, OpenOptions::default()).unwrap();
    if store.frontier().is_empty() {
        let ticket = Ticket { federation: district.federation(), charter: district.charter_events(), peers: vec![] };
        Enrolment::keep(&store, district.nodes[0].key.public(), &ticket).unwrap();
    }
    Node::assemble(store, key(1), district::API_TOKEN.to_owned(), None, now_ms()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.path().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// What everybody who looks at a node is told: machines, a person at a page, and somebody at the command line.
fn everybody_is_told(served: &Served, zh: &str, en: &str) {
    let page = served.operator("值守员").get("/");
    assert!(page.body.contains(zh), "the desk is silent: {zh}");
    let ready = served.visitor().get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains(en), "{}", ready.body);
    let degraded = served.node.status().degraded;
    assert!(degraded.iter().any(|line| line.contains(zh) && line.contains(en)), "{degraded:?}");
}

fn metric(served: &Served, line: &str) -> Option<u64> {
    let page = served.visitor().get("/metrics").body;
    page.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

fn report(place: &str) -> serde_json::Value {
    json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "积水"})
}

#[test]
fn acts_that_were_acknowledged_and_are_gone_are_told_on_every_page_to_monitors_and_at_the_command_line() {
    // given a node that stopped in order, and its store as it was two acts before
    let dir = tempfile::tempdir().unwrap();
    let (home, before) = (dir.path().join("home"), dir.path().join("before"));
    let node = node_on_disk(&home);
    done(&node, "值班", report("东门"));
    node.close().unwrap();
    copy(&home, &before);
    let kept: Vec<_> = ["西门", "南门"].map(|place| done(&node, "值班", report(place))).into();
    node.close().unwrap();
    std::fs::copy(home.join("heads"), before.join("heads")).unwrap();
    // when the older store is started with the word of the later one on what was durable
    let served = Served::over(node_on_disk(&before));
    // then what is missing is told with its extent
    everybody_is_told(&served, "曾记录在本节点的 2 条动态缺失", "2 events that were recorded here are missing");
    assert!(served.node.status().degraded.iter().any(|line| line.contains("missing: log") && line.contains("2 to 3")));
    assert_eq!(metric(&served, "linli_store_events_missing{known_by=\"heads_file\"}"), Some(2));
    assert!(kept.iter().all(|record| served.node.view(record).unwrap().is_none()));
}

/// What a node says of missing events and damaged files.
fn losses_told(served: &Served) -> Vec<String> {
    let degraded = served.node.status().degraded.into_iter();
    degraded.filter(|line| line.contains("missing") || line.contains("damaged")).collect()
}

#[test]
fn a_loss_that_somebody_accepts_is_trouble_no_more_and_a_new_one_is() {
    // given a node that has lost two acts for good
    let dir = tempfile::tempdir().unwrap();
    let [home, before, again] = ["home", "before", "again"].map(|name| dir.path().join(name));
    let node = node_on_disk(&home);
    done(&node, "值班", report("东门"));
    node.close().unwrap();
    copy(&home, &before);
    for place in ["西门", "南门"] {
        done(&node, "值班", report(place));
    }
    node.close().unwrap();
    std::fs::copy(home.join("heads"), before.join("heads")).unwrap();
    let served = Served::over(node_on_disk(&before));
    let told_at_first = losses_told(&served);
    assert!(told_at_first[0].contains("2 events that were recorded here are missing"), "{told_at_first:?}");
    // when an operator whose code came from a colleague looks, then they may not accept it
    let (operator, issuer) =
        (served.operator("值守员"), linli::access::Issuer { name: "值守员".into(), is_machine: false });
    let code = served.node.issue_code(&issuer, "同事", None, false).unwrap().code;
    let session = served.node.sign_in(&code).unwrap();
    let colleague = served.visitor().with_cookie(&format!("linli_session={}", session.token));
    assert!(!colleague.get("/status").body.contains("/status/losses"));
    let bodies = |seen: &str| json!({ "seen": seen }).to_string();
    let seen = served.node.losses_listed().seen.unwrap();
    assert_eq!(colleague.post_json("/api/v1/losses/accept", &bodies(&seen)).status, 403);
    // and another list than the present one is not accepted
    assert_eq!(operator.post_json("/api/v1/losses/accept", &bodies(&"0".repeat(32))).status, 422);
    assert_eq!(losses_told(&served), told_at_first);
    // and when somebody who may accepts what the page shows
    let sent = form_to(&operator.get("/status").body, "/status/losses").filled(&[]);
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(operator.post("/status/losses", &sent).status, 303);
    // then it is no trouble any more, stays in the list with who and when, and is on record
    assert_eq!(losses_told(&served), [] as [String; 0]);
    let notes = served.node.status().notes;
    assert!(
        notes.iter().any(|note| note.contains("accepted by 值守员 on 20") && note.contains("2 events")),
        "{notes:?}"
    );
    assert!(operator.get("/status").body.contains("值守员 已于"));
    let missing = |known_by: &str| metric(&served, &format!("linli_store_events_missing{{known_by=\"{known_by}\"}}"));
    assert_eq!((missing("heads_file"), missing("accepted")), (Some(0), Some(2)));
    assert_eq!(served.node.losses_listed().accepted.len(), 1);
    // and when one more act is lost than that, then it is trouble anew, and only that one
    done(&served.node, "值班", report("北门"));
    served.node.close().unwrap();
    copy(&before, &again);
    done(&served.node, "值班", report("后门"));
    served.node.close().unwrap();
    std::fs::copy(before.join("heads"), again.join("heads")).unwrap();
    let after = Served::over(node_on_disk(&again));
    assert_eq!(after.node.losses_listed().open.len(), 1);
    let told = losses_told(&after);
    assert!(told[0].contains("1 events that were recorded here are missing"), "{told:?}");
    assert_eq!(after.node.losses_listed().accepted.len(), 1);
}

/// Tables of a store.
fn tables(dir: &Path) -> BTreeSet<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ext| ext == "sst")).collect()
}

fn views_of(node: &Node) -> BTreeMap<RecordId, Option<linli_domain::record::RecordView>> {
    let summaries = node.summaries().into_iter();
    summaries.filter_map(|summary| Some((summary.id, node.view(&summary.id).ok()?))).collect()
}

#[test]
fn read_models_that_are_damaged_are_folded_again_by_the_node_itself_and_nothing_is_missing() {
    // given a node that has much to show, and its read models in a table of their own
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let node = node_on_disk(&home);
    import_sample(&node);
    node.close().unwrap();
    let before = tables(&home);
    node.rebuild().unwrap();
    node.close().unwrap();
    let (expected, digest) = (views_of(&node), node.status().projection_digest);
    let new = tables(&home).into_iter().filter(|path| !before.contains(path));
    let derived = new.max_by_key(|path| path.metadata().unwrap().len()).expect("what is folded anew is in a new table");
    let (mut at_start, mut when_read) = (0, 0);
    for part in 0..=10 {
        // when a byte of it rots while the node is down
        let trial = dir.path().join(format!("trial-{part}"));
        copy(&home, &trial);
        let path = trial.join(derived.file_name().unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let place = (bytes.len() - 20) * part / 10;
        bytes[place] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        // then the node starts, and tells what it finds as damage of what can be made again
        let node = started(&trial);
        at_start += usize::from(node.summaries().is_empty());
        let read = views_of(&node);
        if !node.summaries().is_empty() && read.len() < expected.len() {
            when_read += 1;
            let degraded = node.status().degraded;
            assert!(
                degraded.iter().any(|line| line.contains("派生数据损坏") && line.contains("rebuilding")),
                "{degraded:?}"
            );
            assert!(!degraded.iter().any(|line| line.contains("missing")), "{degraded:?}");
        }
        // and folds it again by itself, after which nothing is wrong and acts go on
        let served = Served::over(node.clone());
        let is_well = || {
            let status = node.status();
            status.projection_digest == digest && node.is_ready() && views_of(&node) == expected
        };
        wait_until("everything is shown again", is_well);
        assert!(
            node.status().degraded.iter().all(|line| line.contains("no other node")),
            "{:?}",
            node.status().degraded
        );
        done(&served.node, "值班", report("东门"));
        // A place that only this act reads is found by it, told, and folded anew while acts go on.
        wait_until("nothing is wrong any more", || node.store_troubles().troubles.is_empty());
    }
    println!("damage of {at_start} flips was found at the start, of {when_read} when somebody read");
    assert!(at_start > 0 && when_read > 0);
}

#[test]
fn events_that_cannot_be_read_hold_up_no_others_and_are_no_trouble_once_they_are_accepted() {
    // given a node with several hundred events, in whose tables a byte rots while it is down
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let node = node_on_disk(&home);
    import_sample(&node);
    node.close().unwrap();
    let all = node.summaries().len();
    let mut tried = 0;
    for (n, table) in tables(&home).iter().enumerate() {
        let trial = dir.path().join(format!("trial-{n}"));
        copy(&home, &trial);
        let path = trial.join(table.file_name().unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.len() / 3;
        bytes[place] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        // Only where it is one of the events: what else can rot has tests of its own.
        let Ok(store) = Store::open(&trial, OpenOptions::default()) else { continue };
        store.read_through();
        let are_events = store.losses().events.iter().any(|loss| loss.known_by == linli_store::KnownBy::Reading);
        if !are_events {
            store.close();
            continue;
        }
        tried += 1;
        // when it starts and folds everything anew
        let node = Node::assemble(store, key(1), district::API_TOKEN.to_owned(), None, now_ms()).unwrap();
        node.rebuild().unwrap();
        let served = Served::over(node);
        // then what can be read is shown, the rest is told as lost, and acts go on
        let shown = served.node.summaries().len();
        assert!(served.node.is_ready() && shown <= all && shown > all / 10, "{shown} of {all}");
        assert!(losses_told(&served).iter().any(|line| line.contains("cannot be read") || line.contains("missing")));
        done(&served.node, "值班", report("东门"));
        assert_eq!(served.node.summaries().len(), shown + 1);
        // and once somebody has accepted the loss, nothing is wrong
        let who = linli::access::Issuer { name: "值守员".into(), is_machine: true };
        served.node.accept_losses(&who, &served.node.losses_listed().seen.unwrap()).unwrap();
        assert!(served.node.store_troubles().troubles.is_empty(), "{:?}", served.node.store_troubles());
    }
    assert!(tried > 0, "no flip hit an event");
}

#[test]
fn a_directory_that_is_deleted_under_a_running_node_is_told_and_no_act_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let served = Served::over(node_on_disk(&home));
    done(&served.node, "值班", report("东门"));
    let looking = served.operator("值守员");
    std::fs::rename(&home, dir.path().join("away")).unwrap();
    act(&served.node, "值班", report("西门")).unwrap_err();
    assert!(looking.get("/").body.contains("已被删除、移走或替换"));
    assert_eq!(served.visitor().get("/readyz").status, 503);
    assert_eq!(metric(&served, "linli_store_write_failures_total"), Some(1));
    assert!(served.node.status().degraded.iter().any(|line| line.contains("was deleted, moved or replaced")));
}

#[test]
fn a_member_who_writes_grants_without_end_stops_no_node() {
    // given a node, and a member of its district who writes more charter events than all of a district may have
    let district = two_streets();
    let (node, store) = district::node(&district, 0);
    let before = node.charter_events().unwrap().len();
    let hostile = district::author(&district, 1);
    let writer = LocalWriter::open(Store::in_memory(), None, hostile.key, &mut || 1).unwrap();
    let draft = |_| LocalDraft {
        area: hostile.area.clone(),
        stream: Stream::CHARTER,
        record: None,
        kind: "grant".parse().unwrap(),
        parents: vec![],
        after: Hlc::default(),
        grant: hostile.grant,
        op: Some(vec![0xa0]),
        pii: None,
    };
    for _ in 0..17 {
        let drafts = (0..1_000).map(draft).collect();
        deliver(&store, &writer.write_all(drafts, now_ms(), &mut || [6; 16]).unwrap());
    }
    // when the node evaluates its charter anew
    node.rebuild().unwrap();
    // then it reads a bounded part of them, and goes on working
    assert!(node.charter_events().unwrap().len() <= before + 4_096);
    done(
        &node,
        "值班",
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "东门", "summary": "积水"}),
    );
}
