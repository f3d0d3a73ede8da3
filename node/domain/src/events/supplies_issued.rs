//! Supplies were handed out.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::role::Movement;
use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::record::Rule;
use crate::state::{Context, SupplyPointState};

/// Supplies were handed out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuppliesIssued {
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// How much.
    pub quantity: i64,
    /// To whom.
    pub to: String,
    /// For which incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<RecordId>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for SuppliesIssued {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("item", &self.item)?;
        check::optional_line("lot", self.lot.as_deref())?;
        check::quantity("quantity", self.quantity)?;
        check::line("to", &self.to)
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

impl Applies<SupplyPointState> for SuppliesIssued {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Moves(movement) = self.role() {
            state.move_stock(&movement, &self.to, ctx);
        }
    }

    fn broken_rule(&self, state: &SupplyPointState, ctx: &Context<'_>) -> Option<Rule> {
        state.rule_of_expiry(&self.item, self.lot.as_deref(), ctx)
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{History, issued, received};
    use crate::state::State;

    #[test]
    fn what_goes_out_is_gone() {
        let State::SupplyPoint(point) = History::of([received("雨衣", None, 5), issued("雨衣", 2)]).view().state
        else {
            panic!()
        };
        assert_eq!(point.balance("雨衣"), 3);
        assert_eq!(point.movements.latest[1].value.quantity, -2);
        assert!(issued("雨衣", -1).check().is_err());
    }
}
