//! Acts on records of other areas: they stand on the record, and change nothing until somebody of its area or above adopts
//! them. Said before the act, in its receipt, and each time the receipt is asked for, because adopting changes it.

use std::collections::BTreeMap;

use linli_core::area::Area;
use linli_core::charter::Role;
use linli_core::id::{AuthorKey, EventId, RecordId};
use linli_domain::record::RecordView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::node::{Node, NodeError, Receipt};
use crate::words::{Lang, Word};

/// Most nodes that are named as those that can adopt: somebody looks for one to call, not for all of a district.
pub const ADOPTERS_MAX: usize = 5;

/// Why what this node does on a record does not count by itself, and who can let it count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outside {
    /// The record's area.
    #[schema(value_type = String)]
    pub area: Area,
    /// Nodes at which it can be adopted, those nearest to the record first; at most five.
    pub adopters: Vec<Adopter>,
    /// How many such nodes are enrolled.
    pub adopters_total: u64,
}

/// A node that speaks for a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Adopter {
    /// Its public name.
    pub name: String,
    /// Where it works.
    #[schema(value_type = String)]
    pub area: Area,
    /// Its key.
    #[schema(value_type = String)]
    pub node: AuthorKey,
}

/// A receipt with what it is worth now.
#[derive(Debug, Clone, Serialize)]
pub struct ToldReceipt {
    /// Where and under which ids the act is on record.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Whether the act counts: not while it stands outside the record's area and nobody there has adopted it. None if that
    /// cannot be read just now.
    pub counts: Option<bool>,
    /// Why it does not, and who can let it count.
    pub outside: Option<Outside>,
}

impl Outside {
    /// The nodes that can adopt, as a sentence names them.
    pub fn names(&self, lang: Lang) -> String {
        let names: Vec<&str> = self.adopters.iter().map(|adopter| adopter.name.as_str()).collect();
        match (names.is_empty(), self.adopters_total > names.len() as u64) {
            (true, _) => lang.t(Word::NoAdopterKnown).to_owned(),
            (false, false) => names.join(lang.of("、", ", ")),
            (false, true) => lang.fill(Word::AndSoMany, &[&names.join(lang.of("、", ", ")), &self.adopters_total]),
        }
    }

    /// What somebody should know before they act on the record at this node.
    pub fn beforehand(&self, lang: Lang) -> String {
        lang.fill(Word::OutsideBefore, &[&self.area, &self.names(lang)])
    }

    /// What somebody should know once they have, and what they can do.
    pub fn afterwards(&self, lang: Lang) -> String {
        lang.fill(Word::OutsideAfter, &[&self.area, &self.names(lang)])
    }
}

impl Node {
    /// Whose record it is, where this node does not speak for it. None where it does, and for a record that is not here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn outside(&self, record: &RecordId) -> Result<Option<Outside>, NodeError> {
        Ok(self.foreign(record)?.map(|view| self.told_outside(&view)))
    }

    /// A receipt with whether its act counts. An act that is durable is told as that, whatever can be read of its record.
    pub fn told(&self, receipt: Receipt) -> ToldReceipt {
        match self.outside_still(&receipt.record, &receipt.events) {
            Ok(outside) => ToldReceipt { receipt, counts: Some(outside.is_none()), outside },
            Err(error) => {
                tracing::error!(record = %receipt.record, %error, "whether an act counts cannot be read");
                ToldReceipt { receipt, counts: None, outside: None }
            }
        }
    }

    /// Why some of these events of a record do not count, while they stand outside it.
    fn outside_still(&self, record: &RecordId, events: &[EventId]) -> Result<Option<Outside>, NodeError> {
        let Some(view) = self.foreign(record)? else { return Ok(None) };
        let listed = |view: &RecordView| view.outside().any(|waiting| events.contains(&waiting));
        let waits = match view.outside > view.outside().count() as u64 && !listed(&view) {
            false => listed(&view),
            // More wait than a view lists: without the others, these are on the list if they wait.
            true => {
                let mut all = self.projector.events(record)?;
                all.retain(|event| view.is_covered_by(&event.header().area) || events.contains(&event.id()));
                self.projector.fold_whole(*record, &all).is_some_and(|view| listed(&view))
            }
        };
        Ok(waits.then(|| self.told_outside(&view)))
    }

    /// The view of a record that this node does not speak for. What it does speak for is told from memory: every act asks.
    fn foreign(&self, record: &RecordId) -> Result<Option<RecordView>, NodeError> {
        match self.projector.area_of(record) {
            Some(area) if !self.area().contains(&area) => {
                Ok(self.projector.view(record)?.filter(|view| !view.is_covered_by(self.area())))
            }
            _ => Ok(None),
        }
    }

    fn told_outside(&self, view: &RecordView) -> Outside {
        let charter = self.projector.charter();
        let mut speaking: BTreeMap<AuthorKey, Adopter> = BTreeMap::new();
        for (_, grant) in charter.grants() {
            if grant.role == Role::Node && view.is_covered_by(&grant.area) {
                let (node, name, area) = (grant.subject, grant.label.clone(), grant.area.clone());
                speaking.insert(node, Adopter { name, area, node });
            }
        }
        let mut adopters: Vec<Adopter> = speaking.into_values().collect();
        let adopters_total = adopters.len() as u64;
        adopters.sort_by_key(|adopter| std::cmp::Reverse(adopter.area.as_str().len()));
        adopters.truncate(ADOPTERS_MAX);
        Outside { area: view.area.clone(), adopters, adopters_total }
    }
}
