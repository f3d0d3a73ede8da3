//! Supplies left for another point.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::state::{Context, Held, SupplyPointState};
use super::role::Movement;
use crate::state::supply_point::Transfer;

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
}

impl Applies<SupplyPointState> for SuppliesSent {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Moves(movement) = self.role() {
            state.move_stock(&movement, &self.to_point.to_string(), ctx);
        }
        let value = Transfer {
            transfer: self.transfer,
            item: self.item.clone(),
            lot: self.lot.clone(),
            quantity: self.quantity,
            other: self.to_point,
        };
        state.sent.push(Held { value, stamp: ctx.stamp.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said, record, received};
    use crate::state::{State};

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
        assert_eq!((point.balance("雨衣"), point.sent[0].value.transfer), (3, record(50)));
    }
}
