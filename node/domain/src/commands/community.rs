//! Commands about hazards, buildings and contacts.

use linli_core::area::Area;
use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::guard::may;
use super::{Act, CommandContext, Draft, Refusal, Refused};
use crate::check;
use crate::date::Date;
use crate::events::Fact;
use crate::events::building_surveyed::BuildingSurveyed;
use crate::events::contact_listed::{ContactListed, ContactPii};
use crate::events::hazard_answered::HazardAnswered;
use crate::events::hazard_closed::HazardClosed;
use crate::events::hazard_dispatched::HazardDispatched;
use crate::events::hazard_filed::HazardFiled;
use crate::events::hazard_handled::HazardHandled;
use crate::events::hazard_reopened::HazardReopened;
use crate::events::hazard_reported::{HazardGrade, HazardReported};
use crate::record::RecordView;
use crate::state::building::Survey;
use crate::state::{HazardState, RecordKind, State};

/// Reports a hazard (采集).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportHazard {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// What kind of thing.
    pub category: String,
    /// Where.
    pub place: String,
    /// What is wrong.
    pub summary: String,
    /// How grave: 一般 or 重大.
    pub grade: HazardGrade,
    /// When it must be done.
    #[serde(default)]
    pub due: Option<Date>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ReportHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (record, view) = ctx.begun(self.record, RecordKind::Hazard)?;
        if view.is_some() {
            return Ok(Vec::new());
        }
        let fact = Fact::HazardReported(HazardReported {
            category: self.category,
            place: self.place,
            summary: self.summary,
            grade: Some(self.grade),
            severity: None,
            due: self.due,
            said: ctx.said(self.note),
        });
        Ok(vec![ctx.first(record, ctx.area_within(self.area.as_ref())?, &fact)?])
    }
}

/// Files a hazard (立案).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHazard {
    /// The hazard.
    pub hazard: RecordId,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl FileHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = hazard(ctx, Act::FileHazard, &self.hazard)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::HazardFiled(HazardFiled { said }))?])
    }
}

/// Gives a hazard to somebody (派遣).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchHazard {
    /// The hazard.
    pub hazard: RecordId,
    /// To whom.
    pub to: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl DispatchHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = hazard(ctx, Act::DispatchHazard, &self.hazard)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::HazardDispatched(HazardDispatched { to: self.to, said }))?])
    }
}

/// Says what was done about a hazard (处理).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandleHazard {
    /// The hazard.
    pub hazard: RecordId,
    /// What was done.
    pub what: String,
    /// The photo taken afterwards, by its attachment name.
    #[serde(default)]
    pub after_photo: Option<String>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl HandleHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = hazard(ctx, Act::HandleHazard, &self.hazard)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(
            &view,
            Fact::HazardHandled(HazardHandled { what: self.what, after_photo: self.after_photo, said }),
        )?])
    }
}

/// Tells the reporter (反馈).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerHazard {
    /// The hazard.
    pub hazard: RecordId,
    /// What they are told.
    pub text: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl AnswerHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = hazard(ctx, Act::AnswerHazard, &self.hazard)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::HazardAnswered(HazardAnswered { text: self.text, said }))?])
    }
}

/// Closes a hazard after a check (核查结案). Who handled it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseHazard {
    /// The hazard.
    pub hazard: RecordId,
    /// What the check found.
    pub finding: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl CloseHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = hazard(ctx, Act::CloseHazard, &self.hazard)?;
        let person = ctx.person();
        if state.handled.iter().any(|held| held.stamp.person() == person) {
            return Err(Refused::new(Refusal::SamePerson));
        }
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::HazardClosed(HazardClosed { finding: self.finding, said }))?])
    }
}

/// Opens a hazard again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReopenHazard {
    /// The hazard.
    pub hazard: RecordId,
    /// Why.
    pub reason: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ReopenHazard {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = hazard(ctx, Act::ReopenHazard, &self.hazard)?;
        let said = ctx.said(self.note);
        Ok(vec![ctx.next(&view, Fact::HazardReopened(HazardReopened { reason: self.reason, said }))?])
    }
}

/// Enters a building into the register, or surveys it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurveyBuilding {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// Its number in the street's own register.
    pub building: String,
    /// Its name or address.
    pub name: String,
    /// Households.
    pub households: u64,
    /// Residents.
    pub residents: u64,
    /// Latitude in ten-millionths of a degree.
    #[serde(default)]
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    #[serde(default)]
    pub lon_e7: Option<i64>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl SurveyBuilding {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (record, view) = ctx.begun(self.record, RecordKind::Building)?;
        let survey = Survey {
            building: self.building,
            name: self.name,
            households: self.households,
            residents: self.residents,
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
        };
        if view.as_ref().is_some_and(|view| stands_alone(view, &survey)) {
            return Ok(Vec::new());
        }
        let Survey { building, name, households, residents, lat_e7, lon_e7 } = survey;
        let said = ctx.said(self.note);
        let fact = BuildingSurveyed { building, name, households, residents, lat_e7, lon_e7, said };
        let fact = Fact::BuildingSurveyed(fact);
        Ok(vec![ctx.first_or_next(record, view.as_ref(), self.area.as_ref(), fact)?])
    }
}

/// Enters who holds a post. Name and phone go into the personal payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListContact {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// The post.
    pub post: String,
    /// The area it answers for; the node's otherwise.
    #[serde(default)]
    pub scope: Option<Area>,
    /// Who holds the post.
    pub name: String,
    /// How to reach them.
    pub phone: String,
    /// Write it again even if the post stands there: name and phone are not compared.
    #[serde(default)]
    pub refresh: bool,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ListContact {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        check::line("name", &self.name).map_err(Refused::field)?;
        check::line("phone", &self.phone).map_err(Refused::field)?;
        let (record, view) = ctx.begun(self.record, RecordKind::Contact)?;
        let scope = self.scope.unwrap_or_else(|| ctx.area.clone());
        let listing = view.as_ref().and_then(|view| match &view.state {
            State::Contact(contact) => contact.listings.latest().map(|held| &held.value),
            _ => None,
        });
        if !self.refresh && listing.is_some_and(|known| known.post == self.post && known.scope == scope) {
            return Ok(Vec::new());
        }
        let fact = Fact::ContactListed(ContactListed { post: self.post, scope, said: ctx.said(self.note) });
        let draft = ctx.first_or_next(record, view.as_ref(), self.area.as_ref(), fact)?;
        Ok(vec![draft.with_pii(&ContactPii { name: self.name, phone: self.phone })?])
    }
}

/// Whether a building shows just this survey and no concurrent one.
fn stands_alone(view: &RecordView, survey: &Survey) -> bool {
    match &view.state {
        State::Building(building) => {
            building.surveys.all().len() == 1 && building.surveys.all().iter().all(|held| held.value == *survey)
        }
        _ => false,
    }
}

fn hazard(ctx: &CommandContext<'_>, act: Act, id: &RecordId) -> Result<(RecordView, Box<HazardState>), Refused> {
    let view = ctx.record("hazard", id, RecordKind::Hazard)?;
    may(act, &view).map_err(Refused::new)?;
    match view.state.clone() {
        State::Hazard(state) => Ok((view, state)),
        _ => Err(Refused::about(Refusal::OtherKindOfRecord, "hazard")),
    }
}
