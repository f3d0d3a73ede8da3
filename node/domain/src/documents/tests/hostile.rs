//! The gate as an attacker sees it: mutated changes, bombs, arbitrary bytes.

use std::collections::BTreeMap;

use automerge::{Automerge, Change};
use proptest::prelude::*;

use super::super::contain::contained;
use super::super::scan::scan;
use super::super::{Document, DocumentError, Edit, actor_of, shape};
use super::{NOW, author, by_author, item, remove, set, text, write};

/// Gives a change of which bytes were altered the checksum that fits, if automerge parses it at all.
fn with_fitting_checksum(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    scan(&bytes).ok()?;
    let hash = contained(|| Change::from_bytes(bytes.clone()).map(|change| change.hash())).ok()?.ok()?;
    bytes[4..8].copy_from_slice(&hash.0[..4]);
    Some(bytes)
}

/// What automerge does with a change that only passed the scan.
fn ungated(document: &Document, bytes: &[u8]) -> Result<(), DocumentError> {
    contained(|| {
        let change = Change::from_bytes(bytes.to_vec()).map_err(|_| DocumentError::Refused)?;
        let mut copy = document.0.automerge.clone();
        copy.apply_changes([change]).map_err(|_| DocumentError::Refused)?;
        let saved = copy.save();
        let again = Automerge::load(&saved).map_err(|_| DocumentError::NotReproducible)?;
        shape::render(&again, None);
        Ok(())
    })?
}

/// A change of author 1 that was altered and yet accepted does no harm: what others wrote before stays as it was, they
/// go on writing, and the order of arrival does not matter.
fn check_accepted(before: &Document, mut accepted: Document, mutated: &[u8], case: &str) {
    let concurrent = before.edit(&[set("c", "3"), text("一二三 4 five 六")], &author(3), 1, NOW).unwrap();
    let mut other_way = before.clone();
    other_way.apply(&concurrent, &author(3), 1).unwrap();
    other_way.apply(mutated, &author(1), 1).unwrap_or_else(|error| panic!("{case}: {error}"));
    accepted.apply(&concurrent, &author(3), 1).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(accepted.render(), other_way.render(), "{case}");
    assert!(accepted.save() == other_way.save(), "{case}");
    assert_eq!(accepted.render_at(&before.heads()).unwrap(), before.render(), "{case}");
    let edits = [set("d", "4"), text("end"), item("l", "k", &[("x", "new")])];
    let change = accepted.edit(&edits, &author(4), 1, NOW).unwrap_or_else(|error| panic!("{case}: {error}"));
    accepted.apply(&change, &author(4), 1).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(accepted.render().text.contains("end"), "{case}");
}

#[test]
fn mutated_changes_are_contained_and_leave_the_document_as_it_was() {
    let mut document = Document::empty();
    write(&mut document, 1, &[set("a", "1"), text("一二三 four five"), item("l", "k", &[("x", "y")])]);
    write(&mut document, 2, &[text("一二三 4 five"), set("a", "2")]);
    let edits: [&[Edit]; 4] = [
        &[set("a", "3"), set("b", "x")],
        &[text("一三 4 six five")],
        &[item("l", "k", &[("x", "z"), ("v", "w")]), remove("l", "q")],
        &[remove("l", "k"), text(""), set("a", "4")],
    ];
    let before = document.save();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let (mut tried, mut parsed, mut ungated_panics) = (0u32, 0u32, 0u32);
    for edits in edits {
        let change = by_author(&document, 1, edits);
        for position in 8..change.len() {
            for pattern in 1..=255u8 {
                // Every other bit pattern would only take longer: all single bits, and a spread of the rest.
                if !pattern.is_power_of_two() && pattern % 16 != 15 {
                    continue;
                }
                tried += 1;
                let mut mutated = change.clone();
                mutated[position] ^= pattern;
                let Some(mutated) = with_fitting_checksum(mutated) else { continue };
                parsed += 1;
                ungated_panics += u32::from(ungated(&document, &mutated) == Err(DocumentError::Panicked));
                let mut copy = document.clone();
                let outcome = match copy.apply(&mutated, &author(1), 1) {
                    Ok(()) => {
                        check_accepted(&document, copy, &mutated, &format!("position {position} pattern {pattern}"));
                        "accepted".to_owned()
                    }
                    Err(error) => {
                        assert_eq!(copy.save(), before, "position {position} pattern {pattern}");
                        format!("{error:?}")
                    }
                };
                *counts.entry(outcome).or_default() += 1;
            }
        }
    }
    eprintln!(
        "tried {tried}, parsed {parsed}, automerge alone panicked {ungated_panics}, through the gate: {counts:#?}"
    );
    assert!(parsed > 1_000);
    assert!(ungated_panics > 0, "automerge has become robust: the containment can be reconsidered");
    assert_eq!(document.save(), before);
}

/// Column specifications with their data.
type Columns = Vec<(u8, Vec<u8>)>;

/// A change chunk with these columns, with the checksum left zero: bombs must be refused before it is looked at.
fn chunk(columns: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0];
    let actor = actor_of(&author(1), 1);
    body.push(actor.to_bytes().len() as u8);
    body.extend(actor.to_bytes());
    body.extend([1, 4, 0, 0, 0]);
    body.push(columns.len() as u8);
    for (specification, data) in columns {
        if *specification >= 0x80 {
            body.extend([*specification, 1]);
        } else {
            body.push(*specification);
        }
        body.push(data.len() as u8);
    }
    columns.iter().for_each(|(_, data)| body.extend(data));
    let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
    assert!(body.len() < 128 * 128);
    if body.len() < 128 {
        bytes.push(body.len() as u8);
    } else {
        bytes.extend([(body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8]);
    }
    bytes.extend(body);
    bytes
}

#[test]
fn bombs_are_refused_before_anything_is_unpacked() {
    // 2^40 as LEB128, unsigned and signed alike.
    let huge = [0x80u8, 0x80, 0x80, 0x80, 0x80, 0x20];
    let run = |value: &[u8]| [huge.as_slice(), value].concat();
    let rows = DocumentError::TooManyOperations;
    let cases: [(&str, Columns, DocumentError); 7] = [
        ("operations", vec![(66, run(&[1]))], rows),
        ("null rows", vec![(17, [&[0], huge.as_slice()].concat())], rows),
        ("booleans", vec![(52, huge.to_vec())], rows),
        ("predecessors of one operation", vec![(112, [&[1], huge.as_slice()].concat())], rows),
        ("names times rows", vec![(21, [vec![0x88, 0x27, 0xfa, 0x00], vec![b'x'; 122]].concat())], rows),
        // Automerge allocates the claimed length before it looks for the bytes.
        (
            "length of a name",
            vec![(21, [&[0x7f, 0x80, 0x80, 0x80, 0x80], &[0x01][..]].concat())],
            DocumentError::Malformed("too short"),
        ),
        (
            "length of a value",
            vec![(86, [&[0x7f], huge.as_slice()].concat())],
            DocumentError::Malformed("length of the values"),
        ),
    ];
    for (name, columns, expected) in cases {
        let bomb = chunk(&columns);
        assert!(bomb.len() < 200);
        assert_eq!(scan(&bomb).unwrap_err(), expected, "{name}");
        assert_eq!(Document::empty().apply(&bomb, &author(1), 1).unwrap_err(), expected, "{name}");
    }
    // A deflated column inside a plain chunk would be unpacked as well.
    assert_eq!(scan(&chunk(&[(66 | 8, vec![1, 1])])).unwrap_err(), DocumentError::Malformed("unknown column"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Document::load(&bytes);
        let _ = Document::empty().apply(&bytes, &author(1), 1);
        let header = [0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
        bytes.splice(..bytes.len().min(9), header);
        let _ = scan(&bytes);
        let _ = Document::empty().apply(&bytes, &author(1), 1);
    }
}
