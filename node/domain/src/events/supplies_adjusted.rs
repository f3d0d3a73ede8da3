//! Stock was lost, damaged, expired or found again.

use serde::{Deserialize, Serialize};

use super::role::Movement;
use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::limits;
use crate::state::{Context, SupplyPointState};

/// Stock was lost, damaged, expired or found again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuppliesAdjusted {
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// The change: negative, except for what was found.
    pub delta: i64,
    /// Why.
    pub reason: AdjustReason,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// Why stock was adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustReason {
    /// Gone.
    Lost,
    /// Broken.
    Damaged,
    /// Past its last day.
    Expired,
    /// Turned up again.
    Found,
}

impl AdjustReason {
    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Lost => "丢失",
            Self::Damaged => "损坏",
            Self::Expired => "过期",
            Self::Found => "找回",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Damaged => "damaged",
            Self::Expired => "expired",
            Self::Found => "found",
        }
    }
}

impl Fields for SuppliesAdjusted {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("item", &self.item)?;
        check::optional_line("lot", self.lot.as_deref())?;
        match self.reason {
            AdjustReason::Found => check::range("delta", self.delta, 1, limits::QUANTITY_MAX),
            AdjustReason::Lost | AdjustReason::Damaged | AdjustReason::Expired => {
                check::range("delta", self.delta, -limits::QUANTITY_MAX, -1)
            }
        }
    }

    fn role(&self) -> Role<'_> {
        Role::Moves(Movement {
            item: &self.item,
            lot: self.lot.as_deref(),
            delta: self.delta,
            unit: None,
            expires: None,
        })
    }
}

impl Applies<SupplyPointState> for SuppliesAdjusted {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        if let Role::Moves(movement) = self.role() {
            state.move_stock(&movement, self.reason.zh(), ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, received, said};
    use crate::state::State;

    #[test]
    fn losses_are_negative_and_findings_are_positive() {
        let adjusted = |delta, reason| {
            Fact::SuppliesAdjusted(SuppliesAdjusted {
                item: "雨衣".to_owned(),
                lot: None,
                delta,
                reason,
                said: said("仓管"),
            })
        };
        let history = History::of([
            received("雨衣", None, 5),
            adjusted(-2, AdjustReason::Lost),
            adjusted(1, AdjustReason::Found),
        ]);
        let State::SupplyPoint(point) = history.view().state else { panic!() };
        assert_eq!(point.balance("雨衣"), 4);
        assert!(adjusted(2, AdjustReason::Lost).check().is_err() && adjusted(-1, AdjustReason::Found).check().is_err());
    }
}
