//! Nodes of a small test district over stores in memory, and what travels between them without a network.
//!
//! Keys, grants and areas come from `linli_core::testkit`; node `i` has key `i + 1`.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linli::batch::BatchOf;
use linli::enrolment::Enrolment;
use linli::import::{apply, read_street};
use linli::node::{Node, Receipt, SubmitError, new_act};
use linli::projector::Projector;
use linli_core::chain::{Join, verify_run};
use linli_core::enrol::Ticket;
use linli_core::event::ReceivedEvent;
use linli_core::id::{LogId, RecordId};
use linli_core::sign::KeyCache;
use linli_core::testkit::{Author, District, key};
use linli_domain::commands::Command;
use linli_store::Store;
use serde_json::Value;

/// The street of the sample, which the first node of [`two_streets`] works for.
pub const STREET: &str = "320508005";
/// The street beside it.
pub const NEXT_STREET: &str = "320508006";
/// The token of the command line at every test node.
pub const API_TOKEN: &str = "the token of the command line";

/// A district with a node for the sample's street and one for the street beside it.
pub fn two_streets() -> District {
    District::with_nodes(&[STREET, NEXT_STREET])
}

/// A district with two nodes for the sample's street: what either of them writes about it counts.
pub fn one_street() -> District {
    District::with_nodes(&[STREET, STREET])
}

/// A store in memory that belongs to the district's `i`th node.
pub fn enrolled_store(district: &District, i: usize) -> (Store, Enrolment) {
    let store = Store::in_memory();
    let ticket = Ticket { federation: district.federation(), charter: district.charter_events(), peers: vec![] };
    let enrolment = Enrolment::keep(&store, district.nodes[i].key.public(), &ticket).unwrap();
    (store, enrolment)
}

/// The district's `i`th node, and its store to look behind it.
pub fn node(district: &District, i: usize) -> (Arc<Node>, Store) {
    let (store, _) = enrolled_store(district, i);
    let node = Node::assemble(store.clone(), key(i as u16 + 1), API_TOKEN.to_owned(), None, now_ms()).unwrap();
    (node, store)
}

/// Read models of their own over a node's store.
pub fn projector(district: &District, i: usize) -> (Projector, Store) {
    let (store, enrolment) = enrolled_store(district, i);
    (Projector::open(store.clone(), enrolment).unwrap(), store)
}

/// The program's clock.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The directory of the sample street.
pub fn sample_street() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/street")
}

/// The acts that importing the sample street takes.
pub fn sample_acts() -> Vec<Command> {
    let street = read_street(&sample_street()).unwrap();
    apply::commands(&street, &STREET.parse().unwrap()).unwrap()
}

/// Imports the sample street.
pub fn import_sample(node: &Node) -> Vec<Receipt> {
    all(node, "导入", sample_acts())
}

/// Several acts, each under an id of its own.
pub fn all(node: &Node, operator: &str, commands: Vec<Command>) -> Vec<Receipt> {
    let acts = commands.into_iter().map(|command| (new_act(), command)).collect();
    node.submit_all(operator, acts, BatchOf::Acts).unwrap()
}

/// One act in its JSON form.
pub fn act(node: &Node, operator: &str, act: Value) -> Result<Receipt, SubmitError> {
    let shown = act.to_string();
    let command: Command = serde_json::from_value(act).unwrap_or_else(|error| panic!("{shown}: {error}"));
    node.submit(operator, new_act(), command)
}

/// One act that must be recorded. Gives its record.
pub fn done(node: &Node, operator: &str, what: Value) -> RecordId {
    let shown = what.to_string();
    act(node, operator, what).unwrap_or_else(|error| panic!("{shown}: {error}")).record
}

/// Every log of a store, each from its first event.
pub fn logs_of(store: &Store) -> BTreeMap<LogId, Vec<ReceivedEvent>> {
    let frontier = store.frontier();
    let whole = |log: &LogId, height: u64| -> Vec<ReceivedEvent> {
        let read = store.read(log, 1, usize::MAX, usize::MAX).unwrap();
        assert_eq!(read.len() as u64, height, "{log} is not whole");
        read.into_iter().map(|event| event.into_event()).collect()
    };
    frontier.iter().map(|(log, head)| (log.clone(), whole(log, head.seq))).collect()
}

/// Events in a store, over all logs.
pub fn events_in(store: &Store) -> u64 {
    store.frontier().events()
}

/// Brings consecutive events of one log into a store, as replication does: proven, through the one door.
pub fn deliver(store: &Store, run: &[ReceivedEvent]) {
    let Some(first) = run.first() else { return };
    let join = match store.head(&first.header().log_id()) {
        Some(head) if head.seq + 1 == first.header().seq => Join::After(head),
        Some(_) => Join::Anywhere,
        None => Join::Start,
    };
    let proven = verify_run(join, run.to_vec(), &mut KeyCache::default()).unwrap();
    store.append(vec![proven]).unwrap();
}

/// Both stores hold what either of them held. The nodes over them still have to fold it.
pub fn meet(a: &Store, b: &Store) {
    for (from, to) in [(a, b), (b, a)] {
        logs_of(from).values().for_each(|run| deliver(to, run));
    }
}

/// An author of the district who has read a record's present heads.
pub fn author(district: &District, i: usize) -> Author {
    district.nodes[i].clone()
}
