//! An incident was closed.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::state::{Context, IncidentState};
use crate::state::incident::Standing;

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
