//! A building was entered into the register or surveyed again.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::building::Survey;
use crate::state::{BuildingState, Context};

/// A building was entered into the register or surveyed again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildingSurveyed {
    /// Its number in the street's own register.
    pub building: String,
    /// Its name or address.
    pub name: String,
    /// Households.
    pub households: u64,
    /// Residents.
    pub residents: u64,
    /// Latitude in ten-millionths of a degree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lon_e7: Option<i64>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for BuildingSurveyed {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("building", &self.building)?;
        check::line("name", &self.name)?;
        check::head_count("households", Some(self.households))?;
        check::head_count("residents", Some(self.residents))?;
        check::position(self.lat_e7, self.lon_e7)
    }
}

impl Applies<BuildingState> for BuildingSurveyed {
    fn apply(&self, state: &mut BuildingState, ctx: &Context<'_>) {
        let value = Survey {
            building: self.building.clone(),
            name: self.name.clone(),
            households: self.households,
            residents: self.residents,
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
        };
        state.surveys.write(value, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::State;

    #[test]
    fn concurrent_surveys_stand_side_by_side_until_the_next_one() {
        let survey = |residents| {
            Fact::BuildingSurveyed(BuildingSurveyed {
                building: "12".to_owned(),
                name: "12幢".to_owned(),
                households: 24,
                residents,
                lat_e7: Some(313_000_000),
                lon_e7: Some(1_206_000_000),
                said: said("网格员"),
            })
        };
        let history = History::of([survey(60)]).cut([survey(61)], [survey(62)]);
        let surveys = |history: &History| match history.view().state {
            State::Building(building) => building.surveys,
            other => panic!("{other:?}"),
        };
        assert_eq!(surveys(&history).all().len(), 2);
        assert!(history.view().conflicts.is_empty(), "merged and marked, nothing to decide");
        assert_eq!(surveys(&history.then(survey(62))).all().len(), 1);
    }
}
