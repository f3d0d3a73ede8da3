//! Supply points: a profile as a document; stock as the sum of its movements.
//!
//! A *bin* is what bears one lot of one item (or no lot). A count says what a bin really held: it replaces all movements
//! that the counter had seen, and those they had not seen come on top. So the balance is the same in any arrival order.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::document::DocumentState;
use super::{Context, Held, Recent};
use crate::date::Date;
use crate::events::role::{Count, Movement, Role};

/// A supply point after its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupplyPointState {
    /// Name, address, position, service radius, keeper, minimum per item.
    pub profile: DocumentState,
    /// What is there, by item.
    pub stock: BTreeMap<String, Stock>,
    /// Transfers sent from here.
    pub sent: Vec<Held<Transfer>>,
    /// Transfers that arrived here.
    pub arrived: Vec<Held<Transfer>>,
    /// References of receipts, so that an import does not book the same line twice.
    pub references: BTreeSet<String>,
    /// The latest movements and counts, in fold order.
    pub movements: Recent<Held<Entry>>,
}

/// A line of the movements: what changed, and by how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The verb.
    pub kind: String,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    pub lot: Option<String>,
    /// The change, or for a count the quantity that was found.
    pub quantity: i64,
    /// From or to whom or where, or why.
    pub party: String,
}

/// One half of a transfer as one point knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The transfer.
    pub transfer: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    pub lot: Option<String>,
    /// How much.
    pub quantity: i64,
    /// The other point.
    pub other: RecordId,
}

/// An item at a point.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stock {
    /// The unit it is counted in.
    pub unit: String,
    /// By lot; the empty text for what bears none.
    pub bins: BTreeMap<String, Bin>,
}

/// One lot of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bin {
    /// Its last day.
    pub expires: Option<Date>,
    /// What is there, once for each count that no other count has replaced.
    bases: Vec<Base>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    count: Option<EventId>,
    quantity: i64,
}

impl Default for Bin {
    fn default() -> Self {
        Self { expires: None, bases: vec![Base { count: None, quantity: 0 }] }
    }
}

impl Bin {
    /// What is there. Where two counts were made without seeing each other, the lower result is shown: promising what
    /// may not be there is the worse mistake.
    pub fn balance(&self) -> i64 {
        self.bases.iter().map(|base| base.quantity).min().unwrap_or(0)
    }

    /// How many counts stand beside each other.
    pub fn counts(&self) -> usize {
        self.bases.iter().filter(|base| base.count.is_some()).count()
    }
}

impl Stock {
    /// What is there in all lots.
    pub fn balance(&self) -> i64 {
        self.bins.values().map(Bin::balance).fold(0, i64::saturating_add)
    }

    /// Lots in the order in which they should leave: first to expire first, what never expires last.
    pub fn lots_by_expiry(&self) -> Vec<(&str, &Bin)> {
        let mut lots: Vec<_> = self.bins.iter().map(|(lot, bin)| (lot.as_str(), bin)).collect();
        lots.sort_by_key(|(lot, bin)| (bin.expires.is_none(), bin.expires, *lot));
        lots
    }

    /// Books a movement.
    pub(crate) fn book(&mut self, movement: &Movement<'_>) {
        if let Some(unit) = movement.unit {
            unit.clone_into(&mut self.unit);
        }
        let bin = self.bins.entry(movement.lot.unwrap_or_default().to_owned()).or_default();
        bin.expires = movement.expires.or(bin.expires);
        for base in &mut bin.bases {
            base.quantity = base.quantity.saturating_add(movement.delta);
        }
    }

    /// Books a count: it replaces what its author had seen.
    pub(crate) fn count(&mut self, count: &Count<'_>, ctx: &Context<'_>) {
        let unseen = ctx.unseen().filter_map(|folded| match folded.fact.role() {
            Role::Moves(m) if m.item == count.item && m.lot == count.lot => Some(m.delta),
            _ => None,
        });
        let quantity = unseen.fold(count.quantity, i64::saturating_add);
        let bin = self.bins.entry(count.lot.unwrap_or_default().to_owned()).or_default();
        bin.bases.retain(|base| base.count.is_some_and(|id| !ctx.has_seen(&id)));
        bin.bases.push(Base { count: Some(ctx.stamp.event), quantity });
    }
}

impl SupplyPointState {
    /// What is there of an item.
    pub fn balance(&self, item: &str) -> i64 {
        self.stock.get(item).map_or(0, Stock::balance)
    }

    /// The least that should be there of an item, as the profile says.
    pub fn minimum(&self, item: &str) -> Option<i64> {
        self.profile.rendered.lists.get("minimums")?.get(item)?.get("quantity")?.parse().ok()
    }

    /// Books a movement and lists it.
    pub(crate) fn move_stock(&mut self, movement: &Movement<'_>, party: &str, ctx: &Context<'_>) {
        self.stock.entry(movement.item.to_owned()).or_default().book(movement);
        self.list(movement.item, movement.lot, movement.delta, party, ctx);
    }

    /// Books a count and lists it.
    pub(crate) fn count_stock(&mut self, count: &Count<'_>, ctx: &Context<'_>) {
        self.stock.entry(count.item.to_owned()).or_default().count(count, ctx);
        self.list(count.item, count.lot, count.quantity, "", ctx);
    }

    fn list(&mut self, item: &str, lot: Option<&str>, quantity: i64, party: &str, ctx: &Context<'_>) {
        let value = Entry {
            kind: ctx.kind.to_owned(),
            item: item.to_owned(),
            lot: lot.map(str::to_owned),
            quantity,
            party: party.to_owned(),
        };
        self.movements.push(Held { value, stamp: ctx.stamp.clone() });
    }
}
