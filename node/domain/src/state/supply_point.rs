//! Supply points: a profile as a document; stock as the sum of its movements.
//!
//! A *bin* is what bears one lot of one item (or no lot). A count says what a bin really held: it replaces all movements
//! that the counter had seen, and those they had not seen come on top. So the balance is the same in any arrival order.
//!
//! What left in a transfer and a receipt with a reference are booked once. What arrives may come in parts: whoever books
//! one more has seen those before it, and two who did not know of each other have booked the same part. What comes in
//! another unit than the item's is set aside: boxes and bottles never add up.

use std::collections::BTreeMap;

use linli_core::id::{EventId, RecordId};
use linli_core::time::Hlc;
use serde::{Deserialize, Serialize};

use super::document::DocumentState;
use super::keys::Keys;
use super::{Context, Held, Recent};
use crate::date::Date;
use crate::events::role::{Booking, Count, Movement, Role};
use crate::record::Rule;

/// A supply point after its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupplyPointState {
    /// Name, address, position, service radius, keeper, minimum per item.
    pub profile: DocumentState,
    /// What is there, by item.
    pub stock: BTreeMap<String, Stock>,
    /// Transfers sent from here.
    pub sent: BTreeMap<RecordId, Transfer>,
    /// Transfers that arrived here.
    pub arrived: BTreeMap<RecordId, Transfer>,
    /// Hashes of the references of receipts, so that the same line of a list is not booked twice.
    pub references: Keys<16>,
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
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    pub lot: Option<String>,
    /// How much, in all its parts.
    pub quantity: i64,
    /// In how many parts. What leaves is one.
    pub parts: u64,
    /// The other point.
    pub other: RecordId,
    /// The event of the first part.
    pub event: EventId,
    /// When, by its author's clock.
    pub time: Hlc,
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
    /// What came in another unit and waits for a count.
    pub aside: Vec<Aside>,
}

/// A movement in another unit than the item's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The event.
    pub event: EventId,
    /// Its unit.
    pub unit: String,
    /// How much of it.
    pub quantity: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    count: Option<EventId>,
    quantity: i64,
}

impl Default for Bin {
    fn default() -> Self {
        Self { expires: None, bases: vec![Base { count: None, quantity: 0 }], aside: Vec::new() }
    }
}

impl Bin {
    /// What is there. Where two counts were made without seeing each other, the lower result is shown: promising what
    /// may not be there is the worse mistake.
    pub fn balance(&self) -> i64 {
        self.bases.iter().map(|base| base.quantity).min().unwrap_or(0)
    }

    /// The counts that stand beside each other, each with what is there if that one is right.
    pub fn counts(&self) -> impl Iterator<Item = (EventId, i64)> + '_ {
        self.bases.iter().filter_map(|base| Some((base.count?, base.quantity)))
    }

    /// Whether counts that stand beside each other disagree.
    pub fn is_disputed(&self) -> bool {
        let mut counts = self.counts();
        let first = counts.next();
        first.is_some_and(|(_, first)| counts.any(|(_, other)| other != first))
    }

    /// Whether it may still leave on a day.
    pub fn is_good(&self, on: Date) -> bool {
        self.expires.is_none_or(|day| day >= on)
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

    /// Books a movement. The unit that was named first is the item's.
    pub(crate) fn book(&mut self, movement: &Movement<'_>, event: EventId) {
        let other_unit = movement.unit.filter(|unit| !self.is_counted_in(unit));
        let bin = self.bins.entry(movement.lot.unwrap_or_default().to_owned()).or_default();
        if let Some(unit) = other_unit {
            bin.aside.push(Aside { event, unit: unit.to_owned(), quantity: movement.delta });
            return;
        }
        // What lies there does not keep longer because more was put beside it.
        bin.expires = match (bin.expires, movement.expires) {
            (Some(here), Some(comes)) if bin.balance() > 0 => Some(here.min(comes)),
            (here, comes) => comes.or(here),
        };
        for base in &mut bin.bases {
            base.quantity = base.quantity.saturating_add(movement.delta);
        }
        if let Some(unit) = movement.unit {
            unit.clone_into(&mut self.unit);
        }
    }

    /// Whether a unit is the item's, or the item has none yet.
    pub fn is_counted_in(&self, unit: &str) -> bool {
        self.unit.is_empty() || self.unit == unit
    }

    /// Books a count: it replaces what its author had seen.
    pub(crate) fn count(&mut self, count: &Count<'_>, ctx: &Context<'_>) {
        let unseen = ctx.unseen().filter_map(|folded| match folded.fact.role() {
            Role::Moves(m) if m.item == count.item && m.lot == count.lot => {
                m.unit.is_none_or(|unit| unit == self.unit).then_some(m.delta)
            }
            _ => None,
        });
        let quantity = unseen.fold(count.quantity, i64::saturating_add);
        let bin = self.bins.entry(count.lot.unwrap_or_default().to_owned()).or_default();
        bin.bases.retain(|base| base.count.is_some_and(|id| !ctx.has_seen(&id)));
        bin.bases.push(Base { count: Some(ctx.stamp.event), quantity });
        bin.aside.retain(|aside| !ctx.has_seen(&aside.event));
    }
}

/// What a bin is called: its item, and its lot if it bears one.
pub fn bin_name(item: &str, lot: Option<&str>) -> String {
    match lot.unwrap_or_default() {
        "" => item.to_owned(),
        lot => format!("{item} · {lot}"),
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

    /// Whether this was booked before. Of what arrives in parts `part` says which one it is for its author, counted from
    /// 1; none for who has seen all that is booked here.
    pub fn has_booked(&self, booking: Booking<'_>, part: Option<u64>) -> bool {
        match booking {
            Booking::Line { reference, item, lot } => self.references.contains(&line_key(reference, item, lot)),
            Booking::Sent(transfer) => self.sent.contains_key(transfer),
            Booking::Arrived(transfer) => part.is_some_and(|part| part <= self.parts_of(transfer)),
        }
    }

    /// In how many parts a transfer has arrived here so far.
    fn parts_of(&self, transfer: &RecordId) -> u64 {
        self.arrived.get(transfer).map_or(0, |arrived| arrived.parts)
    }

    /// Notes a part of a transfer that arrived.
    pub(crate) fn note_arrival(&mut self, transfer: RecordId, part: Transfer) {
        match self.arrived.get_mut(&transfer) {
            Some(arrived) => {
                arrived.quantity = arrived.quantity.saturating_add(part.quantity);
                arrived.parts += part.parts;
            }
            None => drop(self.arrived.insert(transfer, part)),
        }
    }

    /// Remembers the line of a list that a receipt books.
    pub(crate) fn note_line(&mut self, line: Booking<'_>) {
        if let Booking::Line { reference, item, lot } = line {
            self.references.insert(line_key(reference, item, lot));
        }
    }

    /// The rule that a receipt in this unit breaks.
    pub(crate) fn rule_of_unit(&self, item: &str, unit: Option<&str>) -> Option<Rule> {
        let stock = self.stock.get(item)?;
        (!stock.is_counted_in(unit?)).then_some(Rule::OtherUnit)
    }

    /// The rule that taking from this lot breaks, on the day that the author's clock showed in China.
    pub(crate) fn rule_of_expiry(&self, item: &str, lot: Option<&str>, ctx: &Context<'_>) -> Option<Rule> {
        let bin = self.stock.get(item)?.bins.get(lot.unwrap_or_default())?;
        let day = Date::from_unix_ms(ctx.stamp.time.unix_ms(), CHINA_MINUTES)?;
        (!bin.is_good(day)).then_some(Rule::LotExpired)
    }

    /// Books a movement and lists it.
    pub(crate) fn move_stock(&mut self, movement: &Movement<'_>, party: &str, ctx: &Context<'_>) {
        self.stock.entry(movement.item.to_owned()).or_default().book(movement, ctx.stamp.event);
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

/// How far China is ahead of UTC.
const CHINA_MINUTES: i64 = 480;

/// A line of a list as the state keeps it: of one length, however long the texts are. Item and lot are in it as parts of
/// their own, because a list joins them into its reference with a character that may stand in either.
fn line_key(reference: &str, item: &str, lot: Option<&str>) -> [u8; 16] {
    let parts = [reference.as_bytes(), item.as_bytes(), lot.unwrap_or_default().as_bytes()];
    *RecordId::derived("linli/reference/2", &parts).as_bytes()
}
