//! Documents as their callers see them. What attackers send is in [`hostile`].

use automerge::{ActorId, Automerge, Change, transaction::Transactable};
use linli_core::id::AuthorKey;
use proptest::prelude::*;

use super::{CHANGE_BYTES_MAX, Document, DocumentError, Edit, Rendered, TEXT_BYTES_MAX, actor_of, shape};

mod hostile;
mod texts;

const NOW: u64 = 1_790_000_000_000;

fn author(number: u8) -> AuthorKey {
    AuthorKey::from_bytes([number; 32])
}

fn set(key: &str, value: &str) -> Edit {
    Edit::SetField { key: key.into(), value: value.into() }
}

fn text(text: &str) -> Edit {
    Edit::SetText { text: text.into() }
}

fn item(list: &str, key: &str, fields: &[(&str, &str)]) -> Edit {
    let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Edit::SetItem { list: list.into(), key: key.into(), fields }
}

fn remove(list: &str, key: &str) -> Edit {
    Edit::RemoveItem { list: list.into(), key: key.into() }
}

/// Edits a replica as author `number`, applies the change there, and gives it.
fn write(document: &mut Document, number: u8, edits: &[Edit]) -> Vec<u8> {
    let change = document.edit(edits, &author(number), 1, NOW).unwrap();
    document.apply(&change, &author(number), 1).unwrap();
    change
}

/// A change under its author's own actor, as documents of many actors and earlier programs have it.
fn by_author(document: &Document, number: u8, edits: &[Edit]) -> Vec<u8> {
    shape::edit(&document.0.automerge, edits, &actor_of(&author(number), 1), NOW).unwrap()
}

/// A small deterministic generator, so that a failing case is named by its seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[test]
fn edits_render_as_they_were_meant() {
    let mut document = Document::empty();
    write(
        &mut document,
        1,
        &[
            set("名称", "汛期预案"),
            text("一、撤离路线"),
            item("checklist", "pump", &[("做什么", "检查水泵"), ("done", "no")]),
            item("checklist", "bare", &[]),
        ],
    );
    write(&mut document, 1, &[item("checklist", "pump", &[("done", "yes")]), text("物资、队伍")]);
    let rendered = document.render();
    assert_eq!(rendered.fields["名称"], "汛期预案");
    assert_eq!(rendered.text, "物资、队伍");
    assert_eq!(rendered.lists["checklist"]["pump"]["done"], "yes");
    assert_eq!(rendered.lists["checklist"]["pump"]["做什么"], "检查水泵");
    assert!(rendered.lists["checklist"]["bare"].is_empty());
    write(&mut document, 1, &[remove("checklist", "bare"), remove("checklist", "pump")]);
    assert!(document.render().lists.is_empty());
    assert_eq!(Document::load(&document.save()).unwrap(), document);
    assert_eq!(Document::load(&document.save()).unwrap().render(), document.render());
}

#[test]
fn the_first_change_is_the_same_for_ever() {
    // Documents everywhere stand on this change: another hash would be another format.
    let heads = Document::empty().heads();
    assert_eq!(heads.len(), 1);
    let hex: String = heads[0].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "10cc2254da497cf9a75b0e8541a887b6a8d5bd2a329ec8504b4be382e3c661e2");
    assert_eq!(Document::empty().render(), Rendered::default());
    assert_eq!(Document::load(&Document::empty().save()).unwrap(), Document::empty());
}

#[test]
fn a_text_that_differs_everywhere_is_replaced_whole() {
    let mut document = Document::empty();
    let long = |word: &str, times: usize| format!("始{}终", word.repeat(times));
    write(&mut document, 1, &[text(&long("甲乙", 4_000))]);
    write(&mut document, 1, &[text(&long("丙", 9_000))]);
    assert_eq!(document.render().text, long("丙", 9_000));
    // 9,003 deletions and 11,003 insertions do not fit one change: the person is told, and the document stays.
    let error = document.edit(&[text(&long("丁", 11_000))], &author(1), 1, NOW).unwrap_err();
    assert_eq!((error, document.render().text), (DocumentError::TooManyOperations, long("丙", 9_000)));
}

#[test]
fn concurrent_values_of_a_field_are_shown_and_the_next_write_settles_them() {
    let mut here = Document::empty();
    let mut there = Document::empty();
    let left = write(&mut here, 1, &[set("contact", "Wang"), item("team", "a", &[("tel", "1")])]);
    let right = write(&mut there, 2, &[set("contact", "Li"), item("team", "a", &[("tel", "2")])]);
    here.apply(&right, &author(2), 1).unwrap();
    there.apply(&left, &author(1), 1).unwrap();
    let rendered = here.render();
    assert_eq!(rendered, there.render());
    assert_eq!(rendered.concurrent["contact"], ["Li", "Wang"]);
    assert_eq!(rendered.concurrent[&Rendered::item_path("team", "a", "tel")], ["1", "2"]);
    let settled = rendered.fields["contact"].clone();
    write(&mut here, 1, &[set("contact", &settled)]);
    assert!(!here.render().concurrent.contains_key("contact"));
    assert_eq!(here.render().fields["contact"], settled);
}

#[test]
fn what_was_approved_renders_to_the_letter_later() {
    let mut document = Document::empty();
    write(&mut document, 1, &[text("版本一"), set("状态", "草案"), item("路线", "东", &[("宽", "4 m")])]);
    let (approved, heads) = (document.render(), document.heads());
    write(&mut document, 2, &[text("完全不同的版本二"), set("状态", "修订"), remove("路线", "东")]);
    write(&mut document, 1, &[text("版本三")]);
    assert_eq!(document.render_at(&heads).unwrap(), approved);
    assert_eq!(document.render_at(&document.heads()).unwrap(), document.render());
    assert_eq!(document.render_at(&[[7; 32]]).unwrap_err(), DocumentError::UnknownHeads);
    assert_eq!(document.render_at(&[]).unwrap_err(), DocumentError::UnknownHeads);
}

#[test]
fn the_same_edit_gives_the_same_bytes_whoever_makes_it_and_when() {
    let mut document = Document::empty();
    write(&mut document, 1, &[set("a", "1"), text("now and then")]);
    let edits = [set("a", "2"), text("now or then"), item("l", "k", &[("x", "y"), ("z", "")])];
    let once = document.edit(&edits, &author(1), 1, NOW).unwrap();
    let again = Document::load(&document.save()).unwrap().edit(&edits, &author(1), 1, NOW).unwrap();
    assert_eq!(once, again);
    assert_eq!(once, document.edit(&edits, &author(2), 7, NOW + 9_000).unwrap());
}

#[test]
fn edits_that_say_nothing_or_use_bad_names_are_refused() {
    let mut document = Document::empty();
    write(&mut document, 1, &[set("a", "1"), text("x")]);
    let edit = |edits: &[Edit]| document.edit(edits, &author(1), 1, NOW).unwrap_err();
    assert_eq!(edit(&[]), DocumentError::NothingToChange);
    assert_eq!(edit(&[set("a", "1"), text("x"), remove("l", "k")]), DocumentError::NothingToChange);
    for bad in ["", "a\u{1f}b", "a\nb", &"长".repeat(65)] {
        assert_eq!(edit(&[set(bad, "1")]), DocumentError::InvalidName);
        assert_eq!(edit(&[item(bad, "k", &[])]), DocumentError::InvalidName);
        assert_eq!(edit(&[item("l", "k", &[(bad, "")])]), DocumentError::InvalidName);
    }
    assert_eq!(edit(&[set("a", &"x".repeat(CHANGE_BYTES_MAX))]), DocumentError::ChangeTooLarge);
}

#[test]
fn a_change_of_another_author_or_incarnation_is_refused() {
    let mut document = Document::empty();
    let change = by_author(&document, 1, &[set("a", "1")]);
    assert_eq!(document.apply(&change, &author(2), 1).unwrap_err(), DocumentError::WrongActor);
    assert_eq!(document.apply(&change, &author(1), 2).unwrap_err(), DocumentError::WrongActor);
    assert_eq!(document, Document::empty());
    document.apply(&change, &author(1), 1).unwrap();
    assert_eq!(document.apply(&change, &author(2), 1).unwrap_err(), DocumentError::WrongActor);
}

#[test]
fn a_sequence_number_is_used_once() {
    // Given an author who wrote two different first changes,
    let mut document = Document::empty();
    let one = by_author(&document, 1, &[set("a", "1")]);
    let other = by_author(&document, 1, &[set("a", "2")]);
    // when one is applied, then the other is refused, and the first may come again.
    document.apply(&one, &author(1), 1).unwrap();
    let before = document.save();
    assert_eq!(document.apply(&other, &author(1), 1).unwrap_err(), DocumentError::WrongSequence);
    document.apply(&one, &author(1), 1).unwrap();
    assert_eq!(document.save(), before);
}

#[test]
fn a_change_waits_for_what_it_stands_on() {
    let mut source = Document::empty();
    let first = write(&mut source, 1, &[set("a", "1")]);
    let second = write(&mut source, 2, &[set("a", "2")]);
    let mut document = Document::empty();
    assert_eq!(document.apply(&second, &author(2), 1).unwrap_err(), DocumentError::MissingDependencies);
    document.apply(&first, &author(1), 1).unwrap();
    document.apply(&second, &author(2), 1).unwrap();
    assert_eq!(document, source);
}

#[test]
fn bytes_that_are_not_one_plain_change_are_refused_before_parsing() {
    let mut document = Document::empty();
    let good = document.edit(&[text(&"水".repeat(400))], &author(1), 1, NOW).unwrap();
    let mut change = Change::from_bytes(good.clone()).unwrap();
    let compressed = change.bytes().into_owned();
    assert_ne!(compressed, good);
    let mut apply = |bytes: &[u8]| document.apply(bytes, &author(1), 1).unwrap_err();
    assert_eq!(apply(&compressed), DocumentError::Compressed);
    let twice = [good.as_slice(), good.as_slice()].concat();
    assert!(matches!(apply(&twice), DocumentError::Malformed(_)));
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(matches!(apply(&trailing), DocumentError::Malformed(_)));
    let mut wrong_checksum = good.clone();
    wrong_checksum[4] ^= 1;
    assert_eq!(apply(&wrong_checksum), DocumentError::WrongChecksum);
    assert_eq!(apply(&vec![0; CHANGE_BYTES_MAX + 1]), DocumentError::ChangeTooLarge);
    for len in 0..good.len() {
        assert!(matches!(apply(&good[..len]), DocumentError::Malformed(_)));
    }
    assert_eq!(document, Document::empty());
}

#[test]
fn values_that_no_edit_writes_render_harmlessly() {
    let mut document = Document::empty();
    let change = foreign(&document, |transaction| {
        let fields = automerge::ObjId::Id(1, first_actor(), 0);
        transaction.put(&fields, "count", automerge::ScalarValue::counter(3)).unwrap();
        transaction.put(&fields, "truth", true).unwrap();
        transaction.put(&fields, "bytes", vec![1u8, 2]).unwrap();
        transaction.put(&fields, "名".repeat(65), "too long").unwrap();
        let nested = transaction.put_object(&fields, "nested", automerge::ObjType::Map).unwrap();
        transaction.put(&nested, "deep", "junk").unwrap();
        let lists = automerge::ObjId::Id(3, first_actor(), 0);
        transaction.put(&lists, "no separator", "junk").unwrap();
        let body = automerge::ObjId::Id(2, first_actor(), 0);
        transaction.splice_text(&body, 0, 0, "text").unwrap();
        transaction.insert(&body, 2, 7).unwrap();
    });
    document.apply(&change, &author(9), 1).unwrap();
    let rendered = document.render();
    assert_eq!(rendered.fields["count"], "3");
    assert_eq!(rendered.fields["truth"], "true");
    assert_eq!(rendered.fields.len(), 2);
    assert!(rendered.lists.is_empty());
    assert!(rendered.text.starts_with("te") && rendered.text.ends_with("xt"));
}

#[test]
fn nobody_takes_away_the_objects_that_all_write_into() {
    let mut document = Document::empty();
    write(&mut document, 1, &[text("kept")]);
    let change = foreign(&document, |transaction| transaction.delete(automerge::ROOT, "text").unwrap());
    let error = document.apply(&change, &author(9), 1).unwrap_err();
    assert_eq!(error, DocumentError::OutsideShape("writes to the root"));
    assert_eq!(document.render().text, "kept");
}

#[test]
fn operations_are_numbered_on_so_that_numbers_are_left_for_others() {
    let document = Document::empty();
    let honest = by_author(&document, 9, &[set("a", "1")]);
    let mut expanded = Change::from_bytes(honest).unwrap().decode();
    expanded.start_op = std::num::NonZeroU64::new(u64::from(u32::MAX)).unwrap();
    let hostile = Change::from(expanded).raw_bytes().to_vec();
    let error = document.clone().apply(&hostile, &author(9), 1).unwrap_err();
    assert_eq!(error, DocumentError::OutsideShape("numbering of operations"));
}

#[test]
fn a_text_beyond_the_bound_is_refused_and_a_smaller_one_is_not() {
    let mut document = Document::empty();
    let mut whole = String::new();
    let error = loop {
        whole.push_str(&format!("{}\n", "\u{1f6b0}".repeat(4_500)));
        match document.edit(&[text(&whole)], &author(1), 1, NOW) {
            Ok(change) => document.apply(&change, &author(1), 1).unwrap(),
            Err(error) => break error,
        }
    };
    assert_eq!(error, DocumentError::DocumentTooLarge);
    assert!(document.render().text.len() > TEXT_BYTES_MAX - 20_000);
    let shorter: String = document.render().text.chars().skip(100).collect();
    write(&mut document, 1, &[text(&shorter)]);
}

#[test]
fn documents_may_be_shared_between_threads() {
    const fn shared<T: Send + Sync + 'static>() {}
    shared::<Document>();
}

fn first_actor() -> ActorId {
    let empty = Document::empty();
    let first = empty.0.automerge.get_changes(&[]);
    first[0].actor_id().clone()
}

/// A change that author 9 makes with automerge itself instead of with edits.
fn foreign(document: &Document, work: impl FnOnce(&mut automerge::transaction::Transaction<'_>)) -> Vec<u8> {
    let mut copy = document.0.automerge.clone().with_actor(actor_of(&author(9), 1));
    let mut transaction = copy.transaction();
    work(&mut transaction);
    transaction.commit();
    copy.get_last_local_change().unwrap().raw_bytes().to_vec()
}

fn random_edit(random: &mut Random, current: &Rendered) -> Edit {
    let name = |random: &mut Random| format!("n{}", random.below(4));
    match random.below(10) {
        0..=2 => Edit::SetField { key: name(random), value: random.below(50).to_string() },
        3..=4 => {
            let fields = (0..random.below(3)).map(|_| (name(random), random.below(9).to_string())).collect();
            Edit::SetItem { list: name(random), key: name(random), fields }
        }
        5 => Edit::RemoveItem { list: name(random), key: name(random) },
        _ => {
            let mut chars: Vec<char> = current.text.chars().collect();
            let at = random.below(chars.len() + 1);
            let until = (at + random.below(4)).min(chars.len());
            let word = ["水", "泵 ", "gate\n", "é\u{301}", "", "\n"][random.below(6)];
            chars.splice(at..until, word.chars());
            Edit::SetText { text: chars.into_iter().collect() }
        }
    }
}

/// A history by three people who now and then see what the others wrote.
fn random_history(random: &mut Random, edits: usize) -> Vec<(u8, Vec<u8>)> {
    let mut replicas: Vec<(Document, usize)> = (0..3).map(|_| (Document::empty(), 0)).collect();
    let mut log: Vec<(u8, Vec<u8>)> = Vec::new();
    while log.len() < edits {
        let number = random.below(3);
        let (document, seen) = &mut replicas[number];
        if random.below(3) == 0 {
            for (from, change) in &log[*seen..] {
                document.apply(change, &author(*from), 1).unwrap();
            }
            *seen = log.len();
        }
        let batch: Vec<Edit> = (0..=random.below(2)).map(|_| random_edit(random, &document.render())).collect();
        let number = number as u8;
        match document.edit(&batch, &author(number), 1, NOW) {
            Ok(change) => {
                document.apply(&change, &author(number), 1).unwrap();
                log.push((number, change));
            }
            Err(error) => assert_eq!(error, DocumentError::NothingToChange),
        }
    }
    log
}

/// Delivers in random order, some twice, waiting where dependencies are missing.
fn deliver(random: &mut Random, log: &[(u8, Vec<u8>)]) -> Document {
    let mut waiting: Vec<&(u8, Vec<u8>)> = log.iter().chain(log.iter().filter(|_| random.below(4) == 0)).collect();
    let mut document = Document::empty();
    while !waiting.is_empty() {
        let (number, change) = waiting.swap_remove(random.below(waiting.len()));
        match document.apply(change, &author(*number), 1) {
            Ok(()) => {}
            Err(DocumentError::MissingDependencies) => {
                waiting.push(&log[log.iter().position(|l| l.1 == *change).unwrap()])
            }
            Err(error) => panic!("{error}"),
        }
        if random.below(8) == 0 {
            document = Document::load(&document.save()).unwrap();
        }
    }
    document
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_delivery_gives_the_same_document(seed in any::<u64>()) {
        let mut random = Random(seed);
        let log = random_history(&mut random, 24);
        let one = deliver(&mut random, &log);
        let other = deliver(&mut random, &log);
        prop_assert_eq!(one.heads(), other.heads());
        prop_assert_eq!(one.render(), other.render());
        prop_assert!(one.save() == other.save(), "saved bytes depend on the order of arrival");
        prop_assert_eq!(one.to_be_read(), other.to_be_read());
        prop_assert_eq!(Document::load(&one.save()).unwrap().render(), one.render());
        prop_assert_eq!(one.render_at(&one.heads()).unwrap(), one.render());
    }
}

#[test]
fn saving_without_the_canonical_order_would_depend_on_arrival() {
    // The reason for the sorting in `canonical_save`. If automerge changes here, the sorting can go.
    let mut here = Document::empty();
    let mut there = Document::empty();
    let left = Change::from_bytes(write(&mut here, 1, &[set("a", "1")])).unwrap();
    let right = Change::from_bytes(write(&mut there, 2, &[set("b", "2")])).unwrap();
    let plain = |changes: [&Change; 2]| -> Vec<u8> {
        let mut automerge: Automerge = Document::empty().0.automerge.clone();
        for change in changes {
            automerge.apply_changes([change.clone()]).unwrap();
        }
        automerge.save()
    };
    assert_ne!(plain([&left, &right]), plain([&right, &left]));
}
