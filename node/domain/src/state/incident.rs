//! Incidents: reported → verified → active → closed, with a timeline that only grows.

use std::collections::BTreeSet;

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::{Held, Recent, Register, StateWord, TimelineLine};
use crate::events::incident_assigned::Assignee;
use crate::events::incident_reported::Severity;

/// An incident after its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IncidentState {
    /// What was reported. More than one report means that several people reported into the same record.
    pub reports: Vec<Held<Report>>,
    /// Who checked it, first one first.
    pub verified: Vec<Held<()>>,
    /// Whether it is open.
    pub standing: Register<Standing>,
    /// Who was given what to do.
    pub assignments: Recent<Held<Assignment>>,
    /// The last known losses.
    pub casualties: Register<Casualties>,
    /// Incidents that are the same one.
    pub duplicates: BTreeSet<RecordId>,
    /// What happened, in fold order.
    pub timeline: Recent<TimelineLine>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What kind of thing.
    pub category: String,
    /// How grave.
    pub severity: Severity,
    /// Where.
    pub place: String,
    /// Latitude in ten-millionths of a degree.
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    pub lon_e7: Option<i64>,
    /// What happened.
    pub summary: String,
}

/// A task given to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// To whom.
    pub assignee: Assignee,
    /// What to do.
    pub task: String,
}

/// Losses as somebody counted them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Casualties {
    /// People who died.
    pub dead: Option<u64>,
    /// People hurt.
    pub injured: Option<u64>,
    /// People missing.
    pub missing: Option<u64>,
}

/// Whether an incident is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Closed, with this outcome.
    Closed(String),
    /// Open again, for this reason.
    Reopened(String),
}

impl IncidentState {
    /// Whether it is open. Where one side closed and the other reopened, open wins until a settlement says otherwise.
    pub fn is_open(&self, lost: &BTreeSet<EventId>) -> bool {
        let mut standing = self.standing.all().iter().filter(|held| !lost.contains(&held.stamp.event)).peekable();
        standing.peek().is_none() || standing.any(|held| matches!(held.value, Standing::Reopened(_)))
    }

    /// The teams that were given a task here.
    pub fn teams(&self) -> BTreeSet<RecordId> {
        let assignees = self.assignments.latest.iter().map(|held| &held.value.assignee);
        assignees
            .filter_map(|assignee| match assignee {
                Assignee::Team(team) => Some(*team),
                Assignee::Post(_) => None,
            })
            .collect()
    }

    /// Where it stands.
    pub fn word(&self, lost: &BTreeSet<EventId>) -> StateWord {
        match (self.is_open(lost), self.standing.all().is_empty()) {
            (false, _) => StateWord::Closed,
            (true, false) => StateWord::Reopened,
            (true, true) if self.assignments.total > 0 => StateWord::Active,
            (true, true) if !self.verified.is_empty() => StateWord::Verified,
            (true, true) => StateWord::Reported,
        }
    }
}
