//! Export files: whole ones, damaged ones, and truthful ones that lack something.

use linli_core::cbor::{Value as Cbor, Writer};
use linli_core::event::ReceivedEvent;
use linli_core::export::{ExportWriter, KnownHead, Manifest, Signatures};
use linli_core::frame::PiiScope;
use linli_core::frontier::Frontier;
use linli_core::id::{EventId, Head, Stream};
use linli_core::testkit::{Author, District, Draft};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::case::{Case, refused, valid};
use super::judge::hex;

/// A district with a charter log of two events and three logs of a node.
pub fn district() -> (District, Vec<ReceivedEvent>) {
    let mut district = District::with_nodes(&["320508005"]);
    let mut events = district.charter_events();
    events.extend(district.nodes[0].write_many(Stream::INCIDENTS, 5, 24));
    let mut issued = Draft::new(Stream::SUPPLIES, "issued", None);
    (issued.op, issued.pii) = (Some(vec![0xa0]), Some(vec![0xa1, 0x61, b'n', 0x61, b'a']));
    events.extend([district.nodes[0].write(issued.clone()), district.nodes[0].write(issued)]);
    events.extend(district.nodes[0].write_many(Stream::COMMUNITY, 3, 16));
    (district, events)
}

/// Heads of a list of whole logs.
pub fn heads(events: &[ReceivedEvent]) -> Frontier {
    events.iter().map(|e| (e.header().log_id(), e.head())).collect()
}

/// A file of these events.
pub fn file(district: &District, events: &[ReceivedEvent], signatures: Signatures, pii: PiiScope) -> Vec<u8> {
    let manifest = Manifest::of(district.federation(), 1_790_000_100_000, &heads(events));
    let (mut writer, mut file) = ExportWriter::start(manifest, signatures).unwrap();
    for event in events {
        file.extend(writer.event(event, pii).unwrap());
    }
    file.extend(writer.finish().unwrap());
    file
}

fn known(frontier: &Frontier) -> Value {
    let heads: Vec<_> = frontier.iter().map(|(log, head)| KnownHead { log: log.clone(), head: *head }).collect();
    json!(heads)
}

fn input(file: &[u8]) -> Value {
    json!({"file": hex(file), "known": []})
}

/// The items of a file.
fn items(file: &[u8]) -> Vec<Cbor> {
    let mut reader = linli_core::cbor::Reader::new(file);
    let mut items = vec![];
    while !reader.is_at_end() {
        items.push(Cbor::read(&mut reader).unwrap());
    }
    items
}

/// Changes the items of a file, and gives it an end record with the right checksum: what an attacker would do.
fn resealed(file: &[u8], change: impl FnOnce(&mut Vec<Cbor>)) -> Value {
    let mut items = items(file);
    let end = items.pop().unwrap();
    change(&mut items);
    let mut bytes: Vec<u8> = items.iter().flat_map(Cbor::encode).collect();
    let digest = Sha256::digest(&bytes);
    let mut w = Writer::new();
    w.array(3).text("end").uint(end.as_array().unwrap()[1].as_uint().unwrap()).bytes(&digest);
    bytes.extend(w.into_bytes());
    input(&bytes)
}

fn field(item: &mut Cbor, at: usize) -> &mut Cbor {
    let Cbor::Array(fields) = item else { panic!("not an array") };
    &mut fields[at]
}

/// The vectors.
pub fn cases() -> Vec<Case> {
    let (district, events) = district();
    let whole = file(&district, &events, Signatures::All, PiiScope::Covered);
    let mut cases = accepted(&district, &events, &whole);
    cases.extend(damaged(&whole));
    cases.extend(forged(&whole));
    cases
}

fn accepted(district: &District, events: &[ReceivedEvent], whole: &[u8]) -> Vec<Case> {
    let against = |bytes: &[u8], heads: Value| json!({"file": hex(bytes), "known": heads});
    let sparse = file(district, events, Signatures::Needed, PiiScope::Withheld);
    let shorter = [&events[..5], &events[7..]].concat();
    let shorter = file(district, &shorter, Signatures::All, PiiScope::Covered);
    let without = file(district, &events[..9], Signatures::All, PiiScope::Covered);
    let fork = Frontier::from_iter([(events[4].header().log_id(), Head { seq: 3, id: events[0].id() })]);
    let mut stranger = Author::new(99, "320508005", Some(district.grants[0].id()));
    let strange = [events, &[stranger.write(Draft::new(Stream::WITNESS, "seen", None))]].concat();
    let all = known(&heads(events));
    vec![
        valid("whole, against its own heads", against(whole, all.clone())),
        valid("only the needed signatures, personal payloads withheld", against(&sparse, all.clone())),
        valid("remade without the last two incidents: shorter than known", against(&shorter, all.clone())),
        valid("remade without a log: shorter than known", against(&without, all.clone())),
        valid(
            "of the federation that was asked for",
            against(whole, json!({"federation": district.genesis.id(), "heads": all})),
        ),
        valid(
            "of another federation than the one that was asked for",
            against(whole, json!({"federation": EventId::from_bytes([7; 32]), "heads": all})),
        ),
        valid("another event at a known height: forked", against(whole, known(&fork))),
        valid(
            "an event by somebody without a grant",
            input(&file(district, &strange, Signatures::All, PiiScope::Covered)),
        ),
        valid("without the charter", input(&file(district, &events[2..], Signatures::All, PiiScope::Covered))),
        valid("no logs at all", input(&file(district, &[], Signatures::All, PiiScope::Covered))),
    ]
}

fn damaged(whole: &[u8]) -> Vec<Case> {
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        input(&bytes)
    };
    let boundary = items(whole)[0].encode().len();
    vec![
        refused("empty", input(&[]), "truncated"),
        refused("ends after the manifest", input(&whole[..boundary]), "truncated"),
        refused("ends one byte early", input(&whole[..whole.len() - 1]), "truncated"),
        refused("a byte more", input(&[whole, &[0]].concat()), "trailing-bytes"),
        refused("another magic", flipped(3), "out-of-range"),
        refused("the last bit of the checksum", flipped(whole.len() - 1), "wrong-digest"),
        refused("the first bit of the federation", flipped(18), "wrong-digest"),
    ]
}

fn forged(whole: &[u8]) -> Vec<Case> {
    let null = |at: usize| move |items: &mut Vec<Cbor>| *field(&mut items[6], at) = Cbor::Null;
    vec![
        refused("two events in the other order", resealed(whole, |items| items.swap(4, 5)), "gap"),
        refused("an event left out", resealed(whole, |items| drop(items.remove(5))), "gap"),
        refused("an event twice", resealed(whole, |items| items.insert(5, items[4].clone())), "gap"),
        refused(
            "the head's signature left out",
            resealed(whole, |items| *field(&mut items[7], 1) = Cbor::Null),
            "unsigned-head",
        ),
        valid("another signature left out: covered by the head's", resealed(whole, null(1))),
        valid("a payload left out: erased", resealed(whole, null(2))),
        refused(
            "the signature of another event",
            resealed(whole, |items| {
                let other = field(&mut items[5], 1).clone();
                *field(&mut items[4], 1) = other;
            }),
            "invalid-signature",
        ),
        refused(
            "the payload of another event",
            resealed(whole, |items| {
                let other = field(&mut items[5], 2).clone();
                *field(&mut items[4], 2) = other;
            }),
            "wrong-payload",
        ),
        refused(
            "a payload in the empty slot",
            resealed(whole, |items| {
                let other = field(&mut items[5], 2).clone();
                *field(&mut items[4], 3) = other;
            }),
            "unexpected-payload",
        ),
        refused(
            "logs in another order",
            resealed(whole, |items| {
                let Cbor::Array(logs) = field(&mut items[0], 3) else { panic!("no logs") };
                logs.swap(1, 2);
            }),
            "log-order",
        ),
        refused(
            "another head announced",
            resealed(whole, |items| {
                let Cbor::Array(logs) = field(&mut items[0], 3) else { panic!("no logs") };
                *field(&mut logs[1], 2) = Cbor::Bytes(vec![7; 32]);
            }),
            "wrong-head",
        ),
        refused(
            "a log announced longer",
            resealed(whole, |items| {
                let Cbor::Array(logs) = field(&mut items[0], 3) else { panic!("no logs") };
                *field(&mut logs[1], 1) = Cbor::Uint(6);
                *field(&mut items[0], 4) = Cbor::Uint(13);
            }),
            "other-log",
        ),
        refused(
            "another number of events announced",
            resealed(whole, |items| *field(&mut items[0], 4) = Cbor::Uint(13)),
            "wrong-count",
        ),
        refused(
            "height 0 announced",
            resealed(whole, |items| {
                let Cbor::Array(logs) = field(&mut items[0], 3) else { panic!("no logs") };
                *field(&mut logs[1], 1) = Cbor::Uint(0);
            }),
            "out-of-range",
        ),
        refused(
            "heights beyond 64 bits",
            resealed(whole, |items| {
                let Cbor::Array(logs) = field(&mut items[0], 3) else { panic!("no logs") };
                for log in logs {
                    *field(log, 1) = Cbor::Uint(u64::MAX - 1);
                }
            }),
            "out-of-range",
        ),
    ]
}
