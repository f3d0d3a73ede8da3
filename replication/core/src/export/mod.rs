//! Export file, version 1: whole logs in one file that an auditor can check years later with a CBOR reader, SHA-256
//! and Ed25519. Normative text: `docs/format.md`, "Export file".
//!
//! The file is a CBOR sequence: a [`Manifest`], then every event of every log in the manifest's order, then an end
//! record with the number of events and the SHA-256 of all bytes before it. It is not compressed, on purpose
//! (`docs/adr/0002-export-file-without-compression.md`).
//!
//! Nothing here touches a file: [`ExportWriter`] returns the bytes to write, [`ExportReader`] is fed whatever pieces
//! were read and holds no more than one item and one unsigned run. What a file alone cannot show is that it is
//! complete: whoever makes it may leave out the last events of a log. That is what heads known from elsewhere are for.

mod error;
mod manifest;
mod reader;
mod report;
mod writer;

pub use error::{ExportError, ExportProblem};
pub use manifest::{Known, KnownHead, Manifest};
pub use reader::{ExportReader, Sink, verify_export};
pub use report::{CharterSummary, Discrepancy, ExportReport, LogSummary, Unauthorised, Verdicts};
pub use writer::{ExportWriteError, ExportWriter, Signatures};

/// First field of the manifest.
pub const MAGIC: &str = "linli/export/1";

/// First field of the end record.
const END: &str = "end";

#[cfg(test)]
mod tests;
