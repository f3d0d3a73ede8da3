//! A hazard was reported (采集).

use serde::{Deserialize, Serialize};

use super::incident_reported::Severity;
use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::state::hazard::HazardReport;
use crate::state::{Context, HazardState, Held};

/// A hazard was reported (采集).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HazardReported {
    /// What kind of thing.
    pub category: String,
    /// Where.
    pub place: String,
    /// What is wrong.
    pub summary: String,
    /// How grave, for events written since hazards have grades of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<HazardGrade>,
    /// How grave, in the levels of incidents, for older events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// The two grades of hidden dangers in the Work Safety Law, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardGrade {
    /// 重大.
    Major,
    /// 一般.
    General,
}

impl HazardGrade {
    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Major => "重大隐患",
            Self::General => "一般隐患",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::General => "general",
        }
    }
}

impl HazardReported {
    /// How grave. The upper two levels of incidents stand for a major hazard.
    pub fn grade(&self) -> HazardGrade {
        let of_level = |severity| match severity {
            Severity::I | Severity::II => HazardGrade::Major,
            Severity::III | Severity::IV => HazardGrade::General,
        };
        self.grade.or(self.severity.map(of_level)).unwrap_or(HazardGrade::General)
    }
}

impl Fields for HazardReported {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("category", &self.category)?;
        check::line("place", &self.place)?;
        check::text("summary", &self.summary)?;
        check::some("grade", usize::from(self.grade.is_some() || self.severity.is_some()), 1)
    }
}

impl Applies<HazardState> for HazardReported {
    fn apply(&self, state: &mut HazardState, ctx: &Context<'_>) {
        let value = HazardReport {
            category: self.category.clone(),
            place: self.place.clone(),
            summary: self.summary.clone(),
            grade: self.grade(),
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
            grade: Some(HazardGrade::General),
            severity: None,
            due: None,
            said: said("居民"),
        });
        let view = History::of([reported]).view();
        assert_eq!(view.word(), StateWord::Collected);
        let State::Hazard(hazard) = view.state else { panic!() };
        assert!(hazard.is_open(&[].into()));
        assert_eq!(hazard.reports[0].value.grade, HazardGrade::General);
    }

    #[test]
    fn a_report_from_before_hazards_had_grades_has_the_grade_of_its_level() {
        let old = |severity| HazardReported {
            category: "消防通道".to_owned(),
            place: "12幢".to_owned(),
            summary: "杂物堵塞".to_owned(),
            grade: None,
            severity: Some(severity),
            due: None,
            said: said("居民"),
        };
        assert_eq!((old(Severity::II).grade(), old(Severity::III).grade()), (HazardGrade::Major, HazardGrade::General));
        assert_eq!(HazardReported { severity: None, ..old(Severity::I) }.check().unwrap_err().field, "grade");
    }
}
