//! An exact text of a plan was put into force.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::limits;
use crate::record::Rule;
use crate::state::{Context, PlanState};
use crate::state::document::ChangeHash;

/// An exact text of a plan was put into force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanIssued {
    /// The exact text: the heads of the document.
    pub heads: Vec<ChangeHash>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for PlanIssued {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::some("heads", self.heads.len(), limits::DOCUMENT_HEADS_MAX)
    }

    fn role(&self) -> Role<'_> {
        Role::Issues(&self.heads)
    }
}

impl Applies<PlanState> for PlanIssued {
    fn apply(&self, state: &mut PlanState, ctx: &Context<'_>) {
        state.issued.write(self.heads.clone(), ctx);
    }

    fn broken_rule(&self, state: &PlanState, ctx: &Context<'_>) -> Option<Rule> {
        let mut approvals = state.approvals.latest.iter();
        let approved = approvals.any(|held| held.value == self.heads && ctx.has_seen(&held.stamp.event));
        (!approved).then_some(Rule::IssuedUnapproved)
    }
}
