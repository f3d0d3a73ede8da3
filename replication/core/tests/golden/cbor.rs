//! Values of every type, and every way in which bytes fail to be deterministic CBOR.

use serde_json::json;

use super::case::{Case, refused, valid};
use super::judge::hex;

/// The vectors.
pub fn cases() -> Vec<Case> {
    let accepted = [
        ("zero", "00"),
        ("largest integer", "1bffffffffffffffff"),
        ("smallest integer", "3bffffffffffffffff"),
        ("empty byte string", "40"),
        ("text", "66e982bbe9878c"),
        ("nested arrays", "818180"),
        ("map in bytewise order of its keys", "a30a00616100626262f6"),
        ("true, false, null", "83f5f4f6"),
        ("deepest nesting", "8181818181818181818181818181818100"),
    ];
    let rejected = [
        ("nothing", "", "truncated"),
        ("23 in two bytes", "1817", "not-shortest"),
        ("255 in three bytes", "1900ff", "not-shortest"),
        ("65535 in five bytes", "1a0000ffff", "not-shortest"),
        ("4294967295 in nine bytes", "1b00000000ffffffff", "not-shortest"),
        ("long length of a byte string", "580100", "not-shortest"),
        ("long length of an array", "980100", "not-shortest"),
        ("indefinite byte string", "5f4100ff", "indefinite"),
        ("indefinite array", "9fff", "indefinite"),
        ("indefinite map", "bfff", "indefinite"),
        ("a break alone", "ff", "unsupported"),
        ("a tag", "c000", "unsupported"),
        ("a half float", "f93c00", "unsupported"),
        ("a double", "fb3ff0000000000000", "unsupported"),
        ("undefined", "f7", "unsupported"),
        ("simple value 24", "f818", "unsupported"),
        ("reserved additional information", "1c", "unsupported"),
        ("text that is not UTF-8", "61ff", "not-utf8"),
        ("a surrogate in UTF-8", "63eda080", "not-utf8"),
        ("an overlong letter", "62c1a1", "not-utf8"),
        ("keys out of order", "a2616200616100", "key-order"),
        ("shorter key after longer", "a2626161006162f6", "key-order"),
        ("a key twice", "a2616100616100", "duplicate-key"),
        ("two items", "0000", "trailing-bytes"),
        ("length beyond the input", "5bffffffffffffffff", "truncated"),
        ("count beyond the input", "9bffffffffffffffff", "truncated"),
        ("half an integer", "1a0000", "truncated"),
        ("too deep", "818181818181818181818181818181818100", "too-deep"),
    ];
    let mut cases: Vec<Case> = accepted.map(|(name, bytes)| valid(name, json!({"bytes": bytes}))).into();
    cases.extend(rejected.map(|(name, bytes, code)| refused(name, json!({"bytes": bytes}), code)));
    let mut bomb = vec![0x81; 2000];
    bomb.push(0);
    cases.push(refused("a bomb of depth", json!({"bytes": hex(&bomb)}), "too-deep"));
    cases
}
