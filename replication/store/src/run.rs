//! Runs of events as their rows stand in the database: copied once, taken apart where they lie.
//!
//! A frame for a peer is made of them without making events first, which would cost three allocations each.

use linli_core::event::{Header, LentPayload, StoredEvent};
use linli_core::sign::{KeyCache, Signature};

use crate::codec::{Entry, read_slot};
use crate::error::StoreError;

/// Consecutive events of one log.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// All rows, one after another.
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

/// Where an event's entry and its payload rows end; each begins where the one before ends. A row that is not there is
/// empty, as an erased one is.
#[derive(Debug, Clone, Copy)]
struct Row {
    from: usize,
    entry_end: usize,
    op_end: usize,
    end: usize,
}

/// An event in somebody else's bytes.
#[derive(Debug)]
pub struct LentEvent<'r> {
    /// The header.
    pub header: Header,
    /// Its signature, checked or not.
    pub signature: Option<Signature>,
    /// The operational payload, if it is here.
    pub op: Option<LentPayload<'r>>,
    /// The personal payload, if it is here.
    pub pii: Option<LentPayload<'r>>,
}

impl Run {
    /// How many events there are.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// About how many bytes a frame of it has.
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The events, in order.
    ///
    /// # Errors
    /// For each that is damaged.
    pub fn events(&self) -> impl Iterator<Item = Result<StoredEvent, StoreError>> {
        self.rows.iter().map(|row| self.event(*row))
    }

    /// The events, in order, where they lie.
    ///
    /// # Errors
    /// For each that is damaged.
    pub fn lent(&self) -> impl DoubleEndedIterator<Item = Result<LentEvent<'_>, StoreError>> {
        self.rows.iter().map(|row| {
            let (Entry { signature, header, .. }, op, pii) = self.parts(*row)?;
            let header = Header::decode(header).map_err(damaged)?;
            Ok(LentEvent { header, signature, op, pii })
        })
    }

    pub(crate) fn push(&mut self, entry: &[u8], op: Option<&[u8]>, pii: Option<&[u8]>) {
        let from = self.bytes.len();
        let mut end_of = |row: &[u8]| {
            self.bytes.extend_from_slice(row);
            self.bytes.len()
        };
        let (entry_end, op_end, end) = (end_of(entry), end_of(op.unwrap_or_default()), end_of(pii.unwrap_or_default()));
        self.rows.push(Row { from, entry_end, op_end, end });
    }

    /// Drops what comes after the last event with a signature of its own that holds; says whether there is one.
    pub(crate) fn end_on_signature(&mut self) -> Result<bool, StoreError> {
        let mut keys = KeyCache::default();
        while let Some(last) = self.rows.last() {
            if self.parts(*last)?.0.signature.is_some() && self.event(*last)?.confirm(&mut keys) {
                return Ok(true);
            }
            self.rows.pop();
        }
        Ok(false)
    }

    fn event(&self, row: Row) -> Result<StoredEvent, StoreError> {
        let (Entry { signature, claimed, header, .. }, op, pii) = self.parts(row)?;
        let (op, pii) = (op.map(LentPayload::to_payload), pii.map(LentPayload::to_payload));
        StoredEvent::read_back(header.to_vec(), signature, claimed, op, pii).map_err(damaged)
    }

    fn parts(&self, row: Row) -> Result<(Entry<'_>, Option<LentPayload<'_>>, Option<LentPayload<'_>>), StoreError> {
        let Row { from, entry_end, op_end, end } = row;
        let entry = Entry::read(&self.bytes[from..entry_end])?;
        let op = entry.op.map_or_else(|| read_slot(&self.bytes[entry_end..op_end]), |op| Ok(Some(op)))?;
        Ok((entry, op, read_slot(&self.bytes[op_end..end])?))
    }
}

fn damaged(error: linli_core::cbor::CborError) -> StoreError {
    StoreError::Damaged(error.to_string())
}
