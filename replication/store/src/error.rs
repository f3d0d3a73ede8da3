//! What can go wrong, apart by whose fault it is: a failing disk never blames a peer.

use std::path::PathBuf;

use linli_core::id::{EventId, LogId};

/// The store or its disk is at fault.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// RocksDB or the system refused.
    #[error("storage: {0}")]
    Backend(String),
    /// What is on disk does not decode: a damaged disk, or a defect.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The disk has no room for what an open store needs.
    #[error(
        "{directory} has {} MiB free, and a store needs {} MiB to open: make room and start again",
        free >> 20, needed >> 20, directory = directory.display()
    )]
    LittleRoom {
        /// Where.
        directory: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// The directory, or the files in it, are not there any more or are others.
    #[error("the store's directory {} was deleted, moved or replaced while the node was running", .0.display())]
    DirectoryGone(PathBuf),
    /// The store was written by a newer program.
    #[error(
        "the store is of format {found}, and this program reads up to {known}: start the program that wrote it, or restore a backup from before the upgrade"
    )]
    NewerFormat {
        /// On disk.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Another process has it open for writing.
    #[error("the store is in use by another process: is a node running already?")]
    InUse,
    /// It was opened for reading only.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// A durable write failed before; nothing more is acknowledged until the store is opened anew.
    #[error("a write to disk failed ({0}): nothing more is recorded until the disk takes writes again")]
    Poisoned(String),
}

/// Why events were not appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The run starts past the end of the log here.
    #[error("log {log}: a gap, expected seq {expected}, found {found}")]
    Gap {
        /// The log.
        log: Box<LogId>,
        /// The next position here.
        expected: u64,
        /// The run's first position.
        found: u64,
    },
    /// Another event stands at that position. Evidence was kept; the history here is as it was.
    #[error("log {log}: two histories, seq {seq} is {ours} here and {theirs} there")]
    Fork {
        /// The log.
        log: Box<LogId>,
        /// The first position that differs.
        seq: u64,
        /// Our event.
        ours: EventId,
        /// Theirs.
        theirs: EventId,
    },
    /// Another log would be one too many. No peer is to blame for the one that comes last.
    #[error("this store holds {most} logs, and no more fit: take away those that do not count")]
    TooManyLogs {
        /// How many fit.
        most: usize,
    },
    /// Our own fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why payloads were not filled in. Nothing of the request was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FillError {
    /// A payload is not the one that the header here commits to.
    #[error("the personal payload of seq {seq} is not the one that its header commits to")]
    WrongPayload {
        /// Position of the event.
        seq: u64,
    },
    /// Our own fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an own event was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store or the generation file is at fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The generation file could not be made durable, so nothing was signed.
    #[error("the generation file could not be written: {0}")]
    Generation(#[from] std::io::Error),
    /// Nothing to write, or a kind or area that is none.
    #[error("the draft is not an event: {0}")]
    Draft(String),
}
