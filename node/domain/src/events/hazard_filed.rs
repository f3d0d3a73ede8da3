//! A hazard was filed (立案).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::Invalid;
use crate::state::{Context, HazardState};

/// A hazard was filed (立案).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardFiled {
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardFiled {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Applies<HazardState> for HazardFiled {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        state.filed.write((), ctx);
        state.timeline.push(ctx.line(self.said.note.clone().unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::StateWord;

    #[test]
    fn filing_is_the_second_step() {
        let view = History::of([Fact::HazardFiled(HazardFiled { said: said("网格员") })]).view();
        assert_eq!(view.word(), StateWord::Filed);
    }
}
