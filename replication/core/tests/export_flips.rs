//! No single bit of an export file can change unnoticed, and no part of it can be cut off: judged here and in Python.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_types)] // A test stops on failure.

mod golden;
mod verifier;

use golden::exports::{district, file, heads};
use linli_core::export::{ExportReader, Signatures, verify_export};
use linli_core::frame::PiiScope;
use linli_core::frontier::Frontier;
use serde_json::{Value, json};

fn sample() -> Vec<u8> {
    let (district, events) = district();
    assert_eq!(events.len(), 12);
    file(&district, &events, Signatures::Needed, PiiScope::Covered)
}

#[test]
fn every_flipped_bit_is_refused_with_its_place_by_both_verifiers() {
    let mut bytes = sample();
    let path = verifier::scratch("flips.linli", &bytes);
    let Value::Array(theirs) = verifier::answer(&["--selftest-flips", path.to_str().unwrap()]) else {
        panic!("expected a list")
    };
    std::fs::remove_file(path).unwrap();
    assert_eq!(theirs.len(), bytes.len() * 8);
    for (bit, theirs) in theirs.iter().enumerate() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = verify_export(&bytes, Frontier::new()).expect_err("a flipped bit went unnoticed");
        assert!(error.offset <= bytes.len() as u64 && error.to_string().starts_with("at byte "));
        assert_eq!(&json!([error.problem.code(), error.offset]), theirs, "bit {bit}: {error}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_file_cut_off_at_any_byte_is_refused_by_both_verifiers() {
    let bytes = sample();
    let cuts: Vec<usize> = (0..bytes.len()).collect();
    for end in &cuts {
        let error = verify_export(&bytes[..*end], Frontier::new()).expect_err("a cut went unnoticed");
        assert_eq!(error.problem.code(), "truncated", "{end}: {error}");
    }
    let some: Vec<usize> = cuts.into_iter().step_by(7).collect();
    let hex = |end: &usize| data_encoding::HEXLOWER.encode(&bytes[..*end]);
    let inputs: Vec<Value> = some.iter().map(|end| json!({"file": hex(end), "known": []})).collect();
    for (end, theirs) in some.iter().zip(verifier::judge("exports", &inputs)) {
        assert_eq!(theirs["code"], "truncated", "{end}: {theirs}");
    }
}

#[test]
fn a_truthful_file_with_fewer_events_is_shorter_than_the_known_heads() {
    let (district, events) = district();
    for lost in 1..=3 {
        // The last log has three events; with all of them gone it is not named any more.
        let kept = &events[..events.len() - lost];
        let report = verify_export(&file(&district, kept, Signatures::All, PiiScope::Covered), heads(&events)).unwrap();
        let [difference] = &report.discrepancies[..] else { panic!("{:?}", report.discrepancies) };
        let expected = format!("is shorter: has seq {}, known head is seq 3", 3 - lost);
        assert!(difference.to_string().ends_with(&expected), "{difference}");
    }
}

#[test]
fn the_command_in_python_says_where_and_exits_as_documented() {
    let (district, events) = district();
    let whole = file(&district, &events, Signatures::All, PiiScope::Covered);
    let shorter = file(&district, &events[..10], Signatures::All, PiiScope::Covered);
    let mut damaged = whole.clone();
    damaged[1500] ^= 4;

    let paths = [
        verifier::scratch("whole", &whole),
        verifier::scratch("shorter", &shorter),
        verifier::scratch("damaged", &damaged),
    ];
    let [whole, shorter, damaged] = paths.each_ref().map(|p| p.to_str().unwrap());
    let text = verifier::run(&[whole]);
    let ours = verify_export(&std::fs::read(whole).unwrap(), Frontier::new()).unwrap();
    assert_eq!(String::from_utf8_lossy(&text.stdout), ours.to_string(), "the two programs say it otherwise");
    let federation = ours.federation.to_string();
    let report = verifier::run(&["--json", "--require-authorised", "--federation", &federation, whole]);
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let known = verifier::scratch("known", &report.stdout);
    let code = |arguments: &[&str]| verifier::run(arguments).status.code();
    let compared = verifier::run(&["--known", known.to_str().unwrap(), shorter]);
    assert_eq!(compared.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&compared.stderr).contains("is shorter: has seq 1, known head is seq 3"));
    let other = verifier::run(&["--federation", &"07".repeat(32), whole]);
    assert_eq!(other.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&other.stderr).contains("was asked for"));
    let refused = verifier::run(&[damaged]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("REFUSED at byte "));
    assert_eq!(code(&["--known", known.to_str().unwrap(), whole]), Some(0));
    assert_eq!(code(&["/nowhere/at/all"]), Some(1));
    assert_eq!(code(&[]), Some(2));
    for path in paths.iter().chain([&known]) {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn after_a_refusal_a_reader_stays_refused() {
    let mut bytes = sample();
    bytes[700] ^= 1;
    let mut reader = ExportReader::new(Frontier::new());
    let first = bytes.chunks(64).find_map(|piece| reader.push(piece, &mut |_, _| {}).err()).unwrap();
    assert_eq!(reader.push(&[0], &mut |_, _| {}), Err(first.clone()));
    assert_eq!(reader.finish(&mut |_, _| {}), Err(first));
}
