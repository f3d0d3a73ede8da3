//! Commands about teams.

use std::collections::BTreeMap;

use linli_core::area::Area;
use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::guard::may;
use super::{Act, CommandContext, Draft, Refusal, Refused, check_cleared, document_of, is_cleared, set, set_or_clear};
use crate::check;
use crate::date::Date;
use crate::documents::Edit;
use crate::events::Fact;
use crate::events::team_certified::{MemberPii, TeamCertified};
use crate::events::team_checked_in::{Readiness, TeamCheckedIn};
use crate::events::team_deployed::TeamDeployed;
use crate::events::team_released::TeamReleased;
use crate::record::RecordView;
use crate::state::document::ChangeHash;
use crate::state::{RecordKind, State, TeamState};

/// Begins a team, or brings an imported one up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormTeam {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// What people call it.
    pub name: String,
    /// What kind of team: 微型消防站, 邻里互助组, 楼栋队.
    #[serde(default)]
    pub team_kind: Option<String>,
    /// Its lead, by post. No personal data.
    #[serde(default)]
    pub lead: Option<String>,
    /// Members by pseudonymous id, each with fields such as `role`.
    #[serde(default)]
    pub roster: BTreeMap<String, BTreeMap<String, String>>,
    /// Kit by item, each with fields such as `quantity`.
    #[serde(default)]
    pub kit: BTreeMap<String, BTreeMap<String, String>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl FormTeam {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        check::line("name", &self.name).map_err(Refused::field)?;
        let (record, view) = ctx.begun(self.record, RecordKind::Team)?;
        let edits = profile([Some(self.name), self.team_kind, self.lead], &[], self.roster, self.kit);
        let Some(mut edited) = ctx.change(document_of(view.as_ref()), edits)? else { return Ok(Vec::new()) };
        edited.said.note = self.note;
        Ok(vec![ctx.first_or_next(record, view.as_ref(), self.area.as_ref(), Fact::TeamEdited(edited))?])
    }
}

/// Changes a team. What is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTeam {
    /// The team.
    pub team: RecordId,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// What kind of team: 微型消防站, 邻里互助组, 楼栋队.
    #[serde(default)]
    pub team_kind: Option<String>,
    /// Its lead, by post. No personal data.
    #[serde(default)]
    pub lead: Option<String>,
    /// Members by pseudonymous id, each with fields such as `role`.
    #[serde(default)]
    pub roster: BTreeMap<String, BTreeMap<String, String>>,
    /// Kit by item, each with fields such as `quantity`.
    #[serde(default)]
    pub kit: BTreeMap<String, BTreeMap<String, String>>,
    /// Members to take off the roster.
    #[serde(default)]
    pub leave: Vec<String>,
    /// Fields to empty: `team_kind`, `lead`.
    #[serde(default)]
    pub clear: Vec<String>,
    /// The heads of the profile that was changed; the present one if absent. What others changed since stays.
    #[serde(default)]
    pub heads: Option<Vec<ChangeHash>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl SetTeam {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = team(ctx, &self.team)?;
        check_cleared(&self.clear, &["team_kind", "lead"])?;
        let mut edits = profile([self.name, self.team_kind, self.lead], &self.clear, self.roster, self.kit);
        edits.extend(self.leave.into_iter().map(|key| Edit::RemoveItem { list: "roster".to_owned(), key }));
        let changed = ctx.change_since(document_of(Some(&view)), self.heads, edits)?;
        let Some(mut edited) = changed else { return Ok(Vec::new()) };
        edited.said.note = self.note;
        Ok(vec![ctx.next(&view, Fact::TeamEdited(edited))?])
    }
}

/// Enters a certificate of a member. The name goes into the personal payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifyMember {
    /// The team.
    pub team: RecordId,
    /// The member, by a pseudonymous id.
    pub member: String,
    /// The member's name.
    pub name: String,
    /// What it certifies.
    pub certificate: String,
    /// Its number.
    pub number: String,
    /// Who issued it.
    pub issuer: String,
    /// Its last day.
    pub expires: Date,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl CertifyMember {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = team(ctx, &self.team)?;
        check::line("name", &self.name).map_err(Refused::field)?;
        let there = state.certificates.iter().map(|held| &held.value).any(|known| {
            (&known.member, &known.certificate, &known.number) == (&self.member, &self.certificate, &self.number)
                && known.issuer == self.issuer
                && known.expires == self.expires
        });
        if there {
            return Ok(Vec::new());
        }
        // Who is certified is a member: the roster says so, or nobody would count them.
        let roster = BTreeMap::from([(self.member.clone(), BTreeMap::new())]);
        let joins = ctx.change(document_of(Some(&view)), profile([None, None, None], &[], roster, BTreeMap::new()))?;
        let fact = Fact::TeamCertified(TeamCertified {
            member: self.member,
            certificate: self.certificate,
            number: self.number,
            issuer: self.issuer,
            expires: self.expires,
            said: ctx.said(self.note),
        });
        let mut drafts = vec![ctx.next(&view, fact)?.with_pii(&MemberPii { name: self.name })?];
        if let Some(edited) = joins {
            drafts.push(ctx.next(&view, Fact::TeamEdited(edited))?.following());
        }
        Ok(drafts)
    }
}

/// Reports where a team stands and how ready it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInTeam {
    /// The team.
    pub team: RecordId,
    /// The post or place.
    pub place: String,
    /// How ready.
    pub readiness: Readiness,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl CheckInTeam {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = team(ctx, &self.team)?;
        let said = ctx.said(self.note);
        Ok(vec![
            ctx.next(&view, Fact::TeamCheckedIn(TeamCheckedIn { place: self.place, readiness: self.readiness, said }))?,
        ])
    }
}

/// Sends a team to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployTeam {
    /// The team.
    pub team: RecordId,
    /// The incident.
    pub incident: RecordId,
    /// How many people go.
    pub people: u64,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl DeployTeam {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = team(ctx, &self.team)?;
        may(Act::DeployTeam, &view).map_err(Refused::new)?;
        let incident = ctx.record("incident", &self.incident, RecordKind::Incident)?;
        if matches!(&incident.state, State::Incident(state) if !state.is_open(&incident.lost())) {
            return Err(Refused::about(Refusal::AlreadyClosed, "incident"));
        }
        let said = ctx.said(self.note);
        let fact = Fact::TeamDeployed(TeamDeployed { incident: self.incident, people: self.people, said });
        Ok(vec![ctx.next(&view, fact)?])
    }
}

/// Takes a team back from an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseTeam {
    /// The team.
    pub team: RecordId,
    /// The incident.
    pub incident: RecordId,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ReleaseTeam {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = team(ctx, &self.team)?;
        if !state.deployments.iter().any(|held| held.value.incident == self.incident) {
            return Err(Refused::about(Refusal::NotDeployed, "incident"));
        }
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::TeamReleased(TeamReleased { incident: self.incident, said }))?])
    }
}

fn profile(
    [name, team_kind, lead]: [Option<String>; 3],
    clear: &[String],
    roster: BTreeMap<String, BTreeMap<String, String>>,
    kit: BTreeMap<String, BTreeMap<String, String>>,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    set(&mut edits, "name", name);
    set_or_clear(&mut edits, "kind", team_kind, is_cleared(clear, "team_kind"));
    set_or_clear(&mut edits, "lead", lead, is_cleared(clear, "lead"));
    let lists = [("roster", roster), ("kit", kit)];
    for (list, entries) in lists {
        edits.extend(entries.into_iter().map(|(key, fields)| Edit::SetItem { list: list.to_owned(), key, fields }));
    }
    edits
}

fn team(ctx: &CommandContext<'_>, id: &RecordId) -> Result<(RecordView, Box<TeamState>), Refused> {
    let view = ctx.record("team", id, RecordKind::Team)?;
    match view.state.clone() {
        State::Team(state) => Ok((view, state)),
        _ => Err(Refused::about(Refusal::OtherKindOfRecord, "team")),
    }
}
