//! Explaining why two records contradict each other.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{CommandContext, Draft, Refusal, Refused};
use crate::crosscheck::crosschecks;
use crate::events::Fact;
use crate::events::explained::Explained;
use crate::state::RecordKind;

/// Explains a contradiction between two records. The explanation stands in one of them, and the line leaves the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainCheck {
    /// One of the two records.
    pub record: RecordId,
    /// The contradiction.
    pub check: RecordId,
    /// What was found, in words.
    pub explanation: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ExplainCheck {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let view = ctx.any_record("record", &self.record)?;
        let open = crosschecks(&ctx.views.matching(&|_| true));
        let check = open.iter().find(|check| check.id == self.check);
        if !check.is_some_and(|check| check.records.contains(&self.record)) {
            return Err(Refused::about(Refusal::UnknownCheck, "check"));
        }
        if !view.is_covered_by(ctx.area) {
            return Err(Refused::about(Refusal::OutsideArea, "record"));
        }
        let explained = Explained { check: self.check, explanation: self.explanation, said: ctx.said(self.note) };
        let fact = match view.kind {
            RecordKind::Incident => Fact::IncidentExplained(explained),
            RecordKind::Team => Fact::TeamExplained(explained),
            RecordKind::SupplyPoint => Fact::PointExplained(explained),
            RecordKind::Plan => Fact::PlanExplained(explained),
            RecordKind::Building => Fact::BuildingExplained(explained),
            RecordKind::Hazard | RecordKind::Contact | RecordKind::Unknown => {
                return Err(Refused::about(Refusal::OtherKindOfRecord, "record"));
            }
        };
        Ok(vec![ctx.next(&view, fact)?])
    }
}
