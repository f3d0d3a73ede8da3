//! Whole meshes over real sockets on loopback, several nodes in one process, stores in memory.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use linli_core::chain::verify_single;
use linli_core::charter::Charter;
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::{LogId, Stream};
use linli_core::sign::KeyCache;
use linli_core::testkit::{Author, District, Draft, key};
use linli_net::{
    Mesh, MeshConfig, MeshEvent, MeshHandle, MeshNode, Multiaddr, PeerStatus, Reachability, Reason, RelayUse,
    SpawnError, SyncState, WallClock, peer_id,
};
use linli_store::Store;
use prometheus::Registry;

const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// A node under test: its parts stay at hand while its mesh comes and goes.
struct Node {
    parts: MeshNode,
    author: Author,
    mesh: Option<MeshHandle>,
}

fn put(store: &Store, events: &[ReceivedEvent]) {
    let mut keys = KeyCache::default();
    let run = events.iter().map(|event| verify_single(event.clone(), &mut keys).unwrap()).collect();
    store.append(vec![run]).unwrap();
}

/// The events of a log in a store.
fn events_of(store: &Store, log: &LogId) -> Vec<ReceivedEvent> {
    let (mut events, mut from) = (vec![], 1);
    loop {
        let run = store.read_run(log, from, 1000, 1 << 20).unwrap();
        if run.is_empty() {
            return events;
        }
        from += run.len() as u64;
        events.extend(run.events().map(|event| event.unwrap().into_event()));
    }
}

impl Node {
    /// Node `n` of a district, which has heard of the first `heard` charter events.
    fn of(district: &District, n: usize, heard: usize) -> Self {
        let store = Store::in_memory();
        put(&store, &district.charter_events()[..heard]);
        let (federation, charter_log) = (district.federation(), district.root.log_id(Stream::CHARTER));
        let (known, credentials) = (store.clone(), vec![district.genesis.clone(), district.grants[n].clone()]);
        let mut writers = district.clone();
        // Authors without a node: their grants are in no store, and everybody knows of them.
        let granted = [500, 600].map(|n| writers.grant_writer(&key(n), "320508005"));
        let charter =
            move || Arc::new(Charter::evaluate(federation, events_of(&known, &charter_log).iter().chain(&granted)));
        let parts = MeshNode {
            key: district.nodes[n].key.clone(),
            store,
            incarnation: district.nodes[n].log_id(Stream::TEAMS).incarnation,
            federation,
            charter: Arc::new(charter),
            credentials: Arc::new(move || credentials.clone()),
            clock: Arc::new(wall_ms),
            registry: Registry::new(),
        };
        Self { parts, author: district.nodes[n].clone(), mesh: None }
    }

    async fn start(&mut self, listen: &[&str], peers: &[Multiaddr]) {
        self.start_with(listen, peers, MeshConfig::default()).await;
    }

    async fn start_with(&mut self, listen: &[&str], peers: &[Multiaddr], config: MeshConfig) {
        let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
        let config = MeshConfig { listen, peers: peers.to_vec(), ..config };
        self.parts.registry = Registry::new();
        self.mesh = Some(Mesh::spawn(config, self.parts.clone()).await.unwrap());
    }

    fn mesh(&self) -> &MeshHandle {
        self.mesh.as_ref().unwrap()
    }

    async fn address(&self) -> Multiaddr {
        self.mesh().listen_addrs().first().cloned().unwrap()
    }

    async fn full_address(&self) -> Multiaddr {
        self.address().await.with_p2p(peer_id(&self.author.key.public()).unwrap()).unwrap()
    }

    fn write(&mut self, stream: Stream, count: usize) {
        let run = self.author.write_many(stream, count, 200);
        put(&self.parts.store, &run);
    }

    /// What this node says of another one.
    fn sees(&self, other: &Node) -> PeerStatus {
        let peers = self.mesh().peers();
        peers.into_iter().find(|peer| peer.key == other.author.key.public()).unwrap()
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.parts.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
        family.get_metric().iter().map(|m| m.get_counter().get_value() + m.get_gauge().get_value()).sum()
    }
}

async fn eventually(what: &str, limit: Duration, done: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn agree(nodes: &[&Node], limit: Duration) {
    let same = async || nodes.windows(2).all(|w| w[0].parts.store.frontier() == w[1].parts.store.frontier());
    eventually("equal frontiers", limit, same).await;
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Both have eleven megabytes for the other and begin at the same moment.
async fn both_write_much_at_once(listen: &str) {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut a, mut b) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    for (node, stream) in [(&mut a, Stream::SUPPLIES), (&mut b, Stream::TEAMS)] {
        let mut noise = 7u64;
        let run: Vec<ReceivedEvent> = (0..5_500)
            .map(|_| {
                let filler = std::iter::repeat_with(|| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (noise >> 56) as u8
                });
                let mut payload = linli_core::cbor::Writer::new();
                payload.map(1).text("x").bytes(&filler.take(2_000).collect::<Vec<u8>>());
                node.author.write(Draft { op: Some(payload.into_bytes()), ..Draft::new(stream, "reported", None) })
            })
            .collect();
        put(&node.parts.store, &run);
    }
    a.start(&[listen], &[]).await;
    let mut events = a.mesh().events();
    b.start(&[listen], &[a.full_address().await]).await;
    agree(&[&a, &b], seconds(60)).await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, MeshEvent::Disconnected { .. }), "not without a break: {event:?}");
    }
    assert!(a.metric("linli_mesh_sent_bytes_total") > 11e6 && b.metric("linli_mesh_sent_bytes_total") > 11e6);
}

#[tokio::test]
async fn both_sides_write_much_at_once_over_quic_and_neither_stalls() {
    both_write_much_at_once(QUIC).await;
}

#[tokio::test]
async fn both_sides_write_much_at_once_over_tcp_and_neither_stalls() {
    both_write_much_at_once(TCP).await;
}

async fn two_nodes_converge(listen: &str, name_the_peer: bool) {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut a, mut b) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    a.write(Stream::SUPPLIES, 1500);
    b.write(Stream::INCIDENTS, 700);
    a.start(&[listen], &[]).await;
    let address = if name_the_peer { a.full_address().await } else { a.address().await };
    b.start(&[listen], &[address]).await;
    agree(&[&a, &b], seconds(20)).await;
    assert_eq!(a.parts.store.frontier().events(), 2203);

    a.write(Stream::ALERTS, 1);
    let written = Instant::now();
    agree(&[&a, &b], seconds(5)).await;
    assert!(written.elapsed() < seconds(1), "a live event took {:?}", written.elapsed());
    let in_step = async |node: &Node| node.mesh().peers()[0].sync == SyncState::UpToDate;
    eventually("both say up to date", seconds(5), async || in_step(&a).await && in_step(&b).await).await;
    let warning = a.author.log_id(Stream::ALERTS);
    assert_eq!(a.mesh().holders(vec![(warning, 1)]).await.unwrap(), [b.author.key.public()]);
    assert_eq!(a.metric("linli_mesh_received_events_total") as u64, 700);
    assert_eq!(a.metric("linli_mesh_connected_peers") as u64, 1);
}

#[tokio::test]
async fn two_nodes_converge_over_quic() {
    two_nodes_converge(QUIC, true).await;
}

#[tokio::test]
async fn two_nodes_converge_over_tcp() {
    two_nodes_converge(TCP, false).await;
}

#[tokio::test]
async fn nodes_that_call_each_other_at_once_end_up_with_one_session() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut a, mut b) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    a.start(&[QUIC], &[]).await;
    b.start(&[QUIC], &[a.full_address().await]).await;
    a.mesh().add_peer(b.full_address().await).await.unwrap();
    for round in 0..3 {
        a.write(Stream::TEAMS, 20);
        b.write(Stream::DRILLS, 20);
        agree(&[&a, &b], seconds(10)).await;
        tokio::time::sleep(Duration::from_millis(300 * round)).await;
    }
    for node in [&a, &b] {
        let peers = node.mesh().peers();
        assert!(peers.len() == 1 && peers[0].connected, "{peers:?}");
    }
}

#[tokio::test]
async fn a_newcomer_proves_a_grant_that_its_peer_has_not_heard_of() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut old, mut new) = (Node::of(&district, 0, 2), Node::of(&district, 1, 3));
    new.write(Stream::PLANS, 3);
    old.start(&[QUIC], &[]).await;
    new.start(&[QUIC], &[old.address().await]).await;
    agree(&[&old, &new], seconds(10)).await;
    assert_eq!(old.parts.store.frontier().events(), 6);
}

#[tokio::test]
async fn who_is_not_enrolled_or_of_another_federation_gets_and_gives_nothing() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let mut inside = Node::of(&district, 0, 3);
    inside.write(Stream::COMMUNITY, 5);
    inside.start(&[QUIC, TCP], &[]).await;
    let before = inside.parts.store.frontier();

    // Knows the federation's id, and shows somebody else's grant.
    let mut unenrolled = Node::of(&district, 1, 3);
    unenrolled.parts.key = key(700);
    unenrolled.author.key = key(700);
    // Another district with the same names.
    let other = District::with_nodes(&["320509"]);
    let mut elsewhere = Node::of(&other, 0, 2);
    elsewhere.parts.federation = linli_core::id::EventId::from_bytes([7; 32]);
    elsewhere.parts.key = key(701);
    for outsider in [&mut unenrolled, &mut elsewhere] {
        outsider.write(Stream::COMMUNITY, 5);
        outsider.start(&[], &[inside.address().await]).await;
    }
    let refused = async |node: &Node| node.mesh().peers().iter().any(|peer| peer.refused.is_some());
    let both = async || refused(&unenrolled).await && refused(&elsewhere).await;
    eventually("outsiders are refused", seconds(10), both).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(inside.parts.store.frontier(), before);
    assert_eq!(inside.metric("linli_mesh_sent_bytes_total"), 0.0, "no sync stream was ever written to");
    assert!(inside.metric("linli_mesh_refused_hellos_total") >= 2.0);
    assert_eq!(unenrolled.parts.store.frontier().events(), 8);
    assert_eq!(elsewhere.metric("linli_mesh_received_bytes_total"), 0.0);
}

#[test]
fn a_peer_that_crashed_and_came_back_with_its_key_is_served_before_its_old_connection_dies() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let district = District::with_nodes(&["320508005", "320508006"]);
    for (stays, crashes) in [(0, 1), (1, 0)] {
        let (steady, doomed) = (runtime(), runtime());
        let mut a = Node::of(&district, stays, 3);
        let mut b = Node::of(&district, crashes, 3);
        let address = steady.block_on(async {
            a.start(&[QUIC], &[]).await;
            a.address().await
        });
        doomed.block_on(b.start(&[QUIC], std::slice::from_ref(&address)));
        a.write(Stream::TEAMS, 30);
        steady.block_on(agree(&[&a, &b], seconds(10)));
        // No goodbye: over QUIC nobody tells the other side.
        doomed.shutdown_background();
        b.mesh = None;
        let back = runtime();
        back.block_on(b.start(&[QUIC], &[address]));
        a.write(Stream::TEAMS, 30);
        let restarted = Instant::now();
        steady.block_on(agree(&[&a, &b], seconds(8)));
        assert!(restarted.elapsed() < seconds(8));
        let peers = a.mesh().peers();
        assert!(peers.len() == 1 && peers[0].connected, "{peers:?}");
    }
}

/// A clock that is ahead of the machine's by so many milliseconds, which may be changed.
fn clock_ahead(ms: i64) -> (Arc<AtomicI64>, WallClock) {
    let ahead = Arc::new(AtomicI64::new(ms));
    let shown = Arc::clone(&ahead);
    (ahead, Arc::new(move || wall_ms().saturating_add_signed(shown.load(Ordering::Relaxed))))
}

const FOUR_YEARS_MS: i64 = 4 * 365 * 24 * 3_600_000;

/// Whether a difference is the one expected, give or take what a loaded machine adds.
fn about(measured: Option<i64>, expected: i64) -> bool {
    measured.is_some_and(|measured| (measured - expected).abs() < 2_000)
}

#[tokio::test]
async fn the_greeting_measures_how_far_clocks_are_apart_and_a_clock_put_right_is_noticed_on_both_sides() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let [mut wrong, mut right] = [0, 1].map(|n| Node::of(&district, n, 3));
    // Given a node whose clock is four years ahead,
    let (ahead, clock) = clock_ahead(FOUR_YEARS_MS);
    wrong.parts.clock = clock;
    right.start(&[QUIC], &[]).await;
    wrong.start(&[], &[right.full_address().await]).await;
    // when it meets another, then both know by how much,
    let known = async || {
        about(wrong.sees(&right).clock_ahead_ms, -FOUR_YEARS_MS)
            && about(right.sees(&wrong).clock_ahead_ms, FOUR_YEARS_MS)
    };
    eventually("both know the difference", seconds(10), known).await;
    assert!((right.metric("linli_peer_clock_offset_seconds") - FOUR_YEARS_MS as f64 / 1e3).abs() < 2.0);
    // and when its clock is put right while they are connected, both know that as well.
    ahead.store(0, Ordering::Relaxed);
    let even = async || {
        let apart = [wrong.sees(&right).clock_ahead_ms, right.sees(&wrong).clock_ahead_ms];
        apart.iter().all(|ahead| about(*ahead, 0)) && wrong.sees(&right).connected
    };
    eventually("both know that there is none any more", seconds(10), even).await;
}

#[tokio::test]
async fn a_copy_that_runs_beside_a_node_is_told_on_all_three_and_the_node_keeps_its_connection() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    for (neighbour, copied) in [(0, 1), (1, 0)] {
        // Given two nodes that replicate,
        let [mut neighbour, mut original, mut copy] = [neighbour, copied, copied].map(|n| Node::of(&district, n, 3));
        neighbour.start(&[QUIC, TCP], &[]).await;
        let address = neighbour.full_address().await;
        original.start(&[QUIC], std::slice::from_ref(&address)).await;
        original.write(Stream::TEAMS, 5);
        agree(&[&neighbour, &original], seconds(10)).await;
        let mut events = neighbour.mesh().events();
        // when a process with a copy of one's key starts as well,
        copy.start(&[TCP], std::slice::from_ref(&address)).await;
        let own = original.author.key.public();
        let of = |node: &Node| node.mesh().copies().into_iter().find(|copy| copy.of == own);
        let told = async || [&neighbour, &original, &copy].iter().all(|node| of(node).is_some());
        eventually("all three hear of the copy", seconds(15), told).await;
        // then the copy is told why it is refused, and goes on asking for long enough to have been shut out before,
        let refused = async || copy.sees(&neighbour).refused_for == Some(Reason::WeAreCopied);
        eventually("the copy is refused by name", seconds(15), refused).await;
        tokio::time::sleep(seconds(6)).await;
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, MeshEvent::Disconnected { .. }), "{event:?}");
        }
        // nobody is blamed, and what the original writes still arrives.
        for node in [&neighbour, &original, &copy] {
            let blamed = node.mesh().peers().into_iter().find(|peer| peer.misbehaved.is_some());
            assert!(blamed.is_none(), "{blamed:?}");
        }
        assert_eq!(of(&neighbour).unwrap().told_by, None);
        assert_eq!(of(&original).unwrap().told_by, Some(neighbour.author.key.public()));
        original.write(Stream::TEAMS, 5);
        agree(&[&neighbour, &original], seconds(5)).await;
        // When the original is stopped, then the other one takes its place, and is no copy any more.
        original.mesh().shutdown().await;
        let instead = async || copy.sees(&neighbour).connected && of(&neighbour).is_none();
        eventually("the other one is taken", seconds(16), instead).await;
    }
}

#[tokio::test]
async fn a_port_that_another_node_has_is_refused_with_its_reason() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let [mut first, second] = [0, 1].map(|n| Node::of(&district, n, 3));
    first.start(&[QUIC, TCP], &[]).await;
    for address in first.mesh().listen_addrs() {
        let config = MeshConfig { listen: vec![address.clone()], ..MeshConfig::default() };
        let parts = MeshNode { registry: Registry::new(), ..second.parts.clone() };
        let refused = Mesh::spawn(config, parts).await.err().unwrap();
        assert!(matches!(refused, SpawnError::InUse { .. }), "{refused:?}");
        assert!(refused.to_string().contains("in use"), "{refused}");
    }
    // Whoever stops in order gives the port back at once.
    let addresses: Vec<String> = first.mesh().listen_addrs().iter().map(ToString::to_string).collect();
    first.mesh().shutdown().await;
    first.start(&addresses.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await;
}

#[tokio::test]
async fn a_healed_peer_is_called_again_without_being_told() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut a, mut b) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    a.start(&[TCP], &[]).await;
    let address = a.address().await;
    b.start(&[], std::slice::from_ref(&address)).await;
    agree(&[&a, &b], seconds(5)).await;
    a.mesh().shutdown().await;
    assert!(a.mesh().is_closed());
    eventually("the loss is noticed", seconds(5), async || !b.mesh().peers()[0].connected).await;
    b.write(Stream::SUPPLIES, 10);
    tokio::time::sleep(seconds(2)).await;
    a.start(&[&address.to_string()], &[]).await;
    agree(&[&a, &b], seconds(16)).await;
}

#[tokio::test]
async fn a_restored_node_hears_in_the_hello_what_it_once_wrote() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut restored, mut witness) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    let run = restored.author.write_many(Stream::SUPPLIES, 9, 50);
    put(&restored.parts.store, &run[..4]);
    put(&witness.parts.store, &run);
    witness.start(&[QUIC], &[]).await;
    restored.start(&[], &[]).await;
    let (mut events, mut own_heads) = (restored.mesh().events(), restored.mesh().own_heads());
    restored.mesh().add_peer(witness.address().await).await.unwrap();
    tokio::time::timeout(seconds(5), own_heads.changed()).await.unwrap().unwrap();
    assert!(events.try_recv().is_err(), "before replication begins");
    let log = restored.author.log_id(Stream::SUPPLIES);
    assert_eq!(*own_heads.borrow_and_update(), BTreeMap::from([((witness.author.key.public(), log), run[8].head())]));
    agree(&[&restored, &witness], seconds(5)).await;
}

#[tokio::test]
async fn a_forked_log_is_reported_with_evidence_and_holds_up_nothing_else() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut a, mut b) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    let mut author = Author::new(600, "320508005", None);
    let shared = author.write_many(Stream::TEAMS, 3, 50);
    let mut other = author.clone();
    put(&a.parts.store, &shared);
    put(&b.parts.store, &shared);
    put(&a.parts.store, &author.write_many(Stream::TEAMS, 1, 50));
    put(&b.parts.store, &other.write_many(Stream::TEAMS, 2, 60));
    a.start(&[QUIC], &[]).await;
    let mut events = a.mesh().events();
    b.write(Stream::PLANS, 5);
    b.start(&[], &[a.address().await]).await;
    let forked = async {
        loop {
            if let MeshEvent::Forked { log, ours, theirs, proven, .. } = events.recv().await.unwrap() {
                return (log, ours.seq, theirs.seq, proven);
            }
        }
    };
    let forked = tokio::time::timeout(seconds(5), forked).await.unwrap();
    assert_eq!(forked, (author.log_id(Stream::TEAMS), 4, 5, true));
    let plans = b.author.log_id(Stream::PLANS);
    eventually("the other logs arrive", seconds(5), async || a.parts.store.frontier().height(&plans) == 5).await;
    assert!(!a.parts.store.forks().unwrap().is_empty());
    assert_eq!(a.parts.store.frontier().height(&author.log_id(Stream::TEAMS)), 4);
    assert!(a.mesh().peers()[0].connected, "the peer is not to blame");
}

#[tokio::test]
async fn a_peer_with_another_history_holds_none_of_that_log_and_a_peer_that_lacks_others_holds_what_it_has() {
    // given a log that goes on in two ways from its fourth event, one on either side,
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut a, mut b) = (Node::of(&district, 0, 3), Node::of(&district, 1, 3));
    let mut author = Author::new(600, "320508005", None);
    let shared = author.write_many(Stream::TEAMS, 3, 50);
    let mut other = author.clone();
    for node in [&a, &b] {
        put(&node.parts.store, &shared);
    }
    put(&a.parts.store, &author.write_many(Stream::TEAMS, 1, 50));
    put(&b.parts.store, &other.write_many(Stream::TEAMS, 2, 60));
    a.write(Stream::ALERTS, 2);
    a.start(&[QUIC], &[]).await;
    b.start(&[], &[a.address().await]).await;
    let (forked, warning) = (author.log_id(Stream::TEAMS), a.author.log_id(Stream::ALERTS));
    let b_key = b.author.key.public();
    // when they have met,
    let is_forked = async || a.mesh().peers()[0].forked_logs == 1;
    eventually("the fork is known", seconds(5), is_forked).await;
    let holds = async |log: &LogId, seq| a.mesh().holders(vec![(log.clone(), seq)]).await.unwrap();
    eventually("it says that it has the other log", seconds(5), async || holds(&warning, 2).await == [b_key]).await;
    // then the fourth event of ours counts as held by nobody, though the peer has a fourth and a fifth one,
    assert_eq!(holds(&forked, 4).await, []);
    let both = a.mesh().holders(vec![(warning.clone(), 2), (forked, 4)]).await.unwrap();
    assert_eq!(both, []);
    // and what it has counts, though it will never have all that is here.
    assert_eq!(holds(&warning, 1).await, [b_key]);
    assert_ne!(a.mesh().peers()[0].sync, SyncState::UpToDate);
}

#[tokio::test]
async fn personal_payloads_go_only_where_a_grant_covers_the_area() {
    let district = District::with_nodes(&["320508005", "320508005012", "320508006"]);
    let mut nodes: Vec<Node> = (0..3).map(|n| Node::of(&district, n, 4)).collect();
    let mut community = Author::new(500, "320508005012", Some(district.grants[1].id()));
    let draft =
        Draft { pii: Some(vec![0xa0]), op: Some(vec![0xa0]), ..Draft::new(Stream::COMMUNITY, "reported", None) };
    let event = community.write(draft);
    put(&nodes[1].parts.store, std::slice::from_ref(&event));
    nodes[1].start(&[QUIC], &[]).await;
    let address = nodes[1].address().await;
    for n in [0, 2] {
        nodes[n].start(&[], std::slice::from_ref(&address)).await;
    }
    agree(&[&nodes[0], &nodes[1], &nodes[2]], seconds(10)).await;
    let log = community.log_id(Stream::COMMUNITY);
    let holds_pii = |n: usize| events_of(&nodes[n].parts.store, &log)[0].payload(Slot::Pii).is_some();
    assert_eq!([holds_pii(0), holds_pii(1), holds_pii(2)], [true, true, false]);
}

fn lacking(node: &Node, log: &LogId) -> usize {
    events_of(&node.parts.store, log).iter().filter(|event| event.lacks_pii()).count()
}

#[tokio::test]
async fn personal_payloads_that_came_as_commitments_are_fetched_from_whoever_has_them() {
    // Given a bureau that has the log of a street from another street, which may not have its personal payloads,
    let district = District::with_nodes(&["320508005", "320508006", "320508"]);
    let [mut street, mut other, mut bureau] = [0, 1, 2].map(|n| Node::of(&district, n, 4));
    let log = street.author.log_id(Stream::COMMUNITY);
    put(&street.parts.store, &street.author.write_personal(Stream::COMMUNITY, 700, 60));
    street.start(&[QUIC], &[]).await;
    other.start(&[QUIC], &[street.full_address().await]).await;
    agree(&[&street, &other], seconds(20)).await;
    street.mesh.take().unwrap().shutdown().await;
    bureau.start(&[QUIC], &[other.full_address().await]).await;
    agree(&[&other, &bureau], seconds(20)).await;
    assert_eq!((lacking(&other, &log), lacking(&bureau, &log)), (700, 700));
    // when the street is back, then the bureau gets them,
    street.start(&[QUIC], &[bureau.full_address().await]).await;
    eventually("all payloads", seconds(20), async || lacking(&bureau, &log) == 0).await;
    let counted = async || bureau.metric("linli_mesh_filled_payloads_total") as u64 == 700;
    eventually("they are counted", seconds(5), counted).await;
    let payloads = |node: &Node| -> Vec<_> {
        events_of(&node.parts.store, &log).iter().map(|event| event.payload(Slot::Pii).cloned()).collect()
    };
    assert!(payloads(&bureau) == payloads(&street));
    // and the other street does not, and nobody is blamed.
    assert_eq!(lacking(&other, &log), 700);
    assert_eq!(
        (bureau.metric("linli_mesh_misbehaving_peers"), street.metric("linli_mesh_misbehaving_peers")),
        (0.0, 0.0)
    );
}

#[tokio::test]
async fn a_node_whose_grant_is_widened_fetches_the_payloads_of_what_it_holds() {
    let mut district = District::with_nodes(&["320508005", "320508006"]);
    let [mut street, mut other] = [0, 1].map(|n| Node::of(&district, n, 3));
    let log = street.author.log_id(Stream::COMMUNITY);
    put(&street.parts.store, &street.author.write_personal(Stream::COMMUNITY, 5, 60));
    street.start(&[QUIC], &[]).await;
    other.start(&[QUIC], &[street.full_address().await]).await;
    agree(&[&street, &other], seconds(20)).await;
    assert_eq!(lacking(&other, &log), 5);
    let wider = district.grant_node(&other.author.key, "320508");
    put(&street.parts.store, &[wider]);
    eventually("all payloads", seconds(20), async || lacking(&other, &log) == 0).await;
}

#[tokio::test]
async fn silent_nodes_are_listed_and_a_bad_address_is_an_error() {
    let district = District::with_nodes(&["320508005", "320508006", "320508007"]);
    let mut node = Node::of(&district, 0, 4);
    node.start(&[TCP], &["/ip4/127.0.0.1/tcp/9".parse().unwrap()]).await;
    let peers = node.mesh().peers();
    assert_eq!(peers.len(), 2, "{peers:?}");
    assert!(peers.iter().all(|p| !p.connected && p.sync == SyncState::Silent && p.behind_events.is_none()));

    // An address of the documentation range, which no interface of this machine has.
    let config = MeshConfig { listen: vec!["/ip4/192.0.2.1/tcp/7410".parse().unwrap()], ..MeshConfig::default() };
    let second = Node::of(&district, 1, 4);
    let refused = Mesh::spawn(config, second.parts.clone()).await.err();
    assert!(matches!(refused, Some(SpawnError::Listen { .. })), "{refused:?}");
}

/// Keeps places on relays without finding out first whether that is needed.
fn always_relayed() -> MeshConfig {
    MeshConfig { relays: RelayUse::Always, ..MeshConfig::default() }
}

#[tokio::test]
async fn nodes_that_nobody_can_call_find_each_other_through_a_relay_and_again_after_it_restarted() {
    let district = District::with_nodes(&["320508005", "320508006", "320508007"]);
    let [mut relay, mut hidden, mut caller] = [0, 1, 2].map(|n| Node::of(&district, n, 4));
    relay.start(&[TCP], &[]).await;
    let address = relay.full_address().await;
    // Given two nodes that listen nowhere and know of nobody but the relay,
    hidden.start_with(&[], std::slice::from_ref(&address), always_relayed()).await;
    caller.start(&[], std::slice::from_ref(&address)).await;
    let met = async || [hidden.sees(&caller), caller.sees(&hidden)].iter().all(|peer| peer.connected && peer.relayed);
    eventually("they are connected through the relay", seconds(15), met).await;
    assert_eq!(hidden.mesh().reachability(), Reachability::Relayed { relays: 1 });
    let direct = relay.sees(&hidden);
    assert!(direct.connected && !direct.relayed, "{direct:?}");
    // when the relay is gone and comes back,
    relay.mesh().shutdown().await;
    let lost = async || !caller.sees(&hidden).connected && hidden.mesh().reachability() == Reachability::Unknown;
    eventually("the place is known to be gone", seconds(10), lost).await;
    relay.start(&[address.to_string().split("/p2p/").next().unwrap()], &[]).await;
    // then the hidden one is reached again, and events go from end to end.
    eventually("they are connected again", seconds(40), met).await;
    hidden.write(Stream::SUPPLIES, 2000);
    agree(&[&relay, &hidden, &caller], seconds(20)).await;
}

#[tokio::test]
async fn a_node_finds_out_that_it_cannot_be_called_and_takes_a_place_on_a_relay() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let [mut relay, mut hidden] = [0, 1].map(|n| Node::of(&district, n, 3));
    relay.start(&[QUIC], &[]).await;
    hidden.start(&[], &[relay.full_address().await]).await;
    let placed = async || hidden.mesh().reachability() == Reachability::Relayed { relays: 1 };
    eventually("it has a place", seconds(25), placed).await;
    assert_eq!(relay.mesh().reachability(), Reachability::Direct, "somebody came in");
}

#[tokio::test]
async fn a_node_that_can_be_called_is_called_back_and_takes_no_place_on_a_relay() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let [mut first, mut second] = [0, 1].map(|n| Node::of(&district, n, 3));
    first.start(&[QUIC], &[]).await;
    second.start(&[TCP], &[first.full_address().await]).await;
    let direct = async || second.mesh().reachability() == Reachability::Direct;
    eventually("it is called back", seconds(8), direct).await;
    tokio::time::sleep(seconds(4)).await;
    for (node, other) in [(&first, &second), (&second, &first)] {
        assert_eq!(node.mesh().reachability(), Reachability::Direct);
        assert!(node.sees(other).connected && !node.sees(other).relayed);
        assert!(node.sees(other).refused.is_none(), "the call back disturbed nothing");
    }
}

#[tokio::test]
async fn neighbours_of_a_neighbour_find_each_other_directly_where_they_can_be_called() {
    let district = District::with_nodes(&["320508005", "320508006", "320508007"]);
    let [mut middle, mut left, mut right] = [0, 1, 2].map(|n| Node::of(&district, n, 4));
    middle.start(&[QUIC], &[]).await;
    let address = middle.full_address().await;
    left.start(&[TCP], std::slice::from_ref(&address)).await;
    right.start(&[QUIC, TCP], std::slice::from_ref(&address)).await;
    let met = async || left.sees(&right).connected && !left.sees(&right).relayed && right.sees(&left).connected;
    eventually("they know each other", seconds(10), met).await;
    middle.mesh().shutdown().await;
    left.write(Stream::ALERTS, 1);
    agree(&[&left, &right], seconds(5)).await;
}

#[tokio::test]
async fn a_direct_connection_takes_over_from_a_relayed_one_and_nothing_flaps() {
    let district = District::with_nodes(&["320508005", "320508006", "320508007"]);
    let [mut relay, mut hidden, mut caller] = [0, 1, 2].map(|n| Node::of(&district, n, 4));
    relay.start(&[QUIC], &[]).await;
    let address = relay.full_address().await;
    hidden.start_with(&[], std::slice::from_ref(&address), always_relayed()).await;
    caller.start(&[QUIC], std::slice::from_ref(&address)).await;
    // The caller can be called, the hidden one not: so the hidden one's call is direct, and whichever was first stays
    // or gives way.
    let direct = async || [caller.sees(&hidden), hidden.sees(&caller)].iter().all(|p| p.connected && !p.relayed);
    eventually("they are connected directly", seconds(20), direct).await;
    let mut events = caller.mesh().events();
    tokio::time::sleep(seconds(6)).await;
    assert!(direct().await);
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, MeshEvent::Disconnected { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn addresses_and_last_heard_survive_a_restart_and_a_damaged_file_is_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("addresses");
    let remembering = || MeshConfig { address_file: Some(file.clone()), ..MeshConfig::default() };
    let district = District::with_nodes(&["320508005", "320508006"]);
    let [mut a, mut b] = [0, 1].map(|n| Node::of(&district, n, 3));
    a.start(&[QUIC], &[]).await;
    b.start_with(&[], &[a.address().await], remembering()).await;
    a.write(Stream::TEAMS, 5);
    agree(&[&a, &b], seconds(10)).await;
    b.mesh().shutdown().await;
    // Given a file that names its peer, when it starts without any settings, then it calls.
    assert!(std::fs::read_to_string(&file).unwrap().contains("quic-v1"));
    b.start_with(&[], &[], remembering()).await;
    assert!(b.sees(&a).last_heard_ms.is_some(), "known before anything is heard");
    a.write(Stream::TEAMS, 5);
    agree(&[&a, &b], seconds(10)).await;
    b.mesh().shutdown().await;
    std::fs::write(
        &file,
        b"linli addresses 1
12D3Koo",
    )
    .unwrap();
    b.start_with(&[], &[a.address().await], remembering()).await;
    a.write(Stream::TEAMS, 5);
    agree(&[&a, &b], seconds(10)).await;
}

#[tokio::test]
async fn who_was_heard_is_known_after_a_crash_also_of_a_peer_that_called() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("addresses");
    let remembering = |file: &std::path::Path| MeshConfig { address_file: Some(file.into()), ..MeshConfig::default() };
    let district = District::with_nodes(&["320508005", "320508006"]);
    let [mut a, mut b] = [0, 1].map(|n| Node::of(&district, n, 3));
    a.start_with(&[QUIC], &[], remembering(&file)).await;
    b.start(&[], &[a.address().await]).await;
    agree(&[&a, &b], seconds(10)).await;
    let written = async || std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 1);
    eventually("it is written down", seconds(10), written).await;
    // When the node is killed, of which a copy of the file as it is now stands for what is left,
    let left = dir.path().join("left");
    std::fs::copy(&file, &left).unwrap();
    b.mesh().shutdown().await;
    a.mesh().shutdown().await;
    // then it knows after its start when the other was heard.
    a.start_with(&[], &[], remembering(&left)).await;
    assert!(a.sees(&b).last_heard_ms.is_some());
}

#[tokio::test]
async fn two_nodes_converge_over_ipv6() {
    two_nodes_converge("/ip6/::1/udp/0/quic-v1", true).await;
    two_nodes_converge("/ip6/::1/tcp/0", false).await;
}

/// Milliseconds since 1970.
fn wall_ms() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}
