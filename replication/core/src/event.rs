//! Event format version 1: header, identity, payload slots. Normative text and test vectors: `docs/format.md`.
//!
//! Trust is a type. [`ReceivedEvent`] is well-formed but proves nothing; [`crate::chain`] turns runs of them into
//! [`VerifiedEvent`]s; a store hands out [`StoredEvent`]s. Each has one way of coming into being.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::area::Area;
use crate::cbor::{CborError, Problem, Reader, Writer};
use crate::id::{AuthorKey, Commitment, EventId, Head, Kind, LogId, RecordId, Stream};
use crate::limits;
use crate::sign::{KeyCache, Purpose, SecretKey, Signature, hash_to_be_signed, to_be_signed};
use crate::time::Hlc;

/// The only version this code writes and reads.
pub const FORMAT_VERSION: u64 = 1;

const HEADER_FIELDS: u64 = 14;

/// SHA-256 over a domain string and length-prefixed parts. For hashes that are not event ids or commitments.
pub fn domain_hash(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(domain.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// [`domain_hash`] of one part that is so long and comes in pieces.
pub(crate) fn domain_hash_of(domain: &str, bytes: u64, pieces: impl Iterator<Item = Vec<u8>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(domain.as_bytes());
    hash.update(bytes.to_be_bytes());
    pieces.for_each(|piece| hash.update(piece));
    hash.finalize().into()
}

/// What a header says of one payload slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRef {
    /// Salted hash of the payload.
    pub commitment: Commitment,
    /// Length of the payload without its salt, in bytes.
    pub size: u32,
}

/// One of the two payload slots. The number is the slot's field number in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Operational payload: goes to every enrolled node.
    Op = 12,
    /// Personal payload: goes only where a grant covers the area, and can be erased.
    Pii = 13,
}

impl Slot {
    /// Both slots, in header order.
    pub const ALL: [Self; 2] = [Self::Op, Self::Pii];
}

/// A payload with the salt that keeps its commitment unguessable after erasure. Stored and erased together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// 16 random bytes.
    pub salt: [u8; 16],
    /// A deterministic CBOR map, at most [`limits::PAYLOAD_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

impl Payload {
    /// The payload, lent.
    pub fn lend(&self) -> LentPayload<'_> {
        LentPayload { salt: &self.salt, bytes: &self.bytes }
    }

    /// The commitment that stands for this payload in a header.
    pub fn commitment(&self, slot: Slot) -> Commitment {
        let mut hash = Sha256::new();
        hash.update(b"linli/payload/1");
        hash.update([slot as u8]);
        hash.update(self.salt);
        hash.update(&self.bytes);
        Commitment::from_bytes(hash.finalize().into())
    }

    /// The header's view of this payload.
    pub fn slot_ref(&self, slot: Slot) -> SlotRef {
        SlotRef { commitment: self.commitment(slot), size: self.bytes.len() as u32 }
    }
}

/// A payload in somebody else's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LentPayload<'b> {
    /// As [`Payload::salt`].
    pub salt: &'b [u8; 16],
    /// As [`Payload::bytes`].
    pub bytes: &'b [u8],
}

impl LentPayload<'_> {
    /// A copy of its own.
    pub fn to_payload(self) -> Payload {
        Payload { salt: *self.salt, bytes: self.bytes.to_vec() }
    }
}

/// The signed part of an event. Field by field as in `docs/format.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 1: who signs.
    pub author: AuthorKey,
    /// 2: which life of the author's store this log belongs to.
    pub incarnation: u64,
    /// 3: where it applies.
    pub area: Area,
    /// 4: what it is about.
    pub stream: Stream,
    /// 5: position in the log, from 1 without gaps.
    pub seq: u64,
    /// 6: the event before; at seq 1 the head that this incarnation continues, if any.
    pub prev: Option<EventId>,
    /// 7: heads of the record that the author had seen, ascending, at most [`limits::PARENTS_MAX`].
    pub parents: Vec<EventId>,
    /// 8: the record.
    pub record: Option<RecordId>,
    /// 9: what happened.
    pub kind: Kind,
    /// 10: hybrid logical time.
    pub time: Hlc,
    /// 11: the charter event that gives the right to write this; none only in a genesis.
    pub grant: Option<EventId>,
    /// 12: operational payload.
    pub op: Option<SlotRef>,
    /// 13: personal payload.
    pub pii: Option<SlotRef>,
}

impl Header {
    /// The log this event stands in.
    pub fn log_id(&self) -> LogId {
        LogId { stream: self.stream, author: self.author, incarnation: self.incarnation, area: self.area.clone() }
    }

    /// What the header commits to for a slot.
    pub const fn slot(&self, slot: Slot) -> Option<SlotRef> {
        match slot {
            Slot::Op => self.op,
            Slot::Pii => self.pii,
        }
    }

    /// The deterministic encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(320);
        w.array(HEADER_FIELDS as usize).uint(FORMAT_VERSION).bytes(self.author.as_bytes()).uint(self.incarnation);
        w.text(self.area.as_str()).uint(u64::from(self.stream.code())).uint(self.seq);
        w.bytes_or_null(self.prev.as_ref().map(|id| &id.as_bytes()[..]));
        w.array(self.parents.len());
        for parent in &self.parents {
            w.bytes(parent.as_bytes());
        }
        w.bytes_or_null(self.record.as_ref().map(|id| &id.as_bytes()[..]));
        w.text(self.kind.as_str()).uint(self.time.to_bits());
        w.bytes_or_null(self.grant.as_ref().map(|id| &id.as_bytes()[..]));
        for slot in [&self.op, &self.pii] {
            match slot {
                Some(slot) => w.array(2).bytes(slot.commitment.as_bytes()).uint(u64::from(slot.size)),
                None => w.null(),
            };
        }
        w.into_bytes()
    }

    /// Decodes exactly one header, strictly: the bytes are the only encoding of what they say.
    ///
    /// # Errors
    /// Says what is wrong and at which byte.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        if bytes.len() > limits::HEADER_BYTES_MAX {
            return Err(Reader::error(0, Problem::OutOfRange("length of a header")));
        }
        let mut r = Reader::new(bytes);
        r.array_of(HEADER_FIELDS, "an array of 14 fields")?;
        let start = r.offset();
        if r.uint()? != FORMAT_VERSION {
            return Err(Reader::error(start, Problem::OutOfRange("format version (this program reads version 1)")));
        }
        let header = Self {
            author: AuthorKey::from_bytes(r.byte_array()?),
            incarnation: r.uint()?,
            area: read_text(&mut r, "area code")?,
            stream: read_stream(&mut r)?,
            seq: read_seq(&mut r)?,
            prev: read_hash_or_null(&mut r)?,
            parents: read_parents(&mut r)?,
            record: if r.null() { None } else { Some(RecordId::from_bytes(r.byte_array()?)) },
            kind: read_text(&mut r, "kind")?,
            time: Hlc::from_bits(r.uint()?),
            grant: read_hash_or_null(&mut r)?,
            op: read_slot(&mut r)?,
            pii: read_slot(&mut r)?,
        };
        r.finish()?;
        if header.seq > 1 && header.prev.is_none() {
            return Err(Reader::error(0, Problem::Expected("prev, which only the first event of a log may lack")));
        }
        Ok(header)
    }
}

fn read_text<T: std::str::FromStr>(r: &mut Reader<'_>, what: &'static str) -> Result<T, CborError> {
    let start = r.offset();
    r.text()?.parse().map_err(|_| Reader::error(start, Problem::OutOfRange(what)))
}

fn read_stream(r: &mut Reader<'_>) -> Result<Stream, CborError> {
    let start = r.offset();
    Stream::from_code(r.uint()?).ok_or(Reader::error(start, Problem::OutOfRange("stream number")))
}

fn read_seq(r: &mut Reader<'_>) -> Result<u64, CborError> {
    let start = r.offset();
    match r.uint()? {
        0 | u64::MAX => Err(Reader::error(start, Problem::OutOfRange("seq"))),
        seq => Ok(seq),
    }
}

fn read_hash_or_null(r: &mut Reader<'_>) -> Result<Option<EventId>, CborError> {
    if r.null() { Ok(None) } else { Ok(Some(EventId::from_bytes(r.byte_array()?))) }
}

pub(crate) fn read_parents(r: &mut Reader<'_>) -> Result<Vec<EventId>, CborError> {
    let start = r.offset();
    let len = r.array_of_at_most(limits::PARENTS_MAX, "number of parents")?;
    let mut parents = Vec::with_capacity(len);
    for _ in 0..len {
        parents.push(EventId::from_bytes(r.byte_array()?));
    }
    if parents.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Reader::error(start, Problem::OutOfRange("order of parents (strictly ascending)")));
    }
    Ok(parents)
}

fn read_slot(r: &mut Reader<'_>) -> Result<Option<SlotRef>, CborError> {
    if r.null() {
        return Ok(None);
    }
    r.array_of(2, "a commitment and a size")?;
    let commitment = Commitment::from_bytes(r.byte_array()?);
    let start = r.offset();
    let size = r.uint()?;
    if size > limits::PAYLOAD_BYTES_MAX as u64 {
        return Err(Reader::error(start, Problem::OutOfRange("size of a payload")));
    }
    Ok(Some(SlotRef { commitment, size: size as u32 }))
}

/// Why received bytes are not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The header does not decode.
    #[error("malformed header: {0}")]
    Header(#[from] CborError),
    /// A payload came along that the header does not mention.
    #[error("the {0:?} payload has no commitment in the header")]
    UnexpectedPayload(Slot),
    /// A payload is not the one that the header commits to.
    #[error("the {0:?} payload does not match its commitment in the header")]
    WrongPayload(Slot),
}

/// A well-formed event: the header is canonical and present payloads match it. Nothing is said about its author.
#[derive(Debug, Clone)]
pub struct ReceivedEvent(Box<Parts>);

/// Half a kilobyte of fields, which would be copied at each of an event's many steps from the wire to the store.
#[derive(Debug, Clone)]
struct Parts {
    header_bytes: Vec<u8>,
    header: Header,
    /// Hashed when somebody asks: what is read from the store for a peer goes out again without it.
    id: OnceLock<EventId>,
    signature: Option<Signature>,
    /// Nobody has checked the signature: a later event of the chain proves this one.
    claimed: bool,
    op: Option<Payload>,
    pii: Option<Payload>,
}

impl PartialEq for ReceivedEvent {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.0, &other.0);
        // The bytes say what the header and the id are.
        ours.header_bytes == theirs.header_bytes
            && (ours.signature, ours.claimed) == (theirs.signature, theirs.claimed)
            && (&ours.op, &ours.pii) == (&theirs.op, &theirs.pii)
    }
}

impl Eq for ReceivedEvent {}

impl ReceivedEvent {
    /// Puts together what came from outside.
    ///
    /// # Errors
    /// [`EventError`] when the header is malformed or a payload does not belong to it.
    pub fn new(
        header_bytes: Vec<u8>,
        signature: Option<Signature>,
        op: Option<Payload>,
        pii: Option<Payload>,
    ) -> Result<Self, EventError> {
        let header = Header::decode(&header_bytes)?;
        check_payload(&header, Slot::Op, op.as_ref())?;
        check_payload(&header, Slot::Pii, pii.as_ref())?;
        Ok(Self(Box::new(Parts { header_bytes, header, id: OnceLock::new(), signature, claimed: false, op, pii })))
    }

    /// Signs a header with its payloads. The header's author and slots are set here.
    pub fn sign(mut header: Header, op: Option<Payload>, pii: Option<Payload>, key: &SecretKey) -> Self {
        header.author = key.public();
        header.op = op.as_ref().map(|p| p.slot_ref(Slot::Op));
        header.pii = pii.as_ref().map(|p| p.slot_ref(Slot::Pii));
        let header_bytes = header.encode();
        let to_be_signed = to_be_signed(Purpose::Event, &header_bytes);
        let id = EventId::from_bytes(Sha256::digest(&to_be_signed).into());
        let signature = Some(key.sign_prepared(&to_be_signed));
        Self(Box::new(Parts { header_bytes, header, id: id.into(), signature, claimed: false, op, pii }))
    }

    /// From parts that a frame decoder has just encoded, hashed and committed to itself.
    pub(crate) fn from_derived(
        header: Header,
        signature: Option<Signature>,
        op: Option<Payload>,
        pii: Option<Payload>,
    ) -> Self {
        let header_bytes = header.encode();
        Self(Box::new(Parts { header_bytes, header, id: OnceLock::new(), signature, claimed: false, op, pii }))
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The header's encoding, which is what is hashed and signed.
    pub fn header_bytes(&self) -> &[u8] {
        &self.0.header_bytes
    }

    /// SHA-256 of the to-be-signed bytes.
    pub fn id(&self) -> EventId {
        *self.0.id.get_or_init(|| event_id(&self.0.header_bytes))
    }

    /// This event as the head of its log.
    pub fn head(&self) -> Head {
        Head { seq: self.0.header.seq, id: self.id() }
    }

    /// The signature that came along, if one did. Of an event that is proven or stored only one that was checked.
    pub fn signature(&self) -> Option<&Signature> {
        if self.0.claimed { None } else { self.0.signature.as_ref() }
    }

    /// A signature that came along and was not checked, because a later event of the same chain proves this one. Kept
    /// so that somebody can end a run here, after checking it.
    pub fn claim(&self) -> Option<&Signature> {
        if self.0.claimed { self.0.signature.as_ref() } else { None }
    }

    /// Its signature, if there is one, is a claim from now on.
    pub(crate) fn into_claimed(mut self) -> Self {
        self.0.claimed = self.0.signature.is_some();
        self
    }

    /// As it goes to somebody else, who checks for himself: a claim is a signature like any other.
    pub fn with_claim(mut self) -> Self {
        self.0.claimed = false;
        self
    }

    /// The payload in a slot, if it is here.
    pub fn payload(&self, slot: Slot) -> Option<&Payload> {
        match slot {
            Slot::Op => self.0.op.as_ref(),
            Slot::Pii => self.0.pii.as_ref(),
        }
    }

    /// The bytes that the author signed.
    pub fn to_be_signed(&self) -> Vec<u8> {
        to_be_signed(Purpose::Event, &self.0.header_bytes)
    }

    /// Puts the personal payload back that was missing.
    ///
    /// # Errors
    /// [`EventError`] when it is not the one that the header commits to.
    pub fn with_pii(mut self, payload: Payload) -> Result<Self, EventError> {
        check_payload(&self.0.header, Slot::Pii, Some(&payload))?;
        self.0.pii = Some(payload);
        Ok(self)
    }

    /// Whether the header commits to a personal payload that is not here.
    pub fn lacks_pii(&self) -> bool {
        self.0.header.pii.is_some() && self.0.pii.is_none()
    }

    /// Forgets the signature: a later event of the same chain will prove this one.
    pub fn without_signature(mut self) -> Self {
        (self.0.signature, self.0.claimed) = (None, false);
        self
    }

    /// Forgets the personal payload: for a receiver whose grant does not cover the area. The commitment stays.
    pub fn without_pii(mut self) -> Self {
        self.0.pii = None;
        self
    }
}

fn check_payload(header: &Header, slot: Slot, payload: Option<&Payload>) -> Result<(), EventError> {
    let Some(payload) = payload else { return Ok(()) };
    let expected = header.slot(slot).ok_or(EventError::UnexpectedPayload(slot))?;
    if payload.bytes.len() != expected.size as usize || payload.commitment(slot) != expected.commitment {
        return Err(EventError::WrongPayload(slot));
    }
    Ok(())
}

/// The id of the event with these header bytes.
pub fn event_id(header_bytes: &[u8]) -> EventId {
    EventId::from_bytes(hash_to_be_signed(Purpose::Event, header_bytes))
}

/// An event whose author is proven, by its own signature or that of a later event of its chain.
///
/// Made only by [`crate::chain`]. This is what a store's one door accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvent(ReceivedEvent);

impl VerifiedEvent {
    pub(crate) const fn proven(event: ReceivedEvent) -> Self {
        Self(event)
    }

    /// The event.
    pub const fn event(&self) -> &ReceivedEvent {
        &self.0
    }

    /// The event, by value.
    pub fn into_event(self) -> ReceivedEvent {
        self.0
    }
}

/// An event that is durable in a store. It was verified on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent(ReceivedEvent);

impl StoredEvent {
    /// For stores only: what was read back from where a verified event had been written. That the bytes are still the
    /// same is the database's checksums' affair; payloads are not held against their commitments again.
    ///
    /// `claimed` says that nobody has checked the signature yet.
    ///
    /// # Errors
    /// When the header is malformed.
    pub fn read_back(
        header_bytes: Vec<u8>,
        signature: Option<Signature>,
        claimed: bool,
        op: Option<Payload>,
        pii: Option<Payload>,
    ) -> Result<Self, CborError> {
        let header = Header::decode(&header_bytes)?;
        let parts = Parts { header_bytes, header, id: OnceLock::new(), signature, claimed, op, pii };
        Ok(Self(ReceivedEvent(Box::new(parts))))
    }

    /// Whether the event carries a signature of its own that holds. One that nobody has checked is checked now, and
    /// counts from here on if it holds.
    pub fn confirm(&mut self, keys: &mut KeyCache) -> bool {
        if let Some(signature) = self.0.claim() {
            let holds = keys.get(&self.0.header().author).and_then(|key| key.verify(&self.0.to_be_signed(), signature));
            self.0.0.claimed = holds.is_err();
        }
        self.0.signature().is_some()
    }

    /// The event.
    pub const fn event(&self) -> &ReceivedEvent {
        &self.0
    }

    /// The event, by value.
    pub fn into_event(self) -> ReceivedEvent {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(seq: u64) -> Header {
        Header {
            author: AuthorKey::from_bytes([0; 32]),
            incarnation: 7,
            area: "320508005012".parse().unwrap(),
            stream: Stream::SUPPLIES,
            seq,
            prev: (seq > 1).then(|| EventId::from_bytes([9; 32])),
            parents: vec![EventId::from_bytes([1; 32]), EventId::from_bytes([2; 32])],
            record: Some(RecordId::from_bytes([3; 16])),
            kind: "issued".parse().unwrap(),
            time: Hlc::from_unix_ms(1_790_000_000_000),
            grant: Some(EventId::from_bytes([4; 32])),
            op: None,
            pii: None,
        }
    }

    fn payload(bytes: &[u8]) -> Payload {
        Payload { salt: [5; 16], bytes: bytes.to_vec() }
    }

    #[test]
    fn an_event_survives_its_encoding() {
        let key = SecretKey::from_seed(&[1; 32]);
        let event = ReceivedEvent::sign(sample(2), Some(payload(&[0xa0])), Some(payload(&[0xa0])), &key);
        let again = ReceivedEvent::new(
            event.header_bytes().to_vec(),
            event.signature().copied(),
            event.payload(Slot::Op).cloned(),
            event.payload(Slot::Pii).cloned(),
        );
        assert_eq!(again.unwrap(), event);
        assert_ne!(payload(&[0xa0]).commitment(Slot::Op), payload(&[0xa0]).commitment(Slot::Pii));
    }

    #[test]
    fn a_payload_must_be_the_one_committed_to() {
        let event = ReceivedEvent::sign(sample(1), Some(payload(&[0xa0])), None, &SecretKey::from_seed(&[1; 32]));
        let bytes = event.header_bytes().to_vec();
        let wrong = ReceivedEvent::new(bytes.clone(), None, Some(payload(&[0xa1, 0x01, 0x02])), None);
        assert_eq!(wrong.unwrap_err(), EventError::WrongPayload(Slot::Op));
        let unexpected = ReceivedEvent::new(bytes, None, None, Some(payload(&[0xa0])));
        assert_eq!(unexpected.unwrap_err(), EventError::UnexpectedPayload(Slot::Pii));
    }

    #[test]
    fn a_personal_payload_that_was_missing_is_put_back_only_where_it_belongs() {
        let key = SecretKey::from_seed(&[1; 32]);
        let event = ReceivedEvent::sign(sample(1), None, Some(payload(&[0xa0])), &key);
        let without = event.clone().without_pii();
        assert!(without.lacks_pii() && !event.lacks_pii());
        let wrong = without.clone().with_pii(payload(&[0xa1]));
        assert_eq!(wrong.unwrap_err(), EventError::WrongPayload(Slot::Pii));
        assert_eq!(without.with_pii(payload(&[0xa0])), Ok(event));
    }

    #[test]
    fn impossible_positions_are_refused() {
        for seq in [0, u64::MAX] {
            let error = Header::decode(&Header { seq, ..sample(2) }.encode()).unwrap_err();
            assert_eq!(error.problem, Problem::OutOfRange("seq"));
        }
        let orphan = Header { prev: None, ..sample(2) };
        assert!(Header::decode(&orphan.encode()).is_err());
        let unsorted =
            Header { parents: vec![EventId::from_bytes([2; 32]), EventId::from_bytes([1; 32])], ..sample(1) };
        assert!(Header::decode(&unsorted.encode()).is_err());
    }

    proptest! {
        #[test]
        fn mutated_headers_never_panic_and_never_have_two_encodings(
            at in 0usize..250, byte in any::<u8>(), cut in 0usize..300
        ) {
            let mut bytes = sample(3).encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut.max(1));
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(header.encode(), bytes);
            }
        }
    }
}
