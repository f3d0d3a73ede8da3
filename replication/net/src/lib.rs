//! The libp2p driver of the replication protocol: transports, enrolment hello, streams, peers, metrics.
//!
//! The protocol itself is [`linli_core::sync`], a state machine without I/O. This crate feeds it: one loop
//! (`driver`) between the network, the store and the clock. A peer's libp2p identity *is* its author key, so the
//! transport proves the very key that the charter enrols, and [`linli_core::charter`] says whether it is a node. Wire
//! formats are normative in `docs/sync.md`.
//!
//! Start reading at [`Mesh::spawn`]. From a connection to replication: `connection`, `hello`, `session`. Whom to
//! call, and how others find this node: `book`, `whereabouts`, `reach`.

mod address;
mod address_file;
mod book;
mod clocks;
mod config;
mod connection;
mod copies;
mod door;
mod doorstep;
mod driver;
mod gate;
mod hello;
mod identity;
mod interfaces;
pub mod limits;
mod link;
mod memory;
mod mesh;
mod metrics;
mod own_addresses;
mod own_heads;
mod packing;
mod ports;
mod reach;
mod session;
mod status;
mod strangers;
#[cfg(test)]
mod tests;
mod trouble;
mod whereabouts;
mod wire;

pub use clocks::WallClock;
pub use config::{
    LinkEstimate, MeshClosed, MeshConfig, MeshEvent, MeshNode, NodeCopy, PeerStatus, Reachability, RelayUse,
    SpawnError, SyncState,
};
pub use door::{BatchDone, HeadsAhead, Job, Proven, append_batch, append_proven, prove_batch, read_frame};
pub use identity::peer_id;
pub use libp2p::{Multiaddr, PeerId};
pub use mesh::{Mesh, MeshHandle};
pub use own_heads::OwnHeadsTold;
pub use packing::{Packer, UnpackError, unpack};
pub use strangers::{DiscardError, Strangers};
pub use trouble::{Misbehaviour, Reason};
