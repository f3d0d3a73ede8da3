//! A plan was replaced by another record.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::Invalid;
use crate::state::{Context, PlanState};

/// A plan was replaced by another record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanSuperseded {
    /// The plan that replaces it.
    pub by_plan: RecordId,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for PlanSuperseded {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }

    fn role(&self) -> Role<'_> {
        Role::Withdraws
    }
}

impl Applies<PlanState> for PlanSuperseded {
    fn apply(&self, state: &mut PlanState, ctx: &Context<'_>) {
        state.superseded.write(self.by_plan, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, record, said};
    use crate::state::{State, StateWord};

    #[test]
    fn a_replaced_plan_says_by_what() {
        let superseded = Fact::PlanSuperseded(PlanSuperseded { by_plan: record(2), said: said("乙") });
        let view = History::of([superseded]).view();
        assert_eq!(view.word(), StateWord::Superseded);
        let State::Plan(plan) = view.state else { panic!() };
        assert_eq!(plan.superseded.latest().unwrap().value, record(2));
    }
}
