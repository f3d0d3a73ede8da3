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

/// Most own logs of which peers' later heads are kept. A store that was rolled back lacks heads of logs that it wrote in
/// one incarnation, of which a greeting shows so many; and any one of them opens a new incarnation, after which none of
/// that one matters.
pub const OWN_HEADS_MAX: usize = HELLO_HEADS_MAX;

/// Most of them from one peer. A node signs a handful of logs in one incarnation, and one of them is enough for the guard.
pub const OWN_HEADS_OF_PEER_MAX: usize = 64;

/// Messages below this length are not worth compressing, in bytes.
pub const COMPRESS_BYTES_MIN: usize = 256;

/// Messages from this length on are not tried to be compressed for a while after one that hardly became shorter.
pub const COMPRESS_TRIED_BYTES: usize = 16 * 1024;

/// How many of them go plain before one is tried again: a sixteenth of the effort, and at most 4 MiB that might have packed.
pub const COMPRESS_PAUSE_MESSAGES: u32 = 15;

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

/// Least time that a standing connection has to answer a probe when another process with the same key has come. A node
/// that crashed and came back waits so long before it is served.
pub const PROBE_WAIT_MIN: Duration = Duration::from_secs(1);

/// Round trips of the standing connection that are added to it: a line that is busy answers late.
pub const PROBE_ROUND_TRIPS: u32 = 4;

/// Most time that it has: less than a hello may take, so that whoever waits is still there.
pub const PROBE_WAIT_MAX: Duration = Duration::from_secs(4);

/// How long people are told of a copy after it was last met. It calls again every 12 s at least.
pub const COPY_TOLD_FOR: Duration = Duration::from_secs(120);

/// Most processes with one key that are told apart beside the one that replicates: nobody clones a node more often
/// without noticing, and a further one is only probed for again.
pub const COPIES_PER_PEER_MAX: usize = 4;

/// How long it is believed how far a peer's clock is from ours: a clock without any time source loses a second a day.
pub const CLOCK_BELIEVED_FOR: Duration = Duration::from_secs(24 * 3600);

/// A step of this node's own clock after which peers are greeted anew, to learn how far it is from theirs now. Time
/// services slew what is less.
pub const CLOCK_SET_MIN: Duration = Duration::from_secs(10);

/// How often a live connection is probed.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

/// How long a probe may stay without answer. The second one in a row that does is told, so with the interval a dead line
/// is noticed within 20 seconds. A slow line is not a dead one: no more than a second of ours is ever on it.
pub const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A line on which bytes arrived this recently is alive, whatever became of its probes: they starve under load.
pub const ALIVE_AFTER_BYTES: Duration = Duration::from_secs(10);

/// Shortest pause before a peer is dialled again.
pub const REDIAL_MIN: Duration = Duration::from_millis(500);

/// Longest pause before a peer is dialled again: a heal must be noticed within 15 s, turns included, and a dial costs
/// little. With a hundred peers, who take 12.5 s of turns, 14 s were too long in one heal of thirty.
pub const REDIAL_MAX: Duration = Duration::from_secs(12);

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

/// Most of them that come from places from which no member has come: the rest is kept for members.
pub const CONNECTIONS_PENDING_UNKNOWN_MAX: usize = 48;

/// How often it is worked out where members come from: a pass over the known addresses.
pub const PLACES_TOLD_EVERY: Duration = Duration::from_secs(5);

/// One address, over IPv6 one network of 64 bits, may have this part of what is left of them: 12 while there is no other,
/// and each further machine that joins in gets less, so that two dozen are needed to keep newcomers out for the ten seconds
/// that a silent socket is waited for. Many nodes may share a router's address, but a connection is in the making for a few
/// round trips only.
pub const CONNECTIONS_PENDING_SHARE: usize = 3;

/// Most of them from one place from which members have come before.
pub const CONNECTIONS_PENDING_PER_SOURCE_MAX: usize = 16;

/// Most connections to one peer: a new one, both sides dialling at once, one through a relay, and old ones that are dead
/// and whose closing the system has not given up yet.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 8;

/// Most peers that are remembered because they were found on the LAN or refused, beyond the configured ones.
pub const REMEMBERED_PEERS_MAX: usize = 256;

/// Most addresses that are remembered of one peer: a few interfaces over QUIC and TCP, and a few relays.
pub const ADDRESSES_PER_PEER_MAX: usize = 12;

/// Most addresses of a peer that are tried at the same time: one network card each, so that a dead one costs no wait.
pub const ADDRESSES_AT_ONCE_MAX: usize = 4;

/// Most peers that are called in one round; there are four rounds a second. A node that lost a hundred peers reaches
/// each within 15 s of a heal, and never calls more than 480 times a minute, some hundred bytes each.
pub const CALLS_AT_ONCE_MAX: usize = 2;

/// How long the direct ways to a peer are tried before a relay is asked as well. A LAN answers within milliseconds.
pub const RELAYED_CALL_AFTER: Duration = Duration::from_secs(1);

/// Failures in a row after which an address is given up that somebody told and that never led anywhere: a minute.
pub const TOLD_FAILURES_MAX: u32 = 8;

/// How long an address that was given up is not believed again when it is told anew.
pub const HOPELESS_FOR: Duration = Duration::from_secs(600);

/// Most addresses that are known to be hopeless: those of all remembered peers.
pub const HOPELESS_ADDRESSES_MAX: usize = 1024;

/// How long an address that once led to a completed hello is kept without another: longer than holidays.
pub const ADDRESS_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Longest file of remembered addresses, in bytes: all peers with all their addresses.
pub const ADDRESS_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How soon a newly proven address, or that a peer came or went, is written down. A crash before that costs a search.
pub const ADDRESSES_SAVED_AFTER: Duration = Duration::from_secs(2);

/// How often it is written down when peers were last heard. After a crash the status page is wrong by so much.
pub const LAST_HEARD_SAVED_EVERY: Duration = Duration::from_secs(60);

/// Within how long everybody is called, spread at random, when this node's own addresses have changed.
pub const HURRY_WITHIN: Duration = Duration::from_secs(2);

/// How long a connection has to show a sign of life after an own address went away, before it is replaced: a probe's
/// interval and its way there and back.
pub const DOUBTED_AFTER: Duration = Duration::from_secs(6);

/// Neighbours beyond which nobody is called who is neither configured nor on the LAN: each costs announcements, and
/// events reach everybody through far fewer.
pub const NEIGHBOURS_ENOUGH: usize = 30;

/// Neighbours through relays beyond which no other is called: every byte of theirs burdens the relay twice.
pub const RELAYED_NEIGHBOURS_ENOUGH: usize = 4;

/// How long after its hello a connection waits before it opens streams of other protocols: the peer completes the same
/// hello half a round trip later, and refuses what comes before.
pub const GATE_WAIT: Duration = Duration::from_millis(500);

/// Longest message of whereabouts, in bytes: far more than the addresses allowed in it.
pub const WHEREABOUTS_BYTES_MAX: usize = 64 * 1024;

/// Most own addresses that are told to a peer.
pub const OWN_ADDRESSES_MAX: usize = 12;

/// Most other nodes whose addresses are told in one message. More follow in the next.
pub const WHEREABOUTS_NODES_MAX: usize = 16;

/// Most addresses of another node that are passed on.
pub const PASSED_ON_ADDRESSES_MAX: usize = 6;

/// Longest address, in bytes. A circuit over IPv6 takes some 120.
pub const ADDRESS_BYTES_MAX: usize = 256;

/// Shortest pause between two messages of whereabouts to a peer: when many nodes come at once they are told together.
pub const WHEREABOUTS_INTERVAL: Duration = Duration::from_secs(2);

/// Shortest pause before the next message of whereabouts of a peer is read: half of what honest ones keep, for one may
/// have been held up on the way. Each costs a pass over what is known of the nodes in it.
pub const WHEREABOUTS_PACE: Duration = Duration::from_secs(1);

/// How long a message of whereabouts may take to arrive.
pub const WHEREABOUTS_TIMEOUT: Duration = Duration::from_secs(30);

/// Most places at which peers saw us that are remembered: one per router and kind of IP.
pub const OBSERVED_MAX: usize = 4;

/// How often it is read which interfaces have a carrier: three small tables of the system. A bridge to which something is
/// plugged in is told of so much later.
pub const INTERFACES_READ_EVERY: Duration = Duration::from_secs(10);

/// How long a peer that was asked to call back may take. Its calls time out by then.
pub const CALL_BACK_PATIENCE: Duration = Duration::from_secs(12);

/// Shortest pause between two calls back to the same peer: a member must not make us hammer at somebody's door.
pub const CALL_BACK_INTERVAL: Duration = Duration::from_secs(30);

/// How long the connection of a call back stays open, so that the other side sees it whole.
pub const CALL_BACK_OPEN: Duration = Duration::from_secs(2);

/// Relays on which a node that cannot be called keeps a place: a second one for when the first is gone.
pub const RELAYS_MAX: usize = 2;

/// Shortest pause before a place on a relay is asked for again.
pub const RESERVATION_RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest pause before a place on a relay is asked for again.
pub const RESERVATION_RETRY_MAX: Duration = Duration::from_secs(30);

/// How long a place on our relay is kept without renewal; renewed at three quarters of it.
pub const RESERVATION_TIME: Duration = Duration::from_secs(1800);

/// Most places on our relay: a street's worth of nodes that cannot be called. Each costs a connection anyway.
pub const RESERVATIONS_MAX: usize = 64;

/// Most places of one peer on our relay: that of a dead connection and that of the one after it.
pub const RESERVATIONS_PER_PEER_MAX: usize = 2;

/// Most circuits through our relay at a time. Each costs two streams and 16 KiB of buffers.
pub const CIRCUITS_MAX: usize = 64;

/// Most circuits from or to one peer through our relay.
pub const CIRCUITS_PER_PEER_MAX: usize = 16;

/// Longest life of a circuit. The defaults of libp2p end it after two minutes, for strangers; ours are members.
pub const CIRCUIT_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// Most bytes through a circuit: 16 GiB, a catch-up of a whole district many times over. libp2p's default is 128 KiB.
pub const CIRCUIT_BYTES_MAX: u64 = 16 << 30;

/// How long an address found on the LAN is believed. Announced again several times within it.
pub const MDNS_TTL: Duration = Duration::from_secs(120);

/// How often the LAN is asked who is there: a node that comes back is found within this time.
pub const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(15);

/// How long the end of a mesh waits for the last note of who brought logs without a grant: one small write.
pub const LAST_CHARGES_TIMEOUT: Duration = Duration::from_secs(5);

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
