//! Supplies left for another point.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::role::{Booking, Movement};
use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::record::Rule;
use crate::state::supply_point::Transfer;
use crate::state::{Context, SupplyPointState};

/// Supplies left for another point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuppliesSent {
    /// The transfer, named alike at both ends.
    pub transfer: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// How much.
    pub quantity: i64,
    /// The other point.
    pub to_point: RecordId,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for SuppliesSent {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("item", &self.item)?;
        check::optional_line("lot", self.lot.as_deref())?;
        check::quantity("quantity", self.quantity)
    }

    fn role(&self) -> Role<'_> {
        Role::Moves(Movement {
            item: &self.item,
            lot: self.lot.as_deref(),
            delta: -self.quantity,
            unit: None,
            expires: None,
        })
    }

    fn booking(&self) -> Option<Booking<'_>> {
        Some(Booking::Sent(&self.transfer))
    }
}

impl Applies<SupplyPointState> for SuppliesSent {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Moves(movement) = self.role() {
            state.move_stock(&movement, &self.to_point.to_string(), ctx);
        }
        let transfer = Transfer {
            item: self.item.clone(),
            lot: self.lot.clone(),
            quantity: self.quantity,
            parts: 1,
            other: self.to_point,
            event: ctx.stamp.event,
            time: ctx.stamp.time,
        };
        state.sent.insert(self.transfer, transfer);
    }

    fn broken_rule(&self, state: &SupplyPointState, ctx: &Context<'_>) -> Option<Rule> {
        state.rule_of_expiry(&self.item, self.lot.as_deref(), ctx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, received, record, said};
    use crate::state::State;

    #[test]
    fn a_transfer_leaves_the_sender_and_is_remembered() {
        let sent = Fact::SuppliesSent(SuppliesSent {
            transfer: record(50),
            item: "雨衣".to_owned(),
            lot: None,
            quantity: 2,
            to_point: record(2),
            said: said("仓管"),
        });
        let State::SupplyPoint(point) = History::of([received("雨衣", None, 5), sent]).view().state else { panic!() };
        assert_eq!((point.balance("雨衣"), point.sent[&record(50)].quantity), (3, 2));
    }
}
