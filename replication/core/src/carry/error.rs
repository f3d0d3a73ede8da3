//! Why something carried is refused, and at which byte of what was sealed.

use crate::cbor::{CborError, Problem};
use crate::sign::SignatureError;

/// The first thing that is wrong with a volume or a standing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {problem}")]
pub struct CarryError {
    /// Offset of the item, in bytes of what was sealed.
    pub offset: u64,
    /// What is wrong.
    pub problem: CarryProblem,
}

/// The ways in which something carried is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarryProblem {
    /// Not the deterministic CBOR that has to stand here.
    #[error("{0}")]
    Cbor(Problem),
    /// The signature of its maker does not hold.
    #[error("its maker's signature: {0}")]
    Signature(#[from] SignatureError),
    /// It belongs to another district.
    #[error("it belongs to another federation")]
    OtherFederation,
    /// Its maker does not prove to be a node of the federation.
    #[error("its maker is not proven to be a node of the federation")]
    NotAMember,
    /// Logs out of order or twice.
    #[error("its logs are not in strictly ascending order")]
    LogOrder,
    /// It ends before its end record.
    #[error("it breaks off before its end")]
    BreaksOff,
    /// Bytes follow its end.
    #[error("bytes follow its end")]
    TrailingBytes,
    /// The end record counts other frames than there are.
    #[error("{announced} frames announced, {found} found")]
    WrongCount {
        /// What the end record says.
        announced: u64,
        /// What was there.
        found: u64,
    },
    /// The SHA-256 of the end record is not that of the bytes before it.
    #[error("the checksum of its end record is not that of its bytes")]
    WrongDigest,
}

impl CarryProblem {
    pub(super) const fn at(self, offset: u64) -> CarryError {
        CarryError { offset, problem: self }
    }
}

impl From<CborError> for CarryProblem {
    fn from(error: CborError) -> Self {
        Self::Cbor(error.problem)
    }
}
