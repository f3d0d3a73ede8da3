//! A closed incident was opened again.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::state::incident::Standing;
use crate::state::{Context, IncidentState};

/// A closed incident was opened again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentReopened {
    /// Why.
    pub reason: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for IncidentReopened {
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

impl Applies<IncidentState> for IncidentReopened {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        state.standing.write(Standing::Reopened(self.reason.clone()), ctx);
        state.timeline.push(ctx.line(&self.reason));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{History, closed, reopened, reported};
    use crate::state::StateWord;

    #[test]
    fn a_closed_incident_opens_again() {
        let history = History::of([reported(), closed("已排干"), reopened("又积水")]);
        assert_eq!(history.view().word(), StateWord::Reopened);
        assert_eq!(history.then(closed("已排干")).view().word(), StateWord::Closed);
    }
}
