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

    fn plan(history: &History) -> Box<PlanState> {
        let State::Plan(plan) = history.view().state else { panic!() };
        plan
    }

    fn edit(history: &History, node: u8, whole: &str) -> Fact {
        let view = (!history.events.is_empty()).then(|| history.view());
        Fact::PlanEdited(change(view.as_ref(), node, &[text(whole)], "甲"))
    }

    #[test]
    fn edits_from_both_sides_of_a_cut_merge() {
        let base = History::new(1);
        let base = base.clone().then(edit(&base, 1, "一、甲地集合。\n二、走南门。"));
        let merged = base
            .clone()
            .cut([edit(&base, 1, "一、甲地集合。\n二、走北门。")], [edit(&base, 2, "一、乙地集合。\n二、走南门。")]);
        let document = plan(&merged).document;
        assert_eq!(document.rendered.text, "一、乙地集合。\n二、走北门。");
        assert!(merged.view().conflicts.is_empty() && document.unrenderable.is_empty());
        assert!(document.to_be_read.is_empty());
    }

    #[test]
    fn a_line_that_both_sides_of_a_cut_changed_is_to_be_read_until_somebody_saves_it() {
        // given a line that both sides changed, and another that one of them changed
        let base = History::new(1);
        let base = base.clone().then(edit(&base, 1, "一、集合。\n二、打119。\n三、点名。"));
        let left = edit(&base, 1, "一、集合。\n二、打110。\n三、点名。");
        let right = edit(&base, 2, "一、集合。\n二、打112。\n三、报数。");
        let cut = base.clone().cut([left.clone()], [right.clone()]);
        let document = plan(&cut).document;
        // then both lines stand whole, no number is there that nobody wrote, and both are pointed at
        let mut lines: Vec<&str> = document.rendered.text.split('\n').collect();
        lines[1..3].sort_unstable();
        assert_eq!(lines, ["一、集合。", "二、打110。", "二、打112。", "三、报数。"]);
        assert_eq!(document.to_be_read, [2, 3]);
        assert_eq!(plan(&base.clone().cut([right], [left])).document.to_be_read, [2, 3]);
        // and when somebody who has seen both saves, nothing is left to be read, whether they change it or not
        let seen = cut.view();
        let unchanged = cut.clone().then(edit(&cut, 1, &document.rendered.text));
        let settled = plan(&unchanged).document;
        assert_eq!((&settled.rendered, settled.to_be_read), (&document.rendered, vec![]));
        let decided = cut.clone().then(edit(&cut, 2, "一、集合。\n二、打112。\n三、报数。"));
        assert_eq!(plan(&decided).document.to_be_read, Vec::<u64>::new());
        // and an edit by somebody who has seen one side only leaves it as it is
        let other = change(Some(&base.view()), 3, &[text("一、集合。\n二、打119。\n三、点名。\n四、散。")], "丙");
        let mut third = cut;
        third.tell(3, crate::scenario::EPOCH_MS + 60_000, vec![third.events[0].id], &Fact::PlanEdited(other));
        assert_eq!((seen.heads.len(), plan(&third).document.to_be_read.len()), (2, 2));
    }

    #[test]
    fn an_edit_that_is_made_at_two_nodes_is_one_change() {
        // given a first text, and then an edit of it, both recorded on both sides of a cut
        let empty = History::new(1);
        let first = empty.clone().cut([edit(&empty, 1, "一、集合。")], [edit(&empty, 2, "一、集合。")]);
        let document = plan(&first).document;
        assert_eq!((document.rendered.text.as_str(), document.heads.len(), document.changes), ("一、集合。", 1, 1));
        let longer = "一、集合。\n二、点名。";
        let second = first.clone().cut([edit(&first, 1, longer)], [edit(&first, 2, longer)]);
        let document = plan(&second).document;
        assert_eq!((document.rendered.text.as_str(), document.heads.len(), document.changes), (longer, 1, 2));
        // then whoever goes on after either stands on it
        let mut later = second.clone();
        let next = edit(&second, 2, "一、集合。\n二、报数。");
        later.tell(2, crate::scenario::EPOCH_MS + 60_000, vec![second.events[3].id], &next);
        let document = plan(&later).document;
        assert_eq!((document.rendered.text.as_str(), document.unrenderable_total), ("一、集合。\n二、报数。", 0));
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
