//! Keys and values of the projection family; [`super`] says what lies under them.

use linli_core::cbor::{CborError, Reader, Writer};
use linli_core::event::ReceivedEvent;
use linli_core::frame::{read_log_id, write_log_id};
use linli_core::id::{EventId, LogId, RecordId};
use linli_domain::record::VIEWS_VERSION;

use crate::acts::Place;
use crate::node::NodeError;

/// Keys and values of the projection family.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Key of the versions.
pub const VERSION_KEY: &[u8] = b"m";

/// Version of what lies beside the views here. Raise it when keys are added: what was folded before is folded anew.
const INDEX_VERSION: u64 = 2;

pub(super) fn scan_all(projection: &linli_store::Projection, prefix: &[u8]) -> Result<Pairs, NodeError> {
    let mut out: Pairs = vec![];
    loop {
        let after = out.last().map(|(key, _)| key.clone());
        let page = projection.scan(prefix, after.as_deref(), 1_024)?;
        let done = page.len() < 1_024;
        out.extend(page);
        if done {
            return Ok(out);
        }
    }
}

pub(super) fn cursor_key(log: &LogId) -> Vec<u8> {
    let mut w = Writer::new();
    write_log_id(&mut w, log);
    [b"c", &w.into_bytes()[..]].concat()
}

pub(super) fn cursor_value(height: u64) -> Vec<u8> {
    let mut w = Writer::new();
    w.uint(height);
    w.into_bytes()
}

pub(super) fn read_cursor(key: &[u8], value: &[u8]) -> Result<(LogId, u64), CborError> {
    Ok((read_log_id(&mut Reader::new(&key[1..]))?, Reader::new(value).uint()?))
}

pub(super) fn view_key(record: &RecordId) -> Vec<u8> {
    [b"v", &record.as_bytes()[..]].concat()
}

pub(super) fn summary_key(record: &RecordId) -> Vec<u8> {
    [b"s", &record.as_bytes()[..]].concat()
}

pub(super) fn version_value() -> Vec<u8> {
    let mut w = Writer::new();
    w.uint(VIEWS_VERSION);
    w.uint(INDEX_VERSION);
    w.into_bytes()
}

pub(super) fn record_prefix(record: &RecordId) -> Vec<u8> {
    [b"e", &record.as_bytes()[..]].concat()
}

pub(super) fn event_key(record: &RecordId, time: u64, event: &EventId) -> Vec<u8> {
    [b"e", &record.as_bytes()[..], &time.to_be_bytes(), event.as_bytes()].concat()
}

pub(super) fn read_location(value: &[u8]) -> Result<Place, NodeError> {
    let mut r = Reader::new(value);
    let damaged = |e: CborError| NodeError::Internal(e.to_string());
    let log = read_log_id(&mut r).map_err(damaged)?;
    Ok((log, r.uint().map_err(damaged)?))
}

pub(super) fn location(event: &ReceivedEvent) -> Vec<u8> {
    let mut w = Writer::new();
    write_log_id(&mut w, &event.header().log_id());
    w.uint(event.header().seq);
    w.into_bytes()
}
