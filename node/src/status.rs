//! What a node says of itself and of the others: heights, lag, disk, whom it hears. Unknown is never shown as well.

use data_encoding::HEXLOWER;
use linli_core::area::Area;
use linli_core::export::KnownHead;
use linli_core::id::{AuthorKey, EventId, LogId};
use serde::Serialize;

use crate::cli::now_ms;
use crate::lan::link_local_only;
use crate::limits::ACTS_IN_HAND_MAX;
use crate::node::{Node, NodeError};
use crate::peer_checks::{ClockDoubt, CopyLine, clock_doubt, clock_lines, copy_lines};
use crate::peers::PeerLine;
use crate::store_health::StoreTroubles;
use crate::strangers::{StrangersLine, stranger_lines};

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
    pub heads: Vec<KnownHead>,
    /// Events here.
    pub events: u64,
    /// Events that are durable and not shown yet.
    pub lag_events: u64,
    /// Logs that they are of.
    pub lag_logs: u64,
    /// All that was durable at this moment is shown; null while the first pass over all logs since the start or a
    /// rebuild is not over.
    pub complete_ms: Option<u64>,
    /// Records.
    pub records: u64,
    /// Acts that are being recorded, or wait for their turn.
    pub acts_in_hand: u64,
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
    /// Nodes of which a copy runs beside them, this one or others.
    pub copies: Vec<CopyLine>,
    /// Logs whose authors have no grant, by the node that brought them.
    pub strangers: Vec<StrangersLine>,
    /// Whether this node's clock is an hour off those of all nodes that were heard, and by how much.
    pub clock_doubt: Option<ClockDoubt>,
    /// Whether they can call this one: `unknown`, `direct`, `relayed` or `unreachable`.
    pub reachability: &'static str,
    /// Positions at which somebody signed two histories.
    pub forks: u64,
    /// What needs attention. Empty is well.
    pub degraded: Vec<String>,
    /// What is good to know and needs no attention: losses that were accepted, words of peers that are not believed.
    pub notes: Vec<String>,
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
    /// Logs that they are of.
    pub lag_logs: u64,
    /// The number holds all that was durable here at this moment; null while that is not known of any.
    pub complete_ms: Option<u64>,
    /// Other nodes of the district that are known.
    pub nodes_known: u64,
    /// Those of them that are silent.
    pub silent: Vec<SilentNode>,
    /// What is wrong with the store here, in both languages: a number may lack what is missing.
    pub store: Vec<String>,
}

impl Node {
    /// What this node says of itself.
    pub fn status(&self) -> NodeStatus {
        let frontier = self.store.frontier();
        let (folded, lag) = (self.projector.folded(), self.projector.lag());
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
        let (forks, peers) = (self.store.forks(), self.peers());
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
            heads: frontier.iter().map(|(log, head)| KnownHead { log: log.clone(), head: *head }).collect(),
            events: frontier.events(),
            lag_events: lag.events,
            lag_logs: lag.logs,
            complete_ms: lag.complete_ms,
            logs,
            records: self.projector.records() as u64,
            acts_in_hand: self.acts_in_hand(),
            frontier_digest: HEXLOWER.encode(&frontier.digest()),
            projection_digest: HEXLOWER.encode(&self.projector.digest()),
            disk_free_bytes,
            store_bytes: self.dir.as_ref().and_then(|dir| occupied_bytes(&dir.store())),
            copies: self.copies(),
            strangers: self.strangers(),
            clock_doubt: clock_doubt(&peers),
            peers,
            reachability: self.reachability(),
            forks: forks.as_ref().map_or(0, |forks| forks.len() as u64),
            degraded: vec![],
            notes: vec![],
        };
        let StoreTroubles { troubles, extents, notes } = self.store_troubles();
        status.notes = notes;
        status.degraded = [troubles, extents, needs_attention(&status)].concat();
        if !status.peers.iter().any(|peer| peer.connected)
            && let Some(line) = link_local_only()
        {
            // Who has no peers yet is told why none is found; who has lost them, what is wrong.
            let lines = if status.peers.is_empty() { &mut status.notes } else { &mut status.degraded };
            lines.push(line);
        }
        if let Err(error) = forks {
            // No forks known is not the same as no forks.
            tracing::error!(%error, "could not look for forks");
            status.degraded.push("存储读取失败 / the store could not be read".to_owned());
        }
        status
    }

    /// Acts that are being recorded, or wait for their turn.
    pub fn acts_in_hand(&self) -> u64 {
        self.acts_in_hand.now() as u64
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
        let lag = self.projector.lag();
        AsOf {
            now_ms,
            lag_events: lag.events,
            lag_logs: lag.logs,
            complete_ms: lag.complete_ms.map(|ms| if lag.events == 0 { now_ms } else { ms }),
            nodes_known: peers.len() as u64,
            silent,
            store: self.store_troubles().troubles,
        }
    }

    /// Reads what is shown, and what that stands on. Where views are thrown away or catch up meanwhile, the worse of the
    /// two moments counts: what was empty when it was read is not called complete.
    pub fn reading<T>(&self, read: impl FnOnce() -> T) -> (T, AsOf) {
        let before = self.as_of();
        let reading = read();
        let after = self.as_of();
        let as_of = if before.lag_events > after.lag_events { before } else { after };
        (reading, as_of)
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
    if status.acts_in_hand > ACTS_IN_HAND_MAX as u64 / 2 {
        let waiting = status.acts_in_hand;
        reasons.push(format!("{waiting} 项操作在等待记录 / {waiting} acts wait to be recorded"));
    }
    reasons.extend(clock_lines(&status.peers));
    reasons.extend(copy_lines(&status.copies));
    reasons.extend(stranger_lines(&status.strangers));
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
