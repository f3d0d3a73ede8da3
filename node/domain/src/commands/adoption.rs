//! Adopting acts from outside a record's area.

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::guard::may;
use super::{Act, CommandContext, Draft, Refusal, Refused};
use crate::events::Fact;
use crate::events::adopted::Adopted;
use crate::state::RecordKind;

/// Lets acts from outside the record's area count. Whoever does so speaks for the record's area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptActs {
    /// The record.
    pub record: RecordId,
    /// The events to adopt: those that whoever adopts has seen.
    pub events: Vec<EventId>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl AdoptActs {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let view = ctx.any_record("record", &self.record)?;
        may(Act::AdoptActs, &view).map_err(Refused::new)?;
        if !view.is_covered_by(ctx.area) {
            return Err(Refused::about(Refusal::OutsideArea, "record"));
        }
        let waiting: Vec<EventId> = view.outside().collect();
        if self.events.is_empty() || self.events.iter().any(|event| !waiting.contains(event)) {
            return Err(Refused::about(Refusal::NothingToAdopt, "events"));
        }
        let mut events = self.events;
        events.sort_unstable();
        events.dedup();
        let adopted = Adopted { events, said: ctx.said(self.note) };
        let fact = match view.kind {
            RecordKind::Incident => Fact::IncidentAdopted(adopted),
            RecordKind::Team => Fact::TeamAdopted(adopted),
            RecordKind::SupplyPoint => Fact::PointAdopted(adopted),
            RecordKind::Plan => Fact::PlanAdopted(adopted),
            RecordKind::Hazard => Fact::HazardAdopted(adopted),
            RecordKind::Building | RecordKind::Contact | RecordKind::Unknown => {
                return Err(Refused::about(Refusal::OtherKindOfRecord, "record"));
            }
        };
        Ok(vec![ctx.next(&view, fact)?])
    }
}
