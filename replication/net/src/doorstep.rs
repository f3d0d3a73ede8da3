//! How many connections of one source may be in the making at a time.
//!
//! Before a connection is encrypted, nobody knows whose it is; all that tells strangers apart is where they call from. One
//! machine that opens sockets and says nothing fills its own share of the room, not that of the neighbours. The more of the
//! room is taken, the smaller is the share, so that a few such machines together leave some to a newcomer; and a part of the
//! room is for places from which members have come before.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::behaviour::ListenFailure;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};

use crate::address::{ip, is_relayed};
use crate::limits;

/// Denies a connection from a source that has its share of the room in the making. Circuits through relays have no source
/// of their own and are not counted; only members have relays.
#[derive(Debug, Default)]
pub(crate) struct Doorstep {
    pending: HashMap<ConnectionId, IpAddr>,
    /// Where members have proven themselves.
    known: HashSet<IpAddr>,
}

impl Doorstep {
    /// Takes note of the places from which members come.
    pub(crate) fn know(&mut self, places: impl IntoIterator<Item = IpAddr>) {
        self.known = places.into_iter().map(network).collect();
    }

    fn has_room_for(&self, source: IpAddr) -> bool {
        let from_there = self.pending.values().filter(|other| **other == source).count();
        if self.known.contains(&source) {
            return from_there < limits::CONNECTIONS_PENDING_PER_SOURCE_MAX;
        }
        let strangers = self.pending.values().filter(|other| !self.known.contains(other)).count();
        let left = limits::CONNECTIONS_PENDING_UNKNOWN_MAX.saturating_sub(strangers);
        let share = (left / limits::CONNECTIONS_PENDING_SHARE).max(1);
        left > 0 && from_there < share.min(limits::CONNECTIONS_PENDING_PER_SOURCE_MAX)
    }
}

/// A source has too many connections in the making.
#[derive(Debug)]
struct Crowded(IpAddr);

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has as many connections in the making as there is room for", self.0)
    }
}

impl std::error::Error for Crowded {}

/// Where a connection comes from, if not through a relay. An IPv6 network of 64 bits counts as one source: a machine has
/// all of its addresses.
fn source(remote: &Multiaddr) -> Option<IpAddr> {
    ip(remote).filter(|_| !is_relayed(remote)).map(network)
}

fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 => v4,
    }
}

impl NetworkBehaviour for Doorstep {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(source) = source(remote) else { return Ok(()) };
        if !self.has_room_for(source) {
            return Err(ConnectionDenied::new(Crowded(source)));
        }
        self.pending.insert(connection, source);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = event {
            self.pending.remove(&connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::key;

    use super::*;

    fn calls(doorstep: &mut Doorstep, number: usize, from: &str) -> bool {
        let (local, remote) = ("/ip4/10.0.0.1/tcp/8421".parse().unwrap(), from.parse().unwrap());
        doorstep.handle_pending_inbound_connection(ConnectionId::new_unchecked(number), &local, &remote).is_ok()
    }

    /// Calls from there until there is no room any more, and says how often that went well.
    fn fill(doorstep: &mut Doorstep, first: usize, from: &str) -> usize {
        (0..1_000).take_while(|n| calls(doorstep, first + n, from)).count()
    }

    #[test]
    fn a_source_that_fills_its_share_keeps_no_other_out_and_is_heard_again_when_one_is_done() {
        let mut doorstep = Doorstep::default();
        assert!(fill(&mut doorstep, 0, "/ip4/10.0.0.2/tcp/9") > 8, "many nodes may share a router");
        assert!(!calls(&mut doorstep, 2_000, "/ip4/10.0.0.2/udp/9/quic-v1"));
        assert!(calls(&mut doorstep, 2_001, "/ip4/10.0.0.3/tcp/9"));
        let (peer, any) = (crate::peer_id(&key(1).public()).unwrap(), "/ip4/10.0.0.1/tcp/8421".parse().unwrap());
        for n in 0..2 {
            let done = ConnectionId::new_unchecked(n);
            doorstep.handle_established_inbound_connection(done, peer, &any, &any).unwrap();
        }
        assert!(calls(&mut doorstep, 2_002, "/ip4/10.0.0.2/tcp/9"));
    }

    #[test]
    fn four_machines_that_open_sockets_without_end_leave_room_for_a_newcomer() {
        let mut doorstep = Doorstep::default();
        let taken: usize = (2..6).map(|n| fill(&mut doorstep, n * 1_000, &format!("/ip4/10.0.0.{n}/tcp/9"))).sum();
        assert!(taken < limits::CONNECTIONS_PENDING_UNKNOWN_MAX, "{taken}");
        // Again and again, as fast as they like:
        assert!((2..6).all(|n| !calls(&mut doorstep, 9_000 + n, &format!("/ip4/10.0.0.{n}/tcp/9"))));
        assert!(calls(&mut doorstep, 9_100, "/ip4/10.0.0.77/tcp/9"));
    }

    #[test]
    fn however_many_machines_do_so_members_come_in_where_they_came_from_before() {
        let mut doorstep = Doorstep::default();
        doorstep.know(["10.0.0.200".parse().unwrap(), "fd00::7".parse().unwrap()]);
        for n in 2..180 {
            fill(&mut doorstep, n * 1_000, &format!("/ip4/10.0.0.{n}/tcp/9"));
        }
        assert!(!calls(&mut doorstep, 900_000, "/ip4/10.0.0.199/tcp/9"));
        assert!(calls(&mut doorstep, 900_001, "/ip4/10.0.0.200/tcp/9"));
        assert!(calls(&mut doorstep, 900_002, "/ip6/fd00::9/udp/9/quic-v1"), "the network counts");
        assert!(doorstep.pending.len() <= limits::CONNECTIONS_PENDING_MAX as usize);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_an_ipv4_address_is_one_however_it_is_written_and_circuits_are_none() {
        let of = |address: &str| source(&address.parse().unwrap());
        assert_eq!(of("/ip6/fd00:1:2:3::4/tcp/1"), of("/ip6/fd00:1:2:3:ffff::5/udp/2/quic-v1"));
        assert_ne!(of("/ip6/fd00:1:2:3::4/tcp/1"), of("/ip6/fd00:1:2:4::4/tcp/1"));
        assert_eq!(of("/ip6/::ffff:10.0.0.2/tcp/1"), of("/ip4/10.0.0.2/tcp/2"));
        let mut doorstep = Doorstep::default();
        let circuit = format!("/ip4/10.0.0.2/tcp/1/p2p/{}/p2p-circuit", crate::peer_id(&key(1).public()).unwrap());
        assert!((0..100).all(|number| calls(&mut doorstep, number, &circuit)) && doorstep.pending.is_empty());
    }
}
