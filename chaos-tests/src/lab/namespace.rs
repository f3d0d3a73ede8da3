//! Hosts of our own: network namespaces on one bridge, where root is there. A cut drops packets inside a namespace,
//! so connections go half-open as they do on a real broken line.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Pace;
use super::system::finish;

/// Largest packet on the bridge with its frame, in bytes: what a shaper must let out at once.
const PACKET_BYTES_MAX: u64 = 1_514;

/// How the names of all our namespaces and devices begin; the number of our process follows. At most 15 bytes in all.
const TAG: &str = "l";

/// A bridge with namespaces on it; gone when dropped.
pub struct Network {
    bridge: String,
    block: u8,
    /// The namespaces, in the order asked for.
    pub hosts: Vec<Host>,
    /// Namespaces of routers that stand before hosts.
    routers: Vec<String>,
}

/// One namespace.
pub struct Host {
    /// Its name, for `ip netns exec`.
    pub name: String,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// Its end of the cable to the bridge, and the bridge's end.
    cable: [String; 2],
}

/// Whether this process may make namespaces: it is root and `ip` and `nft` work here.
pub fn available() -> bool {
    let name = format!("linli-try-{}", std::process::id());
    let works =
        run(&format!("ip netns add {name}")).is_ok() && run(&format!("ip netns exec {name} nft list ruleset")).is_ok();
    let _ = run(&format!("ip netns del {name}"));
    works
}

/// Whether this process may also make lines slow: the kernel has the shapers and `tc` works here.
pub fn can_slow_down() -> bool {
    let name = format!("linli-slow-{}", std::process::id());
    let tc = format!("tc -n {name}");
    let pace = Pace::RADIO;
    let works = run(&format!("ip netns add {name}")).is_ok()
        && shape(&tc, "lo", "dst", ("10.77.0.1", "10.77.0.0/24"), pace).is_ok();
    let _ = run(&format!("ip netns del {name}"));
    works
}

impl Network {
    /// Makes `count` namespaces that reach each other and this process. `block` is the third number of their
    /// addresses in 10.77.0.0/16, so that networks of tests that run side by side do not meet. What processes left behind
    /// that were killed is tidied away first, for its routes would lead this network's packets astray.
    ///
    /// # Errors
    /// When the system refuses one of the steps.
    pub fn with_hosts(count: u8, block: u8) -> anyhow::Result<Self> {
        tidy_after_the_dead();
        let tag = format!("{TAG}{}-{block}", std::process::id());
        let mut network = Self { bridge: format!("{tag}b"), block, hosts: vec![], routers: vec![] };
        run(&format!("ip link add {} type bridge", network.bridge))?;
        run(&format!("ip addr add 10.77.{block}.1/24 dev {}", network.bridge))?;
        run(&format!("ip link set {} up", network.bridge))?;
        for i in 0..count {
            let (name, outer, inner) = (format!("{tag}n{i}"), format!("{tag}o{i}"), format!("{tag}i{i}"));
            let address = Ipv4Addr::new(10, 77, block, 10 + i);
            run(&format!("ip netns add {name}"))?;
            network.hosts.push(Host { name: name.clone(), address, cable: [inner.clone(), outer.clone()] });
            run(&format!("ip link add {outer} type veth peer name {inner} netns {name}"))?;
            run(&format!("ip link set {outer} master {} up", network.bridge))?;
            run(&format!("ip -n {name} addr add {address}/24 dev {inner}"))?;
            run(&format!("ip -n {name} link set {inner} up"))?;
            run(&format!("ip -n {name} link set lo up"))?;
        }
        Ok(network)
    }

    /// Cuts one host off from some others: packets both ways vanish. This process still reaches it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut(&self, host: usize, from: &[usize]) -> anyhow::Result<()> {
        let name = &self.hosts[host].name;
        let others: Vec<String> = from.iter().map(|i| self.hosts[*i].address.to_string()).collect();
        let set = others.join(", ");
        nft(name, "add table inet cut")?;
        nft(name, "add chain inet cut in { type filter hook input priority 0 ; }")?;
        nft(name, "add chain inet cut out { type filter hook output priority 0 ; }")?;
        nft(name, &format!("add rule inet cut in ip saddr {{ {set} }} drop"))?;
        nft(name, &format!("add rule inet cut out ip daddr {{ {set} }} drop"))
    }

    /// Makes the line between one host and all others slow, each way. This process still reaches it at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn slow_down(&self, host: usize, pace: Pace) -> anyhow::Result<()> {
        let Host { name, cable: [inner, outer], .. } = &self.hosts[host];
        let (us, all) = (self.own_address(), format!("10.77.{}.0/24", self.block));
        shape(&format!("tc -n {name}"), inner, "dst", (&us, &all), pace)?;
        shape("tc", outer, "src", (&us, &all), pace)
    }

    /// Puts one host behind a box that lets it call `reachable` and nobody else, and lets nobody call it. This process
    /// still reaches it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn hide(&self, host: usize, reachable: &[usize]) -> anyhow::Result<()> {
        let (name, us) = (&self.hosts[host].name, self.own_address());
        let others: Vec<String> = reachable.iter().map(|i| self.hosts[*i].address.to_string()).collect();
        let set = others.join(", ");
        nft(name, "add table inet hidden")?;
        nft(name, "add chain inet hidden in { type filter hook input priority 1 ; policy drop ; }")?;
        nft(name, "add chain inet hidden out { type filter hook output priority 1 ; policy drop ; }")?;
        nft(name, "add rule inet hidden in iif lo accept")?;
        nft(name, "add rule inet hidden out oif lo accept")?;
        nft(name, &format!("add rule inet hidden in ip saddr {us} accept"))?;
        nft(name, &format!("add rule inet hidden out ip daddr {us} accept"))?;
        if others.is_empty() {
            return Ok(());
        }
        nft(name, &format!("add rule inet hidden in ip saddr {{ {set} }} ct state established,related accept"))?;
        nft(name, &format!("add rule inet hidden out ip daddr {{ {set} }} accept"))
    }

    fn own_address(&self) -> String {
        format!("10.77.{}.1", self.block)
    }

    /// Lets packets from some others to one host vanish; those that it sends arrive.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn deafen(&self, host: usize, to: &[usize]) -> anyhow::Result<()> {
        let name = &self.hosts[host].name;
        let others: Vec<String> = to.iter().map(|i| self.hosts[*i].address.to_string()).collect();
        nft(name, "add table inet cut")?;
        nft(name, "add chain inet cut in { type filter hook input priority 0 ; }")?;
        nft(name, &format!("add rule inet cut in ip saddr {{ {} }} drop", others.join(", ")))
    }

    /// Lets the goodbyes of one host's TCP connections with some others vanish, so that nobody learns of the end of a
    /// process there. After a plain cut the kernel says goodbye for the dead process as soon as the line is back.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn swallow_goodbyes(&self, host: usize, to: &[usize]) -> anyhow::Result<()> {
        let name = &self.hosts[host].name;
        let others: Vec<String> = to.iter().map(|i| self.hosts[*i].address.to_string()).collect();
        nft(name, "add table inet cut")?;
        nft(name, "add chain inet cut out { type filter hook output priority 0 ; }")?;
        let others = others.join(", ");
        nft(name, &format!("add rule inet cut out ip daddr {{ {others} }} tcp flags & (fin|rst) != 0 drop"))
    }

    /// Puts one host behind a router of its own, which translates addresses and lets nothing in that was not asked for.
    /// The router takes over the host's address and passes `open_port` (TCP) on; the host is at `10.79.<host>.2`.
    ///
    /// # Errors
    /// When the system refuses one of the steps.
    pub fn put_behind_router(&mut self, host: usize, open_port: u16) -> anyhow::Result<Ipv4Addr> {
        let (name, address) = (self.hosts[host].name.clone(), self.hosts[host].address);
        let tag = self.bridge.trim_end_matches('b').to_owned();
        let router = format!("{tag}r{host}");
        let part = |letter: char| format!("{tag}{letter}{host}");
        let (inner, outer, wan, lan) = (part('i'), part('o'), part('w'), part('v'));
        let inside = Ipv4Addr::new(10, 79, host as u8, 2);
        run(&format!("ip -n {name} link del {inner}"))?;
        run(&format!("ip netns add {router}"))?;
        self.routers.push(router.clone());
        run(&format!("ip link add {outer} type veth peer name {wan} netns {router}"))?;
        run(&format!("ip link set {outer} master {} up", self.bridge))?;
        run(&format!("ip -n {router} link add {lan} type veth peer name {inner} netns {name}"))?;
        run(&format!("ip -n {router} addr add {address}/24 dev {wan}"))?;
        run(&format!("ip -n {router} addr add 10.79.{host}.1/24 dev {lan}"))?;
        run(&format!("ip -n {router} link set {wan} up"))?;
        run(&format!("ip -n {router} link set {lan} up"))?;
        run(&format!("ip -n {name} addr add {inside}/24 dev {inner}"))?;
        run(&format!("ip -n {name} link set {inner} up"))?;
        run(&format!("ip -n {name} route add default via 10.79.{host}.1"))?;
        run(&format!("ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1"))?;
        for rule in [
            "add table ip router".to_owned(),
            "add chain ip router before { type nat hook prerouting priority -100 ; }".to_owned(),
            format!("add rule ip router before iifname {wan} tcp dport {open_port} dnat to {inside}"),
            "add chain ip router after { type nat hook postrouting priority 100 ; }".to_owned(),
            format!("add rule ip router after oifname {wan} masquerade"),
            "add chain ip router through { type filter hook forward priority 0 ; }".to_owned(),
            format!("add rule ip router through iifname {wan} tcp dport {open_port} accept"),
            format!("add rule ip router through iifname {wan} ct state new drop"),
            "add chain ip router into { type filter hook input priority 0 ; }".to_owned(),
            format!("add rule ip router into iifname {wan} ct state new drop"),
        ] {
            nft(&router, &rule)?;
        }
        // Whoever spoke to the host a moment ago would look for it at its old network card for up to a minute.
        run(&format!("ip neigh flush dev {}", self.bridge))?;
        for namespace in self.hosts.iter().map(|host| &host.name).chain(&self.routers) {
            run(&format!("ip -n {namespace} neigh flush all"))?;
        }
        Ok(inside)
    }

    /// Gives one host a second address, at which this process reaches it whatever becomes of the first. Packets of
    /// `closed_port` do not pass there.
    ///
    /// # Errors
    /// When the system refuses one of the steps.
    pub fn open_side_door(&self, host: usize, closed_port: u16) -> anyhow::Result<Ipv4Addr> {
        let [_, _, block, last] = self.hosts[host].address.octets();
        let (name, side) = (&self.hosts[host].name, Ipv4Addr::new(10, 78, block, last));
        // The bridge may have its side of it from an earlier call.
        let _ = run(&format!("ip addr add 10.78.{block}.1/24 dev {}", self.bridge));
        run(&format!("ip -n {name} addr add {side}/24 dev {}", self.interface(host)))?;
        nft(name, "add table inet side")?;
        nft(name, "add chain inet side in { type filter hook input priority 0 ; }")?;
        nft(name, &format!("add rule inet side in ip daddr {side} tcp dport {closed_port} drop"))?;
        nft(name, &format!("add rule inet side in ip daddr {side} udp dport {closed_port} drop"))?;
        Ok(side)
    }

    /// Moves one host to another address, as when it is carried to another network: the old one is gone at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn move_to(&mut self, host: usize, last: u8) -> anyhow::Result<()> {
        let (name, interface) = (self.hosts[host].name.clone(), self.interface(host));
        let old = self.hosts[host].address;
        let [a, b, c, _] = old.octets();
        let new = Ipv4Addr::new(a, b, c, last);
        run(&format!("ip -n {name} addr del {old}/24 dev {interface}"))?;
        run(&format!("ip -n {name} addr add {new}/24 dev {interface}"))?;
        self.hosts[host].address = new;
        Ok(())
    }

    fn interface(&self, host: usize) -> String {
        format!("{}i{host}", self.bridge.trim_end_matches('b'))
    }

    /// Mends what the methods before broke that drop packets in the host itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn heal(&self, host: usize) -> anyhow::Result<()> {
        nft(&self.hosts[host].name, "delete table inet cut")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            // A namespace goes in its own time; its cable must be gone before the next network takes the name.
            let _ = run(&format!("ip link del {}", host.cable[1]));
        }
        for namespace in self.hosts.iter().map(|host| &host.name).chain(&self.routers) {
            let _ = run(&format!("ip netns del {namespace}"));
        }
        let _ = run(&format!("ip link del {}", self.bridge));
    }
}

/// Deletes namespaces and devices of networks whose process is no more. What cannot be deleted stays.
fn tidy_after_the_dead() {
    let listed = |words: &[&str]| {
        let output = Command::new("ip").args(words).stdin(Stdio::null()).output();
        output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for line in listed(&["netns", "list"]).lines() {
        if let Some(name) = line.split(' ').next().filter(|name| is_of_the_dead(name)) {
            let _ = run(&format!("ip netns del {name}"));
        }
    }
    // "7: l123-4b: <...", or of one end of a cable "8: l123-4o0@if2: <..."
    for line in listed(&["-o", "link"]).lines() {
        let name = line.split([':', '@']).nth(1).map(str::trim);
        if let Some(name) = name.filter(|name| is_of_the_dead(name)) {
            let _ = run(&format!("ip link del {name}"));
        }
    }
}

/// Whether a name is one of ours, and the process that gave it is no more.
fn is_of_the_dead(name: &str) -> bool {
    let process = name.strip_prefix(TAG).and_then(|rest| rest.split_once('-')).map(|(process, _)| process);
    process.is_some_and(|process| process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists())
}

/// Slows what leaves through a device, except what this process says or is told. The shaper sits in a class of its own
/// below one without a limit; it also cuts what offloading has glued together.
fn shape(tc: &str, device: &str, side: &str, (us, all): (&str, &str), pace: Pace) -> anyhow::Result<()> {
    let (bits, queue_ms) = (pace.bytes_per_second * 8, pace.queue.as_millis());
    // As much as the timer of a slow kernel needs at once, and never less than a packet.
    let burst = (pace.bytes_per_second / 100).max(PACKET_BYTES_MAX + 86);
    let class =
        |number: u8| format!("{tc} class add dev {device} parent 1: classid 1:{number} htb rate 10gbit quantum 200000");
    let filter = |order: u8, address: &str, class: u8| {
        format!(
            "{tc} filter add dev {device} parent 1: protocol ip prio {order} u32 match ip {side} {address} flowid 1:{class}"
        )
    };
    run(&format!("{tc} qdisc add dev {device} root handle 1: htb default 1"))?;
    run(&class(1))?;
    run(&class(2))?;
    run(&format!(
        "{tc} qdisc add dev {device} parent 1:2 handle 2: tbf rate {bits}bit burst {burst} latency {queue_ms}ms"
    ))?;
    run(&filter(1, &format!("{us}/32"), 1))?;
    run(&filter(2, all, 2))
}

fn nft(namespace: &str, rule: &str) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "nft"]).args(rule.split_whitespace());
    finish(command, rule)
}

fn run(line: &str) -> anyhow::Result<()> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    finish(command, line)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_a_dead_process_of_ours_left_is_tidied_away() {
        let own = std::process::id();
        assert!(!is_of_the_dead(&format!("l{own}-7n0")), "this process lives");
        assert!(is_of_the_dead("l4999999-7n0"), "no system has a process of that number");
        assert!(["lo", "lan0", "eth0", "l-7", "lab-1", "lx4999999-7"].iter().all(|name| !is_of_the_dead(name)));
    }

    #[test]
    #[ignore = "needs root: network namespaces"]
    fn a_network_works_although_one_on_the_same_block_was_killed() {
        // Given what a killed process leaves behind: a bridge on the block and a namespace,
        run("ip link add l4999999-253b type bridge").unwrap();
        run("ip addr add 10.77.253.1/24 dev l4999999-253b").unwrap();
        run("ip link set l4999999-253b up").unwrap();
        run("ip netns add l4999999-253n0").unwrap();
        // when a network is made there, then its host is reached, and the remains are gone.
        let network = Network::with_hosts(1, 253).unwrap();
        let nobody_listens = TcpStream::connect_timeout(&(network.hosts[0].address, 9).into(), Duration::from_secs(5));
        assert_eq!(nobody_listens.map(drop).map_err(|error| error.kind()), Err(ErrorKind::ConnectionRefused));
        assert!(run("ip link show l4999999-253b").is_err() && run("ip netns exec l4999999-253n0 true").is_err());
    }
}
