//! A team was sent to an incident.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::state::team::Deployment;
use crate::state::{Context, Held, TeamState};

/// A team was sent to an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamDeployed {
    /// Where to.
    pub incident: RecordId,
    /// How many people go.
    pub people: u64,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for TeamDeployed {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::head_count("people", Some(self.people))
    }

    fn role(&self) -> Role<'_> {
        Role::Deploys(&self.incident)
    }
}

impl Applies<TeamState> for TeamDeployed {
    fn apply(&self, state: &mut TeamState, ctx: &Context<'_>) {
        let value = Deployment { incident: self.incident, people: self.people };
        state.deployments.push(Held { value, stamp: ctx.stamp.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, deployed};
    use crate::state::StateWord;

    #[test]
    fn a_team_that_is_sent_out_is_deployed() {
        assert_eq!(History::of([deployed(8)]).view().word(), StateWord::Deployed);
        let Fact::TeamDeployed(many) = deployed(8) else { panic!() };
        assert!(TeamDeployed { people: u64::MAX, ..many }.check().is_err());
    }
}
