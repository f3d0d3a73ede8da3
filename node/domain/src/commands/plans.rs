//! Commands about plans.

use linli_core::area::Area;
use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::guard::may;
use super::{Act, CommandContext, Draft, Refusal, Refused, document_of};
use crate::crosscheck::in_force_for_the_same;
use crate::date::Date;
use crate::documents::Edit;
use crate::events::Fact;
use crate::events::plan_approved::PlanApproved;
use crate::events::plan_drafted::{PlanDrafted, Tier};
use crate::events::plan_issued::PlanIssued;
use crate::events::plan_superseded::PlanSuperseded;
use crate::record::RecordView;
use crate::state::document::ChangeHash;
use crate::state::plan::Outline;
use crate::state::{PlanState, RecordKind, State};
use crate::summary::Summary;

/// Begins a plan, with its first text if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftPlan {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// Household, building or community.
    pub tier: Tier,
    /// Which household, building or community.
    pub scope: String,
    /// Its title.
    pub title: String,
    /// What it is against.
    #[serde(default)]
    pub hazards: Vec<String>,
    /// Its last day.
    #[serde(default)]
    pub valid_to: Option<Date>,
    /// Its text.
    #[serde(default)]
    pub text: Option<String>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl DraftPlan {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (record, view) = ctx.begun(self.record, RecordKind::Plan)?;
        let outline = Outline {
            tier: self.tier,
            scope: self.scope,
            title: self.title,
            hazards: self.hazards,
            valid_to: self.valid_to,
        };
        let mut drafts = Vec::new();
        if view.as_ref().and_then(outline_of) != Some(&outline) {
            let Outline { tier, scope, title, hazards, valid_to } = outline;
            let fact = PlanDrafted { tier, scope, title, hazards, valid_to, said: ctx.said(self.note) };
            let fact = Fact::PlanDrafted(fact);
            drafts.push(ctx.first_or_next(record, view.as_ref(), self.area.as_ref(), fact)?);
        }
        // A text that stands there already is left alone: whoever states it has not read what is to be read in it.
        let now = document_of(view.as_ref()).map_or("", |document| &document.rendered.text);
        let stated = self.text.filter(|text| text.trim_end_matches('\n') != now);
        let edits: Vec<Edit> = stated.map(|text| Edit::SetText { text }).into_iter().collect();
        if !edits.is_empty()
            && let Some(edited) = ctx.change(document_of(view.as_ref()), edits)?
        {
            let fact = Fact::PlanEdited(edited);
            let edit = ctx.first_or_next(record, view.as_ref(), self.area.as_ref(), fact)?;
            drafts.push(if drafts.is_empty() { edit } else { edit.following() });
        }
        Ok(drafts)
    }
}

/// Changes a plan's text. Only the lines that differ are written, each whole, so edits of the same moment merge line by
/// line. The text as it stands settles the lines that somebody has to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditPlan {
    /// The plan.
    pub plan: RecordId,
    /// The whole text as it shall be.
    pub text: String,
    /// The heads of the text that was changed; the present one if absent, none of a plan that had no text. What others
    /// wrote since stays; where they changed the same lines, the edit is refused.
    #[serde(default)]
    pub heads: Option<Vec<ChangeHash>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl EditPlan {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = plan(ctx, Act::EditPlan, &self.plan)?;
        let edits = vec![Edit::SetText { text: self.text }];
        let changed = ctx.change_since(document_of(Some(&view)), self.heads, edits)?;
        let Some(mut edited) = changed else { return Ok(Vec::new()) };
        edited.said.note = self.note;
        Ok(vec![ctx.next(&view, Fact::PlanEdited(edited))?])
    }
}

/// Approves a plan's present text. Who has written on it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovePlan {
    /// The plan.
    pub plan: RecordId,
    /// The heads of the text that was read, to be sure that it is still the same.
    #[serde(default)]
    pub heads: Option<Vec<ChangeHash>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ApprovePlan {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = plan(ctx, Act::ApprovePlan, &self.plan)?;
        let heads = state.document.heads.clone();
        if self.heads.is_some_and(|read| read != heads) {
            return Err(Refused::about(Refusal::TextChanged, "heads"));
        }
        if state.writers.contains_key(&ctx.person()) {
            return Err(Refused::new(Refusal::SamePerson));
        }
        Ok(vec![ctx.next(&view, Fact::PlanApproved(PlanApproved { heads, said: ctx.said(self.note) }))?])
    }
}

/// Puts the present text into force, if it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuePlan {
    /// The plan.
    pub plan: RecordId,
    /// The heads of the text that was read, to be sure that it is still the same.
    #[serde(default)]
    pub heads: Option<Vec<ChangeHash>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl IssuePlan {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = plan(ctx, Act::IssuePlan, &self.plan)?;
        let heads = state.document.heads.clone();
        if self.heads.is_some_and(|read| read != heads) {
            return Err(Refused::about(Refusal::TextChanged, "heads"));
        }
        let scope = Summary::from(&view);
        let other = ctx.views.matching(&|summary| in_force_for_the_same(&scope, summary));
        if let Some(other) = other.first() {
            return Err(Refused::naming(Refusal::OtherInForce, "plan", &other.title));
        }
        Ok(vec![ctx.next(&view, Fact::PlanIssued(PlanIssued { heads, said: ctx.said(self.note) }))?])
    }
}

/// Replaces a plan by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupersedePlan {
    /// The plan.
    pub plan: RecordId,
    /// The plan that replaces it.
    pub by_plan: RecordId,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl SupersedePlan {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = plan(ctx, Act::SupersedePlan, &self.plan)?;
        if self.by_plan == self.plan {
            return Err(Refused::about(Refusal::Itself, "by_plan"));
        }
        let successor = ctx.record("by_plan", &self.by_plan, RecordKind::Plan)?;
        // A draft replaces nothing: people would be left without a plan, by one person's hand.
        let is_approved = matches!(&successor.state, State::Plan(plan) if plan.present_is_approved());
        if !is_approved && !Summary::from(&successor).state.is_in_force() {
            return Err(Refused::about(Refusal::NotApproved, "by_plan"));
        }
        let fact = PlanSuperseded { by_plan: self.by_plan, said: ctx.said(self.note) };
        Ok(vec![ctx.next(&view, Fact::PlanSuperseded(fact))?])
    }
}

fn outline_of(view: &RecordView) -> Option<&Outline> {
    match &view.state {
        State::Plan(plan) => plan.outline.latest().map(|held| &held.value),
        _ => None,
    }
}

fn plan(ctx: &CommandContext<'_>, act: Act, id: &RecordId) -> Result<(RecordView, Box<PlanState>), Refused> {
    let view = ctx.record("plan", id, RecordKind::Plan)?;
    may(act, &view).map_err(Refused::new)?;
    match view.state.clone() {
        State::Plan(state) => Ok((view, state)),
        _ => Err(Refused::about(Refusal::OtherKindOfRecord, "plan")),
    }
}
