//! Supplies arrived from another point: all that was sent, or a part of it.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::role::{Booking, Movement};
use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::record::Rule;
use crate::state::supply_point::Transfer;
use crate::state::{Context, SupplyPointState};

/// Supplies arrived from another point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuppliesArrived {
    /// The transfer, named alike at both ends.
    pub transfer: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// What it is counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The lot's last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// How much.
    pub quantity: i64,
    /// The other point.
    pub from_point: RecordId,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for SuppliesArrived {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("item", &self.item)?;
        check::optional_line("lot", self.lot.as_deref())?;
        check::optional_line("unit", self.unit.as_deref())?;
        check::quantity("quantity", self.quantity)
    }

    fn role(&self) -> Role<'_> {
        Role::Moves(Movement {
            item: &self.item,
            lot: self.lot.as_deref(),
            delta: self.quantity,
            unit: self.unit.as_deref(),
            expires: self.expires,
        })
    }

    fn booking(&self) -> Option<Booking<'_>> {
        Some(Booking::Arrived(&self.transfer))
    }
}

impl Applies<SupplyPointState> for SuppliesArrived {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Moves(movement) = self.role() {
            state.move_stock(&movement, &self.from_point.to_string(), ctx);
        }
        let part = Transfer {
            item: self.item.clone(),
            lot: self.lot.clone(),
            quantity: self.quantity,
            parts: 1,
            other: self.from_point,
            event: ctx.stamp.event,
            time: ctx.stamp.time,
        };
        state.note_arrival(self.transfer, part);
    }

    fn broken_rule(&self, state: &SupplyPointState, _ctx: &Context<'_>) -> Option<Rule> {
        state.rule_of_unit(&self.item, self.unit.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, record, said};
    use crate::state::State;

    #[test]
    fn a_transfer_arrives_with_its_unit_and_last_day() {
        let arrived = Fact::SuppliesArrived(SuppliesArrived {
            transfer: record(50),
            item: "饼干".to_owned(),
            lot: Some("乙".to_owned()),
            unit: Some("箱".to_owned()),
            expires: Some("2027-01-01".parse().unwrap()),
            quantity: 2,
            from_point: record(2),
            said: said("仓管"),
        });
        let State::SupplyPoint(point) = History::of([arrived]).view().state else { panic!() };
        assert_eq!((point.balance("饼干"), point.stock["饼干"].unit.as_str()), (2, "箱"));
        assert_eq!(point.stock["饼干"].bins["乙"].expires.unwrap().to_string(), "2027-01-01");
        assert_eq!(point.arrived[&record(50)].other, record(2));
    }
}
