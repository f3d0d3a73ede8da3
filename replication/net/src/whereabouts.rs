//! `/linli/whereabouts/1`: members of the federation tell each other where they are.
//!
//! libp2p's own way, identify, tells addresses to whoever connects. Here they are told only after a completed hello, in
//! one message on a stream of its own: where the receiver was seen, where the sender is, and where the nodes are that
//! are connected to the sender. Only first-hand knowledge is passed on, so no address outlives its node by being
//! repeated. A peer that lies makes us call in vain; whoever answers proves its key. Normative text: `docs/sync.md`.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use futures::AsyncWriteExt;
use libp2p::Multiaddr;
use libp2p::swarm::{ConnectionId, Stream};
use linli_core::cbor::{CborError, Problem, Reader, Writer};
use linli_core::id::AuthorKey;

use crate::address::{ip, is_of_use, is_relayed, listening_there, relay};
use crate::driver::{Driver, Happened};
use crate::hello::node_areas;
use crate::identity::author_key;
use crate::interfaces::Interfaces;
use crate::limits;
use crate::link::Protocol;
use crate::own_addresses::in_order;
use crate::packing::Packer;
use crate::trouble::Reason;
use crate::wire;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Whereabouts {
    /// The address at which the sender sees the receiver on this connection.
    pub(crate) observed: Option<Multiaddr>,
    /// Whether the receiver is asked to call the sender, to find out whether that works.
    pub(crate) call_back: bool,
    /// All addresses at which the sender may be called; empty if nothing has changed.
    pub(crate) own: Vec<Multiaddr>,
    /// Addresses of other nodes, as they told the sender; by the receiver's own key, where a copy of it was met.
    pub(crate) others: BTreeMap<AuthorKey, Vec<Multiaddr>>,
}

impl Whereabouts {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(4).bytes_or_null(self.observed.as_ref().map(AsRef::as_ref)).bool(self.call_back);
        write_addresses(&mut w, &self.own);
        w.array(self.others.len());
        for (key, addresses) in &self.others {
            w.array(2).bytes(key.as_bytes());
            write_addresses(&mut w, addresses);
        }
        w.into_bytes()
    }

    fn decode(message: &[u8]) -> Result<Self, CborError> {
        let mut r = Reader::new(message);
        r.array_of(4, "an array of four")?;
        let observed = if r.null() { None } else { Some(read_address(&mut r)?) };
        let call_back = r.bool()?;
        let own = read_addresses(&mut r, limits::OWN_ADDRESSES_MAX)?;
        let mut others = BTreeMap::new();
        for _ in 0..r.array_of_at_most(limits::WHEREABOUTS_NODES_MAX, "number of nodes")? {
            r.array_of(2, "a key and addresses")?;
            let key = AuthorKey::from_bytes(r.byte_array()?);
            others.insert(key, read_addresses(&mut r, limits::PASSED_ON_ADDRESSES_MAX)?);
        }
        r.finish()?;
        Ok(Self { observed, call_back, own, others })
    }
}

fn write_addresses(w: &mut Writer, addresses: &[Multiaddr]) {
    w.array(addresses.len());
    for address in addresses {
        w.bytes(address.as_ref());
    }
}

fn read_addresses(r: &mut Reader<'_>, max: usize) -> Result<Vec<Multiaddr>, CborError> {
    let len = r.array_of_at_most(max, "number of addresses")?;
    (0..len).map(|_| read_address(r)).collect()
}

pub(crate) fn read_address(r: &mut Reader<'_>) -> Result<Multiaddr, CborError> {
    let start = r.offset();
    let bytes = r.bytes_of_at_most(limits::ADDRESS_BYTES_MAX, "an address")?;
    Multiaddr::try_from(bytes.to_vec()).map_err(|_| Reader::error(start, Problem::Expected("a multiaddr")))
}

/// What has been told and heard on one connection.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// Since when a stream is asked for, and when it may be asked for again.
    asked: bool,
    not_before: Option<Instant>,
    told_observed: bool,
    heard_observed: bool,
    told_own: Vec<Multiaddr>,
    told_others: BTreeMap<AuthorKey, Vec<Multiaddr>>,
    asked_back: bool,
    hearing: bool,
    /// The next message is not read before.
    hear_from: Option<Instant>,
    /// The version of [`Places`] as of which there is nothing more to tell.
    told_all_of: Option<u64>,
}

/// Where peers say that they are, and where they say that we are.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// What connected peers told of themselves.
    of_peers: BTreeMap<AuthorKey, Vec<Multiaddr>>,
    /// Where peers saw us, the newest first.
    observed: VecDeque<Multiaddr>,
    /// Own IP addresses at which peers saw us or called us, the latest first.
    proven: Vec<IpAddr>,
    /// Which own addresses lead nowhere at the moment, and when that was read.
    interfaces: Interfaces,
    interfaces_read: Option<Instant>,
    version: u64,
}

impl Places {
    /// What a connected peer told of itself.
    pub(crate) fn of(&self, peer: &AuthorKey) -> &[Multiaddr] {
        self.of_peers.get(peer).map_or(&[], Vec::as_slice)
    }

    /// Something of what is told may have changed.
    pub(crate) fn changed(&mut self) {
        self.version += 1;
    }

    /// Forgets a peer that is not connected any more.
    pub(crate) fn gone(&mut self, peer: &AuthorKey) {
        self.of_peers.remove(peer);
        self.changed();
    }

    /// Forgets where we were seen: we are elsewhere now.
    pub(crate) fn moved(&mut self) {
        self.observed.clear();
        self.proven.clear();
        self.changed();
    }

    /// A peer saw us at an IP address or called us there: of many, it is one that works.
    pub(crate) fn proven_at(&mut self, ip: IpAddr) {
        if ip.is_unspecified() || self.proven.contains(&ip) {
            return;
        }
        self.proven.insert(0, ip);
        self.proven.truncate(limits::OBSERVED_MAX);
        self.changed();
    }

    /// Finds out anew, now and then, which interfaces have a carrier.
    fn look_at_interfaces(&mut self, now: Instant) {
        if self.interfaces_read.is_some_and(|read| now.duration_since(read) < limits::INTERFACES_READ_EVERY) {
            return;
        }
        self.interfaces_read = Some(now);
        let interfaces = Interfaces::read();
        if interfaces != self.interfaces {
            self.interfaces = interfaces;
            self.changed();
        }
    }

    fn observe(&mut self, address: Multiaddr) {
        if !self.observed.contains(&address) {
            self.changed();
        }
        self.observed.retain(|known| *known != address);
        self.observed.push_front(address);
        self.observed.truncate(limits::OBSERVED_MAX);
    }
}

impl Driver {
    /// Tells each peer what it has not been told yet.
    pub(crate) fn tell_whereabouts(&mut self) {
        let now = Instant::now();
        self.places.look_at_interfaces(now);
        let sessions: Vec<(AuthorKey, ConnectionId)> =
            self.sessions.iter().map(|(peer, session)| (*peer, session.connection)).collect();
        for (peer, connection) in sessions {
            let version = self.places.version;
            let waits = self.connections.get(&connection).is_none_or(|state| {
                let telling = &state.telling;
                telling.asked
                    || telling.told_all_of == Some(version)
                    || telling.not_before.is_some_and(|not_before| now < not_before)
            });
            if waits {
                continue;
            }
            let has_news = self.news_for(peer, connection).is_some();
            let Some(state) = self.connections.get_mut(&connection) else { continue };
            if has_news {
                state.telling.asked = true;
                let peer_id = state.peer_id;
                self.swarm.behaviour_mut().links.open(peer_id, connection, Protocol::Whereabouts);
            } else {
                state.telling.told_all_of = Some(version);
            }
        }
    }

    /// What a peer has not been told on a connection; none if that is nothing.
    fn news_for(&self, peer: AuthorKey, connection: ConnectionId) -> Option<Whereabouts> {
        let state = self.connections.get(&connection)?;
        let (telling, here) = (&state.telling, state.is_on_this_machine());
        let own = self.own_addresses(here);
        let charter = (self.node.charter)();
        let mut others = BTreeMap::new();
        let copies: Vec<Multiaddr> =
            self.copies.of(&peer).filter(|a| is_of_use(a, here)).cloned().into_iter().collect();
        if telling.told_others.get(&peer).map_or(&[][..], Vec::as_slice) != copies {
            others.insert(peer, copies);
        }
        for other in self.sessions.keys().filter(|other| **other != peer) {
            let of_use = |a: &&Multiaddr| is_of_use(a, here) && relay(a).and_then(|r| author_key(&r)) != Some(peer);
            let addresses = self.places.of(other).iter().filter(of_use).take(limits::PASSED_ON_ADDRESSES_MAX);
            let addresses: Vec<Multiaddr> = addresses.cloned().collect();
            let is_news = telling.told_others.get(other).map_or(&[][..], Vec::as_slice) != addresses;
            if is_news && node_areas(&charter, other).next().is_some() && others.len() < limits::WHEREABOUTS_NODES_MAX {
                others.insert(*other, addresses);
            }
        }
        let news = Whereabouts {
            observed: Some(state.remote.clone()).filter(|_| !telling.told_observed && !state.relayed),
            call_back: !telling.asked_back && self.wants_call_back(peer, connection),
            own: if own == telling.told_own { vec![] } else { own },
            others,
        };
        (news != Whereabouts::default()).then_some(news)
    }

    /// Where this node may be called: through relays, then where it is set to be, else at its own addresses and where
    /// peers saw it.
    fn own_addresses(&self, on_this_machine: bool) -> Vec<Multiaddr> {
        let listeners: Vec<&Multiaddr> = self.swarm.listeners().collect();
        let relayed = self.swarm.external_addresses().chain(listeners.iter().copied()).filter(|a| is_relayed(a));
        let direct = listeners.iter().copied().filter(|a| !is_relayed(a));
        let mut own: Vec<Multiaddr> = vec![];
        let mut per_relay = BTreeMap::new();
        for address in relayed.filter(|address| is_of_use(address, on_this_machine)) {
            let places = per_relay.entry(relay(address)).or_insert(0);
            if *places < 2 && !own.contains(address) {
                *places += 1;
                own.push(address.clone());
            }
        }
        let found_out = || {
            let addresses: Vec<&Multiaddr> = direct.chain(&self.places.observed).collect();
            in_order(&addresses, &self.places.proven, &self.places.interfaces)
        };
        let told = self.announce.clone().unwrap_or_else(found_out);
        for address in told {
            if is_of_use(&address, on_this_machine) && !own.contains(&address) {
                own.push(address);
            }
        }
        own.truncate(limits::OWN_ADDRESSES_MAX);
        own
    }

    /// A stream on which to tell is there.
    pub(crate) fn tell_on(&mut self, connection: ConnectionId, mut stream: Stream) {
        let peer = self.connections.get(&connection).map(|state| state.peer);
        let news = peer.and_then(|peer| self.news_for(peer, connection));
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let telling = &mut state.telling;
        telling.asked = false;
        telling.not_before = Some(Instant::now() + limits::WHEREABOUTS_INTERVAL);
        let Some(news) = news else { return };
        telling.told_observed |= news.observed.is_some();
        telling.asked_back |= news.call_back;
        telling.told_others.extend(news.others.clone());
        if !news.own.is_empty() {
            telling.told_own.clone_from(&news.own);
        }
        if news.call_back {
            self.reach.asked(state.peer);
        }
        tokio::spawn(async move {
            let told = async {
                wire::write(&mut stream, &Packer::default().pack_for_stream(&news.encode())).await?;
                Ok::<_, wire::WireError>(stream.close().await?)
            };
            // If it does not arrive the connection is on its way out, and the next one is told anew.
            let _ = tokio::time::timeout(limits::WHEREABOUTS_TIMEOUT, told).await;
        });
    }

    /// The peer does not take whereabouts yet.
    pub(crate) fn told_in_vain(&mut self, connection: ConnectionId) {
        if let Some(state) = self.connections.get_mut(&connection) {
            state.telling.asked = false;
            state.telling.not_before = Some(Instant::now() + limits::WHEREABOUTS_INTERVAL);
        }
    }

    /// What was told is to be told again in full: this node has moved.
    pub(crate) fn tell_anew(&mut self) {
        for state in self.connections.values_mut() {
            state.telling.told_own.clear();
            state.telling.asked_back = false;
        }
        self.places.changed();
    }

    /// A peer tells on a stream of its own. One at a time, and the next a while later; others are dropped.
    pub(crate) fn hear_on(&mut self, connection: ConnectionId, mut stream: Stream) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        if std::mem::replace(&mut state.telling.hearing, true) {
            return;
        }
        let (queue, hear_from) = (self.queue.clone(), state.telling.hear_from);
        tokio::spawn(async move {
            if let Some(hear_from) = hear_from {
                tokio::time::sleep_until(hear_from.into()).await;
            }
            let heard = async {
                let (message, _) = wire::read(&mut stream, limits::WHEREABOUTS_BYTES_MAX, || ()).await.ok()?;
                Some(Whereabouts::decode(&message).map_err(|error| error.to_string()))
            };
            let heard = tokio::time::timeout(limits::WHEREABOUTS_TIMEOUT, heard).await.ok().flatten();
            // A driver that is gone needs no telling.
            let _ = queue.send(Happened::Whereabouts { connection, heard }).await;
        });
    }

    /// What a peer told.
    pub(crate) fn on_whereabouts(&mut self, connection: ConnectionId, heard: Option<Result<Whereabouts, String>>) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let now = Instant::now();
        state.telling.hearing = false;
        state.telling.hear_from = Some(now + limits::WHEREABOUTS_PACE);
        let (peer, dialled, relayed) = (state.peer, state.dialled, state.relayed);
        let told = match heard {
            Some(Ok(told)) => told,
            Some(Err(what)) => {
                self.break_off(peer, Reason::Garbage, format!("sent whereabouts that are none: {what}"));
                return;
            }
            None => return,
        };
        // Once for each connection: a peer that sees us somewhere else each time would make all our neighbours call
        // where it likes.
        let heard_observed = state.telling.heard_observed;
        state.telling.heard_observed |= told.observed.is_some();
        if let Some(observed) = told.observed.filter(|_| dialled && !relayed && !heard_observed) {
            self.seen_at(&observed);
        }
        if !told.own.is_empty() {
            self.book.told(now, peer, &told.own);
            if self.places.of_peers.insert(peer, told.own.clone()).as_ref() != Some(&told.own) {
                self.places.changed();
            }
        }
        let charter = (self.node.charter)();
        for (key, addresses) in told.others {
            if key == self.own_key {
                self.copies.told_of_us(peer, addresses.into_iter().next(), None);
                self.tell_state();
            } else if node_areas(&charter, &key).next().is_some() {
                self.book.heard_of(now, key, &addresses);
            }
        }
        if told.call_back && !relayed {
            self.call_back(peer);
        }
    }

    /// A peer sees us at an address: others may reach us there, or a hole may be punched to it.
    fn seen_at(&mut self, observed: &Multiaddr) {
        let listeners: Vec<Multiaddr> = self.swarm.listeners().cloned().collect();
        let Some(address) = listening_there(observed, &listeners) else { return };
        self.swarm.behaviour_mut().links.candidate(address.clone());
        if let Some(ip) = ip(&address) {
            self.places.proven_at(ip);
        }
        if !listeners.contains(&address) {
            self.places.observe(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::key;
    use proptest::prelude::*;

    use super::*;

    fn address(n: u8) -> Multiaddr {
        format!("/ip4/10.0.0.{n}/udp/8421/quic-v1").parse().unwrap()
    }

    #[test]
    fn what_is_told_is_heard() {
        let others = [(key(1).public(), vec![address(3)]), (key(2).public(), vec![])];
        let told = Whereabouts {
            observed: Some(address(1)),
            call_back: true,
            own: vec![address(2), address(4)],
            others: others.into(),
        };
        assert_eq!(Whereabouts::decode(&told.encode()).unwrap(), told);
        let bytes = told.encode();
        for len in 0..bytes.len() {
            assert!(Whereabouts::decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn more_than_the_bounds_allow_is_refused() {
        let many = Whereabouts { own: vec![address(1); limits::OWN_ADDRESSES_MAX + 1], ..Whereabouts::default() };
        assert!(Whereabouts::decode(&many.encode()).is_err());
        let nodes = (0..=limits::WHEREABOUTS_NODES_MAX as u16).map(|n| (key(n).public(), vec![])).collect();
        let many = Whereabouts { others: nodes, ..Whereabouts::default() };
        assert!(Whereabouts::decode(&many.encode()).is_err());
        let long: Multiaddr = "/ip4/10.0.0.1".parse().unwrap();
        let long: Multiaddr = (0..100).fold(long, |address, _| address.with(libp2p::multiaddr::Protocol::Tcp(1)));
        assert!(Whereabouts::decode(&Whereabouts { own: vec![long], ..Whereabouts::default() }.encode()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_told_and_garbled_on_the_way_is_an_error_or_something_else_that_can_be_told(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let others = [(key(1).public(), vec![address(3)]), (key(2).public(), vec![])];
            let told = Whereabouts { observed: Some(address(1)), call_back: true, own: vec![address(2)], others: others.into() };
            let mut bytes = told.encode();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(heard) = Whereabouts::decode(&bytes) {
                prop_assert_eq!(Whereabouts::decode(&heard.encode()).unwrap(), heard);
            }
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(heard) = Whereabouts::decode(&bytes) {
                prop_assert_eq!(heard.encode(), bytes);
            }
        }
    }
}
