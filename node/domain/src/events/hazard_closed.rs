//! A hazard was checked and closed (核查结案).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::record::Rule;
use crate::state::hazard::HazardStanding;
use crate::state::{Context, HazardState};

/// A hazard was checked and closed (核查结案).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardClosed {
    /// What the check found.
    pub finding: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardClosed {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("finding", &self.finding)
    }

    fn role(&self) -> Role<'_> {
        Role::Closes
    }
}

impl Applies<HazardState> for HazardClosed {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        state.standing.write(HazardStanding::Closed(self.finding.clone()), ctx);
        state.timeline.push(ctx.line(&self.finding));
    }

    fn broken_rule(&self, state: &HazardState, ctx: &Context<'_>) -> Option<Rule> {
        if !state.was_handled(ctx) {
            return Some(Rule::ClosedUnhandled);
        }
        let person = ctx.stamp.person();
        let mut handled = state.handled.iter();
        let same = handled.any(|held| held.stamp.person() == person && ctx.has_seen(&held.stamp.event));
        same.then_some(Rule::CloserHandledIt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::events::hazard_handled::HazardHandled;
    use crate::scenario::{History, said};
    use crate::state::StateWord;

    #[test]
    fn closing_takes_somebody_who_did_not_handle_it() {
        let handled = || {
            let what = "已清理".to_owned();
            Fact::HazardHandled(HazardHandled { what, after_photo: None, said: said("物业") })
        };
        let close = |by| Fact::HazardClosed(HazardClosed { finding: "通道畅通".to_owned(), said: said(by) });
        let own = History::of([handled(), close("物业")]).view();
        assert_eq!((own.word(), own.marks.latest[0].rule), (StateWord::CheckedAndClosed, Rule::CloserHandledIt));
        assert_eq!(History::of([handled(), close("网格员")]).view().marks.total, 0);
    }
}
