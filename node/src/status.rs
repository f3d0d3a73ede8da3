//! What a node says of itself and of the others: heights, lag, disk, whom it hears. Unknown is never shown as well.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use linli_core::area::Area;
use linli_core::charter::Role;
use linli_core::id::{AuthorKey, EventId, Head, LogId};
use serde::Serialize;

use crate::cli::now_ms;
use crate::node::{Node, NodeError};

/// After this long without a sign of life a node counts as silent, in milliseconds. Peers ping every few seconds.
pub const SILENT_AFTER_MS: u64 = 60_000;
/// Below this much free disk the node says that it needs attention, in bytes: weeks of events, and room to compact.
pub const DISK_FREE_BYTES_MIN: u64 = 1 << 30;

/// One log as this node has it.
#[derive(Debug, Clone, Serialize)]
pub struct LogStatus {
    /// The log.
    pub log: LogId,
    /// Its height here.
    pub height: u64,
    /// Its head here.
    pub head: EventId,
    /// How far it is shown.
    pub projected: u64,
    /// Whether this node writes it.
    pub own: bool,
}

/// Another node.
#[derive(Debug, Clone, Serialize)]
pub struct PeerLine {
    /// Its key.
    pub node: AuthorKey,
    /// Its public name.
    pub name: String,
    /// Where it works, if its grant is known.
    pub area: Option<Area>,
    /// Where it is or was dialled.
    pub address: String,
    /// Whether there is a live connection.
    pub connected: bool,
    /// Whether that goes through another node's relay.
    pub relayed: bool,
    /// When it was last heard, in Unix milliseconds.
    pub last_heard_ms: Option<u64>,
    /// Round trip, in milliseconds.
    pub rtt_ms: Option<u64>,
    /// Events that it has and we lack, as far as it told us.
    pub behind_events: Option<u64>,
    /// Events that we have and it lacks, as far as it told us.
    pub ahead_events: Option<u64>,
    /// Why the last attempt to talk failed.
    pub refused: Option<String>,
}

/// A log with its head, as an auditor notes it down.
#[derive(Debug, Clone, Serialize)]
pub struct HeadLine {
    /// The log.
    pub log: LogId,
    /// Its last event here.
    pub head: Head,
}

/// What a node says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// Program version.
    pub version: String,
    /// Its key.
    pub node: AuthorKey,
    /// Its public name.
    pub name: String,
    /// Where it works.
    pub area: Area,
    /// Its federation.
    pub federation: EventId,
    /// The district's name.
    pub district_name: String,
    /// When this was said.
    pub now_ms: u64,
    /// When the process started.
    pub started_ms: u64,
    /// Every log.
    pub logs: Vec<LogStatus>,
    /// Every head: what to keep for `linli log verify --known`.
    pub heads: Vec<HeadLine>,
    /// Events here.
    pub events: u64,
    /// Events that are durable and not shown yet.
    pub lag_events: u64,
    /// Records.
    pub records: u64,
    /// Hash over all heads.
    pub frontier_digest: String,
    /// Hash over all views.
    pub projection_digest: String,
    /// Free bytes on the store's disk; unknown if the system does not say.
    pub disk_free_bytes: Option<u64>,
    /// Bytes that the store occupies.
    pub store_bytes: Option<u64>,
    /// Other nodes.
    pub peers: Vec<PeerLine>,
    /// Whether they can call this one: `unknown`, `direct`, `relayed` or `unreachable`.
    pub reachability: &'static str,
    /// Positions at which somebody signed two histories.
    pub forks: u64,
    /// What needs attention. Empty is well.
    pub degraded: Vec<String>,
}

/// A node that this one has not heard from lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SilentNode {
    /// Its key.
    pub node: AuthorKey,
    /// Its public name.
    pub name: String,
    /// When it was last heard; never, if unknown.
    pub last_heard_ms: Option<u64>,
}

/// What a number stands on: as of when, and whom it lacks.
#[derive(Debug, Clone, Serialize)]
pub struct AsOf {
    /// Now.
    pub now_ms: u64,
    /// Events that are durable here and not in the number yet.
    pub lag_events: u64,
    /// Other nodes of the district that are known.
    pub nodes_known: u64,
    /// Those of them that are silent.
    pub silent: Vec<SilentNode>,
}

impl Node {
    /// What this node says of itself.
    pub fn status(&self) -> NodeStatus {
        let frontier = self.store.frontier();
        let folded = self.projector.folded();
        let charter = self.projector.charter();
        let logs: Vec<LogStatus> = frontier
            .iter()
            .map(|(log, head)| LogStatus {
                log: log.clone(),
                height: head.seq,
                head: head.id,
                projected: folded.get(log).copied().unwrap_or(0),
                own: log.author == self.enrolment.node,
            })
            .collect();
        let forks = self.store.forks();
        let disk_free_bytes = self.dir.as_ref().and_then(|dir| free_bytes(dir.path()));
        let mut status = NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.enrolment.node,
            name: self.enrolment.label.clone(),
            area: self.enrolment.area.clone(),
            federation: self.enrolment.federation,
            district_name: charter.genesis().map(|genesis| genesis.name.clone()).unwrap_or_default(),
            now_ms: now_ms(),
            started_ms: self.started_ms,
            heads: frontier.iter().map(|(log, head)| HeadLine { log: log.clone(), head: *head }).collect(),
            events: frontier.events(),
            lag_events: logs.iter().map(|log| log.height - log.projected.min(log.height)).sum(),
            logs,
            records: self.projector.records() as u64,
            frontier_digest: HEXLOWER.encode(&frontier.digest()),
            projection_digest: HEXLOWER.encode(&self.projector.digest()),
            disk_free_bytes,
            store_bytes: self.dir.as_ref().and_then(|dir| occupied_bytes(&dir.store())),
            peers: self.peers(),
            reachability: self.reachability(),
            forks: forks.as_ref().map_or(0, |forks| forks.len() as u64),
            degraded: vec![],
        };
        status.degraded = needs_attention(&status);
        if let Err(error) = forks {
            // No forks known is not the same as no forks.
            tracing::error!(%error, "could not look for forks");
            status.degraded.push("存储读取失败 / the store could not be read".to_owned());
        }
        status
    }

    /// Every other enrolled node and every address that was tried, connected or silent.
    pub fn peers(&self) -> Vec<PeerLine> {
        let charter = self.projector.charter();
        let mut lines: BTreeMap<AuthorKey, PeerLine> = charter
            .grants()
            .filter(|(_, grant)| grant.role == Role::Node && grant.subject != self.enrolment.node)
            .map(|(_, grant)| {
                (grant.subject, silent_line(grant.subject, grant.label.clone(), Some(grant.area.clone())))
            })
            .collect();
        for peer in self.mesh.get().map(linli_net::MeshHandle::peers).unwrap_or_default() {
            let line = lines.entry(peer.key).or_insert_with(|| silent_line(peer.key, peer.key.short(), None));
            line.address = peer.addresses.join(" ");
            line.connected = peer.connected;
            line.relayed = peer.relayed;
            line.last_heard_ms = peer.last_heard_ms;
            line.rtt_ms = peer.rtt_ms;
            line.behind_events = peer.behind_events;
            line.ahead_events = peer.ahead_events;
            line.refused = peer.refused;
        }
        lines.into_values().collect()
    }

    /// What a number that is shown now stands on.
    pub fn as_of(&self) -> AsOf {
        let now_ms = now_ms();
        let peers = self.peers();
        let heard = |line: &PeerLine| line.last_heard_ms.is_some_and(|ms| now_ms.saturating_sub(ms) <= SILENT_AFTER_MS);
        let silent = peers
            .iter()
            .filter(|line| !line.connected && !heard(line))
            .map(|line| SilentNode { node: line.node, name: line.name.clone(), last_heard_ms: line.last_heard_ms })
            .collect();
        AsOf { now_ms, lag_events: self.lag_events(), nodes_known: peers.len() as u64, silent }
    }

    fn lag_events(&self) -> u64 {
        let folded = self.projector.folded();
        let lag = |log, head: &Head| head.seq.saturating_sub(folded.get(log).copied().unwrap_or(0));
        self.store.frontier().iter().map(|(log, head)| lag(log, head)).sum()
    }

    /// Deletes all read models and folds the logs again; says the hash before and after.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rebuild(&self) -> Result<(String, String), NodeError> {
        // An act in between would find records missing.
        let _alone = self.alone();
        let before = HEXLOWER.encode(&self.projector.digest());
        self.projector.rebuild()?;
        Ok((before, HEXLOWER.encode(&self.projector.digest())))
    }
}

fn silent_line(node: AuthorKey, name: String, area: Option<Area>) -> PeerLine {
    PeerLine {
        node,
        name,
        area,
        address: String::new(),
        connected: false,
        relayed: false,
        last_heard_ms: None,
        rtt_ms: None,
        behind_events: None,
        ahead_events: None,
        refused: None,
    }
}

fn needs_attention(status: &NodeStatus) -> Vec<String> {
    let mut reasons = vec![];
    match status.disk_free_bytes {
        Some(free) if free < DISK_FREE_BYTES_MIN => {
            reasons.push(format!("磁盘空间不足 / disk almost full: {} MiB free", free >> 20));
        }
        _ => {}
    }
    if status.forks > 0 {
        reasons.push(format!("发现 {} 处日志分叉 / {} forked positions", status.forks, status.forks));
    }
    let silent = status.peers.iter().filter(|peer| !peer.connected).count();
    if silent > 0 && silent == status.peers.len() {
        reasons.push("与其他节点全部失联 / no other node is connected".to_owned());
    }
    reasons
}

fn free_bytes(path: &std::path::Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

fn occupied_bytes(path: &std::path::Path) -> Option<u64> {
    let files = std::fs::read_dir(path).ok()?;
    Some(files.filter_map(|file| file.ok()?.metadata().ok()).map(|meta| meta.len()).sum())
}
