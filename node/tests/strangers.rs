//! Logs of authors without a grant: people see who brought how much, and have it removed. Real stores and real meshes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod district;

use std::sync::Arc;

use browser::{Served, wait_until};
use district::{deliver, now_ms, two_streets};
use linli::config::Config;
use linli::enrolment::Enrolment;
use linli::mesh;
use linli::node::Node;
use linli_core::enrol::Ticket;
use linli_core::id::{AuthorKey, LogId, Stream};
use linli_core::limits;
use linli_core::sync::Introduced;
use linli_core::testkit::{Author, Draft, key, record};
use linli_store::{OpenOptions, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// A node on a disk of its own that was brought logs of two invented keys: by the district's second node as much as it may
/// bring, and one that nobody is known to have brought.
struct Brought {
    node: Arc<Node>,
    store: Store,
    bringer: AuthorKey,
    logs: [LogId; 2],
    _disk: tempfile::TempDir,
}

impl Brought {
    fn new() -> Self {
        let (disk, district) = (tempfile::tempdir().unwrap(), two_streets());
        let store = Store::open(disk.path(), OpenOptions::default()).unwrap();
        let ticket = Ticket { federation: district.federation(), charter: district.charter_events(), peers: vec![] };
        Enrolment::keep(&store, district.nodes[0].key.public(), &ticket).unwrap();
        let bringer = district.nodes[1].key.public();
        let logs = [50, 51].map(|n| strange_log(&store, n));
        let bytes = limits::SYNC_STRANGER_BYTES_MAX;
        store.charge(&[Introduced { log: logs[0].clone(), by: Some(bringer), bytes }]).unwrap();
        let node = Node::assemble(store.clone(), key(1), district::API_TOKEN.to_owned(), None, now_ms()).unwrap();
        node.rebuild().unwrap();
        Self { node, store, bringer, logs, _disk: disk }
    }

    /// The node's mesh runs as long as what is given back.
    fn mesh(&self) -> Runtime {
        let runtime = Runtime::new().unwrap();
        let config = Config { listen: vec![], peers: vec![], mdns: false, ..Config::default() };
        runtime.block_on(mesh::join(&self.node, &config)).unwrap();
        wait_until("the mesh tells what was brought", || self.node.strangers().len() == 2);
        runtime
    }
}

/// What somebody without a grant signed, in a store.
fn strange_log(store: &Store, n: u16) -> LogId {
    let mut author = Author::new(n, "320508005", None);
    let said = [(); 3].map(|()| author.write(Draft::new(Stream::COMMUNITY, "listed", Some(record(n.into())))));
    deliver(store, &said);
    author.log_id(Stream::COMMUNITY)
}

fn discard(served: &Served, key: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", district::API_TOKEN);
    let answer =
        served.visitor().ask("DELETE", &format!("/api/v1/strangers/{key}"), &[("authorization", &bearer)], b"");
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn people_see_who_brought_logs_without_a_grant_and_have_them_removed() {
    // given a node with logs of invented keys, whose bringer may bring no more
    let brought = Brought::new();
    let (_mesh, served) = (brought.mesh(), Served::over(brought.node.clone()));
    let operator = served.operator("值守员");
    let (bringer, shown) = (brought.bringer, || brought.node.summaries().len());
    assert_eq!(shown(), 2);
    // then the status tells it to programs, and the page to people, with what to do
    let status: Value = serde_json::from_str(&operator.get("/api/v1/status").body).unwrap();
    let name = &status["peers"][0]["name"];
    let bytes = limits::SYNC_STRANGER_BYTES_MAX;
    let unknown = brought.node.strangers()[0].bytes;
    let expected = json!([
        {"brought_by": null, "name": null, "logs": 1, "bytes": unknown, "quota_percent": null},
        {"brought_by": bringer, "name": name, "logs": 1, "bytes": bytes, "quota_percent": 100},
    ]);
    assert!(name.is_string(), "{status}");
    assert_eq!(status["strangers"], expected);
    assert_eq!(serde_json::from_str::<Value>(&operator.get("/api/v1/strangers").body).unwrap(), expected);
    let what_to_do = format!("linli peers discard {}", bringer.short());
    let named = |line: &&str| line.contains(&what_to_do) && line.contains("未授权日志已达上限");
    assert_eq!(status["degraded"].as_array().unwrap().iter().filter_map(Value::as_str).filter(named).count(), 1);
    for (lang, words) in [
        ("zh", ["带来的未授权日志已达上限", "占上限的 100%", "来源不明"]),
        ("en", ["up to the quota", "100% of its quota", "of unknown origin"]),
    ] {
        let page = operator.get(&format!("/status?lang={lang}")).body;
        for word in words.iter().chain([&&*what_to_do]) {
            assert!(page.contains(word), "{word} is missing of {page}");
        }
    }
    // when somebody who is not signed in, another site, or a key that is none asks for their removal, nothing is removed
    let path = format!("/api/v1/strangers/{bringer}");
    let origin = format!("http://{}", served.address);
    assert_eq!(served.visitor().ask("DELETE", &path, &[("origin", &origin)], b"").status, 401);
    assert_eq!(operator.ask("DELETE", &path, &[("origin", "http://elsewhere.example")], b"").status, 403);
    assert_eq!(discard(&served, "0123").0, 422);
    assert_eq!(discard(&served, &key(77).public().to_string()), (200, json!({"removed": 0})));
    assert!(brought.logs.iter().all(|log| brought.store.head(log).is_some()));
    // when an operator asks for it
    let head = brought.store.head(&brought.logs[0]);
    let answer = operator.ask("DELETE", &path, &[("origin", &origin)], b"");
    assert_eq!((answer.status, &*answer.body), (200, r#"{"removed":1}"#));
    // then what that node brought is gone, from the views as well, its head stays as proof, and nothing else was touched
    assert_eq!(brought.store.head(&brought.logs[0]), None);
    let proof = brought.store.discarded().unwrap();
    assert_eq!(
        proof.iter().map(|proof| (&proof.log, Some(proof.head))).collect::<Vec<_>>(),
        [(&brought.logs[0], head)]
    );
    assert!(brought.store.head(&brought.logs[1]).is_some());
    assert_eq!(shown(), 1);
    wait_until("the status tells that it is gone", || brought.node.strangers().len() == 1);
    assert!(brought.node.status().degraded.iter().all(|line| !line.contains("linli peers discard")));
    // and so is the rest, when it is asked for
    assert_eq!(discard(&served, "unknown"), (200, json!({"removed": 1})));
    assert_eq!(brought.store.head(&brought.logs[1]), None);
    assert_eq!(shown(), 0);
    assert_eq!(brought.node.status().lag_events, 0);
}

#[test]
fn a_node_without_a_mesh_says_that_it_cannot_remove_anything_yet() {
    let served = Served::over(district::node(&two_streets(), 0).0);
    let (status, said) = discard(&served, "unknown");
    assert_eq!((status, &said["code"]), (503, &json!("not_ready")));
}
