//! Keys and values on disk.

use linli_core::cbor::{Reader, Writer};
use linli_core::event::{Payload, ReceivedEvent};
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

/// Signature flag and bytes ‖ header bytes, in parts.
pub fn entry_value(event: &ReceivedEvent) -> [&[u8]; 3] {
    match event.signature() {
        Some(signature) => [&[1], signature.as_bytes(), event.header_bytes()],
        None => [&[0], &[], event.header_bytes()],
    }
}

/// Splits an entry value.
pub fn read_entry(value: &[u8]) -> Result<(Option<Signature>, Vec<u8>), StoreError> {
    let damaged = || StoreError::Damaged("entry".into());
    match value.split_first() {
        Some((0, header)) => Ok((None, header.to_vec())),
        Some((1, rest)) => {
            let (signature, header) = rest.split_at_checked(64).ok_or_else(damaged)?;
            let signature = signature.try_into().map_err(|_| damaged())?;
            Ok((Some(Signature::from_bytes(signature)), header.to_vec()))
        }
        _ => Err(damaged()),
    }
}

/// Salt ‖ payload, in parts.
pub fn slot_value(payload: &Payload) -> [&[u8]; 2] {
    [&payload.salt, &payload.bytes]
}

/// What stands where a payload was erased, so that no peer fills it in again.
pub const ERASED: &[u8] = &[];

/// Splits a slot value; none if it was erased.
pub fn read_slot(value: &[u8]) -> Result<Option<Payload>, StoreError> {
    if value == ERASED {
        return Ok(None);
    }
    let (salt, bytes) = value.split_at_checked(16).ok_or_else(|| StoreError::Damaged("payload".into()))?;
    let salt = salt.try_into().map_err(|_| StoreError::Damaged("salt".into()))?;
    Ok(Some(Payload { salt, bytes: bytes.to_vec() }))
}
