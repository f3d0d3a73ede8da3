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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::{State, StateWord};

    #[test]
    fn the_latest_dispatch_says_who_has_to_act() {
        let to = |who: &str| Fact::HazardDispatched(HazardDispatched { to: who.to_owned(), said: said("网格员") });
        let view = History::of([to("物业"), to("城管")]).view();
        assert_eq!(view.word(), StateWord::Dispatched);
        let State::Hazard(hazard) = view.state else { panic!() };
        assert_eq!(hazard.dispatched.latest().unwrap().value, "城管");
    }
}
