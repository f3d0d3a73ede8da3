//! A hazard was reported (采集).

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::state::{Context, Held, HazardState};
use super::incident_reported::Severity;
use crate::state::hazard::HazardReport;

/// A hazard was reported (采集).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardReported {
    /// What kind of thing.
    pub category: String,
    /// Where.
    pub place: String,
    /// What is wrong.
    pub summary: String,
    /// How grave.
    pub severity: Severity,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for HazardReported {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("category", &self.category)?;
        check::line("place", &self.place)?;
        check::text("summary", &self.summary)
    }
}

impl Applies<HazardState> for HazardReported {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        let value = HazardReport {
            category: self.category.clone(),
            place: self.place.clone(),
            summary: self.summary.clone(),
            severity: self.severity,
            due: self.due,
        };
        state.reports.push(Held { value, stamp: ctx.stamp.clone() });
        state.timeline.push(ctx.line(&self.summary));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::{State, StateWord};

    #[test]
    fn a_reported_hazard_is_collected_and_open() {
        let reported = Fact::HazardReported(HazardReported {
            category: "消防通道".to_owned(),
            place: "12幢".to_owned(),
            summary: "杂物堵塞".to_owned(),
            severity: Severity::IV,
            due: None,
            said: said("居民"),
        });
        let view = History::of([reported]).view();
        assert_eq!(view.word(), StateWord::Collected);
        let State::Hazard(hazard) = view.state else { panic!() };
        assert!(hazard.is_open(&[].into()));
    }
}
