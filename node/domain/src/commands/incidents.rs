//! Commands about incidents.

use std::collections::BTreeSet;

use linli_core::area::Area;
use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::guard::may;
use super::{Act, CommandContext, Draft, Refusal, Refused};
use crate::events::Fact;
use crate::events::incident_assigned::{Assignee, IncidentAssigned};
use crate::events::incident_closed::IncidentClosed;
use crate::events::incident_linked::IncidentLinked;
use crate::events::incident_reopened::IncidentReopened;
use crate::events::incident_reported::{IncidentReported, Severity};
use crate::events::incident_updated::IncidentUpdated;
use crate::events::incident_verified::IncidentVerified;
use crate::record::RecordView;
use crate::state::{IncidentState, RecordKind, State};
use crate::summary::{Detail, Summary};

/// Reports an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportIncident {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// What kind of thing.
    pub category: String,
    /// How grave.
    pub severity: Severity,
    /// Where.
    pub place: String,
    /// Latitude in ten-millionths of a degree.
    #[serde(default)]
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    #[serde(default)]
    pub lon_e7: Option<i64>,
    /// What happened.
    pub summary: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ReportIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (record, view) = ctx.begun(self.record, RecordKind::Incident)?;
        if view.is_some() {
            return Ok(Vec::new());
        }
        let fact = Fact::IncidentReported(IncidentReported {
            category: self.category,
            severity: self.severity,
            place: self.place,
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
            summary: self.summary,
            said: ctx.said(self.note),
        });
        Ok(vec![ctx.first(record, ctx.area_within(self.area.as_ref())?, &fact)?])
    }
}

/// Says that an incident is real.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyIncident {
    /// The incident.
    pub incident: RecordId,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl VerifyIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = incident(ctx, Act::VerifyIncident, &self.incident)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::IncidentVerified(IncidentVerified { said }))?])
    }
}

/// Gives a team or a post a task. Exactly one of them is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignIncident {
    /// The incident.
    pub incident: RecordId,
    /// The team.
    #[serde(default)]
    pub team: Option<RecordId>,
    /// The post, or somebody else in words.
    #[serde(default)]
    pub post: Option<String>,
    /// What to do.
    pub task: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl AssignIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = incident(ctx, Act::AssignIncident, &self.incident)?;
        let assignee = match (self.team, self.post) {
            (Some(team), None) => {
                let team_view = ctx.record("team", &team, RecordKind::Team)?;
                if out_elsewhere(&team_view, &self.incident) {
                    return Err(Refused::about(Refusal::AlreadyDeployed, "team"));
                }
                Assignee::Team(team)
            }
            (None, Some(post)) => Assignee::Post(post),
            _ => return Err(Refused::about(Refusal::InvalidField, "team")),
        };
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::IncidentAssigned(IncidentAssigned { assignee, task: self.task, said }))?])
    }
}

/// Adds to an incident (续报).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateIncident {
    /// The incident.
    pub incident: RecordId,
    /// What is new.
    pub text: String,
    /// People who died, as known now.
    #[serde(default)]
    pub dead: Option<u64>,
    /// People hurt, as known now.
    #[serde(default)]
    pub injured: Option<u64>,
    /// People missing, as known now.
    #[serde(default)]
    pub missing: Option<u64>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl UpdateIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = incident(ctx, Act::UpdateIncident, &self.incident)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(
            &view,
            Fact::IncidentUpdated(IncidentUpdated {
                text: self.text,
                dead: self.dead,
                injured: self.injured,
                missing: self.missing,
                said,
            }),
        )?])
    }
}

/// Closes an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseIncident {
    /// The incident.
    pub incident: RecordId,
    /// How it ended.
    pub outcome: String,
    /// Go on even if teams are still there.
    #[serde(default)]
    pub even_if_teams_there: bool,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl CloseIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = incident(ctx, Act::CloseIncident, &self.incident)?;
        // A team with a task is there as one that was sent: on the desk both are out.
        let given_a_task = match &view.state {
            State::Incident(incident) => incident.teams(),
            _ => BTreeSet::new(),
        };
        let there = |summary: &Summary| {
            let is_deployed =
                matches!(&summary.detail, Detail::Team { deployed, .. } if deployed.contains(&self.incident));
            is_deployed || given_a_task.contains(&summary.id)
        };
        let teams: Vec<String> = ctx.views.matching(&there).into_iter().map(|summary| summary.title).collect();
        if !teams.is_empty() && !self.even_if_teams_there {
            return Err(Refused::naming(Refusal::TeamsThere, "even_if_teams_there", &teams.join("、")));
        }
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::IncidentClosed(IncidentClosed { outcome: self.outcome, said }))?])
    }
}

/// Opens an incident again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReopenIncident {
    /// The incident.
    pub incident: RecordId,
    /// Why.
    pub reason: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ReopenIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = incident(ctx, Act::ReopenIncident, &self.incident)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::IncidentReopened(IncidentReopened { reason: self.reason, said }))?])
    }
}

/// Links an incident to another record of the same thing. Both stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkIncident {
    /// The incident.
    pub incident: RecordId,
    /// The other record.
    pub duplicate_of: RecordId,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl LinkIncident {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = incident(ctx, Act::LinkIncident, &self.incident)?;
        if self.duplicate_of == self.incident {
            return Err(Refused::about(Refusal::Itself, "duplicate_of"));
        }
        ctx.record("duplicate_of", &self.duplicate_of, RecordKind::Incident)?;
        if state.duplicates.contains(&self.duplicate_of) {
            return Ok(Vec::new());
        }
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::IncidentLinked(IncidentLinked { duplicate_of: self.duplicate_of, said }))?])
    }
}

/// Whether a team is out at another incident.
fn out_elsewhere(team: &RecordView, incident: &RecordId) -> bool {
    match &team.state {
        State::Team(state) => state.active(&team.lost()).any(|held| held.value.incident != *incident),
        _ => false,
    }
}

fn incident(ctx: &CommandContext<'_>, act: Act, id: &RecordId) -> Result<(RecordView, Box<IncidentState>), Refused> {
    let view = ctx.record("incident", id, RecordKind::Incident)?;
    may(act, &view).map_err(Refused::new)?;
    match view.state.clone() {
        State::Incident(state) => Ok((view, state)),
        _ => Err(Refused::about(Refusal::OtherKindOfRecord, "incident")),
    }
}
