//! Which of many own addresses peers are told, and in which order.
//!
//! A peer takes twelve at most, and passes on six. On a machine with many networks the one that works must be among them:
//! so those come first at which peers have seen this node or called it, then one of each network before a second of any,
//! and last those of interfaces to which nothing is plugged in.

use std::net::IpAddr;

use libp2p::Multiaddr;

use crate::address::{Way, ip};
use crate::interfaces::Interfaces;

/// Addresses in the order in which they are told. `proven` are the IP addresses at which peers saw this node or called it,
/// the latest first.
pub(crate) fn in_order(addresses: &[&Multiaddr], proven: &[IpAddr], interfaces: &Interfaces) -> Vec<Multiaddr> {
    let place = |address: &Multiaddr| ip(address).and_then(|ip| proven.iter().position(|known| *known == ip));
    let is_dead = |address: &Multiaddr| ip(address).is_some_and(|ip| interfaces.is_dead(ip));
    let (mut first, others): (Vec<&Multiaddr>, Vec<&Multiaddr>) =
        addresses.iter().copied().partition(|address| place(address).is_some());
    first.sort_by_key(|address| (place(address), Way::of(address)));
    let (dead, alive): (Vec<&Multiaddr>, Vec<&Multiaddr>) = others.into_iter().partition(|address| is_dead(address));
    let mut ordered: Vec<Multiaddr> = vec![];
    for address in first.into_iter().chain(by_turns(alive)).chain(by_turns(dead)) {
        if !ordered.contains(address) {
            ordered.push(address.clone());
        }
    }
    ordered
}

/// One of each network, the better way first, then the second of each, and so on.
fn by_turns(mut addresses: Vec<&Multiaddr>) -> Vec<&Multiaddr> {
    addresses.sort_by_key(|address| Way::of(address));
    let mut taken: Vec<(IpAddr, usize)> = vec![];
    let mut turns: Vec<(usize, &Multiaddr)> = vec![];
    for address in addresses {
        let Some(network) = ip(address).map(network) else { continue };
        let turn = match taken.iter_mut().find(|(known, _)| *known == network) {
            Some((_, turns)) => {
                *turns += 1;
                *turns
            }
            None => {
                taken.push((network, 0));
                0
            }
        };
        turns.push((turn, address));
    }
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, address)| address).collect()
}

/// The network that an address is most probably of: 24 bits over IPv4, 64 over IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & 0xffff_ff00).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    /// A machine with seven bridges beside its network card, which listens on all of them over both transports.
    fn listeners() -> Vec<Multiaddr> {
        let bridges = (17..24).map(|n| format!("172.{n}.0.1"));
        let ips: Vec<String> = bridges.chain(["192.168.10.4".to_owned()]).collect();
        let of = |ip: &String| [address(&format!("/ip4/{ip}/udp/1/quic-v1")), address(&format!("/ip4/{ip}/tcp/1"))];
        ips.iter().flat_map(of).collect()
    }

    fn told(proven: &[&str], interfaces: &Interfaces) -> Vec<String> {
        let listeners = listeners();
        let proven: Vec<IpAddr> = proven.iter().map(|ip| ip.parse().unwrap()).collect();
        let ordered = in_order(&listeners.iter().collect::<Vec<_>>(), &proven, interfaces);
        assert_eq!(ordered.len(), listeners.len(), "none is lost, none is told twice");
        ordered.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn where_peers_saw_or_called_this_node_comes_first_among_many_bridges() {
        let told = told(&["192.168.10.4"], &Interfaces::default());
        assert_eq!(told[..2], ["/ip4/192.168.10.4/udp/1/quic-v1", "/ip4/192.168.10.4/tcp/1"]);
        // Then each bridge over QUIC before any over TCP.
        assert!(
            told[2..9].iter().all(|address| address.contains("quic")) && told[9..].iter().all(|a| a.contains("tcp"))
        );
    }

    #[test]
    fn before_anybody_saw_it_one_of_each_network_is_told_before_a_second_of_any() {
        let told = told(&[], &Interfaces::default());
        assert!(told[..8].iter().any(|address| address.starts_with("/ip4/192.168.10.4/")));
        assert!(told[..limits::OWN_ADDRESSES_MAX].iter().filter(|a| a.contains("192.168.10.4")).count() >= 1);
    }

    #[test]
    fn bridges_without_a_carrier_come_last_so_that_what_is_passed_on_works() {
        let dead = Interfaces::with_dead(&[
            "172.17.0.1",
            "172.18.0.1",
            "172.19.0.1",
            "172.20.0.1",
            "172.21.0.1",
            "172.22.0.1",
            "172.23.0.1",
        ]);
        let told = told(&[], &dead);
        assert_eq!(told[..2], ["/ip4/192.168.10.4/udp/1/quic-v1", "/ip4/192.168.10.4/tcp/1"]);
        assert!(told[2..].iter().all(|address| address.starts_with("/ip4/172.")));
    }

    #[test]
    fn two_addresses_of_one_ipv6_network_do_not_crowd_out_another_network() {
        let addresses = ["fd00::1", "fd00::2", "fd00::3", "fd01::1"].map(|ip| address(&format!("/ip6/{ip}/tcp/1")));
        let ordered = in_order(&addresses.iter().collect::<Vec<_>>(), &[], &Interfaces::default());
        assert_eq!(ordered[..2], [addresses[0].clone(), addresses[3].clone()]);
    }
}
