//! A closed hazard was opened again.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::state::hazard::HazardStanding;
use crate::state::{Context, HazardState};

/// A closed hazard was opened again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardReopened {
    /// Why.
    pub reason: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardReopened {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("reason", &self.reason)
    }

    fn role(&self) -> Role<'_> {
        Role::Reopens
    }
}

impl Applies<HazardState> for HazardReopened {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        state.standing.write(HazardStanding::Reopened(self.reason.clone()), ctx);
        // What was done before has not helped: it stays in the timeline, and all steps are open again.
        state.handled.retain(|held| !ctx.has_seen(&held.stamp.event));
        state.dispatched.forget(ctx);
        state.answered.forget(ctx);
        state.timeline.push(ctx.line(&self.reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::events::hazard_closed::HazardClosed;
    use crate::scenario::{History, said};
    use crate::state::StateWord;

    #[test]
    fn a_closed_hazard_opens_again() {
        let closed = Fact::HazardClosed(HazardClosed { finding: "通道畅通".to_owned(), said: said("网格员") });
        let reopened = Fact::HazardReopened(HazardReopened { reason: "又堵了".to_owned(), said: said("居民") });
        assert_eq!(History::of([closed, reopened]).view().word(), StateWord::Reopened);
    }
}
