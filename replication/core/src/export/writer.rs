//! Makes an export file, piece by piece. Refuses to make one that a reader would refuse for its order or its ends.

use sha2::{Digest, Sha256};

use crate::cbor::Writer;
use crate::event::{Payload, ReceivedEvent, Slot};
use crate::export::{END, ExportProblem, Manifest};
use crate::frame::PiiScope;
use crate::id::{EventId, LogId};
use crate::limits;

/// Which signatures go into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// All that are there: every such event can be shown as a standard `COSE_Sign1`.
    All,
    /// Those that a reader needs: of heads and of every [`limits::SIGNATURE_INTERVAL`]th event. Checks much faster.
    Needed,
}

/// Why an export file cannot be written like this. A caller's mistake or a store in disorder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportWriteError {
    /// The manifest itself is wrong.
    #[error("the manifest is wrong: {0}")]
    Manifest(ExportProblem),
    /// More events than announced.
    #[error("all announced events are written already")]
    TooMany,
    /// Another event than the manifest and the events before ask for.
    #[error("log {log}, seq {seq}: {problem}")]
    Event {
        /// The log whose turn it is.
        log: Box<LogId>,
        /// The position whose turn it is.
        seq: u64,
        /// What is wrong.
        problem: ExportProblem,
    },
    /// Fewer events than announced.
    #[error("log {log}: its events from seq {seq} on are missing")]
    Missing {
        /// The log whose turn it is.
        log: Box<LogId>,
        /// The position whose turn it is.
        seq: u64,
    },
}

/// Encodes one export file. Every method returns the bytes to append; the caller owns the file.
#[derive(Debug)]
pub struct ExportWriter {
    manifest: Manifest,
    signatures: Signatures,
    log: usize,
    next_seq: u64,
    prev: Option<EventId>,
    unsigned: usize,
    unsigned_bytes: usize,
    events: u64,
    hash: Sha256,
}

impl ExportWriter {
    /// Starts a file and returns its first bytes.
    ///
    /// # Errors
    /// [`ExportWriteError::Manifest`].
    pub fn start(manifest: Manifest, signatures: Signatures) -> Result<(Self, Vec<u8>), ExportWriteError> {
        let events = manifest.check().map_err(ExportWriteError::Manifest)?;
        let bytes = manifest.encode(events);
        let mut writer = Self {
            manifest,
            signatures,
            log: 0,
            next_seq: 1,
            prev: None,
            unsigned: 0,
            unsigned_bytes: 0,
            events,
            hash: Sha256::new(),
        };
        writer.hash.update(&bytes);
        Ok((writer, bytes))
    }

    /// Encodes the next event: the manifest's logs in order, each from seq 1 to its head.
    ///
    /// # Errors
    /// [`ExportWriteError`] when it is not the next one, or would make a file that cannot be verified.
    pub fn event(&mut self, event: &ReceivedEvent, pii: PiiScope) -> Result<Vec<u8>, ExportWriteError> {
        let Some(current) = self.manifest.logs.get(self.log) else { return Err(ExportWriteError::TooMany) };
        let is_head = self.next_seq == current.head.seq;
        let needed = is_head || self.next_seq.is_multiple_of(limits::SIGNATURE_INTERVAL);
        let signature = event.signature().filter(|_| needed || self.signatures == Signatures::All);
        let mut w = Writer::with_capacity(event.header_bytes().len() + 160);
        w.array(4).bytes(event.header_bytes()).bytes_or_null(signature.map(|s| &s.as_bytes()[..]));
        write_payload(&mut w, event.payload(Slot::Op));
        write_payload(&mut w, event.payload(Slot::Pii).filter(|_| pii == PiiScope::Covered));
        let bytes = w.into_bytes();
        let (unsigned, unsigned_bytes) = match signature {
            Some(_) => (0, 0),
            None => (self.unsigned + 1, self.unsigned_bytes + bytes.len()),
        };
        let header = event.header();
        let problem = if header.log_id() != current.log {
            Some(ExportProblem::OtherLog)
        } else if header.seq != self.next_seq {
            Some(ExportProblem::Gap { expected: self.next_seq, found: header.seq })
        } else if header.seq > 1 && header.prev != self.prev {
            Some(ExportProblem::BrokenLink)
        } else if is_head && event.id() != current.head.id {
            Some(ExportProblem::WrongHead)
        } else if is_head && signature.is_none() {
            Some(ExportProblem::UnsignedHead)
        } else if unsigned > limits::EXPORT_UNSIGNED_EVENTS_MAX || unsigned_bytes > limits::EXPORT_UNSIGNED_BYTES_MAX {
            Some(ExportProblem::UnsignedRun)
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(ExportWriteError::Event { log: Box::new(current.log.clone()), seq: self.next_seq, problem });
        }
        (self.unsigned, self.unsigned_bytes) = (unsigned, unsigned_bytes);
        (self.next_seq, self.prev) = (self.next_seq + 1, Some(event.id()));
        if is_head {
            (self.log, self.next_seq, self.prev) = (self.log + 1, 1, None);
        }
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// Returns the end record.
    ///
    /// # Errors
    /// [`ExportWriteError::Missing`] when announced events were not written.
    pub fn finish(self) -> Result<Vec<u8>, ExportWriteError> {
        if let Some(current) = self.manifest.logs.get(self.log) {
            return Err(ExportWriteError::Missing { log: Box::new(current.log.clone()), seq: self.next_seq });
        }
        let mut w = Writer::with_capacity(64);
        w.array(3).text(END).uint(self.events).bytes(&self.hash.finalize());
        Ok(w.into_bytes())
    }
}

fn write_payload(w: &mut Writer, payload: Option<&Payload>) {
    match payload {
        Some(payload) => w.array(2).bytes(&payload.salt).bytes(&payload.bytes),
        None => w.null(),
    };
}
