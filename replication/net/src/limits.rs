//! Every bound of the driver, each with its reason. Bounds of the protocol itself are in [`linli_core::limits`].

use std::time::Duration;

/// How long a connection may take from its first byte to a completed hello and an open sync stream.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest hello message of somebody who has not yet shown that it knows the federation, in bytes: a nonce and a tag.
pub const HELLO_STRANGER_BYTES_MAX: usize = 128;

/// Longest hello message afterwards, in bytes: a chain of grants whose payloads are as large as payloads may be.
pub const HELLO_BYTES_MAX: usize = 512 * 1024;

/// Most own logs whose heads are shown in a hello. A node has one log per stream and incarnation.
pub const HELLO_HEADS_MAX: usize = 1024;

/// Messages below this length are not worth compressing, in bytes.
pub const COMPRESS_BYTES_MIN: usize = 256;

/// zstd level of messages: level 1 keeps up with the disk on one core, higher ones do not.
pub const COMPRESSION_LEVEL: i32 = 1;

/// Messages of one peer that are decoded and not yet handled. More would only fill memory.
pub const MESSAGES_IN_HAND: usize = 4;

/// Events that wait for the driver's loop, from all tasks together. Writers wait when it is full.
pub const LOOP_QUEUE: usize = 256;

/// Frames that go into one store batch, in bytes: one sync to disk for many small frames, and a bound on its memory.
pub const APPEND_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Batches that are verified and appended at a time, each of other logs: one computes while the other syncs.
pub const APPENDS_AT_A_TIME: usize = 2;

/// How often a live connection is probed.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

/// How long a probe may stay without answer. With the interval a dead line is noticed within 15 seconds.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A line on which bytes arrived this recently is alive, whatever became of its probes: they starve under load.
pub const ALIVE_AFTER_BYTES: Duration = Duration::from_secs(10);

/// Shortest pause before a peer is dialled again.
pub const REDIAL_MIN: Duration = Duration::from_millis(500);

/// Longest pause before a peer is dialled again: a heal must be noticed quickly, and a dial costs little.
pub const REDIAL_MAX: Duration = Duration::from_secs(15);

/// How long a peer that broke the protocol or was refused is not spoken to. Doubles up to a minute.
pub const SHUN_MIN: Duration = Duration::from_secs(5);

/// Longest time that a peer is shunned: a person may have repaired it meanwhile.
pub const SHUN_MAX: Duration = Duration::from_secs(60);

/// How long people are told that a peer misbehaved after it last did: it is let back in sooner, and somebody who looks a
/// few minutes later should still find out why a node was away.
pub const MISBEHAVIOUR_TOLD: Duration = Duration::from_secs(600);

/// Most connections in all. A district has some hundred nodes, and each holds a few neighbours.
pub const CONNECTIONS_MAX: u32 = 256;

/// Most connections that others open, so that strangers cannot use up our own dials.
pub const CONNECTIONS_IN_MAX: u32 = 192;

/// Most connections that are being set up in one direction.
pub const CONNECTIONS_PENDING_MAX: u32 = 64;

/// Most connections to one peer: an old one that is dead, a new one, and both sides dialling at once.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;

/// Most peers that are remembered because they were found on the LAN or refused, beyond the configured ones.
pub const REMEMBERED_PEERS_MAX: usize = 256;

/// How long an address found on the LAN is believed. Announced again several times within it.
pub const MDNS_TTL: Duration = Duration::from_secs(120);

/// How often the LAN is asked who is there: a node that comes back is found within this time.
pub const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(15);

/// How long spawning waits for its listeners.
pub const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the state of all peers is published. Each time costs a pass over all logs per connected peer.
pub const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Events that a slow subscriber may lag behind before it misses some.
pub const EVENTS_QUEUE: usize = 256;
