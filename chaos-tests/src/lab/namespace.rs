//! Hosts of our own: network namespaces on one bridge, where root is there. A cut drops packets inside a namespace,
//! so connections go half-open as they do on a real broken line.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A bridge with namespaces on it; gone when dropped.
pub struct Network {
    bridge: String,
    /// The namespaces, in the order asked for.
    pub hosts: Vec<Host>,
}

/// One namespace.
pub struct Host {
    /// Its name, for `ip netns exec`.
    pub name: String,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
}

/// Whether this process may make namespaces: it is root and `ip` and `nft` work here.
pub fn available() -> bool {
    let name = format!("linli-try-{}", std::process::id());
    let works =
        run(&format!("ip netns add {name}")).is_ok() && run(&format!("ip netns exec {name} nft list ruleset")).is_ok();
    let _ = run(&format!("ip netns del {name}"));
    works
}

impl Network {
    /// Makes `count` namespaces that reach each other and this process. `block` is the third number of their
    /// addresses in 10.77.0.0/16, so that networks of tests that run side by side do not meet.
    ///
    /// # Errors
    /// When the system refuses one of the steps.
    pub fn with_hosts(count: u8, block: u8) -> anyhow::Result<Self> {
        let tag = format!("l{}{block}", std::process::id() % 100_000);
        let mut network = Self { bridge: format!("{tag}b"), hosts: vec![] };
        run(&format!("ip link add {} type bridge", network.bridge))?;
        run(&format!("ip addr add 10.77.{block}.1/24 dev {}", network.bridge))?;
        run(&format!("ip link set {} up", network.bridge))?;
        for i in 0..count {
            let (name, outer, inner) = (format!("{tag}n{i}"), format!("{tag}o{i}"), format!("{tag}i{i}"));
            let address = Ipv4Addr::new(10, 77, block, 10 + i);
            run(&format!("ip netns add {name}"))?;
            network.hosts.push(Host { name: name.clone(), address });
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

    /// Mends what [`Network::cut`] broke.
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
            let _ = run(&format!("ip netns del {}", host.name));
        }
        let _ = run(&format!("ip link del {}", self.bridge));
    }
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

fn finish(mut command: Command, line: &str) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
