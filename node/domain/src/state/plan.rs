//! Plans: a text that several people write, approvals and issues that name its exact heads.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::document::{ChangeHash, DocumentState};
use super::{Held, Recent, Register, StateWord};
use crate::date::Date;
use crate::events::plan_drafted::Tier;

/// A plan after its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanState {
    /// What it is for.
    pub outline: Register<Outline>,
    /// Its text.
    pub document: DocumentState,
    /// Who drafted or edited it, and how often.
    pub writers: BTreeMap<String, u64>,
    /// Approvals, each of an exact text.
    pub approvals: Recent<Held<Vec<ChangeHash>>>,
    /// The text in force. Two of them mean that both were issued without seeing each other.
    pub issued: Register<Vec<ChangeHash>>,
    /// What replaced it.
    pub superseded: Register<RecordId>,
}

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Household, building or community.
    pub tier: Tier,
    /// Which household, building or community.
    pub scope: String,
    /// Its title.
    pub title: String,
    /// What it is against.
    pub hazards: Vec<String>,
    /// Its last day.
    pub valid_to: Option<Date>,
}

impl PlanState {
    /// Whether somebody approved exactly this text.
    pub fn is_approved(&self, heads: &[ChangeHash]) -> bool {
        self.approvals.latest.iter().any(|held| held.value == heads)
    }

    /// The issued texts that stand, without those that a settled conflict has put aside.
    pub fn in_force<'s>(&'s self, lost: &'s BTreeSet<EventId>) -> impl Iterator<Item = &'s Held<Vec<ChangeHash>>> + 's {
        self.issued.all().iter().filter(|held| !lost.contains(&held.stamp.event))
    }

    /// Whether somebody approved the text as it now stands.
    pub fn present_is_approved(&self) -> bool {
        !self.document.heads.is_empty() && self.is_approved(&self.document.heads)
    }

    /// Where it stands. A plan in force stays in force while its next version is written and approved.
    pub fn word(&self, lost: &BTreeSet<EventId>) -> StateWord {
        let mut in_force = self.in_force(lost).peekable();
        let has_force = in_force.peek().is_some();
        let present_in_force = in_force.any(|held| held.value == self.document.heads);
        match (has_force, self.present_is_approved()) {
            _ if self.superseded.latest().is_some() => StateWord::Superseded,
            (true, _) if present_in_force => StateWord::Issued,
            (true, true) => StateWord::RevisionApproved,
            (true, false) => StateWord::Revising,
            (false, true) => StateWord::Approved,
            (false, false) => StateWord::Draft,
        }
    }
}
