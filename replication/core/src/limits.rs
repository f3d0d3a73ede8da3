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

/// Largest difference tolerated between our clock and a remote event's time before it no longer moves our hybrid
/// clock forward, in milliseconds: one hour. The event itself is kept and shown with its own time.
pub const CLOCK_SKEW_MS_MAX: u64 = 3_600_000;
