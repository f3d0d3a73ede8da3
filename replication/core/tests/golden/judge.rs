//! One function per kind of vector: from its input to what the format says of it. The Python verifier has the same.

use data_encoding::HEXLOWER;
use linli_core::cbor::{self, CborError};
use linli_core::chain::{ChainError, Join, verify_run};
use linli_core::charter::{Charter, CharterError, Verdict};
use linli_core::event::{EventError, Header, Payload, ReceivedEvent, Slot, event_id};
use linli_core::export::{Known, KnownHead, verify_export};
use linli_core::frame::decode_frame;
use linli_core::id::{AuthorKey, Head};
use linli_core::sign::{CheckedKey, KeyCache, Purpose, Signature, to_be_signed};
use serde_json::{Value, json};

/// What this implementation says of an input.
pub fn judge(kind: &str, input: &Value) -> Value {
    let result = match kind {
        "cbor" => cbor::Value::decode(&bytes(&input["bytes"])).map(|_| json!({"ok": true})),
        "headers" => header(&bytes(&input["header"])),
        "payloads" => Ok(payload(input)),
        "signatures" => Ok(signature(input)),
        "runs" => Ok(run(input)),
        "frames" => decode_frame(&bytes(&input["frame"])).map(|events| run_result(Join::Anywhere, events)),
        "charters" => Ok(charter(input)),
        "exports" => Ok(export(input)),
        other => panic!("no such kind of vector: {other}"),
    };
    result.unwrap_or_else(|e: CborError| json!({"code": e.problem.code(), "offset": e.offset}))
}

pub fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn header(data: &[u8]) -> Result<Value, CborError> {
    let header = Header::decode(data)?;
    assert_eq!(header.encode(), data, "a header has two encodings");
    Ok(json!({
        "id": event_id(data), "to_be_signed": hex(&to_be_signed(Purpose::Event, data)), "log": header.log_id(),
        "seq": header.seq, "kind": header.kind, "time": header.time.to_bits(),
    }))
}

fn payload_of(value: &Value) -> Option<Payload> {
    let salt = bytes(value.get("salt")?).try_into().unwrap();
    Some(Payload { salt, bytes: bytes(&value["bytes"]) })
}

fn payload(input: &Value) -> Value {
    let slot = if input["slot"] == "op" { Slot::Op } else { Slot::Pii };
    let payload = payload_of(input).unwrap();
    let readable = matches!(cbor::Value::decode(&payload.bytes), Ok(cbor::Value::Map(_)));
    json!({"commitment": payload.commitment(slot), "readable": readable})
}

fn signature(input: &Value) -> Value {
    let key = AuthorKey::from_slice(&bytes(&input["key"])).unwrap();
    let signature = Signature::from_bytes(bytes(&input["signature"]).try_into().unwrap());
    let verify = CheckedKey::new(&key).and_then(|key| key.verify(&bytes(&input["message"]), &signature));
    json!({
        "verify": verify.err().map(|e| e.code()),
        "grantable": CheckedKey::for_grant(&key).err().map(|e| e.code()),
    })
}

fn event(value: &Value) -> Result<ReceivedEvent, EventError> {
    let signature = value["signature"].as_str().map(|_| bytes(&value["signature"]));
    let signature = signature.map(|s| Signature::from_bytes(s.try_into().unwrap()));
    ReceivedEvent::new(bytes(&value["header"]), signature, payload_of(&value["op"]), payload_of(&value["pii"]))
}

fn run(input: &Value) -> Value {
    let after: Option<Head> = serde_json::from_value(input["after"].clone()).unwrap();
    let events: Result<Vec<_>, _> = input["events"].as_array().unwrap().iter().map(event).collect();
    match events {
        Ok(events) => run_result(after.map_or(Join::Start, Join::After), events),
        Err(EventError::Header(e)) => json!({"code": e.problem.code(), "offset": e.offset}),
        Err(EventError::UnexpectedPayload(_)) => json!({"code": "unexpected-payload", "offset": null}),
        Err(EventError::WrongPayload(_)) => json!({"code": "wrong-payload", "offset": null}),
    }
}

fn run_result(join: Join, events: Vec<ReceivedEvent>) -> Value {
    match verify_run(join, events, &mut KeyCache::default()) {
        Ok(proven) => {
            let ids: Vec<_> = proven.iter().map(|e| e.event().id()).collect();
            json!({"log": proven[0].event().header().log_id(), "ids": ids})
        }
        Err(error) => {
            let (code, seq) = match error {
                ChainError::Empty => ("empty", None),
                ChainError::OtherLog { seq } => ("other-log", Some(seq)),
                ChainError::Gap { found, .. } => ("gap", Some(found)),
                ChainError::BrokenLink { seq } => ("broken-link", Some(seq)),
                ChainError::UnsignedEnd { seq } => ("unsigned-head", Some(seq)),
                ChainError::Signature { seq, source } => (source.code(), Some(seq)),
            };
            json!({"code": code, "seq": seq})
        }
    }
}

fn charter(input: &Value) -> Value {
    let federation = input["federation"].as_str().unwrap().parse().unwrap();
    let events: Vec<_> = input["events"].as_array().unwrap().iter().map(|e| event(e).unwrap()).collect();
    let charter = Charter::evaluate(federation, &events);
    let invalid: serde_json::Map<String, Value> =
        charter.invalid().map(|(id, error)| (id.to_string(), charter_code(error).into())).collect();
    let verdict = |probe: &Value| {
        let data = bytes(probe);
        match charter.verdict(&event_id(&data), &Header::decode(&data).unwrap()) {
            Verdict::Authorised { expired: false } => "authorised",
            Verdict::Authorised { expired: true } => "expired",
            Verdict::GrantUnknown => "grant-unknown",
            Verdict::Refused(refusal) => refusal.code(),
        }
    };
    json!({
        "genesis": charter.genesis().is_some(),
        "valid": charter.grants().map(|(id, _)| *id).collect::<Vec<_>>(),
        "invalid": invalid,
        "verdicts": input["probes"].as_array().unwrap().iter().map(verdict).collect::<Vec<_>>(),
    })
}

fn charter_code(error: &CharterError) -> String {
    match error {
        CharterError::Field(name) => format!("field-{name}"),
        CharterError::NoPayload => "no-payload".into(),
        CharterError::OtherKind(_) => "other-kind".into(),
        CharterError::Threshold { .. } => "threshold".into(),
        CharterError::Key { source, .. } => format!("key-{}", source.code()),
        CharterError::NotTheHolder => "not-the-holder".into(),
        CharterError::TooFewAgreed { .. } => "too-few-agreed".into(),
        CharterError::MayNotDelegate => "may-not-delegate".into(),
        CharterError::Widened("its parent grant is not valid") => "invalid-parent".into(),
        CharterError::Widened(what) => format!("widened-{what}"),
        CharterError::OtherFederation => "other-federation".into(),
    }
}

fn export(input: &Value) -> Value {
    let heads = input["known"].get("heads").unwrap_or(&input["known"]);
    let heads: Vec<KnownHead> = serde_json::from_value(heads.clone()).unwrap();
    let federation = input["known"].get("federation").map(|id| id.as_str().unwrap().parse().unwrap());
    let known = Known { federation, heads: heads.into_iter().map(|k| (k.log, k.head)).collect() };
    match verify_export(&bytes(&input["file"]), known) {
        Ok(report) => serde_json::to_value(report).unwrap(),
        Err(e) => json!({"code": e.problem.code(), "offset": e.offset, "log": e.log, "seq": e.seq}),
    }
}
