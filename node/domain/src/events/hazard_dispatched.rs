//! A hazard was given to somebody (派遣).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::{Context, HazardState};

/// A hazard was given to somebody (派遣).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardDispatched {
    /// To whom.
    pub to: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardDispatched {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("to", &self.to)
    }
}

impl Applies<HazardState> for HazardDispatched {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        state.dispatched.write(self.to.clone(), ctx);
        state.timeline.push(ctx.line(&self.to));
    }
}
