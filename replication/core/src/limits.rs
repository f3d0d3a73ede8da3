//! Every bound of the formats and the protocol, each with its reason. Nothing else in this crate invents a number.

/// Longest encoded header, in bytes: the fixed shape with eight parents needs less than 700.
pub const HEADER_BYTES_MAX: usize = 1024;

/// Most parents an event may name. More concurrent heads than this are merged step by step.
pub const PARENTS_MAX: usize = 8;

/// Longest kind, in bytes.
pub const KIND_BYTES_MAX: usize = 32;

/// Longest area code, in bytes: national codes have up to 15 digits, other hierarchies get some room.
pub const AREA_BYTES_MAX: usize = 32;

/// Largest payload of one slot, in bytes. Larger things are attachments.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Deepest nesting of arrays and maps in a payload. People's forms nest two or three levels.
pub const CBOR_DEPTH_MAX: usize = 16;

/// A store keeps the signature of every event whose seq is a multiple of this, besides that of each head, so that a
/// frame can end on a signed event wherever a cut leaves off.
pub const SIGNATURE_INTERVAL: u64 = 64;

/// Most events in one frame: bounds the work done before its signature is checked.
pub const FRAME_EVENTS_MAX: usize = 2048;

/// Largest frame, in bytes before compression: bounds what one peer can make us hold in memory.
/// Room for one signature interval of the largest events is not needed: a sender signs ends of shorter runs.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Most events of which payloads are asked for, or given, at a time: the question stays below 3 KiB, and whoever answers
/// looks up no more than a frame of events costs it.
pub const FILL_EVENTS_MAX: usize = 256;

/// Highest stream number that version 1 accepts; 9 to 31 are reserved and replicated as unknown.
pub const STREAM_MAX: u8 = 31;

/// Most addresses in a ticket: it still fits a QR code.
pub const TICKET_ADDRESSES_MAX: usize = 8;

/// Most root keys of a federation.
pub const ROOT_KEYS_MAX: usize = 16;

/// Longest label of a grant, in bytes: a place or a post, about twenty Chinese characters.
pub const LABEL_BYTES_MAX: usize = 64;

/// Longest chain of grants from the genesis: ranks 0 to 3, and the genesis itself.
pub const GRANT_CHAIN_MAX: usize = 5;

/// Furthest that a hybrid clock runs ahead of the wall clock, in milliseconds: a quarter of an hour. A clock that nobody
/// keeps right is off by minutes, and an answer must still sort after its question. A time further ahead, be it a
/// stranger's or our own from when the clock was wrong, would date every later act of ours wrong: it is not followed. The
/// event that has it is kept and shown with its own time.
pub const CLOCK_AHEAD_MS_MAX: u64 = 900_000;

/// Most logs in which all peers together are remembered to be ahead of us, shared out evenly: some 20 MB. What a peer
/// announces beyond its share is no fault of it, and is asked for again when there is room.
pub const SYNC_LOGS_AHEAD_MAX: usize = 65_536;

/// Least share of a peer of [`SYNC_LOGS_AHEAD_MAX`], however many there are: what can be pulled in several round trips.
/// Charter and alerts may take as many again, so that a backlog of others never hides a warning.
pub const SYNC_LOGS_AHEAD_PER_PEER: usize = 1_024;

/// How soon a peer whose logs had no room is asked for those of the next range, in milliseconds, so that what it tells of
/// one has come before there is room for the next: several thousand logs a second, which is faster than disks take them.
pub const SYNC_OVERFLOW_INTERVAL_MS: u64 = 200;

/// Most ranges for which such a peer is asked at a time: lists of what we hold of them fit one message, though logs are not
/// spread quite evenly.
pub const SYNC_OVERFLOW_RANGES: u64 = 8;

/// Most logs of which other heads are remembered of a peer than those that we have, besides those in which it is ahead:
/// under a megabyte. Beyond that it is thought to have less than it has, until digests say that both are equal.
pub const SYNC_TOLD_LOGS_PER_PEER: usize = 8_192;

/// Bytes that a log of a key without a grant is charged beside its frames: rows and indices that each log costs.
pub const SYNC_STRANGER_LOG_BYTES: u64 = 512;

/// Most logs of keys without a grant that one peer may bring in all the time that there is this store. An honest one
/// brings those of a node that has just been enrolled and whose grant is still on its way: nine streams.
pub const SYNC_STRANGER_LOGS_MAX: u64 = 4_096;

/// Most bytes of logs of keys without a grant that one peer may bring: with what is on its way when they are used up (a
/// want in which a frame may be begun, [`SYNC_STRANGER_WANTS_PER_PEER`] times), and twice over while a database
/// merges its files, a hostile member costs below 64 MB of disk.
pub const SYNC_STRANGER_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// Most logs of keys without a grant that all peers together may bring: members may enrol further ones, and each would
/// have a quota.
pub const SYNC_STRANGER_LOGS_IN_ALL: u64 = 32_768;

/// See [`SYNC_STRANGER_LOGS_IN_ALL`], in bytes: eight hostile members, and a small disk is not full of it.
pub const SYNC_STRANGER_BYTES_IN_ALL: u64 = 192 * 1024 * 1024;

/// Most logs of keys without a grant that are remembered to be announced by a peer and not pulled yet: as many as it may
/// bring, a megabyte and a half.
pub const SYNC_STRANGERS_TOLD_PER_PEER: usize = 4_096;

/// Most logs of keys without a grant that we pull from one peer at a time: they go last.
pub const SYNC_STRANGER_WANTS_PER_PEER: usize = 2;

/// Most logs of keys without a grant that we pull from all peers together.
pub const SYNC_STRANGER_WANTS_MAX: usize = 8;

/// Most heads in one message: about 110 KiB, so that a full exchange does not hold the line either.
pub const SYNC_HEADS_PER_MESSAGE_MAX: usize = 1024;

/// Up to so many logs on both sides, frontiers are compared by telling all heads: shorter than asking which differ.
pub const SYNC_VECTOR_LOGS_MAX: u64 = 64;

/// Logs in a range from which on it is split instead of listed. Listing one costs 16 bytes a log, splitting it 64 bytes
/// and another half round trip.
pub const SYNC_LOGS_PER_RANGE: u64 = 32;

/// Bits of the ranges in the first message of a comparison: 512 fingerprints, 4 KiB.
pub const SYNC_OPENING_DEPTH_MAX: u8 = 9;

/// Most fingerprints, and most items, in one message of a comparison: at most 32 KiB and 64 KiB. What has no room is
/// found by the next comparison.
pub const SYNC_RECONCILE_ENTRIES_MAX: usize = 4096;

/// Most messages of comparisons that a peer may send between two digests, its own or ours: either begins a comparison.
/// Honest ones need three.
pub const SYNC_RECONCILE_MESSAGES_MAX: u32 = 16;

/// Most requests for heads that a peer may make between two digests, its own or ours. Honest ones need one for each answer
/// to a comparison, and several comparisons may fall between two digests.
pub const SYNC_TELLS_MAX: u32 = 64;

/// What honest peers do rarely and hostile ones without end is allowed once in this time, in milliseconds, after a first
/// burst: the four bounds that follow.
pub const SYNC_ODDITY_INTERVAL_MS: u64 = 500;

/// Digests that a peer may send at once. Each can cost a hash over all heads. Honest peers send one every 30 s and one
/// or two after each comparison; this many can have gathered on a line that was dead for a quarter of an hour.
pub const SYNC_DIGESTS_BURST: u32 = 64;

/// Wants that may replace an open one at once. Each can cost a read from disk that nobody gets. Honest peers do so after
/// their own store failed, once for each log that they pull.
pub const SYNC_REPLACED_WANTS_BURST: u32 = 64;

/// Frames at once that may bring nothing but what is there. Honest ones were overtaken by an import, once for each log
/// that is being pulled.
pub const SYNC_IDLE_FRAMES_BURST: u32 = 64;

/// Pulls at once that may end without anything of what was announced. Honest peers cannot read some of their disk.
pub const SYNC_EMPTY_PULLS_BURST: u32 = 1024;

/// How soon digests are compared again after the logs that differ were found, in milliseconds, unless events are still
/// moving then: so that both sides know that it was all of them.
pub const SYNC_COMPARE_AGAIN_MS: u64 = 1_000;

/// Longest message of the sync protocol, in bytes: the largest frame and its envelope.
pub const SYNC_MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + 64;

/// Bytes that we allow a peer to send us of one log ahead of our disk. Times the wants in flight it bounds the memory
/// that one peer can fill, and it covers a round trip of 100 ms at 80 Mbit/s for a single log.
pub const SYNC_CREDIT_BYTES: u64 = 1024 * 1024;

/// Most credit that a peer may have at us for one log: a few times what we give, for versions that give more.
pub const SYNC_CREDIT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A pull that lacks up to so many events is short: most logs after a day without the others.
pub const SYNC_SHORT_WANT_EVENTS: u64 = 64;

/// Credit of a short pull, in bytes: 64 events of a kilobyte. Longer ones get more as their bytes become durable.
pub const SYNC_SHORT_CREDIT_BYTES: u64 = 64 * 1024;

/// Most credit that one peer is given at first for all pulls together, without the charter and alerts: eight long ones.
pub const SYNC_WANTED_BYTES_PER_PEER: u64 = 8 * 1024 * 1024;

/// Most credit that all peers together are given at first, without the charter and alerts. With a frame for each of
/// [`SYNC_WANTS_MAX`] it bounds what waits for our disk to 96 MiB if all peers are hostile, and to some 40 MiB else.
pub const SYNC_WANTED_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Most logs that we pull from one peer at a time, without the charter and alerts: with those, what a peer accepts.
pub const SYNC_WANTS_PER_PEER: usize = 56;

/// Most logs that we pull from all peers together, without the charter and alerts.
pub const SYNC_WANTS_MAX: usize = 64;

/// Most logs of the charter and of alerts that we pull from one peer at a time, besides the others, so that a grant or
/// a warning never waits for a slot.
pub const SYNC_URGENT_WANTS_PER_PEER: usize = 4;

/// Most logs of which we ask one peer for payloads that are lacking. With the pulls of events there is room left for as
/// many that we gave up and the peer still answers: [`SYNC_SERVES_PER_PEER_MAX`].
pub const SYNC_FILLS_PER_PEER: usize = 2;

/// Most logs of which we ask all peers together for payloads that are lacking: bounds what waits for our disk to 16 MiB.
pub const SYNC_FILLS_MAX: usize = 16;

/// Logs with payloads that are lacking which are looked at in one tick. A node that was entitled late lacks some of
/// thousands of logs; looking at all of them for each peer would take too much of a tick.
pub const SYNC_FILL_LOGS_PER_TICK: usize = 256;

/// How soon a peer that has no more payloads of a log for us is asked for that log again, in milliseconds: it may be
/// waiting for them itself. The pause doubles up to [`SYNC_FILL_AGAIN_MS_MAX`] while nothing comes of it.
pub const SYNC_FILL_AGAIN_MS: u64 = 30_000;

/// Longest pause before a peer that gave no payloads of a log is asked for that log again, in milliseconds. So long is
/// also left alone who does not answer such questions at all: it may not know them.
pub const SYNC_FILL_AGAIN_MS_MAX: u64 = 600_000;

/// Questions for payloads that a peer may ask at once, and then one in [`SYNC_FILL_INTERVAL_MS`]. Those that find nothing
/// cost us reads and the peer nothing. What goes beyond is told that there is nothing, and may be asked again later.
pub const SYNC_FILLS_BURST: u32 = 1024;

/// See [`SYNC_FILLS_BURST`], in milliseconds: 5,000 payloads a second, which is faster than disks take them.
pub const SYNC_FILL_INTERVAL_MS: u64 = 50;

/// Most wants that a peer may have open at us: generous for versions that pull more than we do.
pub const SYNC_SERVES_PER_PEER_MAX: usize = 64;

/// Streams below this number go strictly first: charter and alerts.
pub const SYNC_URGENT_STREAMS: u8 = 2;

/// Largest frame that we send, in bytes, on a line that is fast enough.
pub const SYNC_FRAME_BYTES: u64 = 256 * 1024;

/// Smallest frame that we aim at, in bytes, however slow the line: below it the signature costs more than it saves.
pub const SYNC_FRAME_BYTES_MIN: u64 = 2 * 1024;

/// Smallest piece of a frame that we send, in bytes: an eighth of a second at 64 kbit/s.
pub const SYNC_PIECE_BYTES_MIN: u64 = 1024;

/// Smallest piece, but the last of a frame, that is accepted, in bytes: smaller ones cost us more to confirm than to read.
pub const SYNC_PART_BYTES_MIN: usize = 512;

/// Bytes of frames that may be on their way to a peer before its line was measured, when its greeting came from nearby:
/// a hundred events at once.
pub const SYNC_ON_WAY_BYTES_NEAR: u64 = 48 * 1024;

/// The same when the greeting came from far away and says that the line is wide: a hundred events in two round trips. A
/// line of 64 kbit/s that was taken for one is held for three seconds, once.
pub const SYNC_ON_WAY_BYTES_FAR: u64 = 24 * 1024;

/// Bytes of frames that may always be on their way to a peer, however slow its line, and all of them before it was
/// measured when the greeting says neither: a quarter of a second at 64 kbit/s.
pub const SYNC_ON_WAY_BYTES_MIN: u64 = 2 * 1024;

/// Most bytes of frames on their way to one peer: 100 ms at 160 Mbit/s, and a bound on what a peer that stops reading
/// makes us keep.
pub const SYNC_ON_WAY_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A greeting that takes no longer than this in all, in milliseconds, comes from nearby. At 64 kbit/s its two or three
/// kilobytes take at least twice as long.
pub const SYNC_NEAR_GREETING_MS: u64 = 60;

/// Credentials (a kilobyte or two) that take as long as the round trip before them, give or take so many milliseconds,
/// show a wide line: at 64 kbit/s they take 150 ms longer. Less than a round trip is as suspicious as more: what was
/// measured before waited behind something else then, as behind the rest of a transport's handshake.
pub const SYNC_WIDE_GREETING_MS: u64 = 10;

/// How long pieces of frames may occupy the line before a warning can overtake, in milliseconds, besides the round trip
/// that keeps the line filled.
pub const SYNC_LINE_HELD_MS: u64 = 250;

/// Frames for one peer that are being read, or read and not wholly sent, at a time: one goes out while the next is read.
/// As many again of the charter and of alerts, so that they need not wait for others.
pub const SYNC_FRAMES_IN_PIPELINE: usize = 2;

/// Up to so many peers are told of a new head at once. The others are told [`SYNC_LATER_HINTS_MS`] later if they have
/// not said meanwhile that they have it: whoever gets an event tells its own neighbours.
pub const SYNC_HINTS_AT_ONCE: usize = 30;

/// See [`SYNC_HINTS_AT_ONCE`], in milliseconds.
pub const SYNC_LATER_HINTS_MS: u64 = 1_000;

/// Most messages that may wait to be written to one peer. More means that it does not read what it asked for.
pub const SYNC_UNWRITTEN_MESSAGES_MAX: usize = 1024;

/// Most bytes that may wait to be written to one peer: several times what two of the largest frames, heads and a whole
/// comparison need. It bounds the memory that a peer can fill which asks and does not read.
pub const SYNC_UNWRITTEN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a frame counts against credit at least, in bytes: no frame of an event is as short, and empty ones are not free.
pub const SYNC_FRAME_BYTES_LEAST: u64 = 64;

/// How often the frontiers are compared on a live connection, in milliseconds.
pub const SYNC_COMPARE_INTERVAL_MS: u64 = 30_000;

/// Longest pause between full exchanges that keep finding the same difference, such as a fork, in milliseconds.
pub const SYNC_FULL_EXCHANGE_INTERVAL_MS_MAX: u64 = 600_000;

/// How long a peer may leave every one of our wants without any answer before we pull elsewhere, in milliseconds.
pub const SYNC_ANSWER_TIMEOUT_MS: u64 = 30_000;

/// How long a pull of the charter or of alerts may bring nothing, in milliseconds, before it is taken up with somebody
/// else who has it: a member that announces warnings and keeps them back must not hold them up.
pub const SYNC_URGENT_PATIENCE_MS: u64 = 2_000;

/// How long a peer may confirm none of the pieces on their way to it, in milliseconds, before it is left: the longest
/// piece on a line that has just become as slow as 64 kbit/s arrives in 32 s.
pub const SYNC_CONFIRM_TIMEOUT_MS: u64 = 40_000;

/// How long a log is left alone after our own store failed to take it, in milliseconds.
pub const SYNC_STORE_RETRY_MS: u64 = 5_000;

/// Most logs in one export file: every person and device of a district in every stream. Bounds the manifest, which a
/// reader holds in memory, to about 14 MB.
pub const EXPORT_LOGS_MAX: usize = 100_000;

/// Most consecutive events of an export file without a signature, and the most bytes of them: what a reader holds
/// back until the signature that covers them has been checked.
pub const EXPORT_UNSIGNED_EVENTS_MAX: usize = FRAME_EVENTS_MAX;

/// See [`EXPORT_UNSIGNED_EVENTS_MAX`]; one signature interval of events with two payloads of the largest size fits.
pub const EXPORT_UNSIGNED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest header of a carried volume, in bytes: a chain of grants whose payloads are as large as payloads may be.
pub const CARRY_HEADER_BYTES_MAX: usize = 512 * 1024;

/// Longest packed frame of a carried volume, in bytes: the largest frame, and the form byte of one that does not pack.
pub const CARRY_FRAME_BYTES_MAX: usize = FRAME_BYTES_MAX + 1;

/// Most volumes of a bundle: a district's whole history in the smallest volumes, and a number that people can handle
/// in the default ones. Bounds what is remembered of a bundle.
pub const CARRY_VOLUMES_MAX: u64 = 4_096;

/// Longest standing (request or receipt), in bytes: the heads of as many logs as a peer may tell of, and credentials.
pub const CARRY_STANDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most logs in a standing: a district of a thousand authors with nine streams each and a few restored stores stays far
/// below.
pub const CARRY_LOGS_MAX: usize = 65_536;

/// Most nodes that one file is sealed for. Each costs about 100 bytes of the file and one key agreement of whoever
/// opens it; a district has some hundred nodes.
pub const CARRY_RECIPIENTS_MAX: usize = 1_024;

/// Smallest volume that may be asked for, in bytes: a QR relay or a full stick; below it the sealing would outweigh
/// what it seals.
pub const CARRY_VOLUME_BYTES_MIN: u64 = 64 * 1024;

/// Largest volume that may be asked for, in bytes: an importing node holds one in memory.
pub const CARRY_VOLUME_BYTES_ASKED_MAX: u64 = 64 * 1024 * 1024;

/// Largest volume that is read, in bytes: the largest that may be asked for, and what its seal, its header and a last
/// frame of the largest size may add.
pub const CARRY_VOLUME_BYTES_MAX: usize = 66 * 1024 * 1024;
