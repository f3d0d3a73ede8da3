//! Frames: runs of one log on the wire and in files, without what the receiver can derive.
//!
//! Version, author, incarnation, area and stream stand once; seq counts up; prev and the commitments of payloads that
//! come along are computed by the receiver; record, kind and grant are left out while they repeat. Decoding rebuilds
//! the exact header bytes, so the ids, and with them the chain and the signature at its end, prove the frame.

use crate::cbor::{CborError, Problem, Reader, Type, Writer};
use crate::event::{Header, LentPayload, Payload, ReceivedEvent, Slot, SlotRef, read_parents};
use crate::id::{AuthorKey, Commitment, EventId, LogId, RecordId, Stream};
use crate::limits;
use crate::sign::Signature;
use crate::time::Hlc;

/// Whether a receiver may have personal payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PiiScope {
    /// Its grant covers the area.
    Covered,
    /// It gets the commitment only.
    Withheld,
}

/// Writes a log id as an array of four.
pub fn write_log_id(w: &mut Writer, log: &LogId) {
    w.array(4).uint(u64::from(log.stream.code())).bytes(log.author.as_bytes()).uint(log.incarnation);
    w.text(log.area.as_str());
}

/// Reads a log id.
///
/// # Errors
/// Says what is wrong and at which byte.
pub fn read_log_id(r: &mut Reader<'_>) -> Result<LogId, CborError> {
    r.array_of(4, "a log id of four fields")?;
    let start = r.offset();
    let stream = Stream::from_code(r.uint()?).ok_or(Reader::error(start, Problem::OutOfRange("stream number")))?;
    let author = AuthorKey::from_bytes(r.byte_array()?);
    let incarnation = r.uint()?;
    let start = r.offset();
    let area = r.text_of_at_most(limits::AREA_BYTES_MAX, "area code")?;
    let area = area.parse().map_err(|_| Reader::error(start, Problem::OutOfRange("area code")))?;
    Ok(LogId { stream, author, incarnation, area })
}

/// Encodes a run of consecutive events of one log. The caller ends it on a signed event.
///
/// Frames carry `op` payloads that are present, and `pii` payloads only to receivers in scope.
pub fn encode_frame(run: &[ReceivedEvent], pii: PiiScope) -> Vec<u8> {
    let Some(first) = run.first() else { return Vec::new() };
    let mut frame = FrameWriter::new(first.header(), run.len(), run.len() * 400, pii);
    for event in run {
        let payload = |slot| event.payload(slot).map(Payload::lend);
        let (op, pii) = (payload(Slot::Op), payload(Slot::Pii));
        frame.entry(&FrameEntry { header: event.header(), signature: event.signature(), op, pii });
    }
    frame.into_bytes()
}

/// What a frame says of one event.
#[derive(Debug, Clone, Copy)]
pub struct FrameEntry<'e> {
    /// The header.
    pub header: &'e Header,
    /// The signature that goes along.
    pub signature: Option<&'e Signature>,
    /// The operational payload, if it is here.
    pub op: Option<LentPayload<'e>>,
    /// The personal payload, if it is here; left out for a receiver who may not have it.
    pub pii: Option<LentPayload<'e>>,
}

/// As [`encode_frame`], entry by entry, for whoever has events in another form.
#[derive(Debug)]
pub struct FrameWriter {
    w: Writer,
    before: Before,
    pii: PiiScope,
}

impl FrameWriter {
    /// Begins a frame of so many entries, and about so many bytes, with the event that has the header `first`.
    pub fn new(first: &Header, events: usize, bytes: usize, pii: PiiScope) -> Self {
        let mut w = Writer::with_capacity(bytes);
        w.array(4);
        write_log_id(&mut w, &first.log_id());
        w.uint(first.seq).bytes_or_null(first.prev.as_ref().map(|id| &id.as_bytes()[..]));
        w.array(events);
        Self { w, before: Before::default(), pii }
    }

    /// Writes the next event of the log.
    pub fn entry(&mut self, entry: &FrameEntry<'_>) {
        write_entry(&mut self.w, entry, &mut self.before, self.pii);
    }

    /// The frame.
    pub fn into_bytes(self) -> Vec<u8> {
        self.w.into_bytes()
    }
}

/// What an entry may leave out because the entry before said the same.
#[derive(Debug, Default)]
struct Before {
    record: Option<RecordId>,
    kind: Option<crate::id::Kind>,
    time: Hlc,
    grant: Option<EventId>,
}

/// Flags of an entry: which parts stand in it.
mod flag {
    pub const RECORD: u64 = 1;
    pub const KIND: u64 = 2;
    pub const GRANT: u64 = 4;
    pub const SIGNATURE: u64 = 8;
    pub const OP: u64 = 16;
    pub const PII: u64 = 32;
    pub const ALL: u64 = 63;
}

fn write_entry(w: &mut Writer, entry: &FrameEntry<'_>, before: &mut Before, pii: PiiScope) {
    let h = entry.header;
    let mut flags = 0;
    flags |= if h.record == before.record { 0 } else { flag::RECORD };
    flags |= if Some(&h.kind) == before.kind.as_ref() { 0 } else { flag::KIND };
    flags |= if h.grant == before.grant { 0 } else { flag::GRANT };
    flags |= if entry.signature.is_some() { flag::SIGNATURE } else { 0 };
    flags |= if h.op.is_some() { flag::OP } else { 0 };
    flags |= if h.pii.is_some() { flag::PII } else { 0 };
    w.uint(flags).int(h.time.to_bits().wrapping_sub(before.time.to_bits()) as i64);
    w.array(h.parents.len());
    for parent in &h.parents {
        w.bytes(parent.as_bytes());
    }
    if flags & flag::RECORD != 0 {
        w.bytes_or_null(h.record.as_ref().map(|id| &id.as_bytes()[..]));
    }
    if flags & flag::KIND != 0 {
        w.text(h.kind.as_str());
    }
    if flags & flag::GRANT != 0 {
        w.bytes_or_null(h.grant.as_ref().map(|id| &id.as_bytes()[..]));
    }
    write_slot(w, h.op, entry.op);
    write_slot(w, h.pii, entry.pii.filter(|_| pii == PiiScope::Covered));
    if let Some(signature) = entry.signature {
        w.bytes(signature.as_bytes());
    }
    *before = Before { record: h.record, kind: Some(h.kind.clone()), time: h.time, grant: h.grant };
}

/// A present payload goes as salt and bytes, a withheld or erased one as commitment and size.
fn write_slot(w: &mut Writer, slot: Option<SlotRef>, payload: Option<LentPayload<'_>>) {
    match (slot, payload) {
        (Some(_), Some(payload)) => drop(w.bytes(payload.salt).bytes(payload.bytes)),
        (Some(slot), None) => drop(w.bytes(slot.commitment.as_bytes()).uint(u64::from(slot.size))),
        (None, _) => {}
    }
}

/// Decodes one frame that fills `bytes` into well-formed events. They prove nothing until [`crate::chain`] has them.
///
/// # Errors
/// Says what is wrong and at which byte; bounds of [`limits`] included.
pub fn decode_frame(bytes: &[u8]) -> Result<Vec<ReceivedEvent>, CborError> {
    if bytes.len() > limits::FRAME_BYTES_MAX {
        return Err(Reader::error(0, Problem::OutOfRange("length of a frame")));
    }
    let mut r = Reader::new(bytes);
    let (FrameHead { log, first_seq, events }, mut prev) = read_frame_head(&mut r)?;
    let mut before = Before::default();
    let mut run = Vec::with_capacity(events);
    for i in 0..events {
        let event = read_entry(&mut r, &log, first_seq + i as u64, prev, &mut before)?;
        prev = Some(event.id());
        run.push(event);
    }
    r.finish()?;
    Ok(run)
}

/// What a frame says at its beginning: where its events belong. It proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHead {
    /// The log of all its events.
    pub log: LogId,
    /// Position of the first.
    pub first_seq: u64,
    /// How many there are.
    pub events: usize,
}

impl FrameHead {
    /// Reads the beginning of a frame and nothing else.
    ///
    /// # Errors
    /// Says what is wrong and at which byte.
    pub fn of(frame: &[u8]) -> Result<Self, CborError> {
        read_frame_head(&mut Reader::new(frame)).map(|(head, _)| head)
    }

    /// Position of the last event, 0 if there is none.
    pub const fn last_seq(&self) -> u64 {
        // `read_frame_head` has seen that the sum fits.
        (self.first_seq - 1).saturating_add(self.events as u64)
    }
}

fn read_frame_head(r: &mut Reader<'_>) -> Result<(FrameHead, Option<EventId>), CborError> {
    r.array_of(4, "a frame of four fields")?;
    let log = read_log_id(r)?;
    let start = r.offset();
    let first_seq = r.uint()?;
    let prev = if r.null() { None } else { Some(EventId::from_bytes(r.byte_array()?)) };
    let events = r.array_of_at_most(limits::FRAME_EVENTS_MAX, "number of events in a frame")?;
    let last_seq = first_seq.checked_add(events as u64).filter(|last| first_seq > 0 && *last < u64::MAX);
    if last_seq.is_none() || (prev.is_none() && first_seq > 1) {
        return Err(Reader::error(start, Problem::OutOfRange("position of a frame")));
    }
    Ok((FrameHead { log, first_seq, events }, prev))
}

fn read_entry(
    r: &mut Reader<'_>,
    log: &LogId,
    seq: u64,
    prev: Option<EventId>,
    before: &mut Before,
) -> Result<ReceivedEvent, CborError> {
    let start = r.offset();
    let out_of_range = |what| Reader::error(start, Problem::OutOfRange(what));
    let flags = r.uint()?;
    if flags > flag::ALL {
        return Err(out_of_range("flags of an entry"));
    }
    before.time = Hlc::from_bits(before.time.to_bits().wrapping_add(r.int()? as u64));
    let parents = read_parents(r)?;
    if flags & flag::RECORD != 0 {
        before.record = if r.null() { None } else { Some(RecordId::from_bytes(r.byte_array()?)) };
    }
    if flags & flag::KIND != 0 {
        before.kind = Some(r.text()?.parse().map_err(|_| out_of_range("kind"))?);
    }
    if flags & flag::GRANT != 0 {
        before.grant = if r.null() { None } else { Some(EventId::from_bytes(r.byte_array()?)) };
    }
    let (op, op_payload) = read_slot(r, flags & flag::OP != 0, Slot::Op)?;
    let (pii, pii_payload) = read_slot(r, flags & flag::PII != 0, Slot::Pii)?;
    let signature = match flags & flag::SIGNATURE {
        0 => None,
        _ => Some(Signature::from_bytes(r.byte_array()?)),
    };
    let header = Header {
        author: log.author,
        incarnation: log.incarnation,
        area: log.area.clone(),
        stream: log.stream,
        seq,
        prev,
        parents,
        record: before.record,
        kind: before.kind.clone().ok_or(out_of_range("kind of the first entry"))?,
        time: before.time,
        grant: before.grant,
        op,
        pii,
    };
    Ok(ReceivedEvent::from_derived(header, signature, op_payload, pii_payload))
}

fn read_slot(r: &mut Reader<'_>, present: bool, slot: Slot) -> Result<(Option<SlotRef>, Option<Payload>), CborError> {
    if !present {
        return Ok((None, None));
    }
    let start = r.offset();
    let out_of_range = |what| Reader::error(start, Problem::OutOfRange(what));
    let lead = r.bytes()?;
    if r.peek()? == Type::Uint {
        let commitment = Commitment::from_slice(lead).ok_or(out_of_range("length of a commitment"))?;
        let size = r.uint()?;
        if size > limits::PAYLOAD_BYTES_MAX as u64 {
            return Err(out_of_range("size of a payload"));
        }
        return Ok((Some(SlotRef { commitment, size: size as u32 }), None));
    }
    let salt = lead.try_into().map_err(|_| out_of_range("length of a salt"))?;
    let payload = Payload { salt, bytes: r.bytes()?.to_vec() };
    if payload.bytes.len() > limits::PAYLOAD_BYTES_MAX {
        return Err(out_of_range("size of a payload"));
    }
    Ok((Some(payload.slot_ref(slot)), Some(payload)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sign::SecretKey;

    fn run_of(len: u64) -> Vec<ReceivedEvent> {
        let key = SecretKey::from_seed(&[7; 32]);
        let mut run: Vec<ReceivedEvent> = vec![];
        for seq in 1..=len {
            let prev = run.last().map(ReceivedEvent::id);
            let header = Header {
                author: key.public(),
                incarnation: 9,
                area: "320508005".parse().unwrap(),
                stream: Stream::SUPPLIES,
                seq,
                prev,
                parents: prev.into_iter().filter(|_| seq % 3 == 0).collect(),
                record: (seq % 5 != 0).then(|| RecordId::from_bytes([(seq / 4) as u8; 16])),
                kind: if seq % 2 == 0 { "issued" } else { "received" }.parse().unwrap(),
                time: Hlc::from_unix_ms(1_790_000_000_000 + seq * 1000 - (seq % 3) * 2500),
                grant: Some(EventId::from_bytes([8; 32])),
                op: None,
                pii: None,
            };
            let op = Payload { salt: [seq as u8; 16], bytes: vec![0xa0] };
            let pii = (seq % 4 == 0).then(|| Payload { salt: [1; 16], bytes: vec![0xa0] });
            run.push(ReceivedEvent::sign(header, Some(op), pii, &key));
        }
        run
    }

    #[test]
    fn a_frame_rebuilds_exactly_what_was_sent() {
        let run = run_of(20);
        assert_eq!(decode_frame(&encode_frame(&run, PiiScope::Covered)).unwrap(), run);
        assert_eq!(decode_frame(&encode_frame(&run[7..], PiiScope::Covered)).unwrap(), run[7..]);
    }

    #[test]
    fn a_withheld_personal_payload_leaves_its_commitment_and_the_chain() {
        let run = run_of(8);
        let received = decode_frame(&encode_frame(&run, PiiScope::Withheld)).unwrap();
        for (sent, got) in run.iter().zip(&received) {
            assert_eq!(sent.id(), got.id());
            assert!(got.payload(Slot::Pii).is_none());
        }
    }

    proptest! {
        #[test]
        fn mutated_frames_never_panic_and_never_prove_something_else(
            at in any::<prop::sample::Index>(), flip in 1u8..=255
        ) {
            let run = run_of(6);
            let mut bytes = encode_frame(&run, PiiScope::Covered);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(received) = decode_frame(&bytes) {
                let proven = crate::chain::verify_run(crate::chain::Join::Start, received, &mut Default::default());
                prop_assert!(proven.is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_frame(&bytes);
        }
    }
}
