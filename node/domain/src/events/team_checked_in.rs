//! A team reported where it stands and how ready it is.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::team::CheckIn;
use crate::state::{Context, TeamState};

/// A team reported where it stands and how ready it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamCheckedIn {
    /// The post or place.
    pub place: String,
    /// How ready.
    pub readiness: Readiness,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// How ready a team says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Complete and able to go.
    Ready,
    /// Able to go with fewer people or less kit.
    Limited,
    /// Not able to go.
    Unavailable,
}

impl Readiness {
    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Ready => "就绪",
            Self::Limited => "受限",
            Self::Unavailable => "不可用",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Fields for TeamCheckedIn {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("place", &self.place)
    }
}

impl Applies<TeamState> for TeamCheckedIn {
    fn apply(&self, state: &mut TeamState, ctx: &Context<'_>) {
        state.check_in.write(CheckIn { place: self.place.clone(), readiness: self.readiness }, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::State;

    #[test]
    fn the_latest_check_in_is_shown() {
        let check_in = |place: &str, readiness| {
            Fact::TeamCheckedIn(TeamCheckedIn { place: place.to_owned(), readiness, said: said("队长") })
        };
        let history = History::of([check_in("东门", Readiness::Ready), check_in("西门", Readiness::Limited)]);
        let State::Team(team) = history.view().state else { panic!() };
        assert_eq!(team.check_in.all().len(), 1);
        assert_eq!(team.check_in.latest().unwrap().value.place, "西门");
    }
}
