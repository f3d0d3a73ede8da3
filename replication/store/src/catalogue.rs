//! Every column family: its name, what its keys are, who writes it, how it is tuned.

use linli_core::event::Slot;

/// A column family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `format` → on-disk version (u32 BE). Written when the store is opened. `heads` → nothing, once there is a heads file.
    /// `next_log` → number of the next log (u32 BE). Written by append.
    Meta,
    /// Log id (CBOR) → local log number (u32 BE). Written by append.
    Logs,
    /// Log number ‖ seq → signature, header and the operational payload that came along. Written by append. One log is one
    /// sequential range, and an event one row in most cases: each row costs as much again as its bytes.
    Entries,
    /// Log number ‖ seq → salt ‖ operational payload that came after its event, or came before on-disk version 2; empty once
    /// erased. Written by append and erase.
    Op,
    /// Log number ‖ seq → salt ‖ personal payload; empty once erased. Written by append and erase.
    Pii,
    /// Log number ‖ seq → nothing: an event whose personal payload is neither here nor erased. Written by append; deleted
    /// when the payload comes or is erased.
    Lacking,
    /// Log number ‖ seq ‖ event id → the other branch's event. Written by append when histories disagree.
    Forks,
    /// Opaque read models; may be deleted at any time. Written by the projector.
    Projection,
    /// Node-local settings: enrolment, operators, sessions. Never replicated.
    Local,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Meta,
        Self::Logs,
        Self::Entries,
        Self::Op,
        Self::Pii,
        Self::Lacking,
        Self::Forks,
        Self::Projection,
        Self::Local,
    ];

    /// The name on disk. Never reused with another meaning.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Logs => "logs",
            Self::Entries => "entries",
            Self::Op => "op",
            Self::Pii => "pii",
            Self::Lacking => "lacking",
            Self::Forks => "forks",
            Self::Projection => "projection",
            Self::Local => "local",
        }
    }

    /// Whether its keys begin with a log's number and a position.
    pub const fn is_by_log(self) -> bool {
        matches!(self, Self::Entries | Self::Op | Self::Pii | Self::Lacking | Self::Forks)
    }

    /// Bytes of one block on disk: what is compressed and read at a time. Events are read in runs, where larger blocks
    /// compress better and with less work for each; everything else is read key by key.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Entries | Self::Op | Self::Pii => 16 << 10,
            Self::Meta | Self::Logs | Self::Lacking | Self::Forks | Self::Projection | Self::Local => 4 << 10,
        }
    }

    /// Whether all of it can be made again from events and payloads: damage in it costs work and no data.
    pub const fn is_derived(self) -> bool {
        matches!(self, Self::Projection | Self::Lacking)
    }

    /// The family of this name on disk.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Whether most keys that are looked up are not there, as those of new acts and new records.
    pub const fn is_asked_for_what_is_not_there(self) -> bool {
        matches!(self, Self::Projection)
    }

    /// Files with new rows before they are merged with the settled ones. Each file of entries has something of every log, so
    /// each merge rewrites all that has not settled yet: twice RocksDB's usual number halves that work, which in a catch-up is
    /// taken from it, and a read looks into a few files more.
    pub const fn files_before_a_merge(self) -> i32 {
        if matches!(self, Self::Entries) { 8 } else { 4 }
    }

    /// Memory that collects writes before they go to a file, in bytes. Families that grow with every event get more;
    /// all of them together, twice over while flushing, stay well under the 150 MB of a small machine.
    pub const fn write_buffer_bytes(self) -> usize {
        match self {
            Self::Entries => 16 << 20,
            Self::Projection => 4 << 20,
            Self::Pii => 2 << 20,
            Self::Meta | Self::Logs | Self::Op | Self::Lacking | Self::Forks | Self::Local => 1 << 20,
        }
    }
}

/// Where each payload slot is kept.
pub const SLOT_FAMILIES: [(Slot, Family); 2] = [(Slot::Op, Family::Op), (Slot::Pii, Family::Pii)];

/// On-disk version that this program writes.
pub const DISK_FORMAT: u32 = 2;
/// Key of the version in [`Family::Meta`].
pub const META_FORMAT: &[u8] = b"format";
/// Key in [`Family::Meta`] that is there once a heads file was written: without it, a store has none yet.
pub const META_HEADS: &[u8] = b"heads";
/// Key in [`Family::Meta`] of the number (u32 BE) that the next log gets. Stores of earlier versions have none.
pub const META_NEXT_LOG: &[u8] = b"next_log";
/// Memory for uncompressed blocks, in bytes: reads are mostly of recent events.
pub const BLOCK_CACHE_BYTES: usize = 16 << 20;
/// zstd level of what has settled on disk. Level 1 takes half the time of the default, which during a catch-up is time
/// taken from it, and packs headers and short payloads nearly as well.
pub const COMPRESSION_LEVEL: i32 = 1;
