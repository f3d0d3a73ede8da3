//! Keys and values on disk.

use linli_core::cbor::{Reader, Writer};
use linli_core::event::{LentPayload, Payload, ReceivedEvent, Slot};
use linli_core::frame::{read_log_id, write_log_id};
use linli_core::id::{EventId, LogId};
use linli_core::sign::Signature;

use crate::error::StoreError;

/// A log's local number: keys stay short, and a log is one sequential range.
pub type LogNumber = u32;

/// Key of a log's number.
pub fn log_key(log: &LogId) -> Vec<u8> {
    let mut w = Writer::new();
    write_log_id(&mut w, log);
    w.into_bytes()
}

/// The log that a key names.
pub fn read_log_key(key: &[u8]) -> Result<LogId, StoreError> {
    read_log_id(&mut Reader::new(key)).map_err(|e| StoreError::Damaged(format!("log id: {e}")))
}

/// Log number ‖ seq, both big-endian so that order is position.
pub fn entry_key(log: LogNumber, seq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&log.to_be_bytes());
    key[4..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The log number that a key begins with.
pub fn log_of(key: &[u8]) -> Option<LogNumber> {
    key.get(..4).and_then(|bytes| bytes.try_into().ok()).map(LogNumber::from_be_bytes)
}

/// The seq in an entry key.
pub fn seq_of(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.get(4..12).and_then(|b| b.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or_else(|| StoreError::Damaged("entry key".into()))
}

/// Key of another branch's event.
pub fn fork_key(log: LogNumber, seq: u64, id: &EventId) -> Vec<u8> {
    [&entry_key(log, seq)[..], id.as_bytes()].concat()
}

/// Flags of an entry value.
mod flag {
    pub const SIGNATURE: u8 = 1;
    /// The operational payload stands in the entry. Without it, it has its own row, or never came, or was erased.
    pub const OP: u8 = 2;
    /// The signature was not checked.
    pub const CLAIM: u8 = 4;
    pub const ALL: u8 = 7;
}

/// An event as one row: flags ‖ signature ‖ header ‖ salt and operational payload. Where there is a payload, the
/// header's length (2 bytes, big endian) stands before the header.
#[derive(Debug)]
pub struct Entry<'b> {
    /// If it is kept.
    pub signature: Option<Signature>,
    /// Whether nobody has checked the signature.
    pub claimed: bool,
    /// Its encoding.
    pub header: &'b [u8],
    /// The operational payload, if it came along with the event.
    pub op: Option<LentPayload<'b>>,
}

impl<'b> Entry<'b> {
    /// Takes a value apart.
    pub fn read(value: &'b [u8]) -> Result<Self, StoreError> {
        Self::split(value).ok_or_else(|| StoreError::Damaged("entry".into()))
    }

    fn split(value: &'b [u8]) -> Option<Self> {
        let (flags, mut rest) = value.split_first().filter(|(flags, _)| **flags <= flag::ALL)?;
        let claimed = flags & flag::CLAIM != 0;
        let mut signature = None;
        if flags & flag::SIGNATURE != 0 {
            let (bytes, after) = rest.split_first_chunk()?;
            (signature, rest) = (Some(Signature::from_bytes(*bytes)), after);
        }
        if flags & flag::OP == 0 {
            return Some(Self { signature, claimed, header: rest, op: None });
        }
        let (len, after) = rest.split_first_chunk()?;
        let (header, payload) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (salt, bytes) = payload.split_first_chunk()?;
        Some(Self { signature, claimed, header, op: Some(LentPayload { salt, bytes }) })
    }

    /// About what the event takes on the wire.
    pub fn size_bytes(&self) -> usize {
        self.header.len() + self.op.map_or(0, |op| op.salt.len() + op.bytes.len())
    }

    /// Hands the value of an event to `put`, in parts. Without `op` its operational payload is left out.
    pub fn write(event: &ReceivedEvent, op: bool, put: impl FnOnce(&[&[u8]])) {
        let (header, payload) = (event.header_bytes(), event.payload(Slot::Op).filter(|_| op));
        let (signature, flags) = match (event.signature(), event.claim()) {
            (Some(signature), _) => (&signature.as_bytes()[..], flag::SIGNATURE),
            (None, Some(claim)) => (&claim.as_bytes()[..], flag::SIGNATURE | flag::CLAIM),
            (None, None) => (&[][..], 0),
        };
        match payload {
            // A header is far shorter than 64 KiB.
            Some(Payload { salt, bytes }) => {
                let len = (header.len() as u16).to_be_bytes();
                put(&[&[flags | flag::OP], signature, &len, header, salt, bytes]);
            }
            None => put(&[&[flags], signature, header]),
        }
    }
}

/// Salt ‖ payload, in parts.
pub fn slot_value(payload: &Payload) -> [&[u8]; 2] {
    [&payload.salt, &payload.bytes]
}

/// What stands where a payload was erased, so that no peer fills it in again.
pub const ERASED: &[u8] = &[];

/// Splits a slot value; none if it was erased.
pub fn read_slot(value: &[u8]) -> Result<Option<LentPayload<'_>>, StoreError> {
    if value == ERASED {
        return Ok(None);
    }
    let (salt, bytes) = value.split_first_chunk().ok_or_else(|| StoreError::Damaged("payload".into()))?;
    Ok(Some(LentPayload { salt, bytes }))
}
