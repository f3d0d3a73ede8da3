//! Somebody counted what is really there of one lot, or of what bears no lot.

use serde::{Deserialize, Serialize};

use super::role::Count;
use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::limits;
use crate::state::{Context, SupplyPointState};

/// Somebody counted what is really there of one lot, or of what bears no lot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuppliesCounted {
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// What was found.
    pub quantity: i64,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for SuppliesCounted {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("item", &self.item)?;
        check::optional_line("lot", self.lot.as_deref())?;
        check::range("quantity", self.quantity, 0, limits::QUANTITY_MAX)
    }

    fn role(&self) -> Role<'_> {
        Role::Counts(Count { item: &self.item, lot: self.lot.as_deref(), quantity: self.quantity })
    }
}

impl Applies<SupplyPointState> for SuppliesCounted {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Counts(count) = self.role() {
            state.count_stock(&count, ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{History, counted, issued, received};
    use crate::state::State;

    #[test]
    fn a_count_replaces_the_books_and_movements_go_on_from_it() {
        let history = History::of([received("雨衣", None, 5), counted("雨衣", 3), issued("雨衣", 1)]);
        let State::SupplyPoint(point) = history.view().state else { panic!() };
        assert_eq!(point.balance("雨衣"), 2);
        assert!(counted("雨衣", 0).check().is_ok() && counted("雨衣", -1).check().is_err());
    }
}
