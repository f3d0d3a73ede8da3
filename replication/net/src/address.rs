//! What an address says: to whom it leads, over what, and for whom it is of use.

use std::net::IpAddr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use linli_core::id::AuthorKey;

use crate::identity::author_key;

/// The ways to a node, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Straight, over QUIC.
    Quic,
    /// Straight, over TCP.
    Tcp,
    /// Through another node that relays.
    Relayed,
}

impl Way {
    /// The way that an address takes.
    pub(crate) fn of(address: &Multiaddr) -> Self {
        if is_relayed(address) {
            return Self::Relayed;
        }
        if address.iter().any(|part| matches!(part, Protocol::QuicV1)) { Self::Quic } else { Self::Tcp }
    }
}

/// Whether it leads through a relay.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

/// The node to which it leads, if it says so.
pub(crate) fn destination(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The key of the node to which it leads, if it says so.
pub(crate) fn key_in(address: &Multiaddr) -> Option<AuthorKey> {
    destination(address).and_then(|peer| author_key(&peer))
}

/// The relay through which it leads.
pub(crate) fn relay(address: &Multiaddr) -> Option<PeerId> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    parts.windows(2).find_map(|pair| match pair {
        [Protocol::P2p(relay), Protocol::P2pCircuit] => Some(*relay),
        _ => None,
    })
}

/// The address that names its destination. None if it names another one.
pub(crate) fn naming(address: Multiaddr, peer: PeerId) -> Option<Multiaddr> {
    address.with_p2p(peer).ok()
}

/// The address without the name of its destination.
pub(crate) fn unnamed(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    if destination(&address).is_some() {
        address.pop();
    }
    address
}

/// The IP address that is called first: the destination's, or its relay's.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.into()),
        _ => None,
    }
}

/// Whether only this machine can call it.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    ip(address).is_some_and(|ip| ip.is_loopback())
}

/// Whether it is an IP address that another machine could call, or a process on this one if `on_this_machine`.
/// Link-local addresses of IPv6 mean nothing without the name of an interface.
pub(crate) fn is_of_use(address: &Multiaddr, on_this_machine: bool) -> bool {
    ip(address).is_some_and(|ip| {
        let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        !ip.is_unspecified() && !ip.is_multicast() && !link_local && (on_this_machine || !ip.is_loopback())
    })
}

/// Where a peer saw us, with the port on which we listen instead of the one that the call went out from. Calls over
/// QUIC go out from the very port that is listened on, whatever a router then makes of it.
pub(crate) fn listening_there(observed: &Multiaddr, listeners: &[Multiaddr]) -> Option<Multiaddr> {
    match Way::of(observed) {
        Way::Relayed => None,
        Way::Quic => Some(unnamed(observed)),
        Way::Tcp => {
            let v4 = ip(observed)?.is_ipv4();
            let same_kind = |l: &&Multiaddr| Way::of(l) == Way::Tcp && ip(l).is_some_and(|ip| ip.is_ipv4() == v4);
            let port = listeners.iter().find(same_kind)?.iter().find(|part| matches!(part, Protocol::Tcp(_)))?;
            Some(std::iter::once(observed.iter().next()?).chain(std::iter::once(port)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_says_whom_it_leads_to_and_how() {
        let (relay_id, peer) = (PeerId::random(), PeerId::random());
        let straight = address(&format!("/ip4/10.0.0.2/udp/1/quic-v1/p2p/{peer}"));
        let through = address(&format!("/ip4/10.0.0.1/tcp/1/p2p/{relay_id}/p2p-circuit/p2p/{peer}"));
        assert_eq!((Way::of(&straight), destination(&straight), relay(&straight)), (Way::Quic, Some(peer), None));
        assert_eq!(
            (Way::of(&through), destination(&through), relay(&through)),
            (Way::Relayed, Some(peer), Some(relay_id))
        );
        assert_eq!(destination(&unnamed(&through)), None);
        assert_eq!(naming(unnamed(&straight), peer), Some(straight.clone()));
        assert_eq!(naming(straight, relay_id), None, "it leads to somebody else");
    }

    #[test]
    fn loopback_is_of_use_to_this_machine_only_and_link_local_to_nobody() {
        for (text, here, elsewhere) in [
            ("/ip4/127.0.0.1/tcp/1", true, false),
            ("/ip6/::1/tcp/1", true, false),
            ("/ip4/192.168.1.2/tcp/1", true, true),
            ("/ip6/2001:db8::1/udp/1/quic-v1", true, true),
            ("/ip6/fe80::1/tcp/1", false, false),
            ("/ip4/0.0.0.0/tcp/1", false, false),
            ("/dns/example.org/tcp/1", false, false),
        ] {
            assert_eq!(
                (is_of_use(&address(text), true), is_of_use(&address(text), false)),
                (here, elsewhere),
                "{text}"
            );
        }
    }

    #[test]
    fn what_a_peer_saw_becomes_where_we_may_listen() {
        let listeners = [address("/ip6/::1/tcp/9"), address("/ip4/10.0.0.2/tcp/8421")];
        let seen = |text| listening_there(&address(text), &listeners);
        assert_eq!(seen("/ip4/192.0.2.9/tcp/51234"), Some(address("/ip4/192.0.2.9/tcp/8421")));
        assert_eq!(seen("/ip4/192.0.2.9/udp/33/quic-v1"), Some(address("/ip4/192.0.2.9/udp/33/quic-v1")));
        assert_eq!(listening_there(&address("/ip4/192.0.2.9/tcp/51234"), &listeners[..1]), None);
    }
}
