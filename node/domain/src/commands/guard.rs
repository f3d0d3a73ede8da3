//! Which acts a record allows as it stands: asked by whoever offers an act, and again when it is carried out.
//!
//! What depends on an act's particulars or on who acts is refused by the act itself.

use super::{Act, Refusal};
use crate::record::RecordView;
use crate::state::{HazardState, PlanState, RecordKind, State, TeamState};

/// Whether a record allows an act now.
///
/// # Errors
/// The reason why it does not.
pub fn may(act: Act, view: &RecordView) -> Result<(), Refusal> {
    let lost = view.lost();
    match (act, &view.state) {
        (Act::SettleConflict, _) if view.open_conflicts().next().is_none() => Err(Refusal::UnknownConflict),
        (Act::AdoptActs, _) if view.outside == 0 => Err(Refusal::NothingToAdopt),
        (Act::SettleConflict | Act::AdoptActs | Act::ExplainCheck, _) => Ok(()),
        (act, state) if kind_of(act) != state.kind() => Err(Refusal::OtherKindOfRecord),
        (act, State::Incident(incident)) => may_incident(act, incident.is_open(&lost)),
        (act, State::Hazard(hazard)) => may_hazard(act, hazard, hazard.is_open(&lost)),
        (act, State::Team(team)) => may_team(act, team, team.active(&lost).next().is_some()),
        (act, State::Plan(plan)) => {
            let present_in_force = plan.in_force(&lost).any(|held| held.value == plan.document.heads);
            may_plan(act, plan, present_in_force)
        }
        (_, State::SupplyPoint(_) | State::Building(_) | State::Contact(_) | State::Unknown) => Ok(()),
    }
}

/// The kind of record that an act is about.
const fn kind_of(act: Act) -> RecordKind {
    match act {
        Act::ReportIncident
        | Act::VerifyIncident
        | Act::AssignIncident
        | Act::UpdateIncident
        | Act::CloseIncident
        | Act::ReopenIncident
        | Act::LinkIncident => RecordKind::Incident,
        Act::FormTeam | Act::SetTeam | Act::CertifyMember | Act::CheckInTeam | Act::DeployTeam | Act::ReleaseTeam => {
            RecordKind::Team
        }
        Act::FormPoint
        | Act::SetPoint
        | Act::ReceiveSupplies
        | Act::IssueSupplies
        | Act::SendSupplies
        | Act::ArriveSupplies
        | Act::CountSupplies
        | Act::AdjustSupplies => RecordKind::SupplyPoint,
        Act::DraftPlan | Act::EditPlan | Act::ApprovePlan | Act::IssuePlan | Act::SupersedePlan => RecordKind::Plan,
        Act::ReportHazard
        | Act::FileHazard
        | Act::DispatchHazard
        | Act::HandleHazard
        | Act::AnswerHazard
        | Act::CloseHazard
        | Act::ReopenHazard => RecordKind::Hazard,
        Act::SurveyBuilding => RecordKind::Building,
        Act::ListContact => RecordKind::Contact,
        Act::SettleConflict | Act::AdoptActs | Act::ExplainCheck => RecordKind::Unknown,
    }
}

fn may_incident(act: Act, open: bool) -> Result<(), Refusal> {
    match act {
        Act::VerifyIncident | Act::AssignIncident | Act::CloseIncident if !open => Err(Refusal::AlreadyClosed),
        Act::ReopenIncident if open => Err(Refusal::NotClosed),
        _ => Ok(()),
    }
}

fn may_hazard(act: Act, hazard: &HazardState, open: bool) -> Result<(), Refusal> {
    match act {
        Act::ReopenHazard if open => Err(Refusal::NotClosed),
        Act::FileHazard | Act::DispatchHazard | Act::HandleHazard | Act::CloseHazard if !open => {
            Err(Refusal::AlreadyClosed)
        }
        Act::FileHazard if hazard.filed.latest().is_some() => Err(Refusal::AlreadyDone),
        Act::DispatchHazard if hazard.filed.latest().is_none() => Err(Refusal::WrongStep),
        Act::HandleHazard if hazard.dispatched.latest().is_none() => Err(Refusal::WrongStep),
        Act::CloseHazard if hazard.handled.is_empty() => Err(Refusal::WrongStep),
        Act::AnswerHazard if hazard.reports.is_empty() => Err(Refusal::WrongStep),
        _ => Ok(()),
    }
}

fn may_team(act: Act, team: &TeamState, out: bool) -> Result<(), Refusal> {
    match act {
        Act::DeployTeam if out => Err(Refusal::AlreadyDeployed),
        Act::ReleaseTeam if team.deployments.is_empty() => Err(Refusal::NotDeployed),
        _ => Ok(()),
    }
}

fn may_plan(act: Act, plan: &PlanState, present_in_force: bool) -> Result<(), Refusal> {
    match act {
        Act::EditPlan | Act::ApprovePlan | Act::IssuePlan | Act::SupersedePlan
            if plan.superseded.latest().is_some() =>
        {
            Err(Refusal::Superseded)
        }
        Act::ApprovePlan if plan.document.heads.is_empty() => Err(Refusal::NothingToApprove),
        Act::IssuePlan if present_in_force => Err(Refusal::AlreadyIssued),
        Act::IssuePlan if !plan.present_is_approved() => Err(Refusal::NotApproved),
        _ => Ok(()),
    }
}
