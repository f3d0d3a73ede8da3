//! What keeps nodes of one local network from calling each other, as far as a node's own interfaces show it.

use std::net::{IpAddr, Ipv6Addr};

/// Where Linux tells which addresses of IPv6 each interface has. The usual way to ask leaves the link-local ones out.
const IF_INET6: &str = "/proc/net/if_inet6";

/// What people are told where this machine has none but link-local addresses of IPv6: such an address means nothing without
/// the name of an interface, which other machines do not know, so nodes that find each other cannot call each other.
pub(crate) fn link_local_only() -> Option<String> {
    // A system that does not say which addresses it has is not accused of having the wrong ones.
    let interfaces = if_addrs::get_if_addrs().ok()?;
    let others: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    let table = std::fs::read_to_string(IF_INET6).unwrap_or_default();
    has_link_local_only(&others, &table).then(|| {
        "本机只有 IPv6 链路本地地址（fe80::），其他节点无法呼叫：请为网络配置 IPv4 或 fd00::/8 地址 / this machine has only link-local addresses of IPv6 (fe80::), at which nodes cannot call each other: give the network IPv4 addresses or ones of fd00::/8".to_owned()
    })
}

fn has_link_local_only(addresses: &[IpAddr], if_inet6: &str) -> bool {
    let is_link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let in_table = |line: &str| {
        let digits = line.split_whitespace().next()?;
        Some(IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?)))
    };
    let all: Vec<IpAddr> = addresses.iter().copied().chain(if_inet6.lines().filter_map(in_table)).collect();
    let mut of_network = all.iter().filter(|ip| !ip.is_loopback()).peekable();
    of_network.peek().is_some() && of_network.all(is_link_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "00000000000000000000000000000001 01 80 10 80       lo\n";
    const LINK_LOCAL: &str = "fe80000000000000e83301fffe7ee8e8 02 40 20 80      gva\n";

    #[test]
    fn a_machine_that_has_none_but_link_local_addresses_is_told_and_any_other_is_not() {
        let only = |texts: &[&str], table: &str| {
            let addresses: Vec<IpAddr> = texts.iter().map(|ip| ip.parse().unwrap()).collect();
            has_link_local_only(&addresses, table)
        };
        let table = [LOOPBACK, LINK_LOCAL].concat();
        assert!(only(&["127.0.0.1", "::1"], &table) && only(&["fe80::1"], ""));
        for of_use in ["10.0.0.7", "169.254.3.4", "fd00::7", "2001:db8::1"] {
            assert!(!only(&["127.0.0.1", of_use], &table), "{of_use}");
        }
        let global = "fd000007000000000000000000000001 02 40 00 80      gva\n";
        assert!(!only(&["127.0.0.1"], &[LINK_LOCAL, global].concat()));
        assert!(
            !only(&["127.0.0.1", "::1"], LOOPBACK) && !only(&[], ""),
            "without a network there is nothing to set up"
        );
    }
}
