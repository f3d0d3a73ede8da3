//! Texts that several people write: whole lines, one change for one edit, and what somebody has to read.

use std::collections::BTreeSet;

use automerge::transaction::Transactable;
use automerge::{Change, ObjId, ScalarValue, legacy};
use proptest::prelude::*;

use super::super::lines;
use super::super::{ACTORS_OF_CONTENT_MAX, HEADS_MAX};
use super::*;

/// A document with this text.
fn saying(whole: &str) -> Document {
    let mut document = Document::empty();
    write(&mut document, 1, &[text(whole)]);
    document
}

/// What a document says after each of these people made their text of it without seeing the others, in both orders.
fn at_once(base: &Document, texts: &[&str]) -> Document {
    let changes: Vec<Vec<u8>> =
        texts.iter().zip(1..).map(|(whole, n)| base.edit(&[text(whole)], &author(n), 1, NOW).unwrap()).collect();
    let merged = |order: &mut dyn Iterator<Item = &Vec<u8>>| {
        order.fold(base.clone(), |mut document, change| {
            document.apply(change, &author(9), 1).unwrap();
            document
        })
    };
    let (one, other) = (merged(&mut changes.iter()), merged(&mut changes.iter().rev()));
    assert_eq!((one.render(), one.to_be_read()), (other.render(), other.to_be_read()));
    assert!(one.save() == other.save());
    one
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.sort_unstable();
    lines
}

#[test]
fn two_changes_of_one_line_both_stand_whole_and_are_to_be_read() {
    let base = saying("一、集合。\n二、打119。\n三、点名。");
    let merged = at_once(&base, &["一、集合。\n二、打110。\n三、点名。", "一、集合。\n二、打112。\n三、点名。"]);
    assert_eq!(sorted(&merged.render().text), ["一、集合。", "三、点名。", "二、打110。", "二、打112。"]);
    assert_eq!(merged.to_be_read(), [2, 3]);
    // whoever saves it settles it, with another text or with this one; a text that is settled is nothing to change
    let mut decided = merged.clone();
    write(&mut decided, 3, &[text("一、集合。\n二、打112。\n三、点名。")]);
    assert_eq!(decided.to_be_read(), Vec::<u64>::new());
    let mut unchanged = merged.clone();
    let whole = merged.render().text;
    write(&mut unchanged, 3, &[text(&whole)]);
    assert_eq!((unchanged.render().text, unchanged.to_be_read()), (whole.clone(), vec![]));
    assert_eq!(unchanged.edit(&[text(&whole)], &author(3), 1, NOW).unwrap_err(), DocumentError::NothingToChange);
}

#[test]
fn last_lines_do_not_run_together() {
    let merged = at_once(&saying("电话119"), &["电话110", "电话112", "电话119\n地址东门"]);
    assert_eq!(sorted(&merged.render().text), ["地址东门", "电话110", "电话112"]);
    assert!(merged.render().text.ends_with("地址东门"), "{}", merged.render().text);
    assert_eq!(merged.to_be_read(), [1, 2]);
}

#[test]
fn changes_of_neighbouring_lines_merge_and_nobody_has_to_read_them() {
    let base = saying("一、集合。\n二、撤离。\n三、点名。");
    let merged = at_once(
        &base,
        &[
            "一、东门集合。\n二、撤离。\n三、点名。",
            "一、集合。\n二、走南路撤离。\n三、点名。",
            "一、集合。\n乙、关电。\n二、撤离。\n丙、关水。\n三、点名。",
            "一、集合。\n二、撤离。\n三、点名。\n四、散。",
        ],
    );
    assert_eq!(merged.render().text, "一、东门集合。\n乙、关电。\n二、走南路撤离。\n丙、关水。\n三、点名。\n四、散。");
    assert_eq!((merged.heads().len(), merged.to_be_read()), (4, vec![]));
    // so a text that is sent as it stands changes nothing, though there are many heads
    let again = merged.edit(&[text(&merged.render().text)], &author(1), 1, NOW);
    assert_eq!(again.unwrap_err(), DocumentError::NothingToChange);
}

#[test]
fn a_line_that_one_removed_and_the_other_changed_is_to_be_read() {
    let merged = at_once(&saying("一、集合。\n二、点名。"), &["一、集合。", "一、集合。\n二、报数。"]);
    assert_eq!((merged.render().text.as_str(), merged.to_be_read()), ("一、集合。\n二、报数。", vec![2]));
    let both_removed = at_once(&saying("一、集合。\n二、点名。"), &["一、集合。", "〇、关电。\n一、集合。"]);
    assert_eq!((both_removed.render().text.as_str(), both_removed.to_be_read()), ("〇、关电。\n一、集合。", vec![]));
}

#[test]
fn two_people_who_decide_for_different_lines_lose_neither_in_silence() {
    let both = saying("一、集合。\n二、打110。\n二、打112。\n三、点名。");
    let merged = at_once(&both, &["一、集合。\n二、打110。\n三、点名。", "一、集合。\n二、打112。\n三、点名。"]);
    // Automerge takes both away; the line beside them is pointed at.
    assert_eq!((merged.render().text.as_str(), merged.to_be_read()), ("一、集合。\n三、点名。", vec![2]));
}

#[test]
fn two_first_texts_are_one_where_they_are_the_same_and_otherwise_to_be_read() {
    let one = at_once(&Document::empty(), &["一、集合。", "一、集合。"]);
    assert_eq!((one.render().text.as_str(), one.heads().len(), one.changes()), ("一、集合。", 1, 1));
    let two = at_once(&Document::empty(), &["一、集合。", "甲、待命。"]);
    assert_eq!(sorted(&two.render().text), ["一、集合。", "甲、待命。"]);
    assert_eq!(two.to_be_read(), [1, 2]);
}

#[test]
fn what_two_people_put_in_at_one_place_is_to_be_read_because_its_order_is_nobody_s() {
    let merged = at_once(&saying("一、集合。"), &["一、集合。\n二、关电。", "一、集合。\n二、关水。"]);
    assert_eq!(sorted(&merged.render().text), ["一、集合。", "二、关水。", "二、关电。"]);
    assert_eq!(merged.to_be_read(), [2, 3]);
}

#[test]
fn numbers_that_an_earlier_program_mixed_letter_by_letter_are_to_be_read() {
    let base = saying("一、集合。\n二、打119。");
    let mut mixed = base.clone();
    for (number, change) in [(1, "二、打110。"), (2, "二、打112。")].map(|(n, line)| (n, letters(&base, n, line)))
    {
        mixed.apply(&change, &author(number), 1).unwrap();
    }
    let rendered = mixed.render().text;
    assert!(!rendered.contains("打110。") || !rendered.contains("打112。"), "{rendered}");
    assert_eq!(mixed.to_be_read(), [2], "{rendered}");
}

/// A change of the second line as earlier programs made it: the letters that differ.
fn letters(base: &Document, number: u8, line: &str) -> Vec<u8> {
    let mut copy = base.0.automerge.clone().with_actor(actor_of(&author(number), 1));
    let mut transaction = copy.transaction();
    transaction.update_text(&ObjId::Id(2, first_actor(), 0), format!("一、集合。\n{line}\n")).unwrap();
    transaction.commit();
    copy.get_last_local_change().unwrap().raw_bytes().to_vec()
}

#[test]
fn a_text_of_an_earlier_program_without_an_end_of_its_last_line_is_what_it_was() {
    let mut document = Document::empty();
    let first = foreign(&document, |transaction| {
        transaction.splice_text(ObjId::Id(2, first_actor(), 0), 0, 0, "一、集合。\n二、打119。").unwrap();
    });
    document.apply(&first, &author(9), 1).unwrap();
    let whole = "一、集合。\n二、打119。";
    assert_eq!(document.render().text, whole);
    let same = document.edit(&[text(&format!("{whole}\n"))], &author(1), 1, NOW);
    assert_eq!(same.unwrap_err(), DocumentError::NothingToChange);
    let merged = at_once(&document, &["一、集合。\n二、打110。", "一、集合。\n二、打119。\n三、点名。"]);
    assert!(
        merged
            .render()
            .text
            .split('\n')
            .all(|line| ["一、集合。", "二、打110。", "二、打119。", "三、点名。"].contains(&line))
    );
}

#[test]
fn nobody_writes_anything_else_under_the_actor_of_a_content() {
    // given a change whose actor follows from what it says
    let mut document = Document::empty();
    let honest = document.edit(&[text("二、打119。")], &author(1), 1, NOW).unwrap();
    let expanded = Change::from_bytes(honest.clone()).unwrap().decode();
    let mut forged = Vec::new();
    // when somebody puts another letter, another time or other bytes of the same meaning under that actor
    let mut other_letter = expanded.clone();
    let put = other_letter.operations.iter_mut().find(|operation| matches!(&operation.action, legacy::OpType::Put(_)));
    put.unwrap().action = legacy::OpType::Put(ScalarValue::Str("三".into()));
    let mut other_time = expanded.clone();
    other_time.time = 1;
    let mut with_message = expanded;
    with_message.message = Some("x".to_owned());
    forged.extend([other_letter, other_time, with_message].map(|change| Change::from(change).raw_bytes().to_vec()));
    for change in forged {
        assert_ne!(change, honest);
        // then nobody takes it, whoever brings it
        for number in [1, 2] {
            assert_eq!(document.apply(&change, &author(number), 1).unwrap_err(), DocumentError::WrongActor);
        }
    }
    // and the change itself may come from anybody, and twice
    document.apply(&honest, &author(2), 5).unwrap();
    document.apply(&honest, &author(1), 1).unwrap();
    assert_eq!((document.render().text.as_str(), document.changes()), ("二、打119。", 1));
}

#[test]
fn a_change_under_its_author_s_own_actor_still_counts() {
    let mut document = Document::empty();
    for (number, whole) in [(1, "一、集合。"), (1, "一、集合。\n二、点名。"), (2, "一、集合。")] {
        let change = by_author(&document, number, &[text(whole)]);
        document.apply(&change, &author(number), 1).unwrap();
    }
    assert_eq!((document.render().text.as_str(), document.changes()), ("一、集合。", 3));
}

#[test]
fn a_document_in_which_many_have_written_is_gone_on_with_under_the_author_s_actor() {
    let mut document = Document::empty();
    let heads = |document: &Document| document.heads().len();
    // given as many first texts at once as a document has heads, and one more
    for n in 0..HEADS_MAX {
        let change = Document::empty().edit(&[set(&format!("n{n}"), "1")], &author(1), 1, NOW).unwrap();
        document.apply(&change, &author(1), 1).unwrap();
    }
    let one_more = Document::empty().edit(&[set("one", "more")], &author(1), 1, NOW).unwrap();
    assert_eq!(document.apply(&one_more, &author(1), 1).unwrap_err(), DocumentError::DocumentTooLarge);
    // then whoever has seen them goes on, and the one more is taken
    write(&mut document, 1, &[text("0")]);
    document.apply(&one_more, &author(1), 1).unwrap();
    assert_eq!(heads(&document), 2);
    // given one in which as many actors have written as changes of their own content are made beside
    let mut many = Document::empty().0.automerge.clone();
    for n in 0..ACTORS_OF_CONTENT_MAX {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        many.set_actor(actor_of(&AuthorKey::from_bytes(key), 1));
        let mut transaction = many.transaction();
        transaction.put(ObjId::Id(1, first_actor(), 0), "n", n.to_string()).unwrap();
        transaction.commit();
    }
    let mut document = Document::load(&many.save()).unwrap();
    // then edits are their author's, one after the other
    for whole in ["1", "2"] {
        let change = write(&mut document, 1, &[text(whole)]);
        assert_eq!(*Change::from_bytes(change).unwrap().actor_id(), actor_of(&author(1), 1));
    }
    assert_eq!(document.render().text, "2");
}

/// Somebody's next text: lines changed, put in and taken away, each with a number that nobody else writes.
fn some_text(random: &mut Random, current: &str, next: &mut u32) -> String {
    let mut lines: Vec<String> = lines::of(current).iter().map(|line| (*line).to_owned()).collect();
    for _ in 0..=random.below(2) {
        *next += 1;
        let line = format!("电话{next}");
        let at = random.below(lines.len() + 1);
        match random.below(4) {
            0 => lines.insert(at, if random.below(4) == 0 { String::new() } else { line }),
            1 if at < lines.len() => drop(lines.remove(at)),
            _ if at < lines.len() => lines[at] = line,
            _ => lines.push(line),
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_merged_line_is_there_that_nobody_wrote(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut next = 100;
        let mut replicas: Vec<(Document, usize)> = (0..3).map(|_| (Document::empty(), 0)).collect();
        let mut log: Vec<(u8, Vec<u8>)> = Vec::new();
        let mut written: BTreeSet<String> = BTreeSet::new();
        for _ in 0..24 {
            let number = random.below(3);
            let (document, seen) = &mut replicas[number];
            if random.below(3) == 0 {
                for (from, change) in &log[*seen..] {
                    document.apply(change, &author(*from), 1).unwrap();
                }
                *seen = log.len();
            }
            let whole = some_text(&mut random, &document.render().text, &mut next);
            written.extend(whole.split('\n').map(str::to_owned));
            let number = number as u8;
            if let Ok(change) = document.edit(&[text(&whole)], &author(number), 1, NOW) {
                document.apply(&change, &author(number), 1).unwrap();
                prop_assert_eq!(document.render().text, lines::shown(&whole));
                log.push((number, change));
            }
        }
        let (one, other) = (deliver(&mut random, &log), deliver(&mut random, &log));
        prop_assert_eq!(one.render(), other.render());
        prop_assert_eq!(one.to_be_read(), other.to_be_read());
        let whole = one.render().text;
        let stranger = whole.split('\n').find(|line| !whole.is_empty() && !written.contains(*line));
        prop_assert_eq!(stranger, None, "{}", whole);
        prop_assert!(one.heads().len() > 1 || one.to_be_read().is_empty());
    }
}
