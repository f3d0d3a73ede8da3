//! What a mesh does with peers that do not keep the rules: they speak libp2p by hand, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use libp2p::multiaddr::Protocol as AddressPart;
use libp2p::swarm::{ConnectionId, NetworkBehaviour, Stream as Substream, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, SwarmBuilder, noise, ping, relay, tcp, yamux};
use linli_core::area::Area;
use linli_core::cbor::Writer;
use linli_core::chain::verify_single;
use linli_core::charter::Charter;
use linli_core::event::ReceivedEvent;
use linli_core::frame::{PiiScope, encode_frame};
use linli_core::id::{AuthorKey, Head, LogId, Stream};
use linli_core::sign::{KeyCache, SecretKey};
use linli_core::sync::{Coverage, Message};
use linli_core::testkit::{Author, District, key};
use linli_core::time::Hlc;
use linli_store::{KnownBy, LocalDraft, LocalWriter, Store};
use prometheus::Registry;

use crate::hello::{self, Greeted, HelloError, Ours};
use crate::link::{LinkEvent, Links, Protocol};
use crate::packing::Packer;
use crate::whereabouts::Whereabouts;
use crate::wire;
use crate::{Mesh, MeshConfig, MeshHandle, MeshNode, identity, limits};

mod hostile;

/// Keys of the authors who write in these tests.
const WRITERS: std::ops::Range<u16> = 50..70;

const LISTEN: [&str; 2] = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];

#[derive(NetworkBehaviour)]
struct ByHand {
    links: Links,
    ping: ping::Behaviour,
    relay_client: relay::client::Behaviour,
}

/// A peer under the test's control, connected to one node.
struct Hostile {
    swarm: Swarm<ByHand>,
    node: PeerId,
    connection: ConnectionId,
}

impl Hostile {
    async fn call(key: &SecretKey, address: Multiaddr) -> Option<Self> {
        let mut swarm = SwarmBuilder::with_existing_identity(identity::keypair(key).unwrap())
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_, relay_client| ByHand {
                links: Links::default(),
                ping: ping::Behaviour::default(),
                relay_client,
            })
            .unwrap()
            .build();
        swarm.dial(address).unwrap();
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id: node, connection_id: connection, .. } => {
                    return Some(Self { swarm, node, connection });
                }
                SwarmEvent::OutgoingConnectionError { .. } => return None,
                _ => {}
            }
        }
    }

    /// A stream, or none if the node does not offer the protocol or has hung up.
    async fn open(&mut self, protocol: Protocol) -> Option<Substream> {
        self.swarm.behaviour_mut().links.open(self.node, self.connection, protocol);
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::Behaviour(ByHandEvent::Links((_, _, LinkEvent::Opened(_, stream)))) => return Some(stream),
                SwarmEvent::Behaviour(ByHandEvent::Links((_, _, LinkEvent::Failed { .. })))
                | SwarmEvent::ConnectionClosed { .. } => return None,
                _ => {}
            }
        }
    }

    /// Asks for a place on the node's relay; whether it was given.
    async fn reserve(&mut self, address: &Multiaddr) -> bool {
        let place = address.clone().with(AddressPart::P2p(self.node)).with(AddressPart::P2pCircuit);
        self.swarm.listen_on(place).unwrap();
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { .. } => return true,
                SwarmEvent::ListenerClosed { .. } => return false,
                _ => {}
            }
        }
    }

    /// Asks to be connected to somebody through the node's relay, and returns what came of it.
    async fn call_through(&mut self, address: &Multiaddr, other: PeerId) -> Result<(), String> {
        let place = address.clone().with(AddressPart::P2p(self.node)).with(AddressPart::P2pCircuit);
        self.swarm.dial(place.with(AddressPart::P2p(other))).unwrap();
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } if peer_id == other => return Ok(()),
                SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.to_string()),
                _ => {}
            }
        }
    }

    /// Says that it is at another place of a network that nobody has.
    async fn tell(&mut self, place: u8) {
        let own = vec![format!("/ip4/10.255.255.{place}/tcp/9").parse().unwrap()];
        let told = Whereabouts { own, ..Whereabouts::default() };
        let mut stream = self.open(Protocol::Whereabouts).await.unwrap();
        // A stream that is not heard is closed at once.
        let _ = wire::write(&mut stream, &Packer::default().pack_for_stream(&told.encode())).await;
        let _ = stream.close().await;
    }

    /// Waits until the node hangs up.
    async fn hung_up(mut self) {
        let closed =
            async { while !matches!(self.swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
        tokio::time::timeout(limits::HELLO_TIMEOUT, closed).await.unwrap();
    }
}

/// A district, one honest node of it with some events, and another enrolled node that will misbehave.
struct Scene {
    district: District,
    honest: MeshHandle,
    store: Store,
    registry: Registry,
    addresses: Vec<Multiaddr>,
    /// Number of the node that misbehaves. It has the smaller key, so the sync stream is its to open.
    hostile: usize,
}

fn put(store: &Store, events: &[ReceivedEvent]) {
    let mut keys = KeyCache::default();
    store.append(vec![events.iter().map(|event| verify_single(event.clone(), &mut keys).unwrap()).collect()]).unwrap();
}

/// A charter that knows whoever writes in these tests, though their grants are in no store.
fn charter_of_all(district: &District) -> Charter {
    let mut district = district.clone();
    let writers: Vec<ReceivedEvent> = WRITERS.map(|n| district.grant_writer(&key(n), "320508")).collect();
    Charter::evaluate(district.federation(), district.charter_events().iter().chain(&writers))
}

fn parts(district: &District, n: usize, store: &Store) -> MeshNode {
    let charter = Arc::new(charter_of_all(district));
    let credentials = vec![district.genesis.clone(), district.grants[n].clone()];
    MeshNode {
        key: district.nodes[n].key.clone(),
        store: store.clone(),
        incarnation: district.nodes[n].log_id(Stream::TEAMS).incarnation,
        federation: district.federation(),
        charter: Arc::new(move || Arc::clone(&charter)),
        credentials: Arc::new(move || credentials.clone()),
        clock: Arc::new(wall_ms),
        registry: Registry::new(),
    }
}

impl Scene {
    async fn new() -> Self {
        let district = District::with_nodes(&["320508005", "320508006"]);
        let keys = [0, 1].map(|n: usize| district.nodes[n].key.public());
        let (honest, hostile) = if keys[0] < keys[1] { (1, 0) } else { (0, 1) };
        let store = Store::in_memory();
        put(&store, &district.charter_events());
        put(&store, &Author::new(50, "320508", None).write_many(Stream::PLANS, 4, 50));
        let node = parts(&district, honest, &store);
        let registry = node.registry.clone();
        let listen = LISTEN.iter().map(|address| address.parse().unwrap()).collect();
        let honest = Mesh::spawn(MeshConfig { listen, ..MeshConfig::default() }, node).await.unwrap();
        let addresses = honest.listen_addrs();
        Self { district, honest, store, registry, addresses, hostile }
    }

    fn hostile_key(&self) -> SecretKey {
        self.district.nodes[self.hostile].key.clone()
    }

    /// Completes a hello as the enrolled node, and opens the sync stream.
    async fn sync_as_enrolled(&self, address: Multiaddr) -> Option<(Hostile, Substream)> {
        self.sync_telling(address, vec![]).await
    }

    /// The same, and tells in the hello of heads of the honest node's own logs.
    async fn sync_telling(&self, address: Multiaddr, heads: Vec<(LogId, Head)>) -> Option<(Hostile, Substream)> {
        let mut peer = Hostile::call(&self.hostile_key(), address).await?;
        // As an older node does, so that these are spoken with as well.
        let mut stream = peer.open(Protocol::HelloOfOld).await?;
        let ours = Ours {
            key: self.hostile_key().public(),
            federation: self.district.federation(),
            credentials: vec![self.district.genesis.clone(), self.district.grants[self.hostile].clone()],
            charter: Arc::new(Charter::default()),
            heads_of_peer: heads,
            second: None,
        };
        let greeted: Result<Greeted, HelloError> = hello::initiate(&mut stream, self.honest.key(), &ours).await;
        greeted.ok()?;
        for _ in 0..50 {
            if let Some(stream) = peer.open(Protocol::Sync).await {
                return Some((peer, stream));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    fn counted(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0.0, |family| family.get_metric().iter().map(|m| m.get_counter().get_value()).sum())
    }
}

async fn say(stream: &mut Substream, message: &Message) {
    wire::write(stream, &Packer::default().pack_for_stream(&message.encode())).await.unwrap();
}

/// Announces a log and waits for the want.
async fn announce_and_await_want(stream: &mut Substream, log: &LogId, head: Head) -> u64 {
    say(stream, &Message::Heads { coverage: Coverage::Hint, entries: vec![(log.clone(), head)] }).await;
    loop {
        let (bytes, _) = wire::read(stream, 1 << 20, || ()).await.unwrap();
        if let Message::Want { want, .. } = Message::decode(&bytes).unwrap() {
            return want;
        }
    }
}

#[tokio::test]
async fn a_stranger_sees_no_sync_protocol_and_hears_one_nonce_and_one_tag() {
    let scene = Scene::new().await;
    for (n, address) in scene.addresses.iter().enumerate() {
        let stranger_key = key(800 + n as u16);
        let mut stranger = Hostile::call(&stranger_key, address.clone()).await.unwrap();
        assert!(stranger.open(Protocol::Sync).await.is_none(), "the sync protocol is not offered");
        let mut stream = stranger.open(Protocol::Hello).await.unwrap();
        let mut nonce = Writer::new();
        nonce.array(1).bytes(&[1; 32]);
        let nonce = nonce.into_bytes();
        for message in [&nonce, &nonce] {
            stream.write_all(&Packer::default().pack_for_stream(message)).await.unwrap();
        }
        stream.flush().await.unwrap();
        let mut heard = vec![];
        // The node resets the stream or closes it; either way nothing more comes.
        let _ = stream.read_to_end(&mut heard).await;
        assert_eq!(heard.len(), 5 + 1 + 2 * 34);
        stranger.hung_up().await;
        // The same key is not even listened to for a while.
        if let Some(mut again) = Hostile::call(&stranger_key, address.clone()).await {
            assert!(again.open(Protocol::Hello).await.is_none());
        }
    }
    assert_eq!(scene.counted("linli_mesh_sent_bytes_total"), 0.0);
    assert_eq!(scene.store.frontier().events(), 7);
}

#[tokio::test]
async fn a_stranger_gets_no_place_on_a_relay_and_no_circuit_and_a_member_gets_both() {
    let scene = Scene::new().await;
    let address = &scene.addresses[0];
    let mut stranger = Hostile::call(&key(810), address.clone()).await.unwrap();
    assert!(!stranger.reserve(address).await);
    let (member, _stream) = scene.sync_as_enrolled(address.clone()).await.unwrap();
    let member_id = *member.swarm.local_peer_id();
    let (mut member, member_key) = (member, scene.hostile_key());
    // The member's own gate at the node opens half a second after the hello.
    tokio::time::sleep(limits::GATE_WAIT * 2).await;
    assert!(member.reserve(address).await);
    tokio::spawn(async move { while member.swarm.next().await.is_some() {} });
    let refused = stranger.call_through(address, member_id).await.unwrap_err();
    assert!(refused.contains("relay") || refused.to_lowercase().contains("support"), "{refused}");
    // The same call is granted to a member: here another process with the member's key.
    let mut other = Hostile::call(&member_key, address.clone()).await.unwrap();
    assert!(!other.reserve(address).await, "not before its own hello, whoever it is");
}

/// Writes as a node does.
fn write(writer: &LocalWriter, area: &Area, count: u64) -> Vec<ReceivedEvent> {
    let mut drawn = 0u8;
    let mut salt = || {
        drawn = drawn.wrapping_add(1);
        [drawn; 16]
    };
    let draft = LocalDraft {
        area: area.clone(),
        stream: Stream::TEAMS,
        record: None,
        kind: "reported".parse().unwrap(),
        parents: vec![],
        after: Hlc::default(),
        grant: None,
        op: Some(vec![0xa0]),
        pii: None,
    };
    (0..count).map(|n| writer.write(draft.clone(), 1_790_000_000_000 + n, &mut salt).unwrap()).collect()
}

/// A node that wrote nine events and goes on from an image of its disk that has three, and heeds what peers say of that.
struct RolledBack {
    scene: Scene,
    writer: Arc<LocalWriter>,
    /// Its log, and all nine.
    log: LogId,
    run: Vec<ReceivedEvent>,
}

impl RolledBack {
    async fn new() -> Self {
        let district = District::with_nodes(&["320508005", "320508006"]);
        let keys = [0, 1].map(|n: usize| district.nodes[n].key.public());
        let (victim, hostile) = if keys[0] < keys[1] { (1, 0) } else { (0, 1) };
        let store = Store::in_memory();
        let mut author = district.nodes[victim].clone();
        let (run, log) = (author.write_many(Stream::TEAMS, 9, 50), author.log_id(Stream::TEAMS));
        put(&store, &district.charter_events());
        put(&store, &run[..3]);
        let key = district.nodes[victim].key.clone();
        let writer = LocalWriter::open(store.clone(), None, key, &mut || log.incarnation).unwrap();
        let writer = Arc::new(writer);
        let listen = LISTEN.iter().map(|address| address.parse().unwrap()).collect();
        let node = parts(&district, victim, &store);
        let registry = node.registry.clone();
        assert_eq!(node.incarnation, writer.incarnation());
        let honest = Mesh::spawn(MeshConfig { listen, ..MeshConfig::default() }, node).await.unwrap();
        let (heeding, told) = (Arc::clone(&writer), honest.clone());
        let heed = move |peer: &AuthorKey, log: &LogId, head| {
            heeding.reported_by_peer(Some(*peer), log, head, &mut || 1_000);
        };
        tokio::spawn(async move { told.heed_own_heads(heed).await });
        let addresses = honest.listen_addrs();
        let scene = Scene { district, honest, store, registry, addresses, hostile };
        Self { scene, writer, log, run }
    }

    /// A peer that has all nine events, and its store.
    async fn witness(&self) -> (MeshHandle, Store) {
        let store = Store::in_memory();
        put(&store, &self.scene.district.charter_events());
        put(&store, &self.run);
        let config = MeshConfig { peers: vec![self.scene.addresses[0].clone()], ..MeshConfig::default() };
        let mesh = Mesh::spawn(config, parts(&self.scene.district, self.scene.hostile, &store)).await.unwrap();
        (mesh, store)
    }

    async fn moves(&self) {
        let moved = async {
            while self.writer.incarnation() == self.log.incarnation {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), moved).await.expect("it hears of what it wrote once");
    }

    /// What it writes next begins a log of its own, and all of it reaches the other; nobody has two histories.
    async fn goes_on_without_a_fork(&self, witness: &Store) {
        let next = write(&self.writer, &self.log.area, 20);
        let arrived = async {
            while witness.frontier().height(&next[0].header().log_id()) < 20 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
        assert!(witness.forks().unwrap().is_empty() && self.scene.store.forks().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_full_of_invented_heads_does_not_switch_off_the_guard_of_a_store_that_was_rolled_back() {
    // Given a node that was rolled back,
    let node = RolledBack::new().await;
    let (scene, log) = (&node.scene, &node.log);
    // when a member greets first with as many heads of its own logs as a greeting takes, all made up,
    let invent = |n| (LogId { incarnation: 1_000_000 + n, ..log.clone() }, Head { seq: 99, id: head_id(n) });
    let invented = (0..limits::HELLO_HEADS_MAX as u64).map(invent).collect();
    let (peer, stream) = scene.sync_telling(scene.addresses[0].clone(), invented).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(node.writer.incarnation(), log.incarnation, "nothing was written in those");
    drop((peer, stream));
    // and then an honest one that has the later events,
    let (honest_peer, witness) = node.witness().await;
    node.moves().await;
    // then what it writes next begins a log of its own.
    node.goes_on_without_a_fork(&witness).await;
    honest_peer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_makes_up_heads_of_ours_is_doubted_by_name_and_hides_nothing_that_is_true() {
    // Given a node that was rolled back,
    let node = RolledBack::new().await;
    let (scene, log) = (&node.scene, &node.log);
    let hostile = scene.hostile_key().public();
    // when a member says that it has 10,000 events of it, in the greeting and as news, and is asked for them,
    let invented = Head { seq: 10_000, id: head_id(1) };
    let greeting = vec![(log.clone(), invented)];
    let (peer, mut stream) = scene.sync_telling(scene.addresses[0].clone(), greeting).await.unwrap();
    announce_and_await_want(&mut stream, log, invented).await;
    node.moves().await;
    let said = std::time::Instant::now();
    let missing = scene.store.losses().events;
    assert_eq!(missing.iter().map(|loss| loss.known_by).collect::<Vec<_>>(), [KnownBy::Peer(hostile)]);
    // and sends none of them for as long as a peer's word is believed,
    let losses = scene.store.losses_as_of(said + linli_store::CLAIM_PATIENCE);
    // then nothing is missing and the member is named, also when it comes again and says more.
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(losses.doubts.iter().map(|doubt| doubt.peer).collect::<Vec<_>>(), [hostile]);
    drop((peer, stream));
    let more = vec![(log.clone(), Head { seq: 20_000, id: head_id(2) })];
    let again = scene.sync_telling(scene.addresses[0].clone(), more).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let losses = scene.store.losses();
    assert!(losses.is_empty(), "{losses:?}");
    drop(again);
    // And what an honest peer has comes back, and nothing is signed twice.
    let (honest_peer, witness) = node.witness().await;
    let back = async {
        while scene.store.frontier().height(log) < 9 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
    node.goes_on_without_a_fork(&witness).await;
    honest_peer.shutdown().await;
}

fn head_id(n: u64) -> linli_core::id::EventId {
    linli_core::id::EventId::from_bytes([n as u8; 32])
}

#[tokio::test]
async fn somebody_who_connects_and_says_nothing_is_hung_up_on() {
    let scene = Scene::new().await;
    let silent = Hostile::call(&key(801), scene.addresses[0].clone()).await.unwrap();
    let start = std::time::Instant::now();
    let mut swarm = silent.swarm;
    let closed = async { while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {} };
    tokio::time::timeout(limits::HELLO_TIMEOUT + Duration::from_secs(3), closed).await.unwrap();
    assert!(start.elapsed() >= limits::HELLO_TIMEOUT - Duration::from_secs(1));
}

#[tokio::test]
async fn garbage_within_a_frame_ends_the_connection_and_the_real_peer_resumes_later() {
    let scene = Scene::new().await;
    let mut author = Author::new(60, "320508", None);
    let run = author.write_many(Stream::SUPPLIES, 200, 100);
    let (log, head) = (author.log_id(Stream::SUPPLIES), run[199].head());
    let (peer, mut stream) = scene.sync_as_enrolled(scene.addresses[0].clone()).await.unwrap();
    let want = announce_and_await_want(&mut stream, &log, head).await;
    let good = encode_frame(&run[..100], PiiScope::Covered);
    say(&mut stream, &Message::Frame { want, last: false, frame: good }).await;
    let lean = |event: &ReceivedEvent| match event.header().seq {
        200 => event.clone(),
        _ => event.clone().without_signature(),
    };
    let mut bad = encode_frame(&run[100..].iter().map(lean).collect::<Vec<_>>(), PiiScope::Covered);
    let middle = bad.len() / 2;
    bad[middle] ^= 0xff;
    say(&mut stream, &Message::Frame { want, last: true, frame: bad }).await;
    peer.hung_up().await;
    assert_eq!(scene.store.frontier().height(&log), 100, "what was proven before stays");
    assert_eq!(scene.counted("linli_mesh_broken_sessions_total"), 1.0);
    assert!(scene.sync_as_enrolled(scene.addresses[1].clone()).await.is_none(), "not spoken to for a while");

    let theirs = Store::in_memory();
    put(&theirs, &scene.district.charter_events());
    put(&theirs, &run);
    let config = MeshConfig { peers: vec![scene.addresses[1].clone()], ..MeshConfig::default() };
    let _real = Mesh::spawn(config, parts(&scene.district, scene.hostile, &theirs)).await.unwrap();
    let resumed = async {
        while scene.store.frontier() != theirs.frontier() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), resumed).await.unwrap();
    assert_eq!(scene.counted("linli_mesh_received_events_total"), 200.0);
    assert_eq!(scene.counted("linli_mesh_held_events_total"), 0.0, "nothing durable was sent again");
}

#[tokio::test]
async fn whereabouts_are_heard_one_a_second_however_many_are_told() {
    let scene = Scene::new().await;
    let (mut peer, _sync) = scene.sync_as_enrolled(scene.addresses[1].clone()).await.unwrap();
    let is_known = |n: u8| {
        let place = format!("/ip4/10.255.255.{n}/");
        scene.honest.peers().iter().any(|peer| peer.addresses.iter().any(|address| address.starts_with(&place)))
    };
    // When a member tells ten places within half a second, each in place of the last,
    for n in 1..=10 {
        peer.tell(n).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // then the second is heard a second after the first, and those between are not;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!([2, 10].map(is_known), [true, false]);
    // and one who tells no faster than that is heard every time.
    for n in 11..=12 {
        peer.tell(n).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert!(is_known(n), "{n}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_end_the_connection() {
    let scene = Scene::new().await;
    let bomb = zstd::bulk::compress(&vec![0; 30_000_000], 1).unwrap();
    let bomb = [&(bomb.len() as u32 + 5).to_be_bytes()[..], &[1], &30_000_000u32.to_be_bytes(), &bomb].concat();
    let (peer, mut stream) = scene.sync_as_enrolled(scene.addresses[1].clone()).await.unwrap();
    // The node may hang up before it has read everything.
    let _ = wire::write(&mut stream, &bomb).await;
    peer.hung_up().await;
    assert_eq!(scene.counted("linli_mesh_broken_sessions_total"), 1.0);
    assert!(!scene.honest.is_closed());
    assert_eq!(scene.store.frontier().events(), 7);
}

/// Milliseconds since 1970.
fn wall_ms() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}
