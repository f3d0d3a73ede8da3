//! Whether others can call this node, and the places on relays that it keeps when they cannot.
//!
//! A node asks each peer that it called itself to call back. A peer that cannot is one on whose side of some router this
//! node is not to be found: there a place on its relay helps, and there it is reserved. `docs/adr/0007` says why libp2p's
//! AutoNAT is not asked instead.

use std::collections::BTreeMap;
use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use linli_core::id::AuthorKey;

use crate::address::{is_of_use, is_relayed, unnamed};
use crate::book::jittered;
use crate::config::{Reachability, RelayUse};
use crate::driver::Driver;
use crate::identity::peer_id;
use crate::limits;

/// What is known of who can call us, and what is done about it.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    relay_use: RelayUse,
    /// Peers that were asked to call back, and when.
    asked: BTreeMap<AuthorKey, Instant>,
    /// Peers that have called us directly since we are where we are, and when last.
    came_in: BTreeMap<AuthorKey, Instant>,
    /// Places on relays, by relay.
    reservations: BTreeMap<AuthorKey, Reservation>,
    /// Calls back that are under way or open, and since when.
    calls_back: BTreeMap<ConnectionId, Instant>,
    called_back: BTreeMap<AuthorKey, Instant>,
}

/// A place on a relay.
#[derive(Debug)]
struct Reservation {
    listener: Option<ListenerId>,
    held: bool,
    failures: u32,
    not_before: Instant,
}

impl Reach {
    /// Nothing is known yet.
    pub(crate) fn new(relay_use: RelayUse) -> Self {
        Self { relay_use, ..Self::default() }
    }

    /// A peer was asked to call back.
    pub(crate) fn asked(&mut self, peer: AuthorKey) {
        // The first time counts: whoever could not call then is asked again, and is believed when it comes in.
        if self.asked.len() >= limits::REMEMBERED_PEERS_MAX && !self.asked.contains_key(&peer) {
            self.asked.pop_first();
        }
        self.asked.entry(peer).or_insert_with(Instant::now);
    }

    /// A member of the federation has called us directly.
    pub(crate) fn came_in(&mut self, peer: AuthorKey) {
        if self.came_in.len() >= limits::REMEMBERED_PEERS_MAX && !self.came_in.contains_key(&peer) {
            self.came_in.pop_first();
        }
        self.came_in.insert(peer, Instant::now());
    }

    /// We are elsewhere: nothing is known any more.
    pub(crate) fn moved(&mut self) {
        self.asked.clear();
        self.came_in.clear();
    }

    fn cannot_call(&self, peer: &AuthorKey) -> bool {
        let waited = self.asked.get(peer).is_some_and(|asked| asked.elapsed() > limits::CALL_BACK_PATIENCE);
        waited && !self.came_in.contains_key(peer)
    }

    /// Whether a connection is a call back of ours, which is not for replication.
    pub(crate) fn is_call_back(&self, connection: ConnectionId) -> bool {
        self.calls_back.contains_key(&connection)
    }

    /// A call back has been answered.
    pub(crate) fn call_back_answered(&mut self, connection: ConnectionId) {
        self.calls_back.insert(connection, Instant::now());
    }

    /// A call back failed or is over.
    pub(crate) fn call_back_over(&mut self, connection: ConnectionId) {
        self.calls_back.remove(&connection);
    }

    /// A listener has got an address; true if it is a place on a relay.
    pub(crate) fn reserved(&mut self, listener: ListenerId) -> bool {
        let place = self.reservations.values_mut().find(|place| place.listener == Some(listener));
        place.is_some_and(|place| {
            (place.held, place.failures) = (true, 0);
            true
        })
    }

    /// A listener is closed; true if it was a place on a relay.
    pub(crate) fn unreserved(&mut self, listener: ListenerId) -> bool {
        let place = self.reservations.values_mut().find(|place| place.listener == Some(listener));
        place.is_some_and(|place| {
            let pause = limits::RESERVATION_RETRY_MIN.saturating_mul(1 << place.failures.min(8));
            place.not_before = Instant::now() + jittered(pause.min(limits::RESERVATION_RETRY_MAX));
            (place.listener, place.held, place.failures) = (None, false, place.failures + 1);
            true
        })
    }
}

impl Driver {
    /// Whether others can call this node, as far as is known.
    pub(crate) fn reachability(&self) -> Reachability {
        let relays = self.reach.reservations.values().filter(|place| place.held).count();
        let failing = self.sessions.keys().any(|peer| self.reach.cannot_call(peer));
        match (relays, failing, self.reach.came_in.is_empty()) {
            (1.., _, _) => Reachability::Relayed { relays },
            (0, true, _) => Reachability::Unreachable,
            (0, false, false) => Reachability::Direct,
            (0, false, true) => Reachability::Unknown,
        }
    }

    /// Whether a peer is to be asked to call back: we called it directly, and it has not called us.
    pub(crate) fn wants_call_back(&self, peer: AuthorKey, connection: ConnectionId) -> bool {
        let ours = self.connections.get(&connection).is_some_and(|state| state.dialled && !state.relayed);
        ours && self.reach.relay_use != RelayUse::Never && !self.reach.came_in.contains_key(&peer)
    }

    /// A peer asks whether it can be called where it says it is.
    pub(crate) fn call_back(&mut self, peer: AuthorKey) {
        let now = Instant::now();
        self.reach.called_back.retain(|_, at| now.duration_since(*at) < limits::CALL_BACK_INTERVAL);
        if self.reach.called_back.insert(peer, now).is_some() {
            return;
        }
        let here = self.sessions.get(&peer).and_then(|session| self.connections.get(&session.connection));
        let here = here.is_some_and(|state| state.is_on_this_machine());
        let direct = self.places.of(&peer).iter().filter(|a| !is_relayed(a) && is_of_use(a, here));
        let addresses: Vec<Multiaddr> = direct.cloned().collect();
        let Some(peer_id) = peer_id(&peer).filter(|_| !addresses.is_empty()) else { return };
        let call = DialOpts::peer_id(peer_id).condition(PeerCondition::Always).addresses(addresses);
        let call = call.allocate_new_port().build();
        self.reach.calls_back.insert(call.connection_id(), now);
        let connection = call.connection_id();
        if let Err(error) = self.swarm.dial(call) {
            tracing::debug!(peer = %peer.short(), %error, "cannot call back");
            self.reach.call_back_over(connection);
        }
    }

    /// Closes calls back that have done their work.
    pub(crate) fn end_calls_back(&mut self) {
        let long_open = |at: &Instant| at.elapsed() > limits::CALL_BACK_OPEN;
        let done: Vec<ConnectionId> =
            self.reach.calls_back.iter().filter(|(_, at)| long_open(at)).map(|(connection, _)| *connection).collect();
        for connection in done {
            // One that is not established yet is left to its own time limit.
            self.swarm.close_connection(connection);
        }
    }

    /// Asks for places on relays where they help, and gives back those that do not help any more.
    pub(crate) fn keep_reservations(&mut self) {
        let relays = self.useful_relays();
        let connected: Vec<AuthorKey> = relays.iter().map(|(relay, _)| *relay).collect();
        let useless: Vec<ListenerId> = self
            .reach
            .reservations
            .iter()
            .filter(|(relay, _)| !connected.contains(relay))
            .filter_map(|(_, place)| place.listener)
            .collect();
        for listener in useless {
            self.swarm.remove_listener(listener);
        }
        self.reach.reservations.retain(|relay, place| place.listener.is_some() || connected.contains(relay));
        let now = Instant::now();
        for (relay, address) in relays {
            let taken = self.reach.reservations.values().filter(|place| place.listener.is_some()).count();
            let fresh = Reservation { listener: None, held: false, failures: 0, not_before: now };
            let place = self.reach.reservations.entry(relay).or_insert(fresh);
            if taken >= limits::RELAYS_MAX || place.listener.is_some() || now < place.not_before {
                continue;
            }
            match self.swarm.listen_on(address) {
                Ok(listener) => place.listener = Some(listener),
                Err(error) => {
                    tracing::debug!(relay = %relay.short(), %error, "cannot ask for a place on a relay");
                    place.not_before = now + limits::RESERVATION_RETRY_MAX;
                }
            }
        }
    }

    /// Peers on whose relays a place would help, configured ones first, with the address to listen on there.
    fn useful_relays(&self) -> Vec<(AuthorKey, Multiaddr)> {
        let mut relays = vec![];
        for (peer, session) in &self.sessions {
            let Some(state) = self.connections.get(&session.connection) else { continue };
            let helps = match self.reach.relay_use {
                RelayUse::Never => false,
                RelayUse::Always => true,
                RelayUse::WhenNeeded => self.reach.cannot_call(peer),
            };
            if helps && state.dialled && !state.relayed {
                let address = unnamed(&state.remote).with(Protocol::P2p(state.peer_id)).with(Protocol::P2pCircuit);
                relays.push((*peer, address));
            }
        }
        relays.sort_by_key(|(peer, _)| !self.book.is_configured(peer));
        relays
    }
}
