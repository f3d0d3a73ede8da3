//! A document was changed: one uncompressed Automerge change, in any stream whose records have a document.

use serde::{Deserialize, Serialize};

use super::role::Role;
use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::{Context, PlanState, SupplyPointState, TeamState};

/// A document was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// The change. What it may be is decided by the gate of [`crate::documents`].
    #[serde(with = "serde_bytes")]
    pub change: Vec<u8>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for Edited {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::some("change", self.change.len(), linli_core::limits::PAYLOAD_BYTES_MAX)
    }

    fn role(&self) -> Role<'_> {
        Role::Edits
    }

    fn change(&self) -> Option<&[u8]> {
        Some(&self.change)
    }
}

impl Applies<TeamState> for Edited {
    fn apply(&self, state: &mut TeamState, ctx: &Context<'_>) {
        state.profile.apply(&self.change, ctx);
    }
}

impl Applies<SupplyPointState> for Edited {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        state.profile.apply(&self.change, ctx);
    }
}

impl Applies<PlanState> for Edited {
    fn apply(&self, state: &mut PlanState, ctx: &Context<'_>) {
        *state.writers.entry(ctx.stamp.person()).or_default() += 1;
        state.document.apply(&self.change, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, change, said, text};
    use crate::state::State;

    #[test]
    fn edits_from_both_sides_of_a_cut_merge() {
        let base = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合, 走南门。")], "甲")));
        let view = base.view();
        let left = Fact::PlanEdited(change(Some(&view), 1, &[text("甲地集合, 走北门。")], "甲"));
        let right = Fact::PlanEdited(change(Some(&view), 2, &[text("乙地集合, 走南门。")], "乙"));
        let merged = base.cut([left], [right]).view();
        let State::Plan(plan) = &merged.state else { panic!() };
        assert_eq!(plan.document.rendered.text, "乙地集合, 走北门。");
        assert!(merged.conflicts.is_empty() && plan.document.unrenderable.is_empty());
    }

    #[test]
    fn a_change_that_does_not_pass_the_gate_is_listed_and_the_rest_lives_on() {
        let bad = Fact::PlanEdited(Edited { change: vec![1, 2, 3], said: said("甲") });
        let history = History::of([bad]).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
        let State::Plan(plan) = history.view().state else { panic!() };
        assert_eq!(plan.document.unrenderable, vec![history.events[0].id]);
        assert_eq!((plan.document.changes, plan.document.rendered.text.as_str()), (1, "甲地集合"));
    }

    #[test]
    fn a_change_waits_for_the_one_that_it_builds_on() {
        let first = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
        let whole = first.clone().then(Fact::PlanEdited(change(Some(&first.view()), 1, &[text("乙地集合")], "甲")));
        let missing = crate::fold::fold_record(whole.record, [whole.events[1].fold_event()]).unwrap();
        let State::Plan(plan) = &missing.state else { panic!() };
        assert_eq!((plan.document.unrenderable_total, missing.missing_parents_total), (1, 1));
        let State::Plan(plan) = whole.view().state else { panic!() };
        assert_eq!((plan.document.unrenderable_total, plan.document.rendered.text.as_str()), (0, "乙地集合"));
    }
}
