//! Something new about an incident (续报).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::incident::Casualties;
use crate::state::{Context, IncidentState};

/// Something new about an incident (续报).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentUpdated {
    /// What is new.
    pub text: String,
    /// People who died, as known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<u64>,
    /// People hurt, as known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub injured: Option<u64>,
    /// People missing, as known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for IncidentUpdated {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("text", &self.text)?;
        check::head_count("dead", self.dead)?;
        check::head_count("injured", self.injured)?;
        check::head_count("missing", self.missing)
    }
}

impl Applies<IncidentState> for IncidentUpdated {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        if self.dead.is_some() || self.injured.is_some() || self.missing.is_some() {
            let known = state.casualties.latest().map(|held| held.value.clone());
            let (dead, injured, missing) = known.map_or((None, None, None), |k| (k.dead, k.injured, k.missing));
            let value = Casualties {
                dead: self.dead.or(dead),
                injured: self.injured.or(injured),
                missing: self.missing.or(missing),
            };
            state.casualties.write(value, ctx);
        }
        state.timeline.push(ctx.line(&self.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, reported, said, updated};
    use crate::state::State;

    #[test]
    fn what_is_not_said_anew_stays_as_it_was_known() {
        let counts = |dead, injured| {
            let said = said("值班");
            Fact::IncidentUpdated(IncidentUpdated { text: "续报".to_owned(), dead, injured, missing: None, said })
        };
        let view = History::of([reported(), counts(Some(0), Some(2)), counts(None, Some(3)), updated("水退")]).view();
        let State::Incident(incident) = view.state else { panic!() };
        let known = &incident.casualties.latest().unwrap().value;
        assert_eq!((known.dead, known.injured, known.missing), (Some(0), Some(3), None));
        assert_eq!(incident.timeline.total, 4, "a timeline only grows");
    }
}
