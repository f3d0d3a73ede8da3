//! From a connection to replication: hello, then sync, or goodbye.
//!
//! Who dials says hello first. When both sides are content, the side with the smaller key opens the sync stream, on
//! whichever connection was greeted last, and the other follows: so both use the same one after a simultaneous call,
//! and a peer that restarted takes its new connection at once, whatever became of the old one.

use std::time::{Duration, Instant};

use futures::AsyncWriteExt;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, Stream, SwarmEvent};
use libp2p::{Multiaddr, PeerId, mdns, ping};
use linli_core::area::Area;
use linli_core::id::AuthorKey;
use linli_core::sync::Input;
use tokio::sync::oneshot;

use crate::config::{MeshEvent, SpawnError};
use crate::driver::{Driver, Happened};
use crate::hello::{self, Greeted, HelloError, Ours};
use crate::identity::author_key;
use crate::limits;
use crate::link::{LinkEvent, Protocol};
use crate::mesh::BehaviourEvent;
use crate::session::{Session, unix_ms};

/// How soon a sync stream is asked for again when the peer was not ready for it.
const SYNC_RETRY: Duration = Duration::from_millis(100);

/// One connection and how far it has come.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: AuthorKey,
    pub(crate) peer_id: PeerId,
    pub(crate) round_trip: Option<Duration>,
    dialled: bool,
    since: Instant,
    stage: Stage,
    /// Streams that it opened out of turn.
    strays: u32,
}

#[derive(Debug)]
enum Stage {
    /// No hello yet.
    New,
    /// The hello is under way.
    Greeting,
    /// Enrolled, for these areas; no sync stream yet.
    Greeted(Vec<Area>),
    /// Replicating.
    Syncing(Vec<Area>),
}

impl Connection {
    /// Areas for which the peer has proven to be enrolled on this connection.
    pub(crate) fn areas(&self) -> Vec<Area> {
        match &self.stage {
            Stage::Greeted(areas) | Stage::Syncing(areas) => areas.clone(),
            Stage::New | Stage::Greeting => vec![],
        }
    }
}

type Ready = Option<oneshot::Sender<Result<(), SpawnError>>>;

impl Driver {
    pub(crate) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>, ready: &mut Ready) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Links((_, connection, event))) => self.on_link(connection, event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(event),
            SwarmEvent::Behaviour(BehaviourEvent::Mdns(mdns::Event::Discovered(found))) => {
                for (peer, address) in found {
                    let address = address.with_p2p(peer).unwrap_or_else(|address| address);
                    self.book.found(Instant::now(), address);
                }
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                let cause = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.on_closed(connection_id, cause);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error, .. } => {
                tracing::debug!(?peer_id, %error, "a call failed");
                self.book.over(Instant::now(), connection_id, false);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.note_listener(ready);
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::error!(?addresses, %error, "a listener is closed");
                if let Some(ready) = ready.take() {
                    let address = addresses.first().cloned().unwrap_or_else(Multiaddr::empty);
                    // Whoever spawned the mesh may have given up waiting.
                    let _ = ready.send(Err(SpawnError::Listen { address, what: error.to_string() }));
                }
            }
            _ => {}
        }
    }

    fn on_established(&mut self, peer_id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let key = author_key(&peer_id).filter(|key| !self.book.is_shunned(now, key));
        let Some(peer) = key else {
            self.swarm.close_connection(connection);
            return;
        };
        let dialled = endpoint.is_dialer();
        if dialled {
            self.book.answered(connection, peer, endpoint.get_remote_address().clone());
            self.swarm.behaviour_mut().links.open(peer_id, connection, Protocol::Hello);
        }
        let state = Connection { peer, peer_id, round_trip: None, dialled, since: now, stage: Stage::New, strays: 0 };
        self.connections.insert(connection, state);
        self.make_room_for_newcomers();
    }

    /// Strangers who say nothing keep nobody out: the oldest makes room for the newest.
    fn make_room_for_newcomers(&mut self) {
        let is_stranger = |c: &Connection| !c.dialled && matches!(c.stage, Stage::New | Stage::Greeting);
        let strangers = || self.connections.iter().filter(|(_, connection)| is_stranger(connection));
        if strangers().count() > limits::STRANGERS_MAX
            && let Some(oldest) = strangers().min_by_key(|(_, connection)| connection.since).map(|(id, _)| *id)
        {
            self.connections.remove(&oldest);
            self.swarm.close_connection(oldest);
        }
    }

    fn on_closed(&mut self, connection: ConnectionId, cause: String) {
        let closed = self.connections.remove(&connection);
        let replicated = closed.as_ref().is_some_and(|closed| matches!(closed.stage, Stage::Syncing(_)));
        self.book.over(Instant::now(), connection, replicated);
        let peer = closed.map(|closed| closed.peer);
        if let Some(peer) = peer.filter(|peer| self.sessions.get(peer).is_some_and(|s| s.connection == connection)) {
            self.end_session(peer, cause);
        }
    }

    fn on_link(&mut self, connection: ConnectionId, event: LinkEvent) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let opens_sync = self.own_key < state.peer;
        match (event, &state.stage) {
            (LinkEvent::Opened(Protocol::Hello, stream), Stage::New) if state.dialled => self.greet(connection, stream),
            (LinkEvent::Accepted(Protocol::Hello, stream), Stage::New) if !state.dialled => {
                self.greet(connection, stream);
            }
            (LinkEvent::Opened(Protocol::Sync, stream), Stage::Greeted(_)) if opens_sync => {
                self.start_session(connection, stream);
            }
            (LinkEvent::Accepted(Protocol::Sync, stream), Stage::Greeted(_)) if !opens_sync => {
                self.start_session(connection, stream);
            }
            (LinkEvent::Failed(Protocol::Sync), Stage::Greeted(_)) => {
                let queue = self.queue.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(SYNC_RETRY).await;
                    // A driver that is gone opens nothing.
                    let _ = queue.send(Happened::OpenSync { connection }).await;
                });
            }
            (LinkEvent::Failed(Protocol::Hello), _) => {
                let peer = state.peer;
                self.book.note(peer).refused = Some("it does not speak this protocol".to_owned());
                self.metrics.refused_hellos.with_label_values(&["no_protocol"]).inc();
                self.swarm.close_connection(connection);
            }
            // A stream out of turn is dropped, which closes it; nothing was said on it.
            (LinkEvent::Accepted(..), _) if state.strays >= limits::STRAY_STREAMS_MAX => self.on_stray(connection),
            (LinkEvent::Accepted(..), _) => state.strays += 1,
            (LinkEvent::Opened(..) | LinkEvent::Failed(..), _) => {}
        }
    }

    /// Too many streams out of turn.
    fn on_stray(&mut self, connection: ConnectionId) {
        let Some(peer) = self.connections.get(&connection).map(|state| state.peer) else { return };
        let reason = "opens streams without end".to_owned();
        self.book.note(peer).refused = Some(reason.clone());
        self.break_off(peer, "streams", reason);
        self.swarm.close_connection(connection);
    }

    fn greet(&mut self, connection: ConnectionId, mut stream: Stream) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        state.stage = Stage::Greeting;
        let (peer, dialled, queue) = (state.peer, state.dialled, self.queue.clone());
        let of_peer = self.engine.frontier().iter().filter(|(log, _)| log.author == peer);
        let ours = Ours {
            key: self.own_key,
            federation: self.node.federation,
            credentials: (self.node.credentials)(),
            charter: (self.node.charter)(),
            heads_of_peer: of_peer.map(|(log, head)| (log.clone(), *head)).collect(),
        };
        tokio::spawn(async move {
            let hello = async {
                let greeted = match dialled {
                    true => hello::initiate(&mut stream, peer, &ours).await,
                    false => hello::respond(&mut stream, peer, &ours).await,
                };
                // The verdict is out; whether the closing of the stream arrives does not matter.
                let _ = stream.close().await;
                greeted
            };
            let result = tokio::time::timeout(limits::HELLO_TIMEOUT, hello).await.unwrap_or(Err(HelloError::Timeout));
            let _ = queue.send(Happened::Hello { connection, peer, result }).await;
        });
    }

    pub(crate) fn on_hello(&mut self, connection: ConnectionId, peer: AuthorKey, result: Result<Greeted, HelloError>) {
        match result {
            Ok(greeted) => self.on_greeted(connection, peer, greeted),
            Err(error) => {
                tracing::info!(peer = %peer.short(), %error, "a hello was not completed");
                self.metrics.refused_hellos.with_label_values(&[error.label()]).inc();
                self.book.note(peer).refused = Some(error.to_string());
                if matches!(error, HelloError::OtherFederation | HelloError::NotEnrolled | HelloError::Malformed(_)) {
                    self.book.shun(Instant::now(), peer);
                }
                self.swarm.close_connection(connection);
                self.tell_state();
            }
        }
    }

    fn on_greeted(&mut self, connection: ConnectionId, peer: AuthorKey, greeted: Greeted) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        if !self.book.visited(Instant::now(), peer) {
            let reason = "connects again and again".to_owned();
            self.book.note(peer).refused = Some(reason.clone());
            self.break_off(peer, "visits", reason);
            self.swarm.close_connection(connection);
            return;
        }
        let peer_id = state.peer_id;
        state.stage = Stage::Greeted(greeted.areas);
        self.book.note(peer).refused = None;
        for (log, head) in greeted.heads_of_ours {
            if head.seq > self.engine.frontier().height(&log) {
                self.tell(MeshEvent::PeerReportsOurHead { log, head });
            }
        }
        self.swarm.behaviour_mut().links.allow_sync(peer_id, connection);
        self.open_sync(connection);
    }

    /// Asks for the sync stream, if that is ours to do and still to be done.
    pub(crate) fn open_sync(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get(&connection) else { return };
        if matches!(state.stage, Stage::Greeted(_)) && self.own_key < state.peer {
            let peer_id = state.peer_id;
            self.swarm.behaviour_mut().links.open(peer_id, connection, Protocol::Sync);
        }
    }

    fn start_session(&mut self, connection: ConnectionId, stream: Stream) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let (peer, pii_areas) = (state.peer, state.areas());
        state.stage = Stage::Syncing(pii_areas.clone());
        self.next_session += 1;
        let session = Session::start(self.next_session, peer, connection, stream, &self.metrics, &self.queue);
        match self.sessions.insert(peer, session) {
            Some(old) if old.connection != connection => drop(self.swarm.close_connection(old.connection)),
            Some(_) => {}
            None => {
                tracing::info!(peer = %peer.short(), "replicating");
                self.tell(MeshEvent::Connected { peer });
            }
        }
        self.book.note(peer).last_heard_unix_ms = Some(unix_ms());
        self.metrics.connected_peers.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
        self.input(Input::PeerConnected { peer, pii_areas });
        self.tell_state();
    }

    /// Ends replication with a peer and closes its connection.
    pub(crate) fn end_session(&mut self, peer: AuthorKey, reason: String) {
        let Some(session) = self.sessions.remove(&peer) else { return };
        tracing::info!(peer = %peer.short(), reason, "not replicating any more");
        let heard_ms = unix_ms().saturating_sub(u64::try_from(session.traffic.silent_for().as_millis()).unwrap_or(0));
        self.book.note(peer).last_heard_unix_ms = Some(heard_ms);
        self.metrics.connected_peers.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
        self.swarm.close_connection(session.connection);
        self.input(Input::PeerDisconnected { peer });
        self.book.note(peer).refused = Some(reason.clone());
        self.tell_state();
        self.tell(MeshEvent::Disconnected { peer, reason });
    }

    /// Probes starve while a line is busy, so a missing answer counts only when nothing else came either.
    fn on_ping(&mut self, event: ping::Event) {
        let Some(state) = self.connections.get_mut(&event.connection) else { return };
        match event.result {
            Ok(round_trip) => state.round_trip = Some(round_trip),
            Err(error) => {
                let session = self.sessions.get(&state.peer).filter(|session| session.connection == event.connection);
                let alive = session.is_some_and(|s| s.traffic.silent_for() < limits::ALIVE_AFTER_BYTES);
                if !alive {
                    tracing::info!(peer = %state.peer.short(), %error, "a connection does not answer");
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }

    /// Connections that do not come to replication in time make room for others.
    pub(crate) fn close_overdue(&mut self) {
        let now = Instant::now();
        let overdue = |connection: &Connection| {
            !matches!(connection.stage, Stage::Syncing(_))
                && now.duration_since(connection.since) > limits::HELLO_TIMEOUT
        };
        let closing: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, c)| overdue(c)).map(|(connection, _)| *connection).collect();
        for connection in closing {
            self.swarm.close_connection(connection);
        }
    }

    /// Calls whoever is due.
    pub(crate) fn call_due(&mut self) {
        let now = Instant::now();
        let sessions = &self.sessions;
        for address in self.book.due(now, self.own_key, |peer| sessions.contains_key(peer)) {
            // A port of its own for each call: one that is reused collides with what a crash left behind.
            let options = DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
            let connection = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => self.book.dialled(&address, connection),
                Err(error) => {
                    tracing::debug!(%address, %error, "an address cannot be called");
                    self.book.undialable(now, &address);
                }
            }
        }
    }

    fn note_listener(&mut self, ready: &mut Ready) {
        self.tell_now(Instant::now());
        self.listeners_awaited = self.listeners_awaited.saturating_sub(1);
        if self.listeners_awaited == 0
            && let Some(ready) = ready.take()
        {
            let _ = ready.send(Ok(()));
        }
    }
}
