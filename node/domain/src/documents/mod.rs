//! What several people write together: Automerge documents whose changes travel as event payloads.
//!
//! A document is the set of its changes. Every replica starts from the same constant first change (see `shape`), and
//! each further change arrives as bytes that some key signed. Automerge panics on, or allocates without measure for,
//! changes that were made to hurt it, so each passes the gate of `gate` before it counts; one that fails leaves the
//! document as it was.
//!
//! Laws, tested in this module: documents with the same set of accepted changes have the same heads, the same
//! rendering and the same saved bytes, whatever order the changes came in; applying a change twice is applying it once.
//! The one verdict that depends on what else is there is [`DocumentError::DocumentTooLarge`]: a caller who folds
//! changes in a deterministic order gets a deterministic answer to that as well.
//!
//! This module must not hold personal data: documents refer to `pii` slots.

mod contain;
mod gate;
mod lines;
mod rebase;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use automerge::{ActorId, Automerge, ChangeHash, ReadDoc};
use linli_core::event::domain_hash;
use linli_core::id::AuthorKey;
use serde::{Deserialize, Serialize};

/// Most bytes of one change: what fits an event's payload.
pub const CHANGE_BYTES_MAX: usize = 64 * 1024;
/// Most operations of one change: one per character that comes or goes. A paragraph of ten thousand characters can so be
/// replaced; the pages make a few hundred.
pub const CHANGE_OPS_MAX: usize = 20_000;
/// Most bytes of a document's text.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most items in all lists of a document together.
pub const LIST_ITEMS_MAX: usize = 2_000;
/// Most fields, and most fields of one list item.
pub const FIELDS_MAX: usize = 500;
/// Most bytes of all field and item values of a rendered document together, concurrent ones included.
pub const VALUES_BYTES_MAX: usize = 1024 * 1024;
/// Most characters in the name of a field, a list or a list item.
pub const NAME_CHARS_MAX: usize = 64;
/// Most bytes of a saved document, history included; reached after some ten thousand edits.
pub const SAVED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most heads of a document: so many nodes have changed it without hearing each other. The next change names all of them,
/// 32 bytes each, and somebody has to read what they wrote.
pub const HEADS_MAX: usize = 128;
/// Most actors under which changes are made that follow from what they say. Automerge compares and saves each actor of a
/// document: with two thousand of them an edit takes one and a half times as long as with one, and the document 25 bytes an
/// edit more. Few plans are changed so often.
const ACTORS_OF_CONTENT_MAX: u64 = 1_000;

pub use rebase::RebaseError;

/// Why a change, an edit or saved bytes are refused. The document is then as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The bytes are more than an event may carry.
    #[error("the change is larger than {CHANGE_BYTES_MAX} bytes")]
    ChangeTooLarge,
    /// Compressed chunks are never unpacked: nobody knows how far they expand.
    #[error("the change is compressed")]
    Compressed,
    /// The bytes are no change chunk, or more than one, or not in the form that a writer gives it.
    #[error("not exactly one well-formed change: {0}")]
    Malformed(&'static str),
    /// More operations, predecessors or repeated names than any honest edit has.
    #[error("the change claims more than {CHANGE_OPS_MAX} operations or repeats too much text")]
    TooManyOperations,
    /// The checksum is not that of the content.
    #[error("the checksum of the change is wrong")]
    WrongChecksum,
    /// The change names another actor than those that follow from what it says, and from the event's author and
    /// incarnation.
    #[error("the change was made neither under its author's actor id nor under that of its content")]
    WrongActor,
    /// The author already used this sequence number for another change, or skipped one.
    #[error("the change is not the next one of its author")]
    WrongSequence,
    /// The change stands on changes that are not here yet; it may be applied once they are.
    #[error("the change stands on changes that are not here yet")]
    MissingDependencies,
    /// The change writes where the document's own objects are kept, or is empty, or carries foreign data.
    #[error("the change does not fit the shape of a document: {0}")]
    OutsideShape(&'static str),
    /// Automerge gave an error.
    #[error("automerge refuses the change")]
    Refused,
    /// Automerge panicked. The panic was contained.
    #[error("automerge panicked over the change")]
    Panicked,
    /// The document would not come back the same after being saved and loaded.
    #[error("the document does not survive saving and loading with this change")]
    NotReproducible,
    /// The document would outgrow a bound. Changes that do not add to what is over the bound still pass.
    #[error("the document would become too large")]
    DocumentTooLarge,
    /// Saved bytes are not a document.
    #[error("the saved bytes are not a document")]
    Damaged,
    /// The heads asked for are not part of this document.
    #[error("the heads are not part of this document")]
    UnknownHeads,
    /// A field, list or item name is empty, longer than [`NAME_CHARS_MAX`] or has control characters.
    #[error("a name is empty, too long or has control characters")]
    InvalidName,
    /// The edits would change nothing.
    #[error("there is nothing to change")]
    NothingToChange,
}

/// One thing that a person changes in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// Sets a field, and settles concurrent values of it.
    SetField {
        /// Name of the field.
        key: String,
        /// Its value.
        value: String,
    },
    /// Takes a field away; nothing where it does not stand.
    RemoveField {
        /// Name of the field.
        key: String,
    },
    /// Replaces the lines that differ, each whole, so that concurrent edits merge line by line. A text that is sent as it
    /// stands settles what somebody has to read ([`Document::to_be_read`]). Each character inserted or deleted is an
    /// operation: a longer paste than [`CHANGE_OPS_MAX`] takes several changes. Empty lines at the end are dropped.
    SetText {
        /// The whole text as it shall be.
        text: String,
    },
    /// Creates an item of a list, or sets the fields given here; its other fields stay as they are.
    SetItem {
        /// Name of the list.
        list: String,
        /// Key of the item in the list.
        key: String,
        /// The fields to set.
        fields: BTreeMap<String, String>,
    },
    /// Takes an item off a list. Fields set concurrently by somebody else stay visible: nothing unseen is removed.
    RemoveItem {
        /// Name of the list.
        list: String,
        /// Key of the item in the list.
        key: String,
    },
}

/// What a document says, as plain data. Equal documents render equally.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// Field name to value.
    pub fields: BTreeMap<String, String>,
    /// List name to item key to field name to value.
    pub lists: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
    /// The text.
    pub text: String,
    /// Fields with several concurrent values, all of them sorted: field name, or [`Rendered::item_path`], to values.
    /// The value shown in `fields` or `lists` is one of them.
    pub concurrent: BTreeMap<String, Vec<String>>,
}

impl Rendered {
    /// The key in [`Rendered::concurrent`] for a field of a list item. No field name can collide with it.
    pub fn item_path(list: &str, key: &str, field: &str) -> String {
        shape::item_path(list, key, field)
    }
}

/// A document. Cloning is cheap: clones share what is loaded until one of them changes.
#[derive(Clone)]
pub struct Document(Arc<Loaded>);

struct Loaded {
    automerge: Automerge,
    /// As automerge saves it, with the changes in the order in which they came.
    saved: Vec<u8>,
    /// Made when first asked for: with the changes in canonical order.
    canonical: OnceLock<Vec<u8>>,
    rendered: Rendered,
}

impl Loaded {
    const fn new(automerge: Automerge, saved: Vec<u8>, rendered: Rendered) -> Self {
        Self { automerge, saved, canonical: OnceLock::new(), rendered }
    }
}

impl Document {
    /// The document before anybody wrote: it holds the constant first change only.
    pub fn empty() -> Self {
        shape::empty()
    }

    /// Opens bytes that [`Document::save`] gave. They are trusted as this node's own: changes from elsewhere come
    /// through [`Document::apply`] only.
    ///
    /// # Errors
    /// [`DocumentError::Damaged`], also where automerge panics over them.
    pub fn load(saved: &[u8]) -> Result<Self, DocumentError> {
        gate::load(saved)
    }

    /// The whole document with its history, the same bytes for the same set of changes. Where changes came in another
    /// than the canonical order, the first call after that applies them all again (some 7,000 a second): save once
    /// after folding, not after each change.
    pub fn save(&self) -> Vec<u8> {
        self.0.canonical.get_or_init(|| gate::canonical_save(&self.0)).clone()
    }

    /// The hashes of the changes that no other change stands on, ascending. They name the document's exact content.
    pub fn heads(&self) -> Vec<[u8; 32]> {
        self.0.automerge.get_heads().into_iter().map(|head| head.0).collect()
    }

    /// Lets a change through the gate and applies it. One that is already there is fine and changes nothing.
    ///
    /// # Errors
    /// [`DocumentError`]; the document is then as it was. After [`DocumentError::MissingDependencies`] the same change
    /// may be accepted later.
    pub fn apply(&mut self, change: &[u8], author: &AuthorKey, incarnation: u64) -> Result<(), DocumentError> {
        if let Some(next) = gate::apply(&self.0, change, &actor_of(author, incarnation))? {
            self.0 = Arc::new(next);
        }
        Ok(())
    }

    /// How many changes it has, without the constant first one.
    pub fn changes(&self) -> u64 {
        self.0.automerge.stats().num_changes.saturating_sub(1)
    }

    /// The lines of the text, counted from 1, that two people wrote at without seeing each other. Both wrote whole lines,
    /// and these stand one after the other; which of them holds is for a person to read. None once somebody who has seen
    /// both has saved the document.
    pub fn to_be_read(&self) -> Vec<u64> {
        let lines = contain::contained(|| shape::to_be_read(&self.0.automerge)).unwrap_or_default();
        lines.into_iter().map(|line| line as u64 + 1).collect()
    }

    /// What the document says.
    pub fn render(&self) -> Rendered {
        self.0.rendered.clone()
    }

    /// What the document said when these were its heads: an approval names heads, and this is what was approved.
    ///
    /// # Errors
    /// [`DocumentError::UnknownHeads`] where one of them is not here.
    pub fn render_at(&self, heads: &[[u8; 32]]) -> Result<Rendered, DocumentError> {
        let heads: Vec<ChangeHash> = heads.iter().copied().map(ChangeHash).collect();
        let known = |hash: &ChangeHash| self.0.automerge.get_change_meta_by_hash(hash).is_some();
        if heads.is_empty() || !heads.iter().all(known) {
            return Err(DocumentError::UnknownHeads);
        }
        contain::contained(|| shape::render(&self.0.automerge, Some(&heads)))
    }

    /// Makes the one change that carries out all edits, without applying it. The same edits of the same document give the
    /// same bytes, whoever makes them and when, as long as few have written in it; then an act that is recorded at two
    /// nodes is one change where they meet. In a document of many actors the change is its author's, who must hold all
    /// their own earlier changes to it.
    ///
    /// # Errors
    /// [`DocumentError::NothingToChange`], [`DocumentError::InvalidName`], or what the gate would say to the change.
    pub fn edit(
        &self,
        edits: &[Edit],
        author: &AuthorKey,
        incarnation: u64,
        unix_ms: u64,
    ) -> Result<Vec<u8>, DocumentError> {
        let authors = actor_of(author, incarnation);
        let made = |actor: &ActorId, unix_ms: u64| {
            contain::contained(|| shape::edit(&self.0.automerge, edits, actor, unix_ms))?
        };
        let change = match gate::actors(&self.0.automerge) < ACTORS_OF_CONTENT_MAX {
            true => made(&actor_of_content(&made(&shape::nobody(), 0)?), 0)?,
            false => made(&authors, unix_ms)?,
        };
        gate::apply(&self.0, &change, &authors)?;
        Ok(change)
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        // Heads are hashes over everything before them.
        self.0.automerge.get_heads() == other.0.automerge.get_heads()
    }
}

impl Eq for Document {}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("heads", &self.0.automerge.get_heads()).finish_non_exhaustive()
    }
}

/// The Automerge actor of an author in an incarnation. Nobody else can write under it, because the gate recomputes it
/// from the signed header; and a restored store writes under a new one, because it opens a new incarnation.
fn actor_of(author: &AuthorKey, incarnation: u64) -> ActorId {
    let digest = domain_hash("linli/actor/1", &[author.as_bytes(), &incarnation.to_be_bytes()]);
    ActorId::from(&digest[..16])
}

/// The Automerge actor that follows from what a change says, all but its actor. Nobody can write anything else under it,
/// and whoever says the same on the same document makes the same change.
fn actor_of_content(change: &[u8]) -> ActorId {
    let (before, after) = scan::around_actor(change);
    let digest = domain_hash("linli/change-actor/1", &[before, after]);
    ActorId::from(&digest[..16])
}
