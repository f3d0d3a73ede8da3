//! Deterministic districts, authors and logs for tests. Everything is made from small numbers; nothing is random.
//!
//! Always compiled, so that tests and programs share one build of this crate and of all that stand on it; a tidy test
//! lets only tests and benchmarks name it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use crate::area::Area;
use crate::charter::{Genesis, Grant, KIND_GENESIS, KIND_GRANT, Role};
use crate::event::{Header, Payload, ReceivedEvent};
use crate::id::{EventId, Head, LogId, RecordId, Stream};
use crate::sign::SecretKey;
use crate::time::Hlc;

pub mod network;
pub mod simulation;

/// The instant at which all test histories start: Unix milliseconds.
pub const EPOCH_MS: u64 = 1_790_000_000_000;

/// The `n`th key.
pub fn key(n: u16) -> SecretKey {
    let mut seed = [0x5a; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    SecretKey::from_seed(&seed)
}

/// An area from its code.
pub fn area(code: &str) -> Area {
    code.parse().unwrap()
}

/// The `n`th record.
pub fn record(n: u64) -> RecordId {
    RecordId::derived("linli/testkit/record", &[&n.to_be_bytes()])
}

/// Somebody who writes logs: key, incarnation, grant, and how far each log has come.
#[derive(Debug, Clone)]
pub struct Author {
    /// Its key.
    pub key: SecretKey,
    /// Its incarnation.
    pub incarnation: u64,
    /// Where it writes.
    pub area: Area,
    /// The grant it names; none before the genesis.
    pub grant: Option<EventId>,
    heads: BTreeMap<(Stream, Area), Head>,
    clock_ms: u64,
}

/// What an event says; the author adds the rest.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is about.
    pub stream: Stream,
    /// What happened.
    pub kind: &'static str,
    /// The record.
    pub record: Option<RecordId>,
    /// Heads of the record that the author had seen.
    pub parents: Vec<EventId>,
    /// Operational payload.
    pub op: Option<Vec<u8>>,
    /// Personal payload.
    pub pii: Option<Vec<u8>>,
}

impl Draft {
    /// A fact without a payload.
    pub fn new(stream: Stream, kind: &'static str, record: Option<RecordId>) -> Self {
        Self { stream, kind, record, parents: vec![], op: None, pii: None }
    }
}

impl Author {
    /// An author that has written nothing yet.
    pub fn new(n: u16, code: &str, grant: Option<EventId>) -> Self {
        let key = key(n);
        Self { key, incarnation: 1, area: area(code), grant, heads: BTreeMap::new(), clock_ms: EPOCH_MS }
    }

    /// The same key and place, with an incarnation of which nothing is written yet.
    #[must_use]
    pub fn reborn(&self, incarnation: u64) -> Self {
        Self { incarnation, heads: BTreeMap::new(), ..self.clone() }
    }

    /// The head of its log in a stream, as it remembers it.
    pub fn head(&self, stream: Stream) -> Option<Head> {
        self.heads.get(&(stream, self.area.clone())).copied()
    }

    /// Its clock shows this Unix time from now on, in milliseconds.
    pub const fn set_clock(&mut self, unix_ms: u64) {
        self.clock_ms = unix_ms;
    }

    /// Signs the next event of the log that the draft belongs to. Time advances by one second.
    pub fn write(&mut self, draft: Draft) -> ReceivedEvent {
        let at = (draft.stream, self.area.clone());
        let head = self.heads.get(&at).copied();
        self.clock_ms += 1000;
        let seq = head.map_or(1, |h| h.seq + 1);
        let mut parents = draft.parents;
        parents.sort();
        let header = Header {
            author: self.key.public(),
            incarnation: self.incarnation,
            area: self.area.clone(),
            stream: draft.stream,
            seq,
            prev: head.map(|h| h.id),
            parents,
            record: draft.record,
            kind: draft.kind.parse().unwrap(),
            time: Hlc::from_unix_ms(self.clock_ms),
            grant: self.grant,
            op: None,
            pii: None,
        };
        let salted = |bytes: Vec<u8>| Payload { salt: [seq as u8; 16], bytes };
        let event = ReceivedEvent::sign(header, draft.op.map(salted), draft.pii.map(salted), &self.key);
        self.heads.insert(at, event.head());
        event
    }

    /// `count` incidents of their own, each with `bytes` of payload: a log to replicate.
    pub fn write_many(&mut self, stream: Stream, count: usize, bytes: usize) -> Vec<ReceivedEvent> {
        let payload = |n: usize| {
            let mut w = crate::cbor::Writer::new();
            let filler: Vec<u8> = (0..bytes.saturating_sub(8)).map(|i| (i * 31 + n * 17) as u8).collect();
            w.map(1).text("x").bytes(&filler);
            w.into_bytes()
        };
        (0..count)
            .map(|n| {
                let mut draft = Draft::new(stream, "reported", Some(record(n as u64)));
                draft.op = Some(payload(n));
                self.write(draft)
            })
            .collect()
    }

    /// As [`Author::write_many`], each with a personal payload.
    pub fn write_personal(&mut self, stream: Stream, count: usize, bytes: usize) -> Vec<ReceivedEvent> {
        let personal = |n: usize| Draft { pii: Some(vec![n as u8; bytes]), ..Draft::new(stream, "listed", None) };
        (0..count).map(|n| self.write(personal(n))).collect()
    }

    /// The log it writes in a stream.
    pub fn log_id(&self, stream: Stream) -> LogId {
        LogId { stream, author: self.key.public(), incarnation: self.incarnation, area: self.area.clone() }
    }
}

fn node_grant(node: &SecretKey, code: &str, label: String) -> Grant {
    Grant {
        subject: node.public(),
        proof: node.prove_possession(),
        role: Role::Node,
        label,
        area: area(code),
        streams: Stream::known().collect(),
        delegate: true,
        not_after: None,
        cosigned: vec![],
    }
}

/// A district with a 1-of-1 root (key 0) and as many enrolled nodes as asked for.
#[derive(Debug, Clone)]
pub struct District {
    /// The root's genesis.
    pub genesis: ReceivedEvent,
    /// The root, which has written the genesis and one grant per node.
    pub root: Author,
    /// Grant events, one per node.
    pub grants: Vec<ReceivedEvent>,
    /// Enrolled nodes: node `i` has key `i + 1` and the area given for it.
    pub nodes: Vec<Author>,
}

impl District {
    /// District `320508` whose `i`th node works in the `i`th area.
    pub fn with_nodes(areas: &[&str]) -> Self {
        let mut root = Author::new(0, "320508", None);
        let payload = Genesis::payload("试验区", 1, std::slice::from_ref(&root.key), &root.area);
        let charter = |kind, op| Draft { op: Some(op), ..Draft::new(Stream::CHARTER, kind, None) };
        let genesis = root.write(charter(KIND_GENESIS, payload));
        root.grant = Some(genesis.id());
        let mut grants = vec![];
        let mut nodes = vec![];
        for (i, code) in areas.iter().enumerate() {
            let mut node = Author::new(i as u16 + 1, code, None);
            let terms = node_grant(&node.key, code, format!("节点{i}"));
            let event = root.write(charter(KIND_GRANT, terms.payload()));
            node.grant = Some(event.id());
            grants.push(event);
            nodes.push(node);
        }
        Self { genesis, root, grants, nodes }
    }

    /// One more grant for a node, written by the root.
    pub fn grant_node(&mut self, node: &SecretKey, code: &str) -> ReceivedEvent {
        let op = Some(node_grant(node, code, "节点".to_owned()).payload());
        self.root.write(Draft { op, ..Draft::new(Stream::CHARTER, KIND_GRANT, None) })
    }

    /// A grant for somebody who writes and has no node, written by the root.
    pub fn grant_writer(&mut self, writer: &SecretKey, code: &str) -> ReceivedEvent {
        let grant = Grant { role: Role::Liaison, delegate: false, ..node_grant(writer, code, "联络员".to_owned()) };
        self.root.write(Draft { op: Some(grant.payload()), ..Draft::new(Stream::CHARTER, KIND_GRANT, None) })
    }

    /// The federation's id.
    pub fn federation(&self) -> EventId {
        self.genesis.id()
    }

    /// The root's charter log: genesis and grants, in order.
    pub fn charter_events(&self) -> Vec<ReceivedEvent> {
        std::iter::once(&self.genesis).chain(&self.grants).cloned().collect()
    }
}
