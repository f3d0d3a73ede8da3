//! A district of real nodes: founded, joined and linked the way the README says, with links that can be cut.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::lab::Pace;
use crate::lab::link::Link;
use crate::lab::namespace::Network;
use crate::lab::process::{NodeProcess, Transport, wait_until};

/// Where the links run.
pub enum Wires {
    /// Relays on loopback, one per pair: (dialling node, answering node, relay).
    Relays(Vec<(usize, usize, Link)>),
    /// Namespaces on a bridge.
    Namespaces(Network),
}

/// Nodes of one district.
pub struct District {
    /// The nodes; the first founded the district.
    pub nodes: Vec<NodeProcess>,
    /// What connects them.
    pub wires: Wires,
}

/// A node to be: name, area, label.
pub type Plan<'a> = (&'a str, &'a str, &'a str);

/// What the nodes of a district are connected by. By default: relays on loopback, TCP, as fast as the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wiring {
    /// Namespaces instead of relays: the third number of their addresses, see [`Network::with_hosts`].
    pub namespaces: Option<u8>,
    /// What the nodes speak.
    pub transport: Transport,
    /// A node behind a slow line, and how slow that is.
    pub slow: Option<(usize, Pace)>,
}

impl District {
    /// Founds a district with the first node and lets the others join; all are running and linked at the end.
    ///
    /// # Errors
    /// When a step fails; the message says which.
    pub fn found(root: &Path, plans: &[Plan<'_>], namespaces: Option<u8>) -> anyhow::Result<Self> {
        Self::wired(root, plans, Wiring { namespaces, ..Wiring::default() })
    }

    /// As [`District::found`], over lines of one's choice.
    ///
    /// # Errors
    /// As [`District::found`].
    pub fn wired(root: &Path, plans: &[Plan<'_>], wiring: Wiring) -> anyhow::Result<Self> {
        let mut district = Self::laid_out(root, plans, wiring)?;
        district.found_laid_out(plans)?;
        Ok(district)
    }

    /// Founds a district with the first of the nodes that were laid out and lets the others join; all run at the end.
    ///
    /// # Errors
    /// When a step fails; the message says which.
    pub fn found_laid_out(&mut self, plans: &[Plan<'_>]) -> anyhow::Result<()> {
        self.found_first(plans[0])?;
        for (node, plan) in plans.iter().enumerate().skip(1) {
            self.admit(node, *plan)?;
            self.nodes[node].peers = (0..node).map(|other| self.dial_address(node, other)).collect();
            self.nodes[node].start().with_context(|| format!("starting {}", plan.0))?;
        }
        Ok(())
    }

    /// Places and lines for nodes; nothing is founded, nobody is a member, nothing runs.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn laid_out(root: &Path, plans: &[Plan<'_>], wiring: Wiring) -> anyhow::Result<Self> {
        let network = wiring.namespaces.map(|block| Network::with_hosts(plans.len() as u8, block)).transpose()?;
        if let (Some(network), Some((node, pace))) = (&network, wiring.slow) {
            network.slow_down(node, pace)?;
        }
        let mut nodes = vec![];
        for (i, (name, _, _)) in plans.iter().enumerate() {
            let host = network.as_ref().map(|n| &n.hosts[i]);
            let address = host.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |h| IpAddr::V4(h.address));
            let mut node = NodeProcess::new(name, root, address, host.map(|h| h.name.clone()))?;
            node.transport = wiring.transport;
            node.confined = host.is_none();
            if host.is_some() {
                // In a namespace of its own every node may use the usual ports.
                (node.api.http, node.mesh) = ((address, 8420).into(), (address, 8421).into());
            }
            nodes.push(node);
        }
        let wires = match network {
            Some(network) => Wires::Namespaces(network),
            None => Wires::Relays(relays(&nodes, wiring.slow)?),
        };
        Ok(Self { nodes, wires })
    }

    /// The first node founds the district and runs.
    ///
    /// # Errors
    /// When a step fails.
    pub fn found_first(&mut self, (_, area, label): Plan<'_>) -> anyhow::Result<()> {
        self.nodes[0].command(&["init", "--name", label, "--area", area, "--district", "临湖区(演示)"])?;
        self.nodes[0].start()
    }

    /// The first node lets another one in, which does not run yet. Request and ticket are texts: they need no network.
    ///
    /// # Errors
    /// When a step fails.
    pub fn admit(&self, node: usize, (_, area, label): Plan<'_>) -> anyhow::Result<()> {
        let asked = self.nodes[node].command(&["join"])?;
        let request = asked["request"].as_str().context("no request")?;
        // The lines say whom to dial; the ticket's own address would bypass a relay.
        let address = self.dial_address(node, 0);
        let invite = ["invite", "--name", label, "--area", area, "--address", &address, request];
        let answered = self.nodes[0].command(&invite)?;
        let ticket = answered["ticket"].as_str().context("no ticket")?;
        self.nodes[node].command(&["join", ticket])?;
        Ok(())
    }

    /// Where one node dials another.
    pub fn dial_address(&self, from: usize, to: usize) -> String {
        match &self.wires {
            Wires::Relays(links) => links
                .iter()
                .find(|(a, b, _)| (*a, *b) == (from, to))
                .map_or_else(|| self.nodes[to].multiaddr(), |(_, _, link)| link.multiaddr()),
            Wires::Namespaces(_) => self.nodes[to].multiaddr(),
        }
    }

    /// Cuts one node off from the others. Its pages stay reachable from here.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut_off(&self, node: usize) -> anyhow::Result<()> {
        self.split(&[node])
    }

    /// Cuts some nodes off from all others, but not from each other. Their pages stay reachable from here.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn split(&self, apart: &[usize]) -> anyhow::Result<()> {
        let others: Vec<usize> = (0..self.nodes.len()).filter(|node| !apart.contains(node)).collect();
        match &self.wires {
            Wires::Relays(links) => {
                let crosses = |(a, b, _): &&(usize, usize, Link)| apart.contains(a) != apart.contains(b);
                links.iter().filter(crosses).for_each(|(_, _, link)| link.cut());
                Ok(())
            }
            Wires::Namespaces(network) => apart.iter().try_for_each(|node| network.cut(*node, &others)),
        }
    }

    /// Mends what [`District::cut_off`] broke.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn heal(&self, node: usize) -> anyhow::Result<()> {
        self.rejoin(&[node])
    }

    /// Mends what [`District::split`] broke.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn rejoin(&self, apart: &[usize]) -> anyhow::Result<()> {
        match &self.wires {
            Wires::Relays(links) => {
                links.iter().for_each(|(_, _, link)| link.heal());
                Ok(())
            }
            Wires::Namespaces(network) => apart.iter().try_for_each(|node| network.heal(*node)),
        }
    }

    /// Waits until all nodes hold the same logs and show the same records.
    ///
    /// # Errors
    /// When they do not within `limit`; the message says how they differ.
    pub fn wait_for_agreement(&self, limit: Duration) -> anyhow::Result<Duration> {
        wait_until(limit, || {
            self.disagreement().map(|differences| if differences.is_empty() { Ok(()) } else { Err(differences) })
        })
    }

    /// How the nodes differ; empty if they agree and have folded everything.
    ///
    /// # Errors
    /// When a node does not answer.
    pub fn disagreement(&self) -> anyhow::Result<String> {
        let mut all = vec![];
        for node in &self.nodes {
            let s = node.api.status()?;
            all.push((
                node.name.clone(),
                s["frontier_digest"].clone(),
                s["projection_digest"].clone(),
                s["lag_events"].clone(),
                s["events"].clone(),
            ));
        }
        let equal = all.iter().all(|s| (&s.1, &s.2) == (&all[0].1, &all[0].2) && s.3 == json!(0));
        Ok(if equal { String::new() } else { format!("{all:?}") })
    }
}

fn relays(nodes: &[NodeProcess], slow: Option<(usize, Pace)>) -> anyhow::Result<Vec<(usize, usize, Link)>> {
    let mut links = vec![];
    for from in 1..nodes.len() {
        for (to, node) in nodes.iter().enumerate().take(from) {
            let pace = slow.filter(|(node, _)| [from, to].contains(node)).map(|(_, pace)| pace);
            links.push((from, to, Link::to(node.mesh, pace)?));
        }
    }
    Ok(links)
}
