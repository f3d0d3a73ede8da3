//! Hazards: 采集 → 立案 → 派遣 → 处理 → 反馈 → 核查结案.

use std::collections::BTreeSet;

use linli_core::id::EventId;
use serde::{Deserialize, Serialize};

use super::{Context, Held, Recent, Register, StateWord, TimelineLine};
use crate::date::Date;
use crate::events::hazard_reported::HazardGrade;

/// A hazard after its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HazardState {
    /// What was reported.
    pub reports: Vec<Held<HazardReport>>,
    /// Who filed it.
    pub filed: Register<()>,
    /// To whom it was given, since it was last opened.
    pub dispatched: Register<String>,
    /// What was done about it, by whom, since it was last opened.
    pub handled: Vec<Held<Handling>>,
    /// What the reporter was told, since it was last opened.
    pub answered: Register<String>,
    /// Whether it is open.
    pub standing: Register<HazardStanding>,
    /// What happened, in fold order.
    pub timeline: Recent<TimelineLine>,
}

/// A reported hazard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HazardReport {
    /// What kind of thing.
    pub category: String,
    /// Where.
    pub place: String,
    /// What is wrong.
    pub summary: String,
    /// How grave.
    pub grade: HazardGrade,
    /// When it must be done.
    pub due: Option<Date>,
}

/// What was done about a hazard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// What was done.
    pub what: String,
    /// The photo taken afterwards, by its attachment name.
    pub after_photo: Option<String>,
}

/// Whether a hazard is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardStanding {
    /// Checked and closed, with this finding.
    Closed(String),
    /// Open again, for this reason.
    Reopened(String),
}

impl HazardState {
    /// Whether it is open. Where one side closed and the other reopened, open wins until a settlement says otherwise.
    pub fn is_open(&self, lost: &BTreeSet<EventId>) -> bool {
        let mut standing = self.standing.all().iter().filter(|held| !lost.contains(&held.stamp.event)).peekable();
        standing.peek().is_none() || standing.any(|held| matches!(held.value, HazardStanding::Reopened(_)))
    }

    /// Whether somebody handled it whom the writer of `ctx` knew of, since it was last opened.
    pub(crate) fn was_handled(&self, ctx: &Context<'_>) -> bool {
        self.handled.iter().any(|held| ctx.has_seen(&held.stamp.event))
    }

    /// Where it stands: the furthest step that was taken since it was last opened.
    pub fn word(&self, lost: &BTreeSet<EventId>) -> StateWord {
        if !self.is_open(lost) {
            StateWord::CheckedAndClosed
        } else if self.answered.latest().is_some() {
            StateWord::Answered
        } else if !self.handled.is_empty() {
            StateWord::Handled
        } else if self.dispatched.latest().is_some() {
            StateWord::Dispatched
        } else if !self.standing.all().is_empty() {
            StateWord::Reopened
        } else if self.filed.latest().is_some() {
            StateWord::Filed
        } else {
            StateWord::Collected
        }
    }
}
