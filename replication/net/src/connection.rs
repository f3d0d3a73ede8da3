//! From a connection to replication: hello, then sync, or goodbye.
//!
//! Who dials says hello first. When both sides are content, the side with the smaller key opens the sync stream, on
//! whichever connection was greeted last, and the other follows: so both use the same one after a simultaneous call,
//! and a peer that restarted takes its new connection at once, whatever became of the old one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::AsyncWriteExt;
use libp2p::core::transport::ListenerId;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, Stream, SwarmEvent};
use libp2p::{Multiaddr, PeerId, dcutr, mdns, ping};
use linli_core::area::Area;
use linli_core::id::AuthorKey;
use linli_core::sync::{Greeting, Input};
use tokio::sync::oneshot;

use crate::address::{Way, ip, is_loopback, is_of_use, is_relayed};
use crate::book::{Due, Enough, Tie};
use crate::config::{MeshEvent, SpawnError};
use crate::copies::told_until;
use crate::driver::{Driver, Happened};
use crate::hello::{self, Greeted, HelloError, Instance, Ours, Second};
use crate::identity::author_key;
use crate::limits;
use crate::link::{LinkEvent, Protocol};
use crate::mesh::{BehaviourEvent, with_causes};
use crate::session::{Session, unix_ms};
use crate::trouble::Reason;
use crate::whereabouts::Telling;

/// How soon a sync stream is asked for again when the peer was not ready for it.
const SYNC_RETRY: Duration = Duration::from_millis(10);

/// One connection and how far it has come.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: AuthorKey,
    pub(crate) peer_id: PeerId,
    pub(crate) round_trip: Option<Duration>,
    /// Whether it goes through a relay.
    pub(crate) relayed: bool,
    /// Where the peer is, as this connection sees it.
    pub(crate) remote: Multiaddr,
    /// Where the peer called us, if it did so directly.
    called_at: Option<IpAddr>,
    /// Whether this side opened it, and so says hello first.
    pub(crate) dialled: bool,
    pub(crate) telling: Telling,
    /// Which process the peer is, if it has said so.
    pub(crate) instance: Option<Instance>,
    last_answer: Option<Instant>,
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
    /// Enrolled, for these areas, and what the greeting told of the line. Held back while another process with the same
    /// key is probed.
    Held(Vec<Area>, Greeting),
    /// The same, and nothing is in the way. No sync stream yet.
    Greeted(Vec<Area>, Greeting),
    /// Replicating.
    Syncing(Vec<Area>),
}

impl Connection {
    /// Areas for which the peer has proven to be enrolled on this connection.
    pub(crate) fn areas(&self) -> Vec<Area> {
        match &self.stage {
            Stage::Held(areas, _) | Stage::Greeted(areas, _) | Stage::Syncing(areas) => areas.clone(),
            Stage::New | Stage::Greeting => vec![],
        }
    }

    /// Whether the peer is another process on this machine.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        is_loopback(&self.remote)
    }
}

type Ready = Option<oneshot::Sender<Result<(), SpawnError>>>;

impl Driver {
    pub(crate) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>, ready: &mut Ready) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Links((_, connection, event))) => self.on_link(connection, event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(event),
            SwarmEvent::Behaviour(
                BehaviourEvent::Mdns(mdns::Event::Discovered(found))
                | BehaviourEvent::MdnsV6(mdns::Event::Discovered(found)),
            ) => {
                for (peer, address) in found.into_iter().filter(|(_, address)| is_of_use(address, true)) {
                    let address = address.with_p2p(peer).unwrap_or_else(|address| address);
                    self.book.found(Instant::now(), address);
                }
                self.call_due();
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
                self.reach.call_back_over(connection_id);
                self.book.over(Instant::now(), connection_id, false);
                if let DialError::WrongPeerId { address, .. } = error {
                    self.book.misled(&address);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Dcutr(dcutr::Event { remote_peer_id, result })) => {
                tracing::debug!(peer = %remote_peer_id, ?result, "an attempt to punch a hole");
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                if is_of_use(&address, false) {
                    tracing::info!(%address, "listening");
                }
                self.places.changed();
                if !self.reach.reserved(listener_id) {
                    self.on_new_address(address);
                }
                self.note_listener(listener_id, ready);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_lost_address(&address),
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if self.reach.unreserved(listener_id) => {
                tracing::info!(?reason, "a place on a relay is gone");
                self.places.changed();
                self.tell_state();
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::error!(?addresses, %error, "a listener is closed");
                if let Some(ready) = ready.take() {
                    let address = addresses.first().cloned().unwrap_or_else(Multiaddr::empty);
                    // Whoever spawned the mesh may have given up waiting.
                    let _ = ready.send(Err(SpawnError::Listen { address, what: with_causes(&error) }));
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
        if self.reach.is_call_back(connection) {
            self.reach.call_back_answered(connection);
            return;
        }
        // When a hole is punched both sides dial, and agree beforehand which of them is the one that did.
        let dialled = matches!(endpoint, ConnectedPoint::Dialer { role_override: Endpoint::Dialer, .. });
        let relayed = endpoint.is_relayed();
        let remote = endpoint.get_remote_address().clone();
        if dialled {
            self.book.answered(now, connection, peer, &remote);
            self.swarm.behaviour_mut().links.open(peer_id, connection, Protocol::Hello);
        } else if !relayed && endpoint.is_listener() && self.sessions.contains_key(&peer) {
            self.reach.came_in(peer);
        }
        let called_at = match endpoint {
            ConnectedPoint::Listener { local_addr, .. } if !relayed => ip(local_addr),
            _ => None,
        };
        let (telling, stage) = (Telling::default(), Stage::New);
        let (round_trip, last_answer, since) = (None, None, now);
        let state = Connection {
            peer,
            peer_id,
            round_trip,
            relayed,
            remote,
            called_at,
            dialled,
            telling,
            instance: None,
            last_answer,
            since,
            stage,
            strays: 0,
        };
        self.connections.insert(connection, state);
        self.make_room_for_newcomers();
    }

    /// This node listens at an address that it did not have: others are called from there at once, if they are missing.
    fn on_new_address(&mut self, address: Multiaddr) {
        if is_of_use(&address, true) {
            self.swarm.add_external_address(address);
            self.book.hurry(Instant::now());
        }
    }

    /// This node does not have an address any more. Connections from there are dead and do not know it yet.
    fn on_lost_address(&mut self, address: &Multiaddr) {
        self.swarm.remove_external_address(address);
        if is_of_use(address, false) && !is_relayed(address) {
            tracing::info!(%address, "not listening there any more");
            let now = Instant::now();
            self.doubted_since = Some(now);
            self.places.moved();
            self.reach.moved();
            self.tell_anew();
            self.book.hurry(now);
        }
    }

    /// How a peer is connected. A connection that has shown no life since this node moved is as good as none.
    fn tie(&self, peer: &AuthorKey, now: Instant) -> Tie {
        let Some(session) = self.sessions.get(peer) else { return Tie::None };
        let Some(connection) = self.connections.get(&session.connection) else { return Tie::None };
        let doubted = self.doubted_since.filter(|since| now.duration_since(*since) > limits::DOUBTED_AFTER);
        let dead = doubted.is_some_and(|since| {
            let answered = connection.last_answer.is_some_and(|answer| answer > since);
            let spoke = session.traffic.silent_for() < now.duration_since(since);
            !answered && !spoke
        });
        match (dead, connection.relayed) {
            (true, _) => Tie::Doubtful,
            (false, true) => Tie::Relayed,
            (false, false) => Tie::Direct,
        }
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
        self.reach.call_back_over(connection);
        let closed = self.connections.remove(&connection);
        let replicated = closed.as_ref().is_some_and(|closed| matches!(closed.stage, Stage::Syncing(_)));
        self.book.over(Instant::now(), connection, replicated);
        let peer = closed.map(|closed| closed.peer);
        if let Some(peer) = peer.filter(|peer| self.sessions.get(peer).is_some_and(|s| s.connection == connection)) {
            self.end_session(peer, Reason::Lost, cause);
        }
    }

    fn on_link(&mut self, connection: ConnectionId, event: LinkEvent) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let opens_sync = self.own_key < state.peer;
        match (event, &state.stage) {
            (LinkEvent::Opened(hello @ (Protocol::Hello | Protocol::HelloOfOld), stream), Stage::New)
                if state.dialled =>
            {
                self.greet(connection, hello, stream);
            }
            (LinkEvent::Accepted(hello @ (Protocol::Hello | Protocol::HelloOfOld), stream), Stage::New)
                if !state.dialled =>
            {
                self.greet(connection, hello, stream);
            }
            (LinkEvent::Failed { protocol: Protocol::Probe, offered: false }, _) => self.shows_life(connection),
            (LinkEvent::Opened(Protocol::Sync, stream), Stage::Greeted(..)) if opens_sync => {
                self.start_session(connection, stream);
            }
            (LinkEvent::Accepted(Protocol::Sync, stream), Stage::Greeted(..)) if !opens_sync => {
                self.start_session(connection, stream);
            }
            (LinkEvent::Opened(Protocol::Whereabouts, stream), Stage::Syncing(_)) => self.tell_on(connection, stream),
            (LinkEvent::Accepted(Protocol::Whereabouts, stream), Stage::Syncing(_)) => self.hear_on(connection, stream),
            (LinkEvent::Failed { protocol: Protocol::Whereabouts, .. }, _) => self.told_in_vain(connection),
            // The peer offers it once the hello is completed on its side too.
            (LinkEvent::Failed { protocol: Protocol::Sync, .. }, Stage::Greeted(..)) => {
                let queue = self.queue.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(SYNC_RETRY).await;
                    // A driver that is gone opens nothing.
                    let _ = queue.send(Happened::OpenSync { connection }).await;
                });
            }
            (LinkEvent::Failed { protocol: Protocol::Hello, offered }, _) => {
                let (reason, what) = match offered {
                    true => (Reason::HelloClosed, "it ended the connection before the hello"),
                    false => (Reason::NoProtocol, "it does not speak this protocol"),
                };
                let peer = state.peer;
                self.note_trouble(peer, reason, what.to_owned());
                self.metrics.refused_hellos.with_label_values(&[reason.code()]).inc();
                self.swarm.close_connection(connection);
            }
            // A stream out of turn is dropped, which closes it; nothing was said on it.
            (LinkEvent::Accepted(..), _) if state.strays >= limits::STRAY_STREAMS_MAX => self.on_stray(connection),
            (LinkEvent::Accepted(..), _) => state.strays += 1,
            (LinkEvent::Opened(..) | LinkEvent::Failed { .. }, _) => {}
        }
    }

    /// Too many streams out of turn.
    fn on_stray(&mut self, connection: ConnectionId) {
        let Some(peer) = self.connections.get(&connection).map(|state| state.peer) else { return };
        self.break_off(peer, Reason::Streams, "opens streams without end".to_owned());
        self.swarm.close_connection(connection);
    }

    fn greet(&mut self, connection: ConnectionId, hello: Protocol, mut stream: Stream) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        state.stage = Stage::Greeting;
        let (peer, dialled, queue) = (state.peer, state.dialled, self.queue.clone());
        let second = (hello == Protocol::Hello).then(|| Second {
            instance: self.instance,
            clock: Arc::clone(&self.node.clock),
            refused: self.refused_copies(&peer),
        });
        let of_peer = self.engine.frontier().iter().filter(|(log, _)| log.author == peer);
        let ours = Ours {
            key: self.own_key,
            federation: self.node.federation,
            credentials: (self.node.credentials)(),
            charter: (self.node.charter)(),
            heads_of_peer: of_peer.map(|(log, head)| (log.clone(), *head)).collect(),
            second,
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
        let error = match result {
            Ok(greeted) => return self.on_greeted(connection, peer, greeted),
            Err(error) => error,
        };
        tracing::info!(peer = %peer.short(), %error, "a hello was not completed");
        self.metrics.refused_hellos.with_label_values(&[error.label()]).inc();
        if let (HelloError::IsCopy(_), Some(copy)) = (&error, self.connections.get(&connection)) {
            // The node itself is well, and nothing is noted against it.
            self.note_copy(peer, None, copy.remote.clone());
        } else {
            self.note_trouble(peer, Reason::from(&error), error.to_string());
        }
        if let HelloError::WeAreCopied(there) = &error {
            self.copies.told_of_us(peer, Some(there.clone()), told_until(Instant::now()));
        }
        if matches!(error, HelloError::OtherFederation | HelloError::NotEnrolled | HelloError::Malformed(_)) {
            self.book.shun(Instant::now(), peer);
        }
        self.swarm.close_connection(connection);
        self.tell_state();
    }

    fn on_greeted(&mut self, connection: ConnectionId, peer: AuthorKey, greeted: Greeted) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        if !self.book.visited(Instant::now(), peer) {
            self.break_off(peer, Reason::Visits, "connects again and again".to_owned());
            self.swarm.close_connection(connection);
            return;
        }
        state.round_trip = Some(greeted.round_trip);
        state.instance = greeted.present.map(|present| present.instance);
        state.stage = Stage::Held(greeted.areas, greeted.greeting);
        if let Some(present) = &greeted.present {
            self.clocks.told(peer, present);
        }
        for (log, head) in greeted.heads_of_ours {
            if head.seq > self.engine.frontier().height(&log) {
                self.own_heads.report(peer, log, head);
            }
        }
        self.welcome(connection);
    }

    /// Goes on with a greeted connection, unless another process with the same key stands in the way.
    pub(crate) fn welcome(&mut self, connection: ConnectionId) {
        if self.hold_back(connection) {
            return;
        }
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let (peer, peer_id, dialled, relayed) = (state.peer, state.peer_id, state.dialled, state.relayed);
        let called_at = state.called_at;
        if let Stage::Held(areas, greeting) = &state.stage {
            state.stage = Stage::Greeted(areas.clone(), *greeting);
        }
        let note = self.book.note(peer);
        (note.refused, note.refused_for) = (None, None);
        if dialled {
            self.book.proven(Instant::now(), connection, peer, unix_ms());
        } else if !relayed {
            self.reach.came_in(peer);
        }
        if let Some(ip) = called_at {
            self.places.proven_at(ip);
        }
        let behaviour = self.swarm.behaviour_mut();
        behaviour.links.allow_all(peer_id, connection);
        behaviour.relay.open(peer_id, connection);
        behaviour.relay_client.open(peer_id, connection);
        behaviour.dcutr.open(peer_id, connection);
        self.open_sync(connection);
    }

    /// This node's clock was set: peers learn by a new greeting how far theirs is from it now.
    pub(crate) fn greet_anew(&mut self) {
        tracing::info!("this node's clock was set: peers are greeted anew");
        let peers: Vec<AuthorKey> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.end_session(peer, Reason::Lost, "this node's clock was set".to_owned());
        }
    }

    /// Asks for the sync stream, if that is ours to do and still to be done.
    pub(crate) fn open_sync(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get(&connection) else { return };
        let of_session = self.sessions.get(&state.peer).and_then(|session| self.connections.get(&session.connection));
        // Begun before the direct one was known. Later a peer calls through a relay only when it lost the direct one.
        let late = state.relayed && of_session.is_some_and(|s| !s.relayed && s.since.elapsed() < limits::HELLO_TIMEOUT);
        if matches!(state.stage, Stage::Greeted(..)) && self.own_key < state.peer && !late {
            let peer_id = state.peer_id;
            self.swarm.behaviour_mut().links.open(peer_id, connection, Protocol::Sync);
        }
    }

    fn start_session(&mut self, connection: ConnectionId, stream: Stream) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let (peer, pii_areas, instance) = (state.peer, state.areas(), state.instance);
        let greeting = if let Stage::Greeted(_, greeting) = state.stage { greeting } else { Greeting::Slow };
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
        self.book.heard(peer, unix_ms());
        self.note_standing(&peer, instance);
        self.places.changed();
        self.metrics.connected_peers.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
        self.input(Input::PeerConnected { peer, pii_areas, greeting });
        self.tell_state();
    }

    /// Ends replication with a peer and closes its connection.
    pub(crate) fn end_session(&mut self, peer: AuthorKey, why: Reason, reason: String) {
        let Some(session) = self.sessions.remove(&peer) else { return };
        tracing::info!(peer = %peer.short(), reason, "not replicating any more");
        let heard_ms = unix_ms().saturating_sub(u64::try_from(session.traffic.silent_for().as_millis()).unwrap_or(0));
        self.book.heard(peer, heard_ms);
        self.places.gone(&peer);
        self.copies.gone(Instant::now(), &peer);
        self.metrics.connected_peers.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
        self.hang_up(session.connection, true);
        self.input(Input::PeerDisconnected { peer });
        self.note_trouble(peer, why, reason.clone());
        self.tell_state();
        self.tell(MeshEvent::Disconnected { peer, reason });
    }

    /// Closes a connection, and lets its peer be called again at once: over a dead line closing takes as long as the
    /// system goes on sending what nobody confirms, a minute and more.
    pub(crate) fn hang_up(&mut self, connection: ConnectionId, replicated: bool) {
        self.book.over(Instant::now(), connection, replicated);
        self.swarm.close_connection(connection);
    }

    /// Probes starve while a line is busy, so a missing answer counts only when nothing else came either.
    fn on_ping(&mut self, event: ping::Event) {
        let Some(state) = self.connections.get_mut(&event.connection) else { return };
        match event.result {
            Ok(round_trip) => {
                state.round_trip = Some(round_trip);
                state.last_answer = Some(Instant::now());
                self.shows_life(event.connection);
            }
            Err(error) => {
                let session = self.sessions.get(&state.peer).filter(|session| session.connection == event.connection);
                let alive = session.is_some_and(|s| s.traffic.silent_for() < limits::ALIVE_AFTER_BYTES);
                let (peer, replicated) = (state.peer, session.is_some());
                if !alive {
                    tracing::info!(peer = %peer.short(), %error, "a connection does not answer");
                    if replicated {
                        self.end_session(peer, Reason::Lost, error.to_string());
                    } else {
                        self.hang_up(event.connection, false);
                    }
                }
            }
        }
    }

    /// Connections that do not come to replication in time, or show no life any more, make room for others.
    pub(crate) fn close_overdue(&mut self) {
        let now = Instant::now();
        let overdue = |id: &ConnectionId, connection: &Connection| {
            if !matches!(connection.stage, Stage::Syncing(_)) {
                return now.duration_since(connection.since) > limits::HELLO_TIMEOUT;
            }
            // The ping of libp2p keeps its first failure to itself.
            let answered = now.duration_since(connection.last_answer.unwrap_or(connection.since));
            let session = self.sessions.get(&connection.peer).filter(|session| session.connection == *id);
            answered > limits::PING_INTERVAL + limits::PING_TIMEOUT
                && session.is_none_or(|session| session.traffic.silent_for() > limits::ALIVE_AFTER_BYTES)
        };
        let closing: Vec<ConnectionId> =
            self.connections.iter().filter(|(id, c)| overdue(id, c)).map(|(connection, _)| *connection).collect();
        for connection in closing {
            tracing::debug!(?connection, "a connection is overdue");
            self.hang_up(connection, false);
        }
    }

    /// Calls whoever is due.
    pub(crate) fn call_due(&mut self) {
        let now = Instant::now();
        let peers = self.sessions.keys().copied().chain(self.book.expected());
        let ties: BTreeMap<AuthorKey, Tie> = peers.map(|peer| (peer, self.tie(&peer, now))).collect();
        let relayed = ties.values().filter(|tie| **tie == Tie::Relayed).count();
        let enough = Enough {
            neighbours: self.sessions.len() >= limits::NEIGHBOURS_ENOUGH,
            relayed: relayed >= limits::RELAYED_NEIGHBOURS_ENOUGH,
        };
        let tie = |peer: &AuthorKey| ties.get(peer).copied().unwrap_or(Tie::None);
        for due in self.book.due(now, self.own_key, unix_ms(), tie, enough) {
            let call = call_options(&due);
            let connection = call.connection_id();
            match self.swarm.dial(call) {
                Ok(()) => self.book.dialled(now, &due, connection),
                Err(error) => {
                    tracing::debug!(addresses = ?due.addresses, %error, "addresses cannot be called");
                    self.book.undialable(now, &due);
                }
            }
        }
    }

    fn note_listener(&mut self, listener: ListenerId, ready: &mut Ready) {
        self.tell_now(Instant::now());
        self.listeners_awaited.retain(|awaited| *awaited != listener);
        if self.listeners_awaited.is_empty()
            && let Some(ready) = ready.take()
        {
            let _ = ready.send(Ok(()));
        }
    }
}

/// A call over TCP goes out from a port of its own: one that is reused collides with what a crash left behind. Over QUIC
/// nothing is left behind, and the port that is listened on shows the peer where a hole could be punched.
fn call_options(due: &Due) -> DialOpts {
    let reuse = due.way == Way::Quic;
    match due.peer {
        Some(peer) => {
            let call = DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(due.addresses.clone());
            if reuse { call.build() } else { call.allocate_new_port().build() }
        }
        None => {
            let address = due.addresses.first().cloned().unwrap_or_else(Multiaddr::empty);
            let call = DialOpts::unknown_peer_id().address(address);
            if reuse { call.build() } else { call.allocate_new_port().build() }
        }
    }
}
