//! Something was done about a hazard (处理).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::hazard::Handling;
use crate::state::{Context, HazardState, Held};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::{State, StateWord};

    #[test]
    fn what_was_done_stays_with_its_photo() {
        let after_photo = Some("after.jpg".to_owned());
        let handled = HazardHandled { what: "已清理".to_owned(), after_photo, said: said("物业") };
        let view = History::of([Fact::HazardHandled(handled)]).view();
        assert_eq!(view.word(), StateWord::Handled);
        let State::Hazard(hazard) = view.state else { panic!() };
        assert_eq!(hazard.handled[0].value.after_photo.as_deref(), Some("after.jpg"));
    }
}
