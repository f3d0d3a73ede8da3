//! Somebody checked that an incident is real.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::Invalid;
use crate::state::{Context, Held, IncidentState};

/// Somebody checked that an incident is real.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentVerified {
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for IncidentVerified {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Applies<IncidentState> for IncidentVerified {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        state.verified.push(Held { value: (), stamp: ctx.stamp.clone() });
        state.timeline.push(ctx.line(self.said.note.clone().unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, reported, said};
    use crate::state::{State, StateWord};

    #[test]
    fn checking_a_report_makes_it_verified() {
        let verified = Fact::IncidentVerified(IncidentVerified { said: said("所长") });
        let view = History::of([reported(), verified]).view();
        assert_eq!(view.word(), StateWord::Verified);
        let State::Incident(incident) = view.state else { panic!() };
        assert_eq!(incident.verified[0].stamp.by, "所长");
    }
}
