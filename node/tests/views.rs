//! Read models are what the logs say and nothing else: thrown away and rebuilt, in any order of arrival, under hostile
//! events that are validly signed, and while many people act at once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cut_street;
mod district;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cut_street::CutStreet;
use district::{
    all, deliver, done, events_in, import_sample, logs_of, meet, now_ms, one_street, sample_acts, two_streets,
};
use linli::enrolment::Enrolment;
use linli::history::Personal;
use linli::projector::{Projector, VERSION_KEY};
use linli_core::cbor::Value;
use linli_core::enrol::Ticket;
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::{EventId, LogId, RecordId, Stream};
use linli_core::limits::PAYLOAD_BYTES_MAX;
use linli_core::testkit::network::Numbers;
use linli_core::testkit::{Author, District, Draft};
use linli_domain::documents::{Document, Edit};
use linli_domain::events::edited::Edited;
use linli_domain::events::{Fact, Said, kind_table};
use linli_domain::record::RecordView;
use linli_domain::state::{RecordKind, State};
use linli_store::Store;
use serde_json::json;
use sha2::{Digest, Sha256};

fn views(projector: &Projector) -> BTreeMap<RecordId, RecordView> {
    let summaries = projector.summaries();
    summaries.iter().map(|summary| (summary.id, projector.view(&summary.id).unwrap().unwrap())).collect()
}

#[test]
fn deleting_all_read_models_and_folding_the_logs_again_gives_the_same() {
    // given both nodes after a cut, a heal and the settlements, grown act by act
    let street = CutStreet::after_everything();
    let (node, store) = &street.here;
    assert_eq!(node.status().projection_digest, street.there.0.status().projection_digest);
    let before: BTreeMap<RecordId, Option<RecordView>> =
        node.summaries().iter().map(|summary| (summary.id, node.view(&summary.id).unwrap())).collect();
    assert!(before.len() > 180, "{}", before.len());
    // when the read models are thrown away, by the node or behind its back
    let (was, is) = node.rebuild().unwrap();
    // then every view is the same, byte for byte
    assert_eq!(was, is);
    for (record, view) in &before {
        assert_eq!(&node.view(record).unwrap(), view);
    }
    store.projection().clear().unwrap();
    let ticket_holder = district::author(&street.district, 0).key.public();
    let reopened = Projector::open(store.clone(), Enrolment::load(store, ticket_holder).unwrap()).unwrap();
    assert_eq!(reopened.records(), 0);
    reopened.catch_up().unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&reopened.digest()), was);
    for (record, view) in &before {
        assert_eq!(&reopened.view(record).unwrap(), view);
    }
    // and a start finds all of it as it was left
    let started = Projector::open(store.clone(), Enrolment::load(store, ticket_holder).unwrap()).unwrap();
    assert_eq!(started.lag().events, 0);
    assert_eq!((started.summaries(), started.digest()), (reopened.summaries(), reopened.digest()));
    // and a read model that another version left behind is folded anew
    let mut batch = linli_store::ProjectionBatch::default();
    batch.put(VERSION_KEY.to_vec(), b"of another version".to_vec());
    store.projection().write(batch).unwrap();
    let reopened = Projector::open(store.clone(), Enrolment::load(store, ticket_holder).unwrap()).unwrap();
    let lag = reopened.lag();
    assert!(lag.events > 0 && lag.complete_ms.is_none() && reopened.records() == 0, "{lag:?}");
    reopened.catch_up().unwrap();
    assert_eq!(reopened.lag().events, 0);
    assert!(reopened.lag().complete_ms.is_some());
    assert_eq!(data_encoding::HEXLOWER.encode(&reopened.digest()), was);
}

/// A store that knows its own grant only; the grants of others arrive with the root's log.
fn newcomer(district: &District) -> (Projector, Store) {
    let store = Store::in_memory();
    let charter = district.charter_events()[..2].to_vec();
    let ticket = Ticket { federation: district.federation(), charter, peers: vec![] };
    let enrolment = Enrolment::keep(&store, district.nodes[0].key.public(), &ticket).unwrap();
    (Projector::open(store.clone(), enrolment).unwrap(), store)
}

#[test]
fn any_order_of_arrival_gives_the_same_views() {
    // given everything that two streets wrote
    let street = CutStreet::after_everything();
    let logs = logs_of(&street.here.1);
    let expected = street.here.0.status().projection_digest;
    let first_seed = now_ms();
    for seed in first_seed..first_seed + 4 {
        eprintln!("seed {seed}");
        let mut numbers = Numbers::new(seed);
        // when it reaches a newcomer log by log in pieces, in another order each time, and is folded now and then
        let (projector, store) = newcomer(&street.district);
        let mut left: Vec<(LogId, Vec<ReceivedEvent>)> = logs.clone().into_iter().collect();
        while !left.is_empty() {
            let at = numbers.below(left.len() as u64) as usize;
            let count = left[at].1.len().min(1 + numbers.below(60) as usize);
            let piece: Vec<ReceivedEvent> = left[at].1.drain(..count).collect();
            deliver(&store, &piece);
            if left[at].1.is_empty() {
                left.remove(at);
            }
            if numbers.below(3) == 0 {
                projector.catch_up().unwrap();
            }
        }
        projector.catch_up().unwrap();
        // then it shows what everybody shows, by whatever way it came
        assert_eq!(data_encoding::HEXLOWER.encode(&projector.digest()), expected, "seed {seed}");
        let folded_on = views(&projector);
        projector.rebuild().unwrap();
        assert_eq!(views(&projector), folded_on, "seed {seed}");
    }
}

#[test]
fn acts_count_as_soon_as_the_grant_of_their_author_arrives() {
    // given a newcomer that holds acts of a node whose grant has not come yet
    let district = two_streets();
    let (there, their_store) = district::node(&district, 1);
    let report =
        json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": "西门", "summary": "积水"});
    let incident = done(&there, "邻街", report);
    let (projector, store) = newcomer(&district);
    for (log, events) in logs_of(&their_store) {
        if log.stream != Stream::CHARTER {
            deliver(&store, &events);
        }
    }
    projector.catch_up().unwrap();
    let waiting = projector.view(&incident).unwrap().unwrap();
    assert_eq!((waiting.event_count, waiting.waiting), (0, 1));
    // when the root's log arrives, then they count
    deliver(&store, &district.charter_events());
    projector.catch_up().unwrap();
    let counting = projector.view(&incident).unwrap().unwrap();
    assert_eq!((counting.event_count, counting.waiting), (1, 0));
    assert_eq!(Some(counting), there.view(&incident).unwrap());
}

#[test]
fn what_people_had_removed_is_shown_no_more_and_is_shown_again_when_it_comes_with_a_grant() {
    // given a newcomer that shows an incident of its own and one of a node whose grant has not come, who speaks in both
    let district = one_street();
    let (here, our_store) = district::node(&district, 0);
    let (there, their_store) = district::node(&district, 1);
    let report = |place| json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "积水"});
    let ours = done(&here, "值班", report("东门"));
    meet(&our_store, &their_store);
    there.rebuild().unwrap();
    let theirs = done(&there, "邻街", report("西门"));
    done(&there, "邻街", json!({"do": "update_incident", "incident": ours, "text": "水退了"}));
    let (projector, store) = newcomer(&district);
    let logs: Vec<_> = logs_of(&their_store).into_iter().filter(|(log, _)| log.stream != Stream::CHARTER).collect();
    let (strange, own): (Vec<_>, Vec<_>) = logs.into_iter().partition(|(log, _)| log.author == there.key());
    own.iter().for_each(|(_, events)| deliver(&store, events));
    projector.catch_up().unwrap();
    let without = (projector.digest(), projector.view(&ours).unwrap());
    strange.iter().for_each(|(_, events)| deliver(&store, events));
    projector.catch_up().unwrap();
    assert_eq!(projector.view(&ours).unwrap().unwrap().waiting, 1);
    assert_eq!(projector.view(&theirs).unwrap().unwrap().waiting, 1);
    // when somebody has the logs of that node removed
    let mut changes = projector.changes();
    strange.iter().for_each(|(log, _)| assert!(store.discard(log).unwrap().is_some()));
    projector.catch_up().unwrap();
    // then nothing of them is shown, here and after a start, and whoever looks at either record hears of it
    let enrolment = || Enrolment::load(&store, here.key()).unwrap();
    let started = Projector::open(store.clone(), enrolment()).unwrap();
    for projector in [&projector, &started] {
        assert_eq!((projector.digest(), projector.view(&ours).unwrap()), without);
        assert!(projector.view(&theirs).unwrap().is_none() && projector.places(&theirs).unwrap().is_empty());
        assert!(strange.iter().all(|(log, _)| !projector.folded().contains_key(log)));
    }
    let told: BTreeSet<RecordId> = [changes.try_recv().unwrap(), changes.try_recv().unwrap()].map(|c| c.record).into();
    assert_eq!(told, [ours, theirs].into());
    // and when they come again after the grant of their author, they are shown as everywhere
    deliver(&store, &district.charter_events());
    projector.catch_up().unwrap();
    strange.iter().for_each(|(_, events)| deliver(&store, events));
    projector.catch_up().unwrap();
    for record in [ours, theirs] {
        assert_eq!(projector.view(&record).unwrap(), there.view(&record).unwrap());
    }
    assert_eq!((projector.lag().events, projector.digest()), (0, digest_of(&there)));
}

fn digest_of(node: &linli::node::Node) -> [u8; 32] {
    let digest = data_encoding::HEXLOWER.decode(node.status().projection_digest.as_bytes()).unwrap();
    digest.try_into().unwrap()
}

#[test]
fn importing_a_street_again_writes_nothing() {
    let (node, store) = district::node(&two_streets(), 0);
    let first = import_sample(&node);
    assert_eq!(first.len(), sample_acts().len());
    let (events, digest) = (events_in(&store), node.status().projection_digest);
    let again = import_sample(&node);
    assert!(again.is_empty(), "{again:?}");
    assert_eq!((events_in(&store), node.status().projection_digest), (events, digest));
    // and a row that was corrected is one act, whatever stands around it
    let mut acts = serde_json::to_value(sample_acts()).unwrap();
    acts[0]["households"] = json!(1);
    let corrected = all(&node, "导入", serde_json::from_value(acts).unwrap());
    assert_eq!((corrected.len(), events_in(&store)), (1, events + 1));
}

/// A plan that people of the first street write on, and an enrolled author who wants to break it.
struct Target {
    node: Arc<linli::node::Node>,
    store: Store,
    plan: RecordId,
    attacker: Author,
}

impl Target {
    fn new() -> Self {
        let district = one_street();
        let (node, store) = district::node(&district, 0);
        let draft = json!({"do": "draft_plan", "tier": "community", "scope": "全街", "title": "防汛", "text": "一、东门集合。"});
        let plan = done(&node, "甲", draft);
        Self { node, store, plan, attacker: district::author(&district, 1) }
    }

    fn text(&self) -> String {
        let view = self.node.view(&self.plan).unwrap().unwrap();
        view.state.document().unwrap().rendered.text.clone()
    }

    fn heads(&self) -> Vec<EventId> {
        self.node.view(&self.plan).unwrap().unwrap().heads
    }

    /// The attacker's event, as valid as any to the chain and the charter.
    fn attack(&mut self, stream: Stream, kind: &'static str, op: Vec<u8>) -> ReceivedEvent {
        let parents = self.heads();
        let draft = Draft { parents, op: Some(op), ..Draft::new(stream, kind, Some(self.plan)) };
        let event = self.attacker.write(draft);
        deliver(&self.store, std::slice::from_ref(&event));
        event
    }

    /// An honest edit by an operator here, who has seen all that arrived and must find their text as they wrote it.
    fn goes_on(&self, text: &str) {
        self.node.rebuild().unwrap();
        done(&self.node, "甲", json!({"do": "edit_plan", "plan": self.plan, "text": text}));
        assert_eq!(self.text(), text);
    }

    fn whole_view_is_sound(&self) {
        let (was, is) = self.node.rebuild().unwrap();
        assert_eq!(was, is);
        let lines = self.node.history(&self.plan).unwrap();
        assert_eq!(lines.len() as u64, self.node.view(&self.plan).unwrap().unwrap().event_count);
    }
}

fn edited(change: Vec<u8>) -> Vec<u8> {
    Fact::PlanEdited(Edited { change, said: Said::by("混入者", None) }).encode().unwrap()
}

/// The checksum that a changed chunk needs to be looked at.
fn with_fitting_checksum(mut change: Vec<u8>) -> Vec<u8> {
    if change.len() > 9 {
        let checksum = Sha256::digest(&change[8..]);
        change[4..8].copy_from_slice(&checksum[..4]);
    }
    change
}

#[test]
fn a_hostile_change_of_a_document_leaves_it_readable_and_writable() {
    let seed = now_ms();
    eprintln!("seed {seed}");
    let mut numbers = Numbers::new(seed);
    let mut target = Target::new();
    // given an honest change that the attacker could have made
    let saved = target.node.view(&target.plan).unwrap().unwrap().state.document().unwrap().saved.clone();
    let document = Document::load(&saved).unwrap();
    let edits = [
        Edit::SetText { text: "一、西门集合。二、带雨具。".to_owned() },
        Edit::SetField { key: "k".to_owned(), value: "v".to_owned() },
    ];
    let change = document.edit(&edits, &target.attacker.key.public(), target.attacker.incarnation, now_ms()).unwrap();
    // when garbage, bombs and mutations of it arrive, each with a checksum that fits and a valid signature
    let mut hostile: Vec<Vec<u8>> = vec![
        vec![0],
        vec![0x85, 0x6f, 0x4a, 0x83],
        vec![0xff; 4_096],
        vec![0; PAYLOAD_BYTES_MAX - 100],
        change[..change.len() / 2].to_vec(),
        [&change[..], &change[..]].concat(),
        [&[0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1][..], &[0xff; 9], &[0x01; 200]].concat(),
        saved,
    ];
    hostile.extend((0..120).map(|_| {
        let mut mutated = change.clone();
        for _ in 0..=numbers.below(3) {
            let at = 8 + numbers.below(mutated.len() as u64 - 8) as usize;
            match numbers.below(3) {
                0 => mutated[at] ^= 1 << numbers.below(8),
                1 => mutated[at] = numbers.below(256) as u8,
                _ => drop(mutated.splice(at..at, [0x80, 0x80, 0x80, 0x80, 0x20])),
            }
        }
        mutated
    }));
    for (n, change) in hostile.into_iter().enumerate() {
        target.attack(Stream::PLANS, "edited", edited(with_fitting_checksum(change)));
        // then every few attacks an honest operator reads the plan and writes on
        if n % 16 == 0 {
            target.goes_on(&format!("一、东门集合。第{n}次修订。"));
        }
    }
    target.goes_on("一、东门集合。二、带手电。");
    let view = target.node.view(&target.plan).unwrap().unwrap();
    let State::Plan(plan) = &view.state else { panic!("the plan is a plan") };
    assert!(plan.document.unrenderable_total > 60, "{}", plan.document.unrenderable_total);
    target.whole_view_is_sound();
    // and a node to which all of it comes at once, in another order, shows the same
    let (projector, store) = district::projector(&one_street(), 1);
    logs_of(&target.store).into_values().rev().for_each(|run| deliver(&store, &run));
    projector.catch_up().unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&projector.digest()), target.node.status().projection_digest);
}

/// Values that no honest program writes.
fn odd_value(numbers: &mut Numbers, depth: u64) -> Value {
    match numbers.below(if depth > 6 { 8 } else { 10 }) {
        0 => Value::Uint(u64::MAX - numbers.below(2)),
        1 => Value::Negative(u64::MAX - numbers.below(2)),
        2 => Value::Null,
        3 => Value::Bool(true),
        4 => Value::Text("\u{0}\u{1b}[2J\u{202e}".repeat(1 + numbers.below(40) as usize)),
        5 => Value::Bytes(vec![0xff; numbers.below(3_000) as usize]),
        6 => Value::Uint(numbers.below(100)),
        7 => Value::Text("甲".to_owned()),
        8 => Value::Array((0..numbers.below(4)).map(|_| odd_value(numbers, depth + 1)).collect()),
        _ => Value::Map((0..numbers.below(4)).map(|n| (Value::Uint(n), odd_value(numbers, depth + 1))).collect()),
    }
}

#[test]
fn hostile_payloads_of_every_kind_are_set_aside_and_the_rest_is_shown() {
    let seed = now_ms();
    eprintln!("seed {seed}");
    let mut numbers = Numbers::new(seed);
    // given honest payloads of every kind, on records that both streets know
    let street = CutStreet::after_everything();
    let (node, store) = &street.here;
    let logs = logs_of(store);
    let mut samples: BTreeMap<(Stream, &'static str), Vec<ReceivedEvent>> = BTreeMap::new();
    for event in logs.values().flatten() {
        let info =
            kind_table().iter().find(|k| k.stream == event.header().stream && k.word == event.header().kind.as_str());
        samples
            .extend(info.map(|info| ((info.stream, info.word), vec![])).filter(|(key, _)| !samples.contains_key(key)));
        if let Some(info) = info {
            samples.get_mut(&(info.stream, info.word)).unwrap().push(event.clone());
        }
    }
    assert_eq!(samples.len(), kind_table().len());
    let count = node.summaries().len();
    // when an enrolled author writes events whose payloads are altered, of a wrong shape, or no CBOR at all
    let mut attacker = district::author(&street.district, 1);
    let mut written = 0;
    for ((stream, kind), honest) in &samples {
        for round in 0..8 {
            let sample = &honest[numbers.below(honest.len() as u64) as usize];
            let op = hostile_payload(sample, round, &mut numbers);
            let record = sample.header().record;
            let parents = if round % 2 == 0 { vec![sample.id()] } else { vec![] };
            let draft = Draft { parents, op: Some(op), ..Draft::new(*stream, kind, record) };
            deliver(store, &[attacker.write(draft)]);
            written += 1;
        }
    }
    node.rebuild().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    // then every record is still shown, with its history, and the desk and figures count
    assert!(written > 250);
    assert_eq!(node.summaries().len(), count, "seed {seed}");
    for summary in node.summaries() {
        node.view(&summary.id).unwrap().unwrap_or_else(|| panic!("seed {seed}: {}", summary.id));
        assert!(!node.history(&summary.id).unwrap().is_empty(), "seed {seed}");
    }
    assert_eq!(node.figures().buildings, 134, "those of the sample, and the address that was entered twice");
    let _ = node.desk();
    // and honest people go on, whatever stands in the records
    for summary in node.summaries().into_iter().filter(|summary| summary.kind == RecordKind::Incident) {
        let update = json!({"do": "update_incident", "incident": summary.id, "text": "照常续报"});
        done(node, "值班", update);
    }
    let (was, is) = node.rebuild().unwrap();
    assert_eq!(was, is, "seed {seed}");
    // and another node to which it comes in another order shows the same
    let (projector, other) = newcomer(&street.district);
    for run in logs_of(store).into_values().rev() {
        deliver(&other, &run);
        projector.catch_up().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    assert_eq!(data_encoding::HEXLOWER.encode(&projector.digest()), is, "seed {seed}");
}

fn hostile_payload(sample: &ReceivedEvent, round: u64, numbers: &mut Numbers) -> Vec<u8> {
    let honest = sample.payload(Slot::Op).map(|payload| payload.bytes.clone()).unwrap_or_default();
    let Ok(Value::Map(mut pairs)) = Value::decode(&honest) else { return vec![0xff] };
    match round {
        // One field holds something else.
        0..4 if !pairs.is_empty() => {
            let at = numbers.below(pairs.len() as u64) as usize;
            pairs[at].1 = odd_value(numbers, 0);
        }
        // Fields that nobody knows.
        4 => pairs.extend((0..5).map(|n| (Value::Text(format!("zz{n}")), odd_value(numbers, 0)))),
        5 => pairs.clear(),
        // Bytes altered after encoding, and bytes that are no CBOR.
        6 => {
            let mut bytes = honest;
            let at = numbers.below(bytes.len().max(1) as u64) as usize;
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << numbers.below(8));
            return bytes;
        }
        _ => return (0..numbers.below(300)).map(|_| numbers.below(256) as u8).collect(),
    }
    Value::Map(pairs).canonical().encode()
}

#[test]
fn what_is_acknowledged_is_shown_however_many_act_at_once() {
    // given one incident that everybody adds to, while everybody reports incidents of their own
    let (node, _) = district::node(&two_streets(), 0);
    let report = |place: &str| json!({"do": "report_incident", "category": "火灾", "severity": "II", "place": place, "summary": "冒烟"});
    let shared = done(&node, "值班", report("东门"));
    let acknowledged = Arc::new(AtomicU64::new(1));
    let hands: Vec<_> = (0..8)
        .map(|hand| {
            let (node, acknowledged) = (node.clone(), acknowledged.clone());
            std::thread::spawn(move || {
                for n in 0..40u64 {
                    let operator = format!("第{hand}人");
                    // when an act is acknowledged, then lists show it at once
                    let own = done(&node, &operator, report(&format!("{hand}-{n}")));
                    assert!(
                        node.summaries().iter().any(|summary| summary.id == own),
                        "a report is not in the lists yet"
                    );
                    let update = json!({"do": "update_incident", "incident": shared, "text": format!("{hand}-{n}")});
                    done(&node, &operator, update);
                    let count = acknowledged.fetch_add(1, Ordering::SeqCst) + 1;
                    let listed = node.summaries().into_iter().find(|summary| summary.id == shared).unwrap();
                    assert!(listed.events >= count, "the lists lag behind: {} of {count}", listed.events);
                }
            })
        })
        .collect();
    hands.into_iter().for_each(|hand| hand.join().unwrap());
    // then nobody's act got lost or took place beside another's, and a rebuild changes nothing
    let view = node.view(&shared).unwrap().unwrap();
    assert_eq!((view.event_count, view.heads.len(), view.conflicts.len()), (1 + 8 * 40, 1, 0));
    let (was, is) = node.rebuild().unwrap();
    assert_eq!(was, is);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_payload_that_comes_later_is_shown_and_whoever_looks_is_told() {
    // Given a contact that reached a node without name and telephone, and somebody who looks at its page,
    let district = two_streets();
    let ((writer, written), (reader, store)) = (district::node(&district, 0), district::node(&district, 1));
    let contact = json!({"do": "list_contact", "post": "楼长", "name": "张三", "phone": "13800000000"});
    let record = done(&writer, "值班", contact);
    let withheld = |run: &Vec<ReceivedEvent>| run.iter().cloned().map(ReceivedEvent::without_pii).collect::<Vec<_>>();
    logs_of(&written).values().for_each(|run| deliver(&store, &withheld(run)));
    reader.rebuild().unwrap();
    drop(reader.clone().keep_folding());
    let mut changes = reader.changes();
    let personal = || reader.history(&record).unwrap()[0].personal.clone();
    assert!(matches!(personal(), Personal::NotHere));
    let hash = reader.status().projection_digest;
    // when they come,
    let event = logs_of(&written).into_values().flatten().find(|event| event.header().pii.is_some()).unwrap();
    let payload = (event.header().seq, event.payload(Slot::Pii).unwrap().clone());
    assert_eq!(store.fill(&event.header().log_id(), &[payload]).unwrap(), 1);
    // then the page hears of it and shows them, and the view is what it was.
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), changes.recv()).await.unwrap().unwrap();
    assert_eq!(told.record, record);
    assert!(matches!(personal(), Personal::Shown(_)));
    assert_eq!(reader.status().projection_digest, hash);
}

#[test]
fn imports_beside_each_other_and_beside_acts_are_as_if_one_came_after_the_other() {
    // given a street of which everything but one supply point's stock is still to come
    let (node, store) = district::node(&two_streets(), 0);
    let before = events_in(&store);
    // when two people import it at the same time
    let imports: Vec<_> = (0..2)
        .map(|_| {
            let node = node.clone();
            std::thread::spawn(move || import_sample(&node).len())
        })
        .collect();
    let written: Vec<usize> = imports.into_iter().map(|import| import.join().unwrap()).collect();
    // then one of them wrote all of it
    assert_eq!(written.iter().sum::<usize>(), sample_acts().len(), "{written:?}");
    let (alone, alone_store) = district::node(&two_streets(), 0);
    import_sample(&alone);
    assert_eq!(events_in(&store) - before, events_in(&alone_store) - before);
    // and when supplies are handed out while corrected lists come in, nobody acts without having seen the other
    let point = first_of(&node, RecordKind::SupplyPoint);
    let receive = move |n: u64, quantity: u64| {
        let from = format!("第{n}车");
        json!({"do": "receive_supplies", "point": point, "item": "应急担架", "unit": "副", "quantity": quantity, "from": from})
    };
    done(&node, "仓管", receive(0, 100));
    let lists = std::thread::spawn({
        let node = node.clone();
        move || {
            for n in 1..40 {
                let act = serde_json::from_value(receive(n, 2)).unwrap();
                assert_eq!(all(&node, "导入", vec![act]).len(), 1);
            }
        }
    });
    for n in 0..40 {
        done(
            &node,
            "仓管",
            json!({"do": "issue_supplies", "point": point, "item": "应急担架", "quantity": 1, "to": format!("{n}号楼")}),
        );
    }
    lists.join().unwrap();
    let view = node.view(&point).unwrap().unwrap();
    assert_eq!((view.heads.len(), view.conflicts.len()), (1, 0));
    let State::SupplyPoint(state) = &view.state else { panic!("a supply point is one") };
    assert_eq!(state.balance("应急担架"), 100 + 39 * 2 - 40);
}

fn first_of(node: &linli::node::Node, kind: RecordKind) -> RecordId {
    node.summaries().into_iter().find(|summary| summary.kind == kind).unwrap().id
}
