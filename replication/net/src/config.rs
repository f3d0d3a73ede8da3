//! What a mesh is made from, and what it tells of itself.

use std::path::PathBuf;
use std::sync::Arc;

use libp2p::Multiaddr;
use linli_core::charter::Charter;
use linli_core::event::ReceivedEvent;
use linli_core::id::{AuthorKey, EventId, Head, LogId};
use linli_core::sign::SecretKey;
use linli_store::Store;
use prometheus::Registry;

use crate::clocks::WallClock;
use crate::trouble::{Misbehaviour, Reason};

/// Where to listen and whom to call.
#[derive(Debug, Clone, Default)]
pub struct MeshConfig {
    /// Addresses to listen on, such as `/ip4/0.0.0.0/udp/7410/quic-v1` and `/ip4/0.0.0.0/tcp/7410`.
    pub listen: Vec<Multiaddr>,
    /// Addresses of peers that are always called, with or without `/p2p/…`.
    pub peers: Vec<Multiaddr>,
    /// Whether to look for nodes on the LAN and to answer those that look.
    pub mdns: bool,
    /// Whether to keep places on the relays of peers, so that nodes can call that could not otherwise.
    pub relays: RelayUse,
    /// Where others are told that this node can be called; none: where it listens and where peers see it. Of use where a
    /// router passes a port on. Places on relays are told besides.
    pub announce: Option<Vec<Multiaddr>>,
    /// The file in which addresses of peers survive a restart; none: they are forgotten.
    pub address_file: Option<PathBuf>,
}

/// When a node keeps places on the relays of its peers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RelayUse {
    /// On those of peers that were asked to call back and could not.
    #[default]
    WhenNeeded,
    /// On those of all peers that it called itself.
    Always,
    /// On none, and no peer is asked to call back.
    Never,
}

/// Whether other nodes can call this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody has called yet, and nobody who was asked to has had the time.
    #[default]
    Unknown,
    /// Peers have called it directly, and none that was asked to failed.
    Direct,
    /// Some peer could not call it, so it keeps places on relays, through which everybody can.
    Relayed {
        /// How many.
        relays: usize,
    },
    /// Some peer could not call it, and it has no place on a relay.
    Unreachable,
}

/// Who this node is, and where it takes from what it needs.
#[derive(Clone)]
pub struct MeshNode {
    /// The node's author key. The libp2p identity is this very key.
    pub key: SecretKey,
    /// The store that is replicated.
    pub store: Store,
    /// The incarnation in which this node's writer was opened. Later ones are drawn at random while it runs, so what peers
    /// may know and this store may have lost was written in this one.
    pub incarnation: u64,
    /// The federation. Whoever does not know this id is a stranger.
    pub federation: EventId,
    /// The charter as this node knows it now. Called for each hello and now and then; must not block.
    pub charter: Arc<dyn Fn() -> Arc<Charter> + Send + Sync>,
    /// The charter events from the genesis down to this node's grant, each with its own signature. Called for each
    /// hello; must not block.
    pub credentials: Arc<dyn Fn() -> Vec<ReceivedEvent> + Send + Sync>,
    /// This machine's clock, which is told to peers in the greeting and compared with theirs.
    pub clock: WallClock,
    /// Where the mesh registers its metrics.
    pub registry: Registry,
}

/// Why a mesh could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {what}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system says.
        what: String,
    },
    /// Another program has the port.
    #[error(
        "端口已被占用，可能是另一个节点 / cannot listen on {address}: another program, perhaps another node, has this port: \
         {source}"
    )]
    InUse {
        /// The address.
        address: Multiaddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The transports cannot be set up.
    #[error("cannot set up the transports: {0}")]
    Transport(String),
    /// The metrics are registered already, by another mesh.
    #[error("cannot register metrics")]
    Metrics(#[from] prometheus::Error),
}

/// A mesh that has ended cannot be asked any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mesh has been shut down")]
pub struct MeshClosed;

/// Something that the rest of the node may want to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshEvent {
    /// A peer has proven its enrolment and replicates with us.
    Connected {
        /// Its key.
        peer: AuthorKey,
    },
    /// A peer does not replicate with us any more.
    Disconnected {
        /// Its key.
        peer: AuthorKey,
        /// Why, for people.
        reason: String,
    },
    /// One author signed two histories of a log, or a peer says so.
    Forked {
        /// Who has the other history.
        peer: AuthorKey,
        /// The log.
        log: LogId,
        /// Our head.
        ours: Head,
        /// A head of the other history.
        theirs: Head,
        /// Whether signatures prove it.
        proven: bool,
    },
}

/// How far replication with a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// No connection.
    Silent,
    /// Connected; nothing is known of its heads yet. Not the same as up to date.
    Comparing,
    /// One of us lacks events that the other has.
    CatchingUp,
    /// As of the last exchange, both have the same.
    UpToDate,
}

/// One direction of a connection: how fast it is and what still has to go over it. Whatever has not been measured or
/// said is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkEstimate {
    /// Measured speed of frames in this direction, in bytes a second.
    pub bytes_per_second: Option<u64>,
    /// Events that wait on one side and that the other lacks, as far as it said.
    pub waiting_events: Option<u64>,
    /// About how many bytes these are, going by those that went over this connection before.
    pub waiting_bytes: Option<u64>,
    /// About how many seconds they will take at that speed, rounded up.
    pub seconds: Option<u64>,
}

/// What is known of one other node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its author key, which is its libp2p identity.
    pub key: AuthorKey,
    /// Addresses at which it was met, found, or is expected.
    pub addresses: Vec<String>,
    /// Whether it replicates with us now.
    pub connected: bool,
    /// Whether that goes through another node's relay.
    pub relayed: bool,
    /// Since when it has, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Last measured round trip, in milliseconds.
    pub rtt_ms: Option<u64>,
    /// When bytes last came from it, in Unix milliseconds; none if never. Survives restarts with the address file.
    pub last_heard_ms: Option<u64>,
    /// Events that it says it has and we lack; none while unknown.
    pub behind_events: Option<u64>,
    /// Events that we have and it lacks, as far as it said; none while unknown.
    pub ahead_events: Option<u64>,
    /// Logs of which it holds another history than we do.
    pub forked_logs: usize,
    /// Why the last attempt to replicate with it failed, for logs.
    pub refused: Option<String>,
    /// The same as one of a few reasons, to be said in any language.
    pub refused_for: Option<Reason>,
    /// What it did lately that no honest node does, whether or not it is connected again.
    pub misbehaved: Option<Misbehaviour>,
    /// When it is spoken to again, in Unix milliseconds, while it is left alone.
    pub let_back_ms: Option<u64>,
    /// When this was said, in Unix milliseconds.
    pub as_of_ms: u64,
    /// What goes to it, while it is connected.
    pub to_peer: Option<LinkEstimate>,
    /// What comes from it, while it is connected.
    pub from_peer: Option<LinkEstimate>,
    /// Bytes of sync messages received from it on this connection, as they were on the wire.
    pub received_bytes: u64,
    /// Bytes of sync messages sent to it on this connection, as they were on the wire.
    pub sent_bytes: u64,
    /// By how much its clock is ahead of this node's, in milliseconds; less than nothing if it is behind. None if it has
    /// not told lately what its clock shows.
    pub clock_ahead_ms: Option<i64>,
    /// How far replication is.
    pub sync: SyncState,
}

/// A process that runs beside another one with the same key: a copy of a node, which is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCopy {
    /// The key of both.
    pub of: AuthorKey,
    /// Where the other process was met. Of this node's own copies, where the peer says that it replicates with one.
    pub address: Multiaddr,
    /// The peer that says so; none if this node met it itself.
    pub told_by: Option<AuthorKey>,
}
