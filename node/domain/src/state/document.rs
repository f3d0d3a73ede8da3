//! The document of a team, supply point or plan, as a view carries it: saved bytes, exact heads, rendered content.
//!
//! Changes are applied in fold order through the gate of [`crate::documents`]. One that does not pass is listed and
//! tried again after each later change, because what it builds on may have been missing; the rest lives on.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use linli_core::id::{AuthorKey, EventId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Context;
use crate::documents::{Document, Rendered};
use crate::limits::LISTED_MAX;

/// The hash of an Automerge change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeHash([u8; 32]);

impl ChangeHash {
    /// Wraps the raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EventId::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for ChangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeHash({})", EventId::from_bytes(self.0).short())
    }
}

/// A text that is no change hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a change hash (expected 64 hexadecimal digits in lower case)")]
pub struct ParseChangeHashError;

impl FromStr for ChangeHash {
    type Err = ParseChangeHashError;
    fn from_str(text: &str) -> Result<Self, ParseChangeHashError> {
        text.parse::<EventId>().map(|id| Self(*id.as_bytes())).map_err(|_| ParseChangeHashError)
    }
}

impl Serialize for ChangeHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChangeHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A document after its changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DocumentState {
    /// The saved document; empty before the first change. Not part of a view's hash.
    #[serde(with = "serde_bytes")]
    pub saved: Vec<u8>,
    /// The exact text, by hashes.
    pub heads: Vec<ChangeHash>,
    /// What it says.
    pub rendered: Rendered,
    /// Lines of the text, counted from 1, that two people wrote at without seeing each other: somebody has to read them.
    /// None once somebody who has seen both has saved the document.
    pub to_be_read: Vec<u64>,
    /// Changes applied. The same change that came in two events is one.
    pub changes: u64,
    /// Changes that did not pass the gate, or that build on changes that are not here.
    pub unrenderable_total: u64,
    /// The first of them, in fold order.
    pub unrenderable: Vec<EventId>,
    /// Open only during a fold.
    #[serde(skip)]
    open: Open,
}

/// The document while a record is folded: closed again, and empty, in every finished view.
#[derive(Debug, Clone, Default)]
struct Open {
    document: Option<Document>,
    pending: Vec<Pending>,
}

/// Finished views differ in what they say, never in what happens to be open.
impl PartialEq for Open {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Open {}

#[derive(Debug, Clone)]
struct Pending {
    event: EventId,
    change: Vec<u8>,
    author: AuthorKey,
    incarnation: u64,
}

impl DocumentState {
    /// Applies a change, then what waited for it.
    pub(crate) fn apply(&mut self, change: &[u8], ctx: &Context<'_>) {
        let pending = Pending {
            event: ctx.stamp.event,
            change: change.to_vec(),
            author: ctx.stamp.author,
            incarnation: ctx.incarnation,
        };
        let Some(document) = self.opened() else { return self.open.pending.push(pending) };
        if !pending.pass(document) {
            return self.open.pending.push(pending);
        }
        self.retry();
    }

    fn opened(&mut self) -> Option<&mut Document> {
        if self.open.document.is_none() {
            let loaded = if self.saved.is_empty() { Ok(Document::empty()) } else { Document::load(&self.saved) };
            self.open.document = loaded.ok();
        }
        self.open.document.as_mut()
    }

    fn retry(&mut self) {
        let Some(document) = self.open.document.as_mut() else { return };
        loop {
            let before = self.open.pending.len();
            self.open.pending.retain(|pending| !pending.pass(document));
            if self.open.pending.len() == before {
                return;
            }
        }
    }

    /// Saves and renders what was opened during a fold, and closes it.
    pub(crate) fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.unrenderable_total += open.pending.len() as u64;
        let room = LISTED_MAX.saturating_sub(self.unrenderable.len());
        self.unrenderable.extend(open.pending.iter().map(|pending| pending.event).take(room));
        if let Some(document) = open.document {
            self.heads = document.heads().into_iter().map(ChangeHash::from_bytes).collect();
            self.heads.sort_unstable();
            self.rendered = document.render();
            self.to_be_read = document.to_be_read();
            self.changes = document.changes();
            self.saved = document.save();
        }
    }

    /// What the document said when these were its heads; none where they are not among its changes.
    pub fn rendered_at(&self, heads: &[ChangeHash]) -> Option<Rendered> {
        let heads: Vec<[u8; 32]> = heads.iter().map(|head| *head.as_bytes()).collect();
        Document::load(&self.saved).ok()?.render_at(&heads).ok()
    }

    /// What a form shows to somebody whose text stood on these heads and has to look again; none where they are not among
    /// its changes. See [`Document::both_texts`].
    pub fn both_texts(&self, seen: &[ChangeHash], text: &str) -> Option<String> {
        let seen: Vec<[u8; 32]> = seen.iter().map(|head| *head.as_bytes()).collect();
        Document::load(&self.saved).ok()?.both_texts(&seen, text).ok()
    }

    /// A field of the document.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.rendered.fields.get(key).map(String::as_str)
    }

    /// A list of the document: entries by key, each with its fields.
    pub fn list(&self, name: &str) -> Option<&BTreeMap<String, BTreeMap<String, String>>> {
        self.rendered.lists.get(name)
    }

    /// A number in a field.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.field(key)?.trim().parse().ok()
    }
}

impl Pending {
    fn pass(&self, document: &mut Document) -> bool {
        document.apply(&self.change, &self.author, self.incarnation).is_ok()
    }
}
