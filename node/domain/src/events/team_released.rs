//! A team came back from an incident.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::Invalid;
use crate::state::{Context, TeamState};

/// A team came back from an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamReleased {
    /// Where from.
    pub incident: RecordId,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for TeamReleased {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn role(&self) -> Role<'_> {
        Role::Releases(&self.incident)
    }
}

impl Applies<TeamState> for TeamReleased {
    fn apply(&self, state: &mut TeamState, ctx: &Context<'_>) {
        // Only deployments that the writer knew of end: one that somebody else began meanwhile stays.
        state.deployments.retain(|held| held.value.incident != self.incident || !ctx.has_seen(&held.stamp.event));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{History, deployed, released};
    use crate::state::StateWord;

    #[test]
    fn coming_back_ends_the_deployment_that_was_known_and_no_other() {
        assert_eq!(History::of([deployed(8), released(9)]).view().word(), StateWord::Deployed);
        assert_eq!(History::of([deployed(8), released(8)]).view().word(), StateWord::Standby);
        let sent_again = History::of([deployed(8)]).cut([released(8)], [released(8), deployed(8)]);
        assert_eq!(sent_again.view().word(), StateWord::Deployed);
    }
}
