//! Somebody approved an exact text of a plan.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::limits;
use crate::record::Rule;
use crate::state::{Context, Held, PlanState};
use crate::state::document::ChangeHash;

/// Somebody approved an exact text of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanApproved {
    /// The exact text: the heads of the document.
    pub heads: Vec<ChangeHash>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for PlanApproved {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::some("heads", self.heads.len(), limits::DOCUMENT_HEADS_MAX)
    }
}

impl Applies<PlanState> for PlanApproved {
    fn apply(&self, state: &mut PlanState, ctx: &Context<'_>) {
        state.approvals.push(Held { value: self.heads.clone(), stamp: ctx.stamp.clone() });
    }

    fn broken_rule(&self, state: &PlanState, ctx: &Context<'_>) -> Option<Rule> {
        // Only what the approver could have seen counts: an edit of their own elsewhere may be unknown to this text.
        let person = ctx.stamp.person();
        let unseen = ctx.unseen().filter(|f| matches!(f.fact.role(), Role::Edits) && f.stamp.person() == person);
        let written = state.writers.get(&person).copied().unwrap_or(0);
        (written > unseen.count() as u64).then_some(Rule::ApproverWroteIt)
    }
}
