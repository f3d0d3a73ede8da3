//! The reporter of a hazard was told (反馈).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::{Context, HazardState};

/// The reporter of a hazard was told (反馈).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardAnswered {
    /// What they were told.
    pub text: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardAnswered {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("text", &self.text)
    }
}

impl Applies<HazardState> for HazardAnswered {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        state.answered.write(self.text.clone(), ctx);
        state.timeline.push(ctx.line(&self.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::StateWord;

    #[test]
    fn the_reporter_is_told() {
        let answered = HazardAnswered { text: "已处理, 谢谢".to_owned(), said: said("网格员") };
        assert_eq!(History::of([Fact::HazardAnswered(answered)]).view().word(), StateWord::Answered);
    }
}
