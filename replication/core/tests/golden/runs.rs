//! Runs of one log as lists of events and as frames.

use linli_core::event::{Payload, ReceivedEvent, Slot};
use linli_core::frame::{PiiScope, encode_frame};
use linli_core::id::{EventId, Head, Stream};
use linli_core::sign::Signature;
use linli_core::testkit::{Author, Draft};
use serde_json::{Value, json};

use super::case::{Case, refused, valid};
use super::judge::hex;

/// An event as the vectors have it.
pub fn event_json(event: &ReceivedEvent) -> Value {
    let payload = |p: &Payload| json!({"salt": hex(&p.salt), "bytes": hex(&p.bytes)});
    json!({
        "header": hex(event.header_bytes()),
        "signature": event.signature().map(|s| hex(s.as_bytes())),
        "op": event.payload(Slot::Op).map(payload),
        "pii": event.payload(Slot::Pii).map(payload),
    })
}

fn input(after: Option<Head>, events: &[ReceivedEvent]) -> Value {
    json!({"after": after, "events": events.iter().map(event_json).collect::<Vec<_>>()})
}

/// Four events with payloads in both slots.
fn log() -> Vec<ReceivedEvent> {
    let mut author = Author::new(3, "320508005", Some(EventId::from_bytes([0xbb; 32])));
    let mut events = author.write_many(Stream::SUPPLIES, 3, 24);
    let mut draft = Draft::new(Stream::SUPPLIES, "issued", None);
    (draft.op, draft.pii) = (Some(vec![0xa0]), Some(vec![0xa1, 0x61, b'n', 0x61, b'a']));
    draft.parents = vec![events[0].id(), events[1].id()];
    events.push(author.write(draft));
    events
}

fn parts(event: &ReceivedEvent, signature: Option<Signature>) -> ReceivedEvent {
    let (op, pii) = (event.payload(Slot::Op).cloned(), event.payload(Slot::Pii).cloned());
    ReceivedEvent::new(event.header_bytes().to_vec(), signature, op, pii).unwrap()
}

/// Only the last event keeps its signature.
fn signed_at_the_end(events: &[ReceivedEvent]) -> Vec<ReceivedEvent> {
    let last = events.len() - 1;
    events.iter().enumerate().map(|(i, e)| parts(e, e.signature().copied().filter(|_| i == last))).collect()
}

/// The vectors of runs.
pub fn cases() -> Vec<Case> {
    let events = log();
    let sparse = signed_at_the_end(&events);
    let mut other = Author::new(3, "320508005", Some(EventId::from_bytes([0xbc; 32])));
    let fork = other.write_many(Stream::SUPPLIES, 3, 24);
    let foreign = Author::new(3, "320508005", None).write_many(Stream::TEAMS, 2, 24);
    let mut stolen = sparse.clone();
    stolen[3] = parts(&events[3], events[2].signature().copied());
    let mut bad_inside = events.clone();
    bad_inside[1] = parts(&events[1], events[2].signature().copied());
    let edited = |key: &str, value: Value| {
        let mut input = input(None, &events);
        input["events"][2][key] = value;
        input
    };
    let payload = event_json(&events[1])["op"].clone();
    vec![
        valid("all signed", input(None, &events)),
        valid("one signature proves all before it", input(None, &sparse)),
        valid("continues after a head", input(Some(events[1].head()), &sparse[2..])),
        refused("no event", input(None, &[]), "empty"),
        refused("no signature at the end", input(None, &sparse[..3]), "unsigned-head"),
        refused("a gap", input(None, &[events[0].clone(), events[2].clone()]), "gap"),
        refused("a repeat", input(None, &[events[0].clone(), events[0].clone()]), "gap"),
        refused("starts late", input(None, &events[1..]), "gap"),
        refused(
            "another branch after the first event",
            input(None, &[events[0].clone(), fork[1].clone()]),
            "broken-link",
        ),
        refused("after another head of the same height", input(Some(fork[1].head()), &events[2..]), "broken-link"),
        refused(
            "after the highest possible seq",
            input(Some(Head { seq: u64::MAX, ..events[1].head() }), &events[2..]),
            "gap",
        ),
        refused("an event of another log", input(None, &[events[0].clone(), foreign[1].clone()]), "other-log"),
        refused("the signature of another event", input(None, &stolen), "invalid-signature"),
        refused("a wrong signature inside a proven run", input(None, &bad_inside), "invalid-signature"),
        refused("the payload of another event", edited("op", payload.clone()), "wrong-payload"),
        refused("a payload that the header does not mention", edited("pii", payload), "unexpected-payload"),
    ]
}

/// The vectors of frames.
pub fn frames() -> Vec<Case> {
    let events = log();
    let frame = |bytes: &[u8]| json!({"frame": hex(bytes)});
    let whole = encode_frame(&signed_at_the_end(&events), PiiScope::Covered);
    let flipped = |at: usize, bit: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        frame(&bytes)
    };
    let position = |seq: u64, prev: Option<&[u8]>, count: usize| {
        let mut w = linli_core::cbor::Writer::new();
        w.array(4);
        linli_core::frame::write_log_id(&mut w, &events[0].header().log_id());
        w.uint(seq).bytes_or_null(prev).array(count);
        frame(&w.into_bytes())
    };
    vec![
        valid("a log from its start", frame(&whole)),
        valid("all signed", frame(&encode_frame(&events, PiiScope::Covered))),
        valid("personal payload withheld", frame(&encode_frame(&events, PiiScope::Withheld))),
        valid("from the middle of a log", frame(&encode_frame(&events[2..], PiiScope::Covered))),
        refused("no events", position(1, None, 0), "empty"),
        refused("seq 0", position(0, None, 1), "out-of-range"),
        refused("beyond the highest seq", position(u64::MAX - 1, Some(&[1; 32]), 1), "out-of-range"),
        refused("no prev in the middle", position(2, None, 1), "out-of-range"),
        refused("more events than a frame may have", position(1, None, 2049), "out-of-range"),
        refused("more events announced than there are", position(1, None, 9), "truncated"),
        refused(
            "without a signature at its end",
            frame(&encode_frame(&signed_at_the_end(&events)[..3], PiiScope::Covered)),
            "unsigned-head",
        ),
        refused("another author", flipped(5, 1), "invalid-signature"),
        refused("last bit of the signature", flipped(whole.len() - 1, 1), "invalid-signature"),
        refused("a byte more", frame(&[&whole[..], &[0]].concat()), "trailing-bytes"),
        refused("a byte less", frame(&whole[..whole.len() - 1]), "truncated"),
    ]
}
