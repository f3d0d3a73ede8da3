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

/// Bytes of a message that was begun, or all that is missing of it, that must come within [`PACE_INTERVAL`]. A line of
/// 64 kbit/s carries fifteen times as much, so it may be shared, cut for seconds and still bring a message of 1 MiB; one
/// byte a second is noticed.
pub const PACE_BYTES: usize = 16 * 1024;

/// See [`PACE_BYTES`]: longer than any line is cut without being given up.
pub const PACE_INTERVAL: Duration = Duration::from_secs(30);

/// How long a peer may take nothing of what is written to it. Half a window of a stream, after which it says that there
/// is room again, is 16 s on a line of 64 kbit/s.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(40);

/// How many times as long as its messages kept the loop busy a peer waits at most: one peer gets a quarter of the loop.
pub const LOOP_SHARE: u32 = 4;

/// What a peer may be ahead of its share of the loop: the costliest message of an honest one is far below.
pub const LOOP_BURST: Duration = Duration::from_millis(200);

/// Frames that go into one store batch, whatever their length: each can cost a signature check, and the frames of other
/// peers wait meanwhile. Together some 10 ms.
pub const APPEND_BATCH_FRAMES: usize = 256;

/// The state of all peers is published so rarely that it takes at most this part of the loop's time: a flood of
/// connections would otherwise make us do little else.
pub const TELL_SHARE: u32 = 20;

/// What telling may be ahead of its share: a few connections that come and go at once are told at once.
pub const TELL_BURST: Duration = Duration::from_secs(1);

/// How long a peer that was refused may take to say its own verdict, so that it hears ours before the connection ends.
pub const VERDICT_WAIT: Duration = Duration::from_secs(2);

/// Streams that a peer may have open on one connection at a time: hello, sync, probes and what libp2p needs. Each holds
/// up to 256 KiB that were sent before anybody asked who sends.
pub const STREAMS_PER_CONNECTION_MAX: usize = 32;

/// What may have arrived on one stream over QUIC and not been read, in bytes: 100 ms at 320 Mbit/s.
pub const QUIC_STREAM_BYTES: u32 = 4 * 1024 * 1024;

/// What may have arrived on all streams of a QUIC connection and not been read, in bytes: one full stream and little else.
pub const QUIC_CONNECTION_BYTES: u32 = 5 * 1024 * 1024;

/// Streams out of turn that a peer may open on one connection. Honest ones open one when two hellos cross.
pub const STRAY_STREAMS_MAX: u32 = 16;

/// Most connections that others opened and on which no hello is completed. The oldest makes room for the newest, so
/// that strangers who say nothing keep nobody out for ten seconds each.
pub const STRANGERS_MAX: usize = 64;

/// Most sessions with one peer in [`VISITS_INTERVAL`]: each begins with a comparison. A peer whose process or line breaks
/// every two seconds stays below.
pub const VISITS_MAX: u32 = 30;

/// See [`VISITS_MAX`].
pub const VISITS_INTERVAL: Duration = Duration::from_secs(60);
