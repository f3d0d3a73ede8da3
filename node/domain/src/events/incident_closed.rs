//! An incident was closed.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::state::incident::Standing;
use crate::state::{Context, IncidentState};

/// An incident was closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentClosed {
    /// How it ended.
    pub outcome: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for IncidentClosed {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("outcome", &self.outcome)
    }

    fn role(&self) -> Role<'_> {
        Role::Closes
    }
}

impl Applies<IncidentState> for IncidentClosed {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        state.standing.write(Standing::Closed(self.outcome.clone()), ctx);
        state.timeline.push(ctx.line(&self.outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{History, closed, reported};
    use crate::state::{State, StateWord};

    #[test]
    fn closing_keeps_the_outcome() {
        let view = History::of([reported(), closed("已排干")]).view();
        assert_eq!(view.word(), StateWord::Closed);
        let State::Incident(incident) = view.state else { panic!() };
        assert_eq!(incident.standing.latest().unwrap().value, Standing::Closed("已排干".to_owned()));
    }
}
