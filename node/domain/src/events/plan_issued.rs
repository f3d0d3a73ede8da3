//! An exact text of a plan was put into force.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::limits;
use crate::record::Rule;
use crate::state::document::ChangeHash;
use crate::state::{Context, PlanState};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, change, said, text};
    use crate::state::{State, StateWord};

    #[test]
    fn an_issued_text_never_changes() {
        let written = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
        let State::Plan(plan) = written.view().state else { panic!() };
        let heads = plan.document.heads;
        let issued = written.then(Fact::PlanIssued(PlanIssued { heads: heads.clone(), said: said("乙") }));
        let edit = Fact::PlanEdited(change(Some(&issued.view()), 1, &[text("乙地集合")], "甲"));
        let view = issued.then(edit).view();
        let State::Plan(plan) = &view.state else { panic!() };
        let in_force = &plan.issued.latest().unwrap().value;
        assert_eq!((in_force, view.word()), (&heads, StateWord::Revising));
        let raw: Vec<[u8; 32]> = in_force.iter().map(|hash| *hash.as_bytes()).collect();
        let then = crate::documents::Document::load(&plan.document.saved).unwrap().render_at(&raw).unwrap();
        assert_eq!((then.text.as_str(), plan.document.rendered.text.as_str()), ("甲地集合", "乙地集合"));
    }
}
