//! Why an export file is refused, and where: byte offset, log and seq.

use std::fmt;

use crate::cbor::{CborError, Problem};
use crate::event::Slot;
use crate::id::LogId;
use crate::sign::SignatureError;

/// The first thing that is wrong with an export file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ExportError {
    /// Offset in the file, in bytes: of the malformed item, or of the event's item.
    pub offset: u64,
    /// The log that had to come here, if the file had got that far.
    pub log: Option<Box<LogId>>,
    /// The position in it that had to come here.
    pub seq: Option<u64>,
    /// What is wrong.
    pub problem: ExportProblem,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}", self.offset)?;
        if let Some(log) = &self.log {
            write!(f, ", log {log}")?;
        }
        if let Some(seq) = self.seq {
            write!(f, ", seq {seq}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// The ways in which an export file is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportProblem {
    /// Not the deterministic CBOR that has to stand here.
    #[error("{0}")]
    Cbor(Problem),
    /// Logs of the manifest out of order or twice.
    #[error("the manifest's logs are not in strictly ascending order")]
    LogOrder,
    /// The announced number of events is not the number that there is.
    #[error("{announced} events announced, {found} found")]
    WrongCount {
        /// What the manifest or the end record says.
        announced: u64,
        /// What the logs say.
        found: u64,
    },
    /// A payload that the header does not mention.
    #[error("the {0:?} payload has no commitment in the header")]
    UnexpectedPayload(Slot),
    /// A payload that is not the one committed to.
    #[error("the {0:?} payload does not match its commitment in the header")]
    WrongPayload(Slot),
    /// An event of another log than the manifest announces here.
    #[error("the event belongs to another log")]
    OtherLog,
    /// A gap or a repeat.
    #[error("gap or repeat: expected seq {expected}, found {found}")]
    Gap {
        /// The position that had to come.
        expected: u64,
        /// The position that came.
        found: u64,
    },
    /// `prev` does not name the event before.
    #[error("prev does not name the event before it")]
    BrokenLink,
    /// The last event of a log is not the announced head.
    #[error("the last event of the log is not the head that the manifest names")]
    WrongHead,
    /// The last event of a log carries no signature.
    #[error("the log ends without a signature")]
    UnsignedHead,
    /// Too many events, or too many bytes, without a signature.
    #[error("too many events without a signature that covers them")]
    UnsignedRun,
    /// A key or a signature is refused.
    #[error("{0}")]
    Signature(SignatureError),
    /// The SHA-256 of the end record is not that of the bytes before it.
    #[error("the checksum of the end record is not that of the file")]
    WrongDigest,
}

impl ExportProblem {
    /// The reason's name in test vectors and JSON, the same for every implementation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cbor(problem) => problem.code(),
            Self::LogOrder => "log-order",
            Self::WrongCount { .. } => "wrong-count",
            Self::UnexpectedPayload(_) => "unexpected-payload",
            Self::WrongPayload(_) => "wrong-payload",
            Self::OtherLog => "other-log",
            Self::Gap { .. } => "gap",
            Self::BrokenLink => "broken-link",
            Self::WrongHead => "wrong-head",
            Self::UnsignedHead => "unsigned-head",
            Self::UnsignedRun => "unsigned-run",
            Self::Signature(error) => error.code(),
            Self::WrongDigest => "wrong-digest",
        }
    }
}

/// What is wrong with the item that starts the pending bytes.
pub(super) struct ItemError {
    /// From the item's first byte.
    pub offset: usize,
    pub problem: ExportProblem,
    /// More bytes of the file may make it right.
    pub incomplete: bool,
}

impl ItemError {
    pub(super) const fn at(offset: usize, problem: ExportProblem) -> Self {
        Self { offset, problem, incomplete: false }
    }
}

impl From<CborError> for ItemError {
    fn from(error: CborError) -> Self {
        let incomplete = matches!(error.problem, Problem::Truncated);
        Self { offset: error.offset, problem: ExportProblem::Cbor(error.problem), incomplete }
    }
}
