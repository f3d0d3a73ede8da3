//! Which of this machine's own addresses lead nowhere at the moment: those of network cards and bridges without a carrier.
//!
//! A machine with containers has a handful of bridges to which nothing is plugged in. They have addresses, and libp2p listens
//! on them. The system's own tables say which they are; where there are none, as on other systems than Linux, every address
//! counts as alive. `docs/sync.md` says for what this is used.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The interfaces and networks of this machine, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interfaces {
    /// Networks that are directly attached, and by which interface.
    v4: Vec<(Ipv4Addr, Ipv4Addr, String)>,
    v6: BTreeMap<Ipv6Addr, String>,
    dead: Vec<String>,
}

impl Interfaces {
    /// Reads three small tables of the system. What cannot be read counts as empty.
    pub(crate) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut found = Self::parse(&text("/proc/net/route"), &text("/proc/net/if_inet6"));
        let names = found.v4.iter().map(|(_, _, name)| name).chain(found.v6.values());
        let mut names: Vec<String> = names.cloned().collect();
        names.sort();
        names.dedup();
        found.dead = names.into_iter().filter(|name| is_dead(Path::new("/sys/class/net"), name)).collect();
        found
    }

    fn parse(routes: &str, if_inet6: &str) -> Self {
        Self {
            v4: routes.lines().filter_map(attached).collect(),
            v6: if_inet6.lines().filter_map(address_v6).collect(),
            dead: vec![],
        }
    }

    /// A machine on which the interfaces with these addresses are dead.
    #[cfg(test)]
    pub(crate) fn with_dead(addresses: &[&str]) -> Self {
        let attached = |text: &&str| Some((text.parse().ok()?, Ipv4Addr::BROADCAST, (*text).to_owned()));
        let dead = addresses.iter().map(|address| (*address).to_owned()).collect();
        Self { v4: addresses.iter().filter_map(attached).collect(), v6: BTreeMap::new(), dead }
    }

    /// Whether this machine has IPv6 on anything but its loopback.
    pub(crate) fn have_v6(&self) -> bool {
        self.v6.keys().any(|ip| !ip.is_loopback())
    }

    /// Whether an own address is one of an interface without a carrier.
    pub(crate) fn is_dead(&self, ip: IpAddr) -> bool {
        let interface = match ip {
            IpAddr::V4(ip) => {
                let holds = |net: &Ipv4Addr, mask: &Ipv4Addr| ip & *mask == *net;
                let attached = self.v4.iter().filter(|(net, mask, _)| holds(net, mask));
                attached.max_by_key(|(_, mask, _)| *mask).map(|(_, _, name)| name)
            }
            IpAddr::V6(ip) => self.v6.get(&ip),
        };
        interface.is_some_and(|name| self.dead.contains(name))
    }
}

/// A line of `/proc/net/route`: interface, network, gateway, flags, three figures, mask; numbers as the machine has them in
/// memory, in hexadecimal. None of routes through a gateway.
fn attached(line: &str) -> Option<(Ipv4Addr, Ipv4Addr, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |n: usize| u32::from_str_radix(words.get(n)?, 16).ok().map(|raw| Ipv4Addr::from(raw.to_ne_bytes()));
    let (net, gateway, mask) = (number(1)?, number(2)?, number(7)?);
    (gateway.is_unspecified() && !mask.is_unspecified()).then(|| (net, mask, words[0].to_owned()))
}

/// A line of `/proc/net/if_inet6`: address, four figures, interface.
fn address_v6(line: &str) -> Option<(Ipv6Addr, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = u128::from_str_radix(words.first()?, 16).ok()?;
    Some((address.into(), (*words.get(5)?).to_owned()))
}

fn is_dead(class: &Path, interface: &str) -> bool {
    let state = std::fs::read_to_string(class.join(interface).join("operstate")).unwrap_or_default();
    matches!(state.trim(), "down" | "lowerlayerdown" | "notpresent")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010AA8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t000AA8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
";
    const IF_INET6: &str = "\
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000002 02 40 00 80     eth0
fd170000000000000000000000000001 03 40 00 80  docker0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn an_address_of_a_bridge_without_a_carrier_is_dead_and_every_other_alive() {
        let mut interfaces = Interfaces::parse(ROUTES, IF_INET6);
        interfaces.dead = vec!["docker0".to_owned()];
        for (ip, dead) in [
            ("172.17.0.1", true),
            ("192.168.10.4", false),
            ("10.9.9.9", false),
            ("fd17::1", true),
            ("fd00::2", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(interfaces.is_dead(ip.parse().unwrap()), dead, "{ip}");
        }
        assert!(interfaces.have_v6() && !Interfaces::parse(ROUTES, &IF_INET6[..53]).have_v6());
        assert!(!Interfaces::default().is_dead("172.17.0.1".parse().unwrap()));
        assert_eq!(Interfaces::parse("nonsense\n\u{0}", "zz zz\n").v4, []);
    }

    #[test]
    fn the_state_of_an_interface_is_read_from_the_system_and_an_unknown_one_is_alive() {
        let dir = tempfile::tempdir().unwrap();
        for (name, state) in [("eth0", "up\n"), ("docker0", "down\n"), ("tun0", "unknown\n")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("operstate"), state).unwrap();
        }
        let dead = ["eth0", "docker0", "tun0", "none"].map(|name| is_dead(dir.path(), name));
        assert_eq!(dead, [false, true, false, false]);
        // Whatever machine this is: reading must not fail, and loopback is never dead.
        assert!(!Interfaces::read().is_dead(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
