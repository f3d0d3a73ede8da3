//! Settling a conflict of a record.

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::supplies::in_a_row;
use super::{CommandContext, Draft, Refusal, Refused};
use crate::conflict::{Conflict, ConflictClass};
use crate::events::Fact;
use crate::events::settled::Settled;
use crate::events::supplies_counted::SuppliesCounted;
use crate::record::RecordView;
use crate::state::supply_point::bin_name;
use crate::state::{RecordKind, State};

/// Settles a conflict: which of its events holds, and why. What is about stock is settled by counting: no side of it is
/// right, and only what was found says what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleConflict {
    /// The record.
    pub record: RecordId,
    /// The conflict.
    pub conflict: RecordId,
    /// The event that holds; none when all of them do.
    #[serde(default)]
    pub keep: Option<EventId>,
    /// What was counted, for a conflict about stock.
    #[serde(default)]
    pub counted: Option<i64>,
    /// The record's heads that whoever decides had seen; the present ones if absent. What came since is concurrent to
    /// the decision, and added to the count.
    #[serde(default)]
    pub heads: Option<Vec<EventId>>,
    /// What was decided, in words.
    pub decision: String,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl SettleConflict {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let view = ctx.any_record("record", &self.record)?;
        let conflict = view.conflicts.iter().find(|conflict| conflict.id == self.conflict);
        let Some(conflict) = conflict else { return Err(Refused::about(Refusal::UnknownConflict, "conflict")) };
        if !Conflict::is_open(conflict) {
            return Err(Refused::about(Refusal::AlreadySettled, "conflict"));
        }
        // Whoever has not seen all sides of a conflict cannot settle it.
        let seen = ctx.seen(&view, self.heads.as_deref())?;
        if !seen.conflicts.iter().any(|shown| shown.id == self.conflict) {
            return Err(Refused::about(Refusal::UnknownHeads, "heads"));
        }
        let count = self.count(ctx, &seen, conflict)?;
        if self.keep.is_some_and(|keep| !conflict.events.contains(&keep)) {
            return Err(Refused::about(Refusal::InvalidField, "keep"));
        }
        let said = ctx.said(self.note);
        let settled = Settled { conflict: self.conflict, keep: self.keep, decision: self.decision, said };
        let fact = match view.kind {
            RecordKind::Incident => Fact::IncidentSettled(settled),
            RecordKind::Team => Fact::TeamSettled(settled),
            RecordKind::SupplyPoint => Fact::SuppliesSettled(settled),
            RecordKind::Plan => Fact::PlanSettled(settled),
            RecordKind::Hazard => Fact::HazardSettled(settled),
            RecordKind::Building | RecordKind::Contact | RecordKind::Unknown => {
                return Err(Refused::about(Refusal::UnknownConflict, "conflict"));
            }
        };
        in_a_row(ctx, &seen, &view, count.into_iter().chain([fact]))
    }

    /// The count that settles a conflict about stock. None is needed where the books are right again already.
    fn count(&self, ctx: &CommandContext<'_>, view: &RecordView, conflict: &Conflict) -> Result<Option<Fact>, Refused> {
        let State::SupplyPoint(point) = &view.state else {
            return self.counted.map_or(Ok(None), |_| Err(Refused::about(Refusal::InvalidField, "counted")));
        };
        if !conflict.class.asks_for_a_count() {
            return Ok(None);
        }
        if self.keep.is_some() {
            return Err(Refused::about(Refusal::CountInstead, "keep"));
        }
        let bins =
            point.stock.iter().flat_map(|(item, stock)| stock.bins.iter().map(move |(lot, bin)| (item, lot, bin)));
        let wrong: Vec<(&String, &String)> = bins
            .filter(|(item, lot, bin)| match conflict.class {
                ConflictClass::TwoCounts => bin_name(item, Some(lot)) == conflict.subject && bin.is_disputed(),
                ConflictClass::TwoUnits => **item == conflict.subject && !bin.aside.is_empty(),
                _ => **item == conflict.subject && bin.balance() < 0,
            })
            .map(|(item, lot, _)| (item, lot))
            .collect();
        match (wrong.as_slice(), self.counted) {
            ([], None) => Ok(None),
            ([(item, lot)], Some(quantity)) => Ok(Some(Fact::SuppliesCounted(SuppliesCounted {
                item: (*item).clone(),
                lot: Some((*lot).clone()).filter(|lot| !lot.is_empty()),
                quantity,
                said: ctx.said(Some(self.decision.clone())),
            }))),
            ([], Some(_)) => Err(Refused::about(Refusal::InvalidField, "counted")),
            ([_], None) => Err(Refused::about(Refusal::CountInstead, "counted")),
            _ => Err(Refused::about(Refusal::CountEachLot, "counted")),
        }
    }
}
