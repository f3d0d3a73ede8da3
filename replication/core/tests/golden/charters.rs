//! Federations: m of n roots, chains of grants, and everything that gives nothing.

use linli_core::cbor::Value as Cbor;
use linli_core::charter::{Genesis, Grant, KIND_GENESIS, KIND_GRANT, Role};
use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, Stream};
use linli_core::sign::SecretKey;
use linli_core::testkit::{Author, Draft, area, key};
use serde_json::{Value, json};

use super::case::{Case, valid};
use super::judge::hex;
use super::runs::event_json;

fn write(by: u16, under: Option<EventId>, at: &str, kind: &'static str, payload: Vec<u8>) -> ReceivedEvent {
    let draft = Draft { op: Some(payload), ..Draft::new(Stream::CHARTER, kind, None) };
    Author::new(by, at, under).write(draft)
}

fn federation(threshold: u64, roots: u16) -> (ReceivedEvent, Vec<SecretKey>) {
    let keys: Vec<SecretKey> = (0..roots).map(key).collect();
    let payload = Genesis::payload("试验区", threshold, &keys, &area("320508"));
    (write(0, None, "320508", KIND_GENESIS, payload), keys)
}

fn terms(subject: u16, role: Role, at: &str) -> Grant {
    let key = key(subject);
    Grant {
        subject: key.public(),
        proof: key.prove_possession(),
        role,
        label: "临湖街道".into(),
        area: area(at),
        streams: Stream::known().collect(),
        delegate: true,
        not_after: None,
        cosigned: vec![],
    }
}

fn grant(by: u16, under: EventId, terms: &Grant) -> ReceivedEvent {
    write(by, Some(under), terms.area.as_str(), KIND_GRANT, terms.payload())
}

fn input(federation: EventId, events: &[&ReceivedEvent], probes: &[ReceivedEvent]) -> Value {
    json!({
        "federation": federation,
        "events": events.iter().map(|e| event_json(e)).collect::<Vec<_>>(),
        "probes": probes.iter().map(|e| hex(e.header_bytes())).collect::<Vec<_>>(),
    })
}

fn report(by: u16, under: Option<EventId>, at: &str, stream: Stream) -> ReceivedEvent {
    Author::new(by, at, under).write(Draft::new(stream, "reported", None))
}

/// A payload with one field replaced, or left out.
fn altered(payload: &[u8], field: &str, value: Option<Cbor>) -> Vec<u8> {
    let Cbor::Map(mut pairs) = Cbor::decode(payload).unwrap() else { panic!("not a map") };
    pairs.retain(|(k, _)| k.as_text() != Some(field));
    pairs.extend(value.map(|v| (Cbor::Text(field.into()), v)));
    Cbor::Map(pairs).canonical().encode()
}

/// The vectors. Every one is a set of events that evaluates to something; which of them give nothing is in `expect`.
pub fn cases() -> Vec<Case> {
    let all = [delegation(), thresholds(), geneses(), malformed_grants(), without_a_genesis(), withheld()];
    all.into_iter().flatten().collect()
}

fn delegation() -> Vec<Case> {
    let (genesis, _) = federation(1, 1);
    let fed = genesis.id();
    let g1 = grant(0, fed, &terms(11, Role::Node, "320508"));
    let g2 = grant(11, g1.id(), &terms(12, Role::Node, "320508005"));
    let mut liaison = terms(13, Role::Liaison, "320508005012");
    liaison.streams = [Stream::SUPPLIES].into();
    (liaison.delegate, liaison.not_after) = (false, Some(1_700_000_000_000));
    let g3 = grant(12, g2.id(), &liaison);
    let mut until = terms(15, Role::Partner, "320508005");
    (until.not_after, until.delegate) = (Some(2_000_000_000_000), true);
    let g4 = grant(12, g2.id(), &until);
    let bad = [
        grant(12, g2.id(), &terms(13, Role::Liaison, "320508")),
        grant(12, g2.id(), &terms(13, Role::Node, "320508005")),
        grant(13, g3.id(), &terms(14, Role::Lead, "320508005012")),
        grant(13, g2.id(), &terms(14, Role::Lead, "320508005012")),
        grant(15, g4.id(), &terms(14, Role::Lead, "320508005")),
        grant(0, fed, &terms(16, Role::Node, "320509")),
        grant(11, fed, &terms(16, Role::Node, "320508")),
        grant(0, EventId::from_bytes([1; 32]), &terms(16, Role::Node, "320508")),
        write(0, Some(fed), "320508", "renamed", vec![0xa0]),
    ];
    let below_bad = grant(13, bad[0].id(), &terms(14, Role::Lead, "320508"));
    let mut events = vec![&genesis, &g1, &g2, &g3, &g4, &below_bad];
    events.extend(&bad);
    let probes = [
        report(12, Some(g2.id()), "320508005012", Stream::TEAMS),
        report(13, Some(g3.id()), "320508005012", Stream::SUPPLIES),
        report(12, Some(g2.id()), "320508006", Stream::TEAMS),
        report(13, Some(g3.id()), "320508005012", Stream::TEAMS),
        report(13, Some(g2.id()), "320508005", Stream::TEAMS),
        report(13, Some(bad[0].id()), "320508", Stream::TEAMS),
        report(13, None, "320508", Stream::TEAMS),
        report(12, Some(EventId::from_bytes([1; 32])), "320508005", Stream::TEAMS),
        report(0, Some(fed), "320508", Stream::TEAMS),
        report(0, Some(fed), "32050", Stream::TEAMS),
        g1.clone(),
        bad[0].clone(),
    ];
    let mut reversed = events.clone();
    reversed.reverse();
    vec![
        valid("rights fall along chains of grants", input(fed, &events, &probes)),
        valid("the same in reverse order", input(fed, &reversed, &probes)),
    ]
}

fn thresholds() -> Vec<Case> {
    let (genesis, roots) = federation(3, 5);
    let fed = genesis.id();
    let mut agreed = terms(20, Role::Node, "320508");
    agreed.cosign(&roots[1], &fed);
    let two = grant(0, fed, &agreed);
    agreed.cosign(&roots[1], &fed);
    let twice = grant(0, fed, &agreed);
    agreed.cosign(&roots[2], &fed);
    let three = grant(0, fed, &agreed);
    let mut elsewhere = terms(20, Role::Node, "320508");
    elsewhere.cosign(&roots[1], &EventId::from_bytes([9; 32]));
    elsewhere.cosign(&roots[2], &EventId::from_bytes([9; 32]));
    let replayed = grant(0, fed, &elsewhere);
    let probes = [report(20, Some(three.id()), "320508", Stream::TEAMS), report(0, Some(fed), "320508", Stream::TEAMS)];
    vec![valid("three of five", input(fed, &[&genesis, &two, &twice, &three, &replayed], &probes))]
}

fn geneses() -> Vec<Case> {
    let (good, keys) = federation(2, 3);
    let payload = Genesis::payload("试验区", 2, &keys, &area("320508"));
    let other_roots = |roots: &[SecretKey], threshold| Genesis::payload("试验区", threshold, roots, &area("320508"));
    let wrong = [
        ("a minority threshold", write(0, None, "320508", KIND_GENESIS, other_roots(&[key(0), key(1)], 1))),
        ("a threshold above the number of keys", write(0, None, "320508", KIND_GENESIS, other_roots(&[key(0)], 2))),
        ("no root key", write(0, None, "320508", KIND_GENESIS, other_roots(&[], 0))),
        ("written by a stranger", write(9, None, "320508", KIND_GENESIS, payload.clone())),
        ("for another area than agreed", write(0, None, "320509", KIND_GENESIS, payload.clone())),
        ("another name than agreed", {
            write(0, None, "320508", KIND_GENESIS, altered(&payload, "name", Some(Cbor::Text("另一区".into()))))
        }),
        ("an agreement missing", {
            write(0, None, "320508", KIND_GENESIS, altered(&payload, "agreed", Some(Cbor::Array(vec![]))))
        }),
        ("a field missing", write(0, None, "320508", KIND_GENESIS, altered(&payload, "threshold", None))),
        ("no map", write(0, None, "320508", KIND_GENESIS, vec![0x80])),
        ("not CBOR", write(0, None, "320508", KIND_GENESIS, vec![0xff])),
        ("names a grant", write(0, Some(good.id()), "320508", KIND_GENESIS, payload.clone())),
    ];
    let mut cases = vec![
        valid("a genesis of two of three", input(good.id(), &[&good], &[])),
        valid("a genesis with an unknown key", {
            let with_more = altered(&payload, "motto", Some(Cbor::Text("平时有备".into())));
            let event = write(0, None, "320508", KIND_GENESIS, with_more);
            input(event.id(), &[&event], &[])
        }),
    ];
    cases.extend(
        wrong.map(|(name, event)| valid(format!("worthless genesis: {name}"), input(event.id(), &[&event], &[]))),
    );
    let worthless = write(0, None, "320508", KIND_GENESIS, vec![0x80]);
    let child = grant(0, worthless.id(), &terms(11, Role::Node, "320508"));
    let grandchild = grant(11, child.id(), &terms(12, Role::Node, "320508005"));
    let probe = [report(11, Some(child.id()), "320508", Stream::TEAMS), child.clone()];
    cases.push(valid(
        "what hangs on a worthless genesis waits, as without any",
        input(worthless.id(), &[&worthless, &child, &grandchild], &probe),
    ));
    cases
}

fn bare(event: &ReceivedEvent) -> ReceivedEvent {
    ReceivedEvent::new(event.header_bytes().to_vec(), event.signature().copied(), None, None).unwrap()
}

/// Payloads that were erased or withheld make unknown what depends on them.
fn withheld() -> Vec<Case> {
    let (genesis, _) = federation(1, 1);
    let fed = genesis.id();
    let above = grant(0, fed, &terms(11, Role::Node, "320508"));
    let below = grant(11, above.id(), &terms(12, Role::Node, "320508005"));
    let probes = [
        report(11, Some(above.id()), "320508", Stream::TEAMS),
        report(12, Some(below.id()), "320508005", Stream::TEAMS),
        report(0, Some(fed), "320508", Stream::TEAMS),
        genesis.clone(),
        above.clone(),
        below.clone(),
    ];
    let orphan = bare(&write(0, None, "320508", KIND_GRANT, terms(11, Role::Node, "320508").payload()));
    let renamed = bare(&write(0, Some(fed), "320508", "renamed", vec![0xa0]));
    let promises_nothing = Draft::new(Stream::CHARTER, KIND_GRANT, None);
    let empty = Author::new(0, "320508", Some(fed)).write(promises_nothing);
    vec![
        valid("the payload of the genesis is not here", input(fed, &[&bare(&genesis), &above, &below], &probes)),
        valid("the payload of a grant is not here", input(fed, &[&genesis, &bare(&above), &below], &probes)),
        valid("the payload of a grant below is not here", input(fed, &[&genesis, &above, &bare(&below)], &probes)),
        valid("it came once without and once with its payload", {
            input(fed, &[&genesis, &bare(&above), &above, &below, &bare(&below)], &probes)
        }),
        valid(
            "worthless without any payload: no parent, another kind, nothing committed to",
            input(fed, &[&genesis, &orphan, &renamed, &empty], &[]),
        ),
    ]
}

fn malformed_grants() -> Vec<Case> {
    let (genesis, _) = federation(1, 1);
    let fed = genesis.id();
    let good = terms(20, Role::Node, "320508").payload();
    let mut identity = vec![0; 32];
    identity[0] = 1;
    let fields: [(&str, Option<Cbor>); 17] = [
        ("subject", None),
        ("subject", Some(Cbor::Bytes(identity))),
        ("subject", Some(Cbor::Bytes(vec![0xff; 32]))),
        ("subject", Some(Cbor::Bytes(key(21).public().as_bytes().to_vec()))),
        ("proof", Some(Cbor::Bytes(vec![0; 63]))),
        ("role", Some(Cbor::Text("mayor".into()))),
        ("label", Some(Cbor::Text("街".repeat(22)))),
        ("label", None),
        ("rank", Some(Cbor::Uint(0))),
        ("area", Some(Cbor::Text("".into()))),
        ("streams", Some(Cbor::Array(vec![Cbor::Uint(32)]))),
        ("streams", Some(Cbor::Uint(1))),
        ("delegate", Some(Cbor::Uint(1))),
        ("not_after", None),
        ("not_after", Some(Cbor::Negative(0))),
        ("cosigned", Some(Cbor::Array(vec![Cbor::Array(vec![])]))),
        ("cosigned", None),
    ];
    let events: Vec<ReceivedEvent> = fields
        .into_iter()
        .map(|(field, value)| write(0, Some(fed), "320508", KIND_GRANT, altered(&good, field, value)))
        .collect();
    let repeated = vec![Cbor::Uint(4), Cbor::Uint(0), Cbor::Uint(4)];
    let harmless = [
        write(0, Some(fed), "320508", KIND_GRANT, altered(&good, "remark", Some(Cbor::Null))),
        write(0, Some(fed), "320508", KIND_GRANT, altered(&good, "streams", Some(Cbor::Array(repeated)))),
    ];
    let mut all = vec![&genesis];
    all.extend(&events);
    vec![
        valid("grants with a field missing or malformed", input(fed, &all, &[])),
        valid("unknown keys and streams in any order", input(fed, &[&genesis, &harmless[0], &harmless[1]], &[])),
    ]
}

fn without_a_genesis() -> Vec<Case> {
    let (genesis, _) = federation(1, 1);
    let g1 = grant(0, genesis.id(), &terms(11, Role::Node, "320508"));
    let probe = [report(11, Some(g1.id()), "320508", Stream::TEAMS), g1.clone()];
    vec![valid("grants wait for a genesis that is not here", input(genesis.id(), &[&g1], &probe))]
}
