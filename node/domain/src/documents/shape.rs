//! How a document lies in Automerge, how it is read, and how edits become changes.
//!
//! Two replicas that each create a nested object under one name would see only one of the two afterwards, and lose
//! what was written into the other. So every document starts from one constant change, under an actor that no author
//! can have, which creates the map of fields, the text, and one map for all list items with flattened keys. They are
//! addressed by their object ids, never by looking into the root.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{
    ActorId, Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, TextEncoding, Value,
};
use linli_core::event::domain_hash;

use super::lines::{self, Hunk};
use super::{Document, DocumentError, Edit, Loaded, NAME_CHARS_MAX, Rendered};

/// Between the parts of a flattened key. Names may not contain control characters.
const SEPARATOR: char = '\u{1f}';

/// The operation numbers of the objects that the first change creates, in this order.
const FIELDS: u64 = 1;
const TEXT: u64 = 2;
const LISTS: u64 = 3;

/// An Automerge document without any change. All indexes into text count code points.
pub(super) fn blank() -> Automerge {
    Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint)
}

/// The actor of the first change. Author actors have another length, so none can be this one.
fn first_actor() -> ActorId {
    ActorId::from(&domain_hash("linli/document/1", &[])[..8])
}

/// An actor that no change is made under: for drafts of changes whose actor follows from what they say.
pub(super) fn nobody() -> ActorId {
    ActorId::from(&domain_hash("linli/change-draft/1", &[])[..8])
}

fn object(counter: u64) -> ObjId {
    ObjId::Id(counter, first_actor(), 0)
}

/// A document with the first change only.
pub(super) fn empty() -> Document {
    static EMPTY: OnceLock<Document> = OnceLock::new();
    EMPTY.get_or_init(build_empty).clone()
}

fn build_empty() -> Document {
    let mut automerge = blank().with_actor(first_actor());
    let mut transaction = automerge.transaction();
    for (name, kind) in [("fields", ObjType::Map), ("text", ObjType::Text), ("lists", ObjType::Map)] {
        let created = transaction.put_object(ROOT, name, kind);
        debug_assert!(created.is_ok(), "a new document takes a new object");
    }
    transaction.commit_with(CommitOptions::default().with_time(0));
    let saved = automerge.save();
    Document(std::sync::Arc::new(Loaded::new(automerge, saved, Rendered::default())))
}

/// The hash of the first change, which every document contains.
pub(super) fn first_change_hash() -> Option<ChangeHash> {
    empty().0.automerge.get_heads().first().copied()
}

/// The flattened key of a field of a list item.
pub(super) fn item_path(list: &str, key: &str, field: &str) -> String {
    format!("{list}{SEPARATOR}{key}{SEPARATOR}{field}")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

/// Splits a flattened key. The field is empty in the mark that an item without fields exists.
fn split_path(path: &str) -> Option<(&str, &str, &str)> {
    let mut parts = path.split(SEPARATOR);
    let (list, key, field) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && is_name(list) && is_name(key) && (field.is_empty() || is_name(field));
    whole.then_some((list, key, field))
}

/// Reads the document as it is, or as it was at some heads. What does not fit the shape is left out: names that no
/// edit can write, nested objects, bytes. Numbers and the like are shown as text.
pub(super) fn render(automerge: &Automerge, heads: Option<&[ChangeHash]>) -> Rendered {
    let mut rendered = Rendered::default();
    for (key, values) in map_values(automerge, FIELDS, heads) {
        if is_name(&key) {
            note_concurrent(&mut rendered, &key, &values);
            if let Some(winner) = values.into_iter().next_back() {
                rendered.fields.insert(key, winner);
            }
        }
    }
    for (path, values) in map_values(automerge, LISTS, heads) {
        let Some((list, key, field)) = split_path(&path) else { continue };
        note_concurrent(&mut rendered, &path, &values);
        if let Some(winner) = values.into_iter().next_back() {
            let item = rendered.lists.entry(list.to_owned()).or_default().entry(key.to_owned()).or_default();
            if !field.is_empty() {
                item.insert(field.to_owned(), winner);
            }
        }
    }
    let text = match heads {
        None => automerge.text(object(TEXT)),
        Some(heads) => automerge.text_at(object(TEXT), heads),
    };
    rendered.text = lines::shown(&text.unwrap_or_default()).to_owned();
    rendered
}

fn note_concurrent(rendered: &mut Rendered, path: &str, values: &[String]) {
    let distinct: BTreeSet<&String> = values.iter().collect();
    if distinct.len() > 1 {
        rendered.concurrent.insert(path.to_owned(), distinct.into_iter().cloned().collect());
    }
}

/// All keys of a map with all their concurrent values as text, the one that wins last.
fn map_values(automerge: &Automerge, map: u64, heads: Option<&[ChangeHash]>) -> BTreeMap<String, Vec<String>> {
    let map = object(map);
    let keys: Vec<String> = match heads {
        None => automerge.keys(&map).collect(),
        Some(heads) => automerge.keys_at(&map, heads).collect(),
    };
    let mut found = BTreeMap::new();
    for key in keys {
        let values = match heads {
            None => automerge.get_all(&map, key.as_str()),
            Some(heads) => automerge.get_all_at(&map, key.as_str(), heads),
        };
        let texts: Vec<String> = values.unwrap_or_default().iter().filter_map(|(value, _)| as_text(value)).collect();
        if !texts.is_empty() {
            found.insert(key, texts);
        }
    }
    found
}

fn as_text(value: &Value<'_>) -> Option<String> {
    let Value::Scalar(scalar) = value else { return None };
    match scalar.as_ref() {
        ScalarValue::Str(text) => Some(text.to_string()),
        ScalarValue::Int(number) | ScalarValue::Timestamp(number) => Some(number.to_string()),
        ScalarValue::Uint(number) => Some(number.to_string()),
        ScalarValue::F64(number) => Some(number.to_string()),
        ScalarValue::Counter(counter) => Some(i64::from(counter).to_string()),
        ScalarValue::Boolean(truth) => Some(truth.to_string()),
        ScalarValue::Bytes(_) | ScalarValue::Unknown { .. } | ScalarValue::Null => None,
    }
}

/// Makes the change for some edits on a clone.
///
/// # Errors
/// [`DocumentError::InvalidName`], [`DocumentError::NothingToChange`] or [`DocumentError::Refused`].
pub(super) fn edit(
    automerge: &Automerge,
    edits: &[Edit],
    actor: &ActorId,
    unix_ms: u64,
) -> Result<Vec<u8>, DocumentError> {
    let mut copy = automerge.clone();
    copy.set_actor(actor.clone());
    let to_be_read = match edits.iter().any(|edit| matches!(edit, Edit::SetText { .. })) {
        true => to_be_read(automerge),
        false => vec![],
    };
    let mut transaction = copy.transaction();
    for edit in edits {
        write(&mut transaction, edit, &to_be_read)?;
    }
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX);
    let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(seconds));
    let hash = hash.ok_or(DocumentError::NothingToChange)?;
    let change = copy.get_change_by_hash(&hash).ok_or(DocumentError::Refused)?;
    Ok(change.raw_bytes().to_vec())
}

fn write(transaction: &mut Transaction<'_>, edit: &Edit, to_be_read: &[usize]) -> Result<(), DocumentError> {
    match edit {
        Edit::SetField { key, value } => {
            require(is_name(key))?;
            put(transaction, FIELDS, key, value)
        }
        Edit::RemoveField { key } => {
            require(is_name(key))?;
            let fields = object(FIELDS);
            match transaction.get_all(&fields, key.as_str()).map_err(|_| DocumentError::Refused)?.is_empty() {
                true => Ok(()),
                false => transaction.delete(&fields, key.as_str()).map_err(|_| DocumentError::Refused),
            }
        }
        Edit::SetText { text } => set_text(transaction, text, to_be_read).map_err(|_| DocumentError::Refused),
        Edit::SetItem { list, key, fields } => {
            require(is_name(list) && is_name(key) && fields.keys().all(|field| is_name(field)))?;
            put(transaction, LISTS, &item_path(list, key, ""), "")?;
            fields.iter().try_for_each(|(field, value)| put(transaction, LISTS, &item_path(list, key, field), value))
        }
        Edit::RemoveItem { list, key } => {
            require(is_name(list) && is_name(key))?;
            let prefix = item_path(list, key, "");
            let paths: Vec<String> = transaction.keys(object(LISTS)).filter(|path| path.starts_with(&prefix)).collect();
            let mut delete = |path: String| transaction.delete(object(LISTS), path);
            paths.into_iter().try_for_each(&mut delete).map_err(|_| DocumentError::Refused)
        }
    }
}

const fn require(is_valid: bool) -> Result<(), DocumentError> {
    if is_valid { Ok(()) } else { Err(DocumentError::InvalidName) }
}

/// Writes a value unless exactly this one stands there alone: so nothing is written needlessly, and a write settles
/// concurrent values.
fn put(transaction: &mut Transaction<'_>, map: u64, key: &str, value: &str) -> Result<(), DocumentError> {
    let map = object(map);
    let current = transaction.get_all(&map, key).map_err(|_| DocumentError::Refused)?;
    let stands = matches!(current.as_slice(), [(Value::Scalar(only), _)] if **only == ScalarValue::Str(value.into()));
    drop(current);
    if stands {
        return Ok(());
    }
    transaction.put(&map, key, value).map_err(|_| DocumentError::Refused)
}

/// Writes the lines that differ, each whole, from the last to the first so that places hold. A text that is sent as it
/// stands settles the lines that somebody has to read, as [`put`] settles concurrent values: they are written anew.
fn set_text(transaction: &mut Transaction<'_>, new: &str, to_be_read: &[usize]) -> Result<(), AutomergeError> {
    let (old, new) = (transaction.text(object(TEXT))?, lines::stored(new));
    let (was, is): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let hunks: Vec<Hunk> = if lines::shown(&old) == lines::shown(&new) {
        let there = to_be_read.iter().filter(|line| **line < is.len());
        there.map(|line| Hunk { old: *line..line + 1, new: *line..line + 1 }).collect()
    } else {
        lines::hunks(&was, &is)
    };
    for hunk in hunks.into_iter().rev() {
        let chars = |lines: &[&str]| lines.iter().map(|line| line.chars().count()).sum::<usize>();
        replace(transaction, chars(&was[..hunk.old.start]), chars(&was[hunk.old]), &is[hunk.new].concat())?;
    }
    Ok(())
}

/// Puts whole lines in the place of others. New lines go in amid the old ones, which are then taken away around them:
/// lines that somebody else puts in before or after the old ones at the same time so come to stand before or after the new.
fn replace(transaction: &mut Transaction<'_>, at: usize, removed: usize, new: &str) -> Result<(), AutomergeError> {
    let text = object(TEXT);
    if removed < 2 || new.is_empty() {
        return transaction.splice_text(&text, at, removed.cast_signed(), new);
    }
    transaction.splice_text(&text, at + 1, 0, new)?;
    transaction.splice_text(&text, at + 1 + new.chars().count(), removed.cast_signed() - 1, "")?;
    transaction.splice_text(&text, at, 1, "")
}

/// The lines of the text, by their places, that two people wrote at without seeing each other, and that nobody has saved
/// since who had seen both. None while the document has one head: whoever wrote last has seen all.
pub(super) fn to_be_read(automerge: &Automerge) -> Vec<usize> {
    let heads = automerge.get_heads();
    if heads.len() < 2 {
        return vec![];
    }
    let text_at = |heads: &[ChangeHash]| automerge.text_at(object(TEXT), heads).unwrap_or_default();
    let (present, base) = (text_at(&heads), text_at(&seen_by_all(automerge, &heads)));
    let sides: Vec<String> = heads.iter().map(|head| text_at(&[*head])).collect();
    let sides: Vec<Vec<&str>> = sides.iter().map(|side| lines::of(side)).collect();
    let merged = lines::merge(&lines::of(&base), &sides);
    lines::to_be_read(&merged, &lines::of(&present))
}

/// The heads of what all of these heads have seen.
fn seen_by_all(automerge: &Automerge, heads: &[ChangeHash]) -> Vec<ChangeHash> {
    let dependencies: BTreeMap<ChangeHash, Vec<ChangeHash>> =
        automerge.get_changes_meta(&[]).into_iter().map(|change| (change.hash, change.deps)).collect();
    let past = |head: &ChangeHash| {
        let (mut past, mut open) = (BTreeSet::new(), vec![*head]);
        while let Some(next) = open.pop() {
            if past.insert(next) {
                open.extend(dependencies.get(&next).into_iter().flatten());
            }
        }
        past
    };
    let mut common = heads.first().map(past).unwrap_or_default();
    for head in &heads[1..] {
        let past = past(head);
        common.retain(|change| past.contains(change));
    }
    let covered: BTreeSet<ChangeHash> =
        common.iter().filter_map(|change| dependencies.get(change)).flatten().copied().collect();
    common.difference(&covered).copied().collect()
}
