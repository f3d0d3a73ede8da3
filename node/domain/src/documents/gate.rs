//! The gate: what a change must be before it becomes part of a document.
//!
//! Order matters: checks that cost nothing come first, nothing is given to automerge before [`super::scan`] bounded
//! what it can expand to, and nothing replaces the document before the result was saved, loaded and found the same.

use automerge::{ActorId, Automerge, Change, ChangeHash, ChangeMetadata, LoadOptions, ReadDoc, TextEncoding, legacy};

use super::contain::contained;
use super::scan::scan;
use super::{
    CHANGE_OPS_MAX, DocumentError, FIELDS_MAX, HEADS_MAX, LIST_ITEMS_MAX, Loaded, Rendered, SAVED_BYTES_MAX,
    TEXT_BYTES_MAX, VALUES_BYTES_MAX, actor_of_content, shape,
};

/// First bytes of a saved document: magic, checksum, chunk type.
const SAVED_HEADER: usize = 9;
const CHUNK_DOCUMENT: u8 = 0;

/// The document with the change, or `None` where it has it already.
///
/// # Errors
/// Every [`DocumentError`] about changes.
pub(super) fn apply(loaded: &Loaded, bytes: &[u8], actor: &ActorId) -> Result<Option<Loaded>, DocumentError> {
    scan(bytes)?;
    let change = contained(|| Change::from_bytes(bytes.to_vec()))?.map_err(|_| DocumentError::Malformed("columns"))?;
    if change.hash().0[..4] != bytes[4..8] {
        return Err(DocumentError::WrongChecksum);
    }
    let of_content = *change.actor_id() == actor_of_content(bytes);
    if !of_content && change.actor_id() != actor {
        return Err(DocumentError::WrongActor);
    }
    contained(|| check_shape(&change))??;
    if loaded.automerge.get_change_meta_by_hash(&change.hash()).is_some() {
        return Ok(None);
    }
    check_position(&loaded.automerge, &change)?;
    let next = contained(|| merge(loaded, change))??;
    check_bounds(loaded, &next)?;
    Ok(Some(next))
}

/// How many actors have written in a document.
pub(super) fn actors(automerge: &Automerge) -> u64 {
    automerge.stats().num_actors
}

/// What can be said of a change by itself.
fn check_shape(change: &Change) -> Result<(), DocumentError> {
    if change.is_empty() {
        return Err(DocumentError::OutsideShape("no operations"));
    }
    if change.len() > CHANGE_OPS_MAX {
        return Err(DocumentError::TooManyOperations);
    }
    if !change.extra_bytes().is_empty() {
        return Err(DocumentError::OutsideShape("foreign data"));
    }
    // Whoever could write to the root could take away the objects that all others write into.
    let at_root = |operation: &legacy::Op| operation.obj == legacy::ObjectId::Root;
    if change.decode().operations.iter().any(at_root) {
        return Err(DocumentError::OutsideShape("writes to the root"));
    }
    Ok(())
}

/// Whether this is the next change of its actor and stands where it says. An honest writer's change depends on all
/// heads it saw and on its own previous change, and counts its operations on from the highest among them. A change
/// that starts near the end of the counter's range would otherwise leave no number for anybody else.
fn check_position(automerge: &Automerge, change: &Change) -> Result<(), DocumentError> {
    if change.deps().is_empty() {
        return Err(DocumentError::OutsideShape("does not stand on the first change"));
    }
    if change.deps().windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(DocumentError::OutsideShape("order of dependencies"));
    }
    let find = |hash: &ChangeHash| automerge.get_change_meta_by_hash(hash);
    let dependencies: Option<Vec<ChangeMetadata<'_>>> = change.deps().iter().map(find).collect();
    let dependencies = dependencies.ok_or(DocumentError::MissingDependencies)?;
    let highest = dependencies.iter().map(|dependency| dependency.max_op).max().unwrap_or(0);
    if change.start_op().get() != highest + 1 {
        return Err(DocumentError::OutsideShape("numbering of operations"));
    }
    let mut probe = automerge.clone();
    probe.set_actor(change.actor_id().clone());
    let own_last = probe.get_last_local_change();
    let expected = own_last.as_ref().map_or(1, |last| last.seq() + 1);
    if change.seq() != expected || own_last.is_some_and(|last| !change.deps().contains(&last.hash())) {
        return Err(DocumentError::WrongSequence);
    }
    Ok(())
}

/// Applies to a clone, saves it and loads it back. May panic inside automerge.
fn merge(loaded: &Loaded, change: Change) -> Result<Loaded, DocumentError> {
    let hash = change.hash();
    let mut automerge = loaded.automerge.clone();
    automerge.apply_changes([change]).map_err(|_| DocumentError::Refused)?;
    if automerge.get_change_meta_by_hash(&hash).is_none() {
        return Err(DocumentError::Refused);
    }
    reproduce(&automerge)
}

/// Saves and loads, and insists on finding the same.
fn reproduce(automerge: &Automerge) -> Result<Loaded, DocumentError> {
    let saved = automerge.save();
    if saved.len() > SAVED_BYTES_MAX {
        return Err(DocumentError::DocumentTooLarge);
    }
    let again = parse(&saved).map_err(|_| DocumentError::NotReproducible)?;
    let rendered = shape::render(automerge, None);
    let same =
        again.get_heads() == automerge.get_heads() && shape::render(&again, None) == rendered && again.save() == saved;
    if same { Ok(Loaded::new(again, saved, rendered)) } else { Err(DocumentError::NotReproducible) }
}

fn parse(saved: &[u8]) -> Result<Automerge, automerge::AutomergeError> {
    Automerge::load_with_options(saved, LoadOptions::new().text_encoding(TextEncoding::UnicodeCodePoint))
}

/// Opens bytes that this node saved.
///
/// # Errors
/// [`DocumentError::Damaged`].
pub(super) fn load(saved: &[u8]) -> Result<super::Document, DocumentError> {
    let is_document = saved.len() <= SAVED_BYTES_MAX && saved.get(SAVED_HEADER - 1) == Some(&CHUNK_DOCUMENT);
    if !is_document {
        return Err(DocumentError::Damaged);
    }
    let open = || {
        let automerge = parse(saved).map_err(|_| DocumentError::Damaged)?;
        let first = shape::first_change_hash();
        if first.is_none_or(|first| automerge.get_change_meta_by_hash(&first).is_none()) || automerge.save() != saved {
            return Err(DocumentError::Damaged);
        }
        let rendered = shape::render(&automerge, None);
        Ok(super::Document(std::sync::Arc::new(Loaded::new(automerge, saved.to_vec(), rendered))))
    };
    contained(open).map_err(|_| DocumentError::Damaged)?
}

/// The saved bytes that depend on the set of changes alone.
///
/// Automerge saves changes in the order in which it got them, and sorts a batch in its own way. So unless they came in
/// canonical order already, they are applied again, one by one. That order is topological, because operations are
/// numbered on from those of the dependencies; between equal numbers the hash decides.
pub(super) fn canonical_save(loaded: &Loaded) -> Vec<u8> {
    let sort = || {
        let in_order = loaded.automerge.get_changes_meta(&[]);
        if in_order.is_sorted_by_key(|change| (change.start_op, change.hash)) {
            return None;
        }
        let mut changes = loaded.automerge.get_changes(&[]);
        changes.sort_by_key(|change| (change.start_op(), change.hash()));
        let mut sorted = shape::blank();
        for change in changes {
            sorted.apply_changes([change]).ok()?;
        }
        (sorted.get_heads() == loaded.automerge.get_heads()).then(|| sorted.save())
    };
    // These changes were all applied and saved before; should sorting them fail, the bytes as they are load as well.
    contained(sort).ok().flatten().unwrap_or_else(|| loaded.saved.clone())
}

/// A document that is over a bound can still be made smaller, so only growth beyond a bound is refused.
fn check_bounds(before: &Loaded, next: &Loaded) -> Result<(), DocumentError> {
    let (old, new) = (Size::of(&before.rendered), Size::of(&next.rendered));
    let heads = |loaded: &Loaded| loaded.automerge.get_heads().len();
    let outgrown = |old: usize, new: usize, max: usize| new > max && new > old;
    if outgrown(old.text, new.text, TEXT_BYTES_MAX)
        || outgrown(old.items, new.items, LIST_ITEMS_MAX)
        || outgrown(old.fields, new.fields, FIELDS_MAX)
        || outgrown(old.values, new.values, VALUES_BYTES_MAX)
        || outgrown(heads(before), heads(next), HEADS_MAX)
    {
        return Err(DocumentError::DocumentTooLarge);
    }
    Ok(())
}

/// How large a rendering is, by what is bounded.
struct Size {
    text: usize,
    items: usize,
    fields: usize,
    values: usize,
}

impl Size {
    fn of(rendered: &Rendered) -> Self {
        let items = || rendered.lists.values().flat_map(|list| list.values());
        let bytes = |fields: &std::collections::BTreeMap<String, String>| -> usize {
            fields.iter().map(|(key, value)| key.len() + value.len()).sum()
        };
        let concurrent: usize = rendered.concurrent.values().flatten().map(String::len).sum();
        Self {
            text: rendered.text.len(),
            items: items().count(),
            fields: items().map(|item| item.len()).max().unwrap_or(0).max(rendered.fields.len()),
            values: bytes(&rendered.fields) + items().map(bytes).sum::<usize>() + concurrent,
        }
    }
}
