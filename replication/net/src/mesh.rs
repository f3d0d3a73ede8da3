//! Starting a mesh, and the handle by which the rest of the node asks and tells it things.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, Swarm};
use libp2p::{PeerId, SwarmBuilder, dcutr, mdns, noise, ping, relay, tcp, yamux};
use linli_core::id::{AuthorKey, Head, LogId};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::address::is_of_use;
use crate::config::{MeshClosed, MeshConfig, MeshEvent, MeshNode, NodeCopy, PeerStatus, Reachability, SpawnError};
use crate::doorstep::Doorstep;
use crate::driver::{Driver, Request};
use crate::gate::Gated;
use crate::interfaces::Interfaces;
use crate::link::Links;
use crate::metrics::Metrics;
use crate::own_heads::OwnHeadsTold;
use crate::status::Told;
use crate::strangers::{DiscardError, Strangers};
use crate::{identity, limits, ports};

/// What libp2p runs on each connection. Relays and hole punching are for members only.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) doorstep: Doorstep,
    limits: connection_limits::Behaviour,
    pub(crate) links: Links,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    /// The same over IPv6, for a LAN that has nothing else: libp2p's speaks one of both.
    mdns_v6: Toggle<mdns::tokio::Behaviour>,
    pub(crate) relay: Gated<relay::Behaviour>,
    pub(crate) relay_client: Gated<relay::client::Behaviour>,
    pub(crate) dcutr: Gated<dcutr::Behaviour>,
}

/// The mesh of one node.
pub struct Mesh;

impl Mesh {
    /// Starts listening, calling and replicating. Returns when every listener has its address.
    ///
    /// # Errors
    /// [`SpawnError`] when an address cannot be listened on, or metrics are registered already.
    pub async fn spawn(config: MeshConfig, node: MeshNode) -> Result<MeshHandle, SpawnError> {
        ports::check(&config.listen).await?;
        let metrics = Metrics::register(&node.registry)?;
        let mut swarm = build_swarm(&config, &node)?;
        let listeners = listen(&mut swarm, &config.listen)?;
        let (request_sender, requests) = mpsc::channel(16);
        let (event_sender, _) = broadcast::channel(limits::EVENTS_QUEUE);
        let key = node.key.public();
        let instance = getrandom::u64().map_err(|error| SpawnError::Transport(error.to_string()))?;
        let told = Arc::new(Told::default());
        let driver = Driver::new(swarm, node, metrics, event_sender.clone(), config, Arc::clone(&told), instance);
        let own_heads = driver.own_heads.subscribe();
        let (ready_sender, ready) = oneshot::channel();
        let task = tokio::spawn(async move {
            // The driver is dropped with all its sockets before anybody is told that it has ended.
            if let Some(done) = driver.run(requests, listeners, ready_sender).await {
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
        });
        let (requests, events, task) = (request_sender, event_sender, Arc::new(task));
        let handle = MeshHandle { key, requests, events, told, own_heads, task };
        match tokio::time::timeout(limits::LISTEN_TIMEOUT, ready).await {
            Ok(Ok(Err(error))) => Err(error),
            // An interface that is not up yet gets its address later.
            _ => Ok(handle),
        }
    }
}

/// Starts to listen, and says which listeners have an address soon. A machine without IPv6 still serves over IPv4.
fn listen(swarm: &mut Swarm<Behaviour>, addresses: &[Multiaddr]) -> Result<Vec<ListenerId>, SpawnError> {
    let any_v6 = |address: &Multiaddr| address.iter().next() == Some(Protocol::Ip6(Ipv6Addr::UNSPECIFIED));
    let only_v6 = addresses.iter().all(any_v6);
    let mut awaited = vec![];
    for address in addresses {
        match swarm.listen_on(address.clone()) {
            Ok(listener) if only_v6 || !any_v6(address) => awaited.push(listener),
            Ok(_) => {}
            Err(error) if any_v6(address) && !only_v6 => tracing::warn!(%address, %error, "not listening over IPv6"),
            Err(error) => return Err(SpawnError::Listen { address: address.clone(), what: with_causes(&error) }),
        }
    }
    Ok(awaited)
}

/// What an error says, and whatever lies below it: some of libp2p's say nothing themselves.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let mut said: Vec<String> = vec![];
    for cause in causes.filter(|cause| !cause.is_empty()) {
        if !said.iter().any(|said| said.contains(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
}

fn build_swarm(config: &MeshConfig, node: &MeshNode) -> Result<Swarm<Behaviour>, SpawnError> {
    let transport = |error: String| SpawnError::Transport(error);
    let keypair = identity::keypair(&node.key).ok_or_else(|| transport("the key is no Ed25519 key".into()))?;
    let own = keypair.public().to_peer_id();
    let mdns_of = |enable_ipv6| mdns_behaviour(own, enable_ipv6).map_err(|error| transport(error.to_string()));
    let mdns = config.mdns.then(|| mdns_of(false)).transpose()?;
    let mdns_v6 = (config.mdns && Interfaces::read().have_v6()).then(|| mdns_of(true)).transpose()?;
    let behaviour = |relay_client| Behaviour {
        doorstep: Doorstep::default(),
        limits: connection_limits::Behaviour::new(
            ConnectionLimits::default()
                .with_max_pending_incoming(Some(limits::CONNECTIONS_PENDING_MAX))
                .with_max_pending_outgoing(Some(limits::CONNECTIONS_PENDING_MAX))
                .with_max_established_incoming(Some(limits::CONNECTIONS_IN_MAX))
                .with_max_established(Some(limits::CONNECTIONS_MAX))
                .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_PEER_MAX)),
        ),
        links: Links::default(),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(limits::PING_INTERVAL).with_timeout(limits::PING_TIMEOUT),
        ),
        mdns: mdns.into(),
        mdns_v6: mdns_v6.into(),
        relay: Gated::new(relay_behaviour(own)),
        relay_client: Gated::new(relay_client),
        dcutr: Gated::new(dcutr::Behaviour::new(own)),
    };
    let builder = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, few_streams)
        .map_err(|error| transport(error.to_string()))?
        .with_quic_config(|mut quic| {
            quic.max_concurrent_stream_limit = limits::STREAMS_PER_CONNECTION_MAX as u32;
            (quic.max_stream_data, quic.max_connection_data) =
                (limits::QUIC_STREAM_BYTES, limits::QUIC_CONNECTION_BYTES);
            quic
        })
        .with_relay_client(noise::Config::new, few_streams)
        .map_err(|error| transport(error.to_string()))?;
    let swarm = builder
        .with_behaviour(|_, relay_client| behaviour(relay_client))
        .map_err(|error| transport(error.to_string()))?
        // Connections are closed by the driver; this only covers those that are on their way out.
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(30)))
        .build();
    Ok(swarm)
}

/// A relay for whoever is let through the gate: members. Rates are not limited beyond numbers, for members renew and call
/// again after every cut, all at once.
fn relay_behaviour(own: PeerId) -> relay::Behaviour {
    let config = relay::Config {
        max_reservations: limits::RESERVATIONS_MAX,
        max_reservations_per_peer: limits::RESERVATIONS_PER_PEER_MAX,
        reservation_duration: limits::RESERVATION_TIME,
        reservation_rate_limiters: vec![],
        max_circuits: limits::CIRCUITS_MAX,
        max_circuits_per_peer: limits::CIRCUITS_PER_PEER_MAX,
        max_circuit_duration: limits::CIRCUIT_TIME_MAX,
        max_circuit_bytes: limits::CIRCUIT_BYTES_MAX,
        circuit_src_rate_limiters: vec![],
    };
    let mut relay = relay::Behaviour::new(own, config);
    relay.set_status(Some(relay::Status::Enable));
    relay
}

/// What was sent on streams that nobody reads stays in memory: few streams bound it.
fn few_streams() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(limits::STREAMS_PER_CONNECTION_MAX);
    config
}

fn mdns_behaviour(own: PeerId, enable_ipv6: bool) -> std::io::Result<mdns::tokio::Behaviour> {
    let (ttl, query_interval) = (limits::MDNS_TTL, limits::MDNS_QUERY_INTERVAL);
    let config = mdns::Config { ttl, query_interval, enable_ipv6 };
    mdns::tokio::Behaviour::new(config, own)
}

/// Asks and tells a running mesh. Clones speak to the same mesh.
#[derive(Clone)]
pub struct MeshHandle {
    key: AuthorKey,
    requests: mpsc::Sender<Request>,
    events: broadcast::Sender<MeshEvent>,
    told: Arc<Told>,
    own_heads: watch::Receiver<OwnHeadsTold>,
    task: Arc<JoinHandle<()>>,
}

impl MeshHandle {
    /// The node's own key.
    pub const fn key(&self) -> AuthorKey {
        self.key
    }

    /// All other nodes that are known: connected, expected at an address, found on the LAN, or enrolled by the charter
    /// and silent. In order of their keys. Never waits: as of the last change of connections, or a second ago.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.told.peers()
    }

    /// Connected peers that say they hold all these events durably, each a log and a position in it: what a receipt may
    /// count. Costs a look at each event and peer.
    ///
    /// # Errors
    /// [`MeshClosed`].
    pub async fn holders(&self, events: Vec<(LogId, u64)>) -> Result<Vec<AuthorKey>, MeshClosed> {
        let (answer_sender, answer) = oneshot::channel();
        let answered = Box::new(move |holders| drop(answer_sender.send(holders)));
        self.requests.send(Request::Holders(events, answered)).await.map_err(|_| MeshClosed)?;
        answer.await.map_err(|_| MeshClosed)
    }

    /// The same for a thread that is no task: waits up to `patience` for a mesh that is busy. None if it gave no answer.
    pub fn holders_within(&self, events: Vec<(LogId, u64)>, patience: Duration) -> Option<Vec<AuthorKey>> {
        let (answer_sender, answer) = std::sync::mpsc::sync_channel(1);
        // Whoever has given up waiting needs no answer.
        let answered = Box::new(move |holders| drop(answer_sender.try_send(holders)));
        self.requests.try_send(Request::Holders(events, answered)).ok()?;
        answer.recv_timeout(patience).ok()
    }

    /// The latest heads of this node's own logs that peers say they know and the store does not have, by who says so: the
    /// store may be behind what it once published, and whoever writes must open a new incarnation first. State, not
    /// messages: what was told stays, merged, however late it is read. Ends with the mesh.
    pub fn own_heads(&self) -> watch::Receiver<OwnHeadsTold> {
        self.own_heads.clone()
    }

    /// Has each of them heeded as long as the mesh runs, however many are told at once. On a thread that may block, for
    /// whoever writes may be held by something long.
    pub async fn heed_own_heads(&self, heed: impl Fn(&AuthorKey, &LogId, Head) + Send + Sync + 'static) {
        let (heed, mut told) = (Arc::new(heed), self.own_heads());
        while told.changed().await.is_ok() {
            let (heed, heads) = (Arc::clone(&heed), told.borrow_and_update().clone());
            let all = move || heads.iter().for_each(|((peer, log), head)| heed(peer, log, *head));
            if let Err(error) = tokio::task::spawn_blocking(all).await {
                tracing::error!(%error, "what peers know of our own logs was not heeded; it is tried again with the next");
            }
        }
    }

    /// Logs without a grant that are here, by the peer that brought them. Never waits.
    pub fn strangers(&self) -> Vec<Strangers> {
        self.told.strangers()
    }

    /// Removes the logs without a grant that a peer brought, or with none those that came by import or before that was
    /// noted. Their heads stay as proof, and they are not fetched again before their authors have a grant. Says how many
    /// logs were removed.
    ///
    /// # Errors
    /// When the mesh has ended, or the store fails: what was removed before that stays so.
    pub async fn discard_brought_by(&self, peer: Option<AuthorKey>) -> Result<u64, DiscardError> {
        let (answer_sender, answer) = oneshot::channel();
        self.requests.send(Request::Discard(peer, answer_sender)).await.map_err(|_| MeshClosed)?;
        Ok(answer.await.map_err(|_| MeshClosed)??)
    }

    /// Addresses that are listened on and at which other machines may call; where there are none, those for this
    /// machine. Never waits.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        let listeners = self.told.listeners();
        let of_use = |here| listeners.iter().filter(|address| is_of_use(address, here)).cloned().collect::<Vec<_>>();
        let for_others = of_use(false);
        if for_others.is_empty() { of_use(true) } else { for_others }
    }

    /// Whether other nodes can call this one. Never waits.
    pub fn reachability(&self) -> Reachability {
        self.told.reachability()
    }

    /// Copies of nodes, this one or others, that run beside them: one of each pair is to be stopped. Never waits.
    pub fn copies(&self) -> Vec<NodeCopy> {
        self.told.copies()
    }

    /// Calls an address from now on, as if it had been configured.
    ///
    /// # Errors
    /// [`MeshClosed`].
    pub async fn add_peer(&self, address: Multiaddr) -> Result<(), MeshClosed> {
        self.requests.send(Request::AddPeer(address)).await.map_err(|_| MeshClosed)
    }

    /// Everything that happens from now on. A subscriber that lags more than [`limits::EVENTS_QUEUE`] events behind
    /// misses some.
    pub fn events(&self) -> broadcast::Receiver<MeshEvent> {
        self.events.subscribe()
    }

    /// Whether the mesh has ended.
    pub fn is_closed(&self) -> bool {
        self.task.is_finished()
    }

    /// Closes all connections and ends the mesh. Returns when it has ended; appends that had begun are finished first.
    pub async fn shutdown(&self) {
        let (done_sender, done) = oneshot::channel();
        if self.requests.send(Request::Shutdown(done_sender)).await.is_ok() {
            // Without an answer it has ended already.
            let _ = done.await;
        }
    }
}
