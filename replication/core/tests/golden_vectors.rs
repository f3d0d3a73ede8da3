//! The golden vectors in `vectors/`: this code makes exactly these, judges them as stated, and so does the verifier in
//! Python. A change of the format shows here first. `LINLI_TEST_BLESS=1` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_types)] // A test stops on failure.

mod golden;
mod verifier;

use golden::case::Case;
use golden::judge::judge;
use serde_json::{Value, json};

fn agrees(kind: &str, about: &str, cases: Vec<Case>) {
    let mut vectors = vec![];
    for case in cases {
        let expect = judge(kind, &case.input);
        let code = expect.get("code").and_then(Value::as_str);
        assert_eq!(code, case.code, "{kind}: {}: {expect}", case.name);
        vectors.push(json!({"name": case.name, "input": case.input, "expect": expect}));
    }
    let made = serde_json::to_string_pretty(&json!({"about": about, "cases": vectors})).unwrap() + "\n";
    let path = verifier::repository().join(format!("replication/core/vectors/{kind}.json"));
    if bless() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is not what this code makes: the format changed", path.display());
}

#[allow(clippy::disallowed_methods)] // The one switch of this test, for people only.
fn bless() -> bool {
    std::env::var("LINLI_TEST_BLESS").is_ok_and(|value| value == "1")
}

#[test]
fn deterministic_cbor_is_as_the_vectors_say() {
    agrees("cbor", "Deterministic CBOR values and what is refused. Input: bytes.", golden::cbor::cases());
}

#[test]
fn headers_are_as_the_vectors_say() {
    agrees("headers", "Event headers, their to-be-signed bytes and ids. Input: header.", golden::headers::cases());
}

#[test]
fn payload_commitments_are_as_the_vectors_say() {
    agrees("payloads", "Commitments of payload slots. Input: slot, salt, bytes.", golden::headers::payloads());
}

#[test]
fn runs_of_events_are_as_the_vectors_say() {
    agrees("runs", "Runs of events of one log after a head or from its start.", golden::runs::cases());
}

#[test]
fn frames_are_as_the_vectors_say() {
    agrees("frames", "Frames as nodes send them. Input: frame.", golden::runs::frames());
}

#[test]
fn charters_are_as_the_vectors_say() {
    let about = "Sets of charter events, and probes: headers of other events to be judged.";
    agrees("charters", about, golden::charters::cases());
}

#[test]
fn export_files_are_as_the_vectors_say() {
    agrees("exports", "Export files against known heads. Input: file, known.", golden::exports::cases());
}

#[test]
fn the_independent_verifier_agrees_with_every_vector() {
    let directory = verifier::repository().join("replication/core/vectors");
    let output = verifier::run(&["--vectors", directory.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
