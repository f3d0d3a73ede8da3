//! Supplies came in from outside.

use serde::{Deserialize, Serialize};

use super::role::{Booking, Movement};
use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::record::Rule;
use crate::state::{Context, SupplyPointState};

/// Supplies came in from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuppliesReceived {
    /// The item.
    pub item: String,
    /// What it is counted in.
    pub unit: String,
    /// The lot, if it bears one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// The lot's last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// How much.
    pub quantity: i64,
    /// From whom.
    pub from: String,
    /// Names the line of an import, so that it is booked once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for SuppliesReceived {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("item", &self.item)?;
        check::optional_line("lot", self.lot.as_deref())?;
        check::quantity("quantity", self.quantity)?;
        check::line("unit", &self.unit)?;
        check::line("from", &self.from)?;
        check::optional_line("reference", self.reference.as_deref())
    }

    fn role(&self) -> Role<'_> {
        Role::Moves(Movement {
            item: &self.item,
            lot: self.lot.as_deref(),
            delta: self.quantity,
            unit: Some(&self.unit),
            expires: self.expires,
        })
    }

    fn booking(&self) -> Option<Booking<'_>> {
        self.line()
    }
}

impl Applies<SupplyPointState> for SuppliesReceived {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Moves(movement) = self.role() {
            state.move_stock(&movement, &self.from, ctx);
        }
        if let Some(line) = self.line() {
            state.note_line(line);
        }
    }

    fn broken_rule(&self, state: &SupplyPointState, _ctx: &Context<'_>) -> Option<Rule> {
        state.rule_of_unit(&self.item, Some(&self.unit))
    }
}

impl SuppliesReceived {
    /// The line of a list that it books.
    fn line(&self) -> Option<Booking<'_>> {
        let (item, lot) = (self.item.as_str(), self.lot.as_deref());
        self.reference.as_deref().map(|reference| Booking::Line { reference, item, lot })
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{History, received};
    use crate::state::State;

    #[test]
    fn what_comes_in_is_there_with_its_lot() {
        let view = History::of([received("沙袋", Some("甲"), 40), received("沙袋", None, 2)]).view();
        let State::SupplyPoint(point) = view.state else { panic!() };
        assert_eq!((point.balance("沙袋"), point.stock["沙袋"].bins["甲"].balance()), (42, 40));
        assert_eq!((point.stock["沙袋"].unit.as_str(), point.movements.total), ("个", 2));
        assert!(received("沙袋", None, 0).check().is_err() && received("沙袋", None, i64::MAX).check().is_err());
    }
}
