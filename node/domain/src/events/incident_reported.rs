//! An incident was reported.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::incident::Report;
use crate::state::{Context, Held, IncidentState};

/// An incident was reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentReported {
    /// What kind of thing: fire, flood, and so on, in the words of the street.
    pub category: String,
    /// How grave.
    pub severity: Severity,
    /// Where.
    pub place: String,
    /// Latitude in ten-millionths of a degree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lon_e7: Option<i64>,
    /// What happened.
    pub summary: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// The four levels of GB/T 35561 and the Emergency Response Law, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// 特别重大.
    I,
    /// 重大.
    II,
    /// 较大.
    III,
    /// 一般.
    IV,
}

impl Severity {
    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::I => "Ⅰ级 特别重大",
            Self::II => "Ⅱ级 重大",
            Self::III => "Ⅲ级 较大",
            Self::IV => "Ⅳ级 一般",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::I => "I, extraordinarily serious",
            Self::II => "II, serious",
            Self::III => "III, considerable",
            Self::IV => "IV, ordinary",
        }
    }
}

impl Fields for IncidentReported {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("category", &self.category)?;
        check::line("place", &self.place)?;
        check::text("summary", &self.summary)?;
        check::position(self.lat_e7, self.lon_e7)
    }
}

impl Applies<IncidentState> for IncidentReported {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        let value = Report {
            category: self.category.clone(),
            severity: self.severity,
            place: self.place.clone(),
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
            summary: self.summary.clone(),
        };
        state.reports.push(Held { value, stamp: ctx.stamp.clone() });
        state.timeline.push(ctx.line(&self.summary));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, reported};
    use crate::state::{State, StateWord};

    #[test]
    fn a_report_opens_the_timeline_and_the_gravest_report_counts() {
        let State::Incident(incident) = History::of([reported(), reported()]).view().state else { panic!() };
        assert_eq!((incident.reports.len(), incident.timeline.total), (2, 2));
        assert_eq!(incident.word(&[].into()), StateWord::Reported);
    }

    #[test]
    fn a_position_has_two_halves_and_texts_have_an_end() {
        let Fact::IncidentReported(report) = reported() else { panic!() };
        let halved = IncidentReported { lat_e7: Some(1), ..report.clone() };
        assert_eq!(halved.check().unwrap_err().field, "lat_e7");
        let endless = IncidentReported { summary: "长".repeat(2_001), ..report };
        assert_eq!(endless.check().unwrap_err().field, "summary");
    }
}
