//! Headers field by field, and payload commitments.

use linli_core::cbor::Value;
use linli_core::testkit;
use serde_json::json;

use super::case::{Case, refused, valid};
use super::judge::hex;

/// The fields of a complete, valid header.
pub fn fields() -> Vec<Value> {
    let hash = |byte: u8| Value::Bytes(vec![byte; 32]);
    let slot = |byte| Value::Array(vec![hash(byte), Value::Uint(100)]);
    vec![
        Value::Uint(1),
        Value::Bytes(testkit::key(7).public().as_bytes().to_vec()),
        Value::Uint(0x0123_4567_89ab_cdef),
        Value::Text("320508005012".into()),
        Value::Uint(4),
        Value::Uint(2),
        hash(0x66),
        Value::Array(vec![hash(1), hash(2)]),
        Value::Bytes(vec![8; 16]),
        Value::Text("issued".into()),
        Value::Uint(testkit::EPOCH_MS << 16 | 3),
        hash(0xbb),
        slot(0xcc),
        slot(0xdd),
    ]
}

fn with(at: usize, value: Value) -> serde_json::Value {
    let mut fields = fields();
    fields[at] = value;
    input(&Value::Array(fields).encode())
}

fn input(bytes: &[u8]) -> serde_json::Value {
    json!({"header": hex(bytes)})
}

/// The vectors of headers.
pub fn cases() -> Vec<Case> {
    let hash = |byte: u8| Value::Bytes(vec![byte; 32]);
    let text = |text: &str| Value::Text(text.into());
    let whole = Value::Array(fields()).encode();
    let mut first = fields();
    for at in [6, 8, 11, 12, 13] {
        first[at] = Value::Null;
    }
    (first[5], first[7]) = (Value::Uint(1), Value::Array(vec![]));
    let eight = Value::Array((1..=8).map(hash).collect());
    let mut cases = vec![
        valid("every field", input(&whole)),
        valid("first of a log, nothing optional", input(&Value::Array(first).encode())),
        valid("first of a log that continues an earlier head", with(5, Value::Uint(1))),
        valid("eight parents", with(7, eight)),
        valid("highest stream and seq", {
            let mut fields = fields();
            (fields[4], fields[5]) = (Value::Uint(31), Value::Uint(u64::MAX - 1));
            input(&Value::Array(fields).encode())
        }),
        valid("longest area code and kind", {
            let mut fields = fields();
            (fields[3], fields[9]) = (text(&"Z".repeat(32)), text(&"_".repeat(32)));
            input(&Value::Array(fields).encode())
        }),
        valid("highest time, ten thousand years on", with(10, Value::Uint(u64::MAX))),
    ];
    let slot = |bytes: Vec<u8>, size| Value::Array(vec![Value::Bytes(bytes), Value::Uint(size)]);
    let wrong: Vec<(&str, usize, Value, &'static str)> = vec![
        ("version 2", 0, Value::Uint(2), "out-of-range"),
        ("version as text", 0, text("1"), "unexpected-type"),
        ("author of 31 bytes", 1, Value::Bytes(vec![1; 31]), "out-of-range"),
        ("author of 33 bytes", 1, Value::Bytes(vec![1; 33]), "out-of-range"),
        ("negative incarnation", 2, Value::Negative(0), "unexpected-type"),
        ("empty area", 3, text(""), "out-of-range"),
        ("area with a small letter", 3, text("32o508"), "out-of-range"),
        ("area with a line end", 3, text("320508\n"), "out-of-range"),
        ("area with digits of another script", 3, text("３２０５０８"), "out-of-range"),
        ("area of 33 letters", 3, text(&"1".repeat(33)), "out-of-range"),
        ("stream 32", 4, Value::Uint(32), "out-of-range"),
        ("seq 0", 5, Value::Uint(0), "out-of-range"),
        ("highest integer as seq", 5, Value::Uint(u64::MAX), "out-of-range"),
        ("no prev at seq 2", 6, Value::Null, "unexpected-type"),
        ("prev of 16 bytes", 6, Value::Bytes(vec![6; 16]), "out-of-range"),
        ("nine parents", 7, Value::Array((1..=9).map(hash).collect()), "out-of-range"),
        ("parents out of order", 7, Value::Array(vec![hash(2), hash(1)]), "out-of-range"),
        ("a parent twice", 7, Value::Array(vec![hash(1), hash(1)]), "out-of-range"),
        ("record of 15 bytes", 8, Value::Bytes(vec![8; 15]), "out-of-range"),
        ("record as text", 8, text("0123456789abcdef"), "unexpected-type"),
        ("empty kind", 9, text(""), "out-of-range"),
        ("kind with a capital", 9, text("Issued"), "out-of-range"),
        ("kind with a dot", 9, text("supplies.issued"), "out-of-range"),
        ("kind with a line end", 9, text("issued\n"), "out-of-range"),
        ("kind of 33 letters", 9, text(&"k".repeat(33)), "out-of-range"),
        ("false as time", 10, Value::Bool(false), "unexpected-type"),
        ("false as grant", 11, Value::Bool(false), "unexpected-type"),
        ("slot without a size", 12, Value::Array(vec![hash(1)]), "unexpected-type"),
        ("slot with a short commitment", 12, slot(vec![1; 31], 1), "out-of-range"),
        ("payload of 65537 bytes", 13, slot(vec![1; 32], 65_537), "out-of-range"),
    ];
    cases.extend(wrong.into_iter().map(|(name, at, value, code)| refused(name, with(at, value), code)));
    let mut fifteen = fields();
    fifteen.push(Value::Null);
    cases.push(refused("fifteen fields", input(&Value::Array(fifteen).encode()), "unexpected-type"));
    cases.push(refused("thirteen fields", input(&Value::Array(fields()[..13].to_vec()).encode()), "unexpected-type"));
    cases.push(refused("a byte more", input(&[&whole[..], &[0]].concat()), "trailing-bytes"));
    cases.push(refused("a byte less", input(&whole[..whole.len() - 1]), "truncated"));
    cases.push(refused(
        "version not in its shortest form",
        input(&[&[0x8e, 0x18, 0x01], &whole[2..]].concat()),
        "not-shortest",
    ));
    cases.push(refused("indefinite array", input(&[&[0x9f], &whole[1..], &[0xff]].concat()), "indefinite"));
    cases.push(refused("longer than any header", input(&vec![0; 1025]), "out-of-range"));
    cases
}

/// The vectors of payload commitments.
pub fn payloads() -> Vec<Case> {
    let payload = |slot, salt: u8, bytes: &[u8]| json!({"slot": slot, "salt": hex(&[salt; 16]), "bytes": hex(bytes)});
    vec![
        valid("operational", payload("op", 1, &[0xa1, 0x61, b'n', 0x18, 40])),
        valid("the same as personal payload", payload("pii", 1, &[0xa1, 0x61, b'n', 0x18, 40])),
        valid("the same with another salt", payload("op", 2, &[0xa1, 0x61, b'n', 0x18, 40])),
        valid("an empty map", payload("op", 1, &[0xa0])),
        valid("nothing at all: authentic, not readable", payload("op", 1, &[])),
        valid("no map: authentic, not readable", payload("op", 1, &[0x80])),
        valid("not deterministic: authentic, not readable", payload("op", 1, &[0xbf, 0xff])),
    ]
}
