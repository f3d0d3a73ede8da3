//! Every column family: its name, what its keys are, who writes it, how it is tuned.

use linli_core::event::Slot;

/// A column family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `format` → on-disk version (u32 BE). Written when the store is opened.
    Meta,
    /// Log id (CBOR) → local log number (u32 BE). Written by append.
    Logs,
    /// Log number ‖ seq → header bytes and signature. Written by append. One log is one sequential range.
    Entries,
    /// Log number ‖ seq → salt ‖ operational payload; empty once erased. Written by append and erase.
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

    /// Bytes of one block on disk: what is compressed and read at a time. Events are read in runs, where larger blocks
    /// compress better and with less work for each; everything else is read key by key.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Entries | Self::Op | Self::Pii => 16 << 10,
            Self::Meta | Self::Logs | Self::Lacking | Self::Forks | Self::Projection | Self::Local => 4 << 10,
        }
    }

    /// Memory that collects writes before they go to a file, in bytes. Families that grow with every event get more;
    /// all of them together, twice over while flushing, stay well under the 150 MB of a small machine.
    pub const fn write_buffer_bytes(self) -> usize {
        match self {
            Self::Entries | Self::Op => 8 << 20,
            Self::Projection => 4 << 20,
            Self::Pii => 2 << 20,
            Self::Meta | Self::Logs | Self::Lacking | Self::Forks | Self::Local => 1 << 20,
        }
    }
}

/// Where each payload slot is kept.
pub const SLOT_FAMILIES: [(Slot, Family); 2] = [(Slot::Op, Family::Op), (Slot::Pii, Family::Pii)];

/// On-disk version that this program writes.
pub const DISK_FORMAT: u32 = 2;
/// Key of the version in [`Family::Meta`].
pub const META_FORMAT: &[u8] = b"format";
/// Memory for uncompressed blocks, in bytes: reads are mostly of recent events.
pub const BLOCK_CACHE_BYTES: usize = 16 << 20;
/// zstd level of what has settled on disk. Level 1 takes half the time of the default, which during a catch-up is time
/// taken from it, and packs headers and short payloads nearly as well.
pub const COMPRESSION_LEVEL: i32 = 1;
