//! Something was done about a hazard (处理).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::{Context, Held, HazardState};
use crate::state::hazard::Handling;

/// Something was done about a hazard (处理).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardHandled {
    /// What was done.
    pub what: String,
    /// The photo taken afterwards, by its attachment name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_photo: Option<String>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardHandled {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("what", &self.what)?;
        check::optional_line("after_photo", self.after_photo.as_deref())
    }
}

impl Applies<HazardState> for HazardHandled {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        let value = Handling { what: self.what.clone(), after_photo: self.after_photo.clone() };
        state.handled.push(Held { value, stamp: ctx.stamp.clone() });
        state.timeline.push(ctx.line(&self.what));
    }
}
