//! Somebody approved an exact text of a plan.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::limits;
use crate::record::Rule;
use crate::state::document::ChangeHash;
use crate::state::{Context, Held, PlanState};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, change, said, text};
    use crate::state::{State, StateWord};

    #[test]
    fn an_approval_is_of_an_exact_text() {
        let written = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
        let State::Plan(plan) = written.view().state else { panic!() };
        let heads = plan.document.heads;
        let approved = written.then(Fact::PlanApproved(PlanApproved { heads, said: said("乙") }));
        assert_eq!(approved.view().word(), StateWord::Approved);
        let edit = Fact::PlanEdited(change(Some(&approved.view()), 1, &[text("乙地集合")], "甲"));
        assert_eq!(approved.then(edit).view().word(), StateWord::Draft, "another text is not the approved one");
    }

    #[test]
    fn writing_somewhere_else_that_the_approver_could_not_know_breaks_no_rule() {
        let written = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
        let State::Plan(plan) = written.view().state else { panic!() };
        let heads = plan.document.heads;
        let edit = Fact::PlanEdited(change(Some(&written.view()), 2, &[text("乙地集合")], "乙"));
        let approved = Fact::PlanApproved(PlanApproved { heads, said: said("乙") });
        assert_eq!(written.clone().cut([approved.clone()], [edit.clone()]).view().marks.total, 0);
        assert_eq!(written.cut([], [edit]).then(approved).view().marks.total, 1);
    }
}
