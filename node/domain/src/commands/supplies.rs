//! Commands about supply points and stock. What travels between points: [`super::transfers`].

use std::collections::BTreeMap;

use linli_core::area::Area;
use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::{CommandContext, Draft, Refusal, Refused, check_cleared, document_of, is_cleared, set, set_or_clear};
use crate::check;
use crate::date::Date;
use crate::documents::Edit;
use crate::events::Fact;
use crate::events::role::Booking;
use crate::events::supplies_adjusted::{AdjustReason, SuppliesAdjusted};
use crate::events::supplies_counted::SuppliesCounted;
use crate::events::supplies_issued::SuppliesIssued;
use crate::events::supplies_received::SuppliesReceived;
use crate::limits;
use crate::record::RecordView;
use crate::state::document::{ChangeHash, DocumentState};
use crate::state::{RecordKind, State, SupplyPointState};

/// What can be emptied in a supply point's profile.
const POINT_FIELDS: [&str; 6] = ["address", "lat_e7", "lon_e7", "service_radius_m", "keeper", "minimums"];

/// Begins a supply point, or brings an imported one up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormPoint {
    /// An id from an import; a new one otherwise.
    #[serde(default)]
    pub record: Option<RecordId>,
    /// Where it is, if not the whole area of the node.
    #[serde(default)]
    pub area: Option<Area>,
    /// What people call it.
    pub name: String,
    /// Its address.
    #[serde(default)]
    pub address: Option<String>,
    /// Latitude in ten-millionths of a degree.
    #[serde(default)]
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    #[serde(default)]
    pub lon_e7: Option<i64>,
    /// How far it serves, in metres.
    #[serde(default)]
    pub service_radius_m: Option<i64>,
    /// Who keeps it, by post.
    #[serde(default)]
    pub keeper: Option<String>,
    /// The least that should be there, by item.
    #[serde(default)]
    pub minimums: BTreeMap<String, i64>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl FormPoint {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (record, view) = ctx.begun(self.record, RecordKind::SupplyPoint)?;
        let profile = Profile {
            name: Some(self.name),
            address: self.address,
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
            service_radius_m: self.service_radius_m,
            keeper: self.keeper,
            minimums: self.minimums,
        };
        let Some(mut edited) = ctx.change(document_of(view.as_ref()), profile.edits(&[])?)? else {
            return Ok(Vec::new());
        };
        edited.said.note = self.note;
        Ok(vec![ctx.first_or_next(record, view.as_ref(), self.area.as_ref(), Fact::PointEdited(edited))?])
    }
}

/// Changes a supply point's profile. What is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPoint {
    /// The supply point.
    pub point: RecordId,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Its address.
    #[serde(default)]
    pub address: Option<String>,
    /// Latitude in ten-millionths of a degree.
    #[serde(default)]
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    #[serde(default)]
    pub lon_e7: Option<i64>,
    /// How far it serves, in metres.
    #[serde(default)]
    pub service_radius_m: Option<i64>,
    /// Who keeps it, by post.
    #[serde(default)]
    pub keeper: Option<String>,
    /// The least that should be there, by item.
    #[serde(default)]
    pub minimums: BTreeMap<String, i64>,
    /// Fields to empty, such as `keeper`. With `minimums` among them, items that are not given lose their minimum.
    #[serde(default)]
    pub clear: Vec<String>,
    /// The heads of the profile that was changed; the present one if absent. What others changed since stays.
    #[serde(default)]
    pub heads: Option<Vec<ChangeHash>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl SetPoint {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = point(ctx, &self.point)?;
        let profile = Profile {
            name: self.name,
            address: self.address,
            lat_e7: self.lat_e7,
            lon_e7: self.lon_e7,
            service_radius_m: self.service_radius_m,
            keeper: self.keeper,
            minimums: self.minimums,
        };
        check_cleared(&self.clear, &POINT_FIELDS)?;
        let document = document_of(Some(&view));
        let mut edits = profile.edits(&self.clear)?;
        if is_cleared(&self.clear, "minimums") {
            edits.extend(minimums_not_in(&edits, document));
        }
        let changed = ctx.change_since(document, self.heads, edits)?;
        let Some(mut edited) = changed else { return Ok(Vec::new()) };
        edited.said.note = self.note;
        Ok(vec![ctx.next(&view, Fact::PointEdited(edited))?])
    }
}

/// Books supplies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiveSupplies {
    /// The supply point.
    pub point: RecordId,
    /// The item.
    pub item: String,
    /// What it is counted in.
    pub unit: String,
    /// The lot, if it bears one.
    #[serde(default)]
    pub lot: Option<String>,
    /// The lot's last day.
    #[serde(default)]
    pub expires: Option<Date>,
    /// How much.
    pub quantity: i64,
    /// From whom.
    pub from: String,
    /// Names the line of an import: what bears a name that is booked already is not booked again.
    #[serde(default)]
    pub reference: Option<String>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ReceiveSupplies {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = point(ctx, &self.point)?;
        let (item, lot) = (self.item.as_str(), self.lot.as_deref());
        let line = self.reference.as_deref().map(|reference| Booking::Line { reference, item, lot });
        if line.is_some_and(|line| state.has_booked(line, None)) {
            return Ok(Vec::new());
        }
        if state.rule_of_unit(&self.item, Some(&self.unit)).is_some() {
            let unit = state.stock.get(&self.item).map(|stock| stock.unit.clone()).unwrap_or_default();
            return Err(Refused::naming(Refusal::OtherUnit, "unit", &unit));
        }
        let fact = Fact::SuppliesReceived(SuppliesReceived {
            item: self.item,
            unit: self.unit,
            lot: self.lot,
            expires: self.expires,
            quantity: self.quantity,
            from: self.from,
            reference: self.reference,
            said: ctx.said(self.note),
        });
        Ok(vec![ctx.next(&view, fact)?])
    }
}

/// Hands supplies out. Without a lot, first to expire goes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueSupplies {
    /// The supply point.
    pub point: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(default)]
    pub lot: Option<String>,
    /// How much.
    pub quantity: i64,
    /// To whom.
    pub to: String,
    /// For which incident.
    #[serde(default)]
    pub incident: Option<RecordId>,
    /// Go on even if the books show less than that.
    #[serde(default)]
    pub even_if_short: bool,
    /// Go on even if the lot that is named has expired.
    #[serde(default)]
    pub even_if_expired: bool,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl IssueSupplies {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = point(ctx, &self.point)?;
        if let Some(incident) = &self.incident {
            ctx.record("incident", incident, RecordKind::Incident)?;
        }
        let taken = Taken { item: &self.item, lot: self.lot, quantity: self.quantity };
        let parts = taken.draw(&state, ctx.today, self.even_if_short, self.even_if_expired)?;
        let facts = parts.into_iter().map(|(lot, quantity)| {
            Fact::SuppliesIssued(SuppliesIssued {
                item: self.item.clone(),
                lot,
                quantity,
                to: self.to.clone(),
                incident: self.incident,
                said: ctx.said(self.note.clone()),
            })
        });
        in_a_row(ctx, &view, &view, facts)
    }
}

/// Enters what was counted of one lot, or of what bears no lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountSupplies {
    /// The supply point.
    pub point: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(default)]
    pub lot: Option<String>,
    /// What was found.
    pub quantity: i64,
    /// The record's heads when the counting began; the present ones if absent. What came since is added to the count.
    #[serde(default)]
    pub heads: Option<Vec<EventId>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl CountSupplies {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, _) = point(ctx, &self.point)?;
        let seen = ctx.seen(&view, self.heads.as_deref())?;
        let said = ctx.said(self.note);
        let counted = SuppliesCounted { item: self.item, lot: self.lot, quantity: self.quantity, said };
        Ok(vec![ctx.next_after(&seen, &view, Fact::SuppliesCounted(counted))?])
    }
}

/// Books what was lost, damaged, expired or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustSupplies {
    /// The supply point.
    pub point: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(default)]
    pub lot: Option<String>,
    /// The change: negative, except for what was found.
    pub delta: i64,
    /// Why.
    pub reason: AdjustReason,
    /// Go on even if the books show less than that.
    #[serde(default)]
    pub even_if_short: bool,
    /// The record's heads that whoever says so had seen; the present ones if absent.
    #[serde(default)]
    pub heads: Option<Vec<EventId>>,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl AdjustSupplies {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = point(ctx, &self.point)?;
        let known = lot_balance(&state, &self.item, self.lot.as_deref());
        if self.delta < 0 && known.saturating_add(self.delta) < 0 && !self.even_if_short {
            return Err(Refused::not_enough("delta", &self.item, known, self.delta.saturating_neg()));
        }
        let seen = ctx.seen(&view, self.heads.as_deref())?;
        let said = ctx.said(self.note);
        let fact = SuppliesAdjusted { item: self.item, lot: self.lot, delta: self.delta, reason: self.reason, said };
        Ok(vec![ctx.next_after(&seen, &view, Fact::SuppliesAdjusted(fact))?])
    }
}

/// What is asked to stand in a point's profile.
struct Profile {
    name: Option<String>,
    address: Option<String>,
    lat_e7: Option<i64>,
    lon_e7: Option<i64>,
    service_radius_m: Option<i64>,
    keeper: Option<String>,
    minimums: BTreeMap<String, i64>,
}

impl Profile {
    fn edits(self, clear: &[String]) -> Result<Vec<Edit>, Refused> {
        self.check().map_err(Refused::field)?;
        let mut edits = Vec::new();
        let number = |n: Option<i64>| n.map(|n| n.to_string());
        set(&mut edits, "name", self.name);
        for (key, value) in [
            ("address", self.address),
            ("lat_e7", number(self.lat_e7)),
            ("lon_e7", number(self.lon_e7)),
            ("service_radius_m", number(self.service_radius_m)),
            ("keeper", self.keeper),
        ] {
            set_or_clear(&mut edits, key, value, is_cleared(clear, key));
        }
        edits.extend(self.minimums.into_iter().map(|(key, quantity)| Edit::SetItem {
            list: "minimums".to_owned(),
            key,
            fields: BTreeMap::from([("quantity".to_owned(), quantity.to_string())]),
        }));
        Ok(edits)
    }

    fn check(&self) -> Result<(), check::Invalid> {
        check::optional_line("name", self.name.as_deref())?;
        check::optional_line("address", self.address.as_deref())?;
        check::optional_line("keeper", self.keeper.as_deref())?;
        check::position(self.lat_e7, self.lon_e7)?;
        check::range("service_radius_m", self.service_radius_m.unwrap_or(0), 0, limits::RADIUS_M_MAX)?;
        let mut minimums = self.minimums.values();
        minimums.try_for_each(|quantity| check::range("minimums", *quantity, 0, limits::QUANTITY_MAX))
    }
}

/// Takes away every minimum that these edits do not set.
fn minimums_not_in(edits: &[Edit], document: Option<&DocumentState>) -> Vec<Edit> {
    let set = |item: &String| edits.iter().any(|edit| matches!(edit, Edit::SetItem { key, .. } if key == item));
    let there = document.and_then(|document| document.list("minimums")).into_iter().flat_map(BTreeMap::keys);
    let gone = there.filter(|item| !set(item));
    gone.map(|key| Edit::RemoveItem { list: "minimums".to_owned(), key: key.clone() }).collect()
}

/// A supply point, named by a field of the command.
pub(super) fn point(ctx: &CommandContext<'_>, id: &RecordId) -> Result<(RecordView, Box<SupplyPointState>), Refused> {
    let view = ctx.record("point", id, RecordKind::SupplyPoint)?;
    match view.state.clone() {
        State::SupplyPoint(state) => Ok((view, state)),
        _ => Err(Refused::about(Refusal::OtherKindOfRecord, "point")),
    }
}

fn lot_balance(state: &SupplyPointState, item: &str, lot: Option<&str>) -> i64 {
    let bin = state.stock.get(item).and_then(|stock| stock.bins.get(lot.unwrap_or_default()));
    bin.map_or(0, crate::state::supply_point::Bin::balance)
}

/// What is to leave a point.
pub(super) struct Taken<'a> {
    pub item: &'a str,
    pub lot: Option<String>,
    pub quantity: i64,
}

impl Taken<'_> {
    /// From which lots it is taken: the one asked for, or those that have not expired, in the order in which they do. What
    /// the books do not show is refused, or, if confirmed, taken from the last lot, so that the shortfall is seen where it
    /// is counted.
    pub(super) fn draw(
        self,
        state: &SupplyPointState,
        today: Date,
        even_if_short: bool,
        even_if_expired: bool,
    ) -> Result<Vec<(Option<String>, i64)>, Refused> {
        let Taken { item, lot, quantity } = self;
        check::quantity("quantity", quantity).map_err(Refused::field)?;
        let lots = state.stock.get(item).map(|stock| stock.lots_by_expiry()).unwrap_or_default();
        let good: Vec<_> = lots.iter().filter(|(_, bin)| bin.is_good(today)).collect();
        let named = lot.as_deref().and_then(|lot| lots.iter().find(|(name, _)| *name == lot));
        if named.is_some_and(|(_, bin)| !bin.is_good(today)) && !even_if_expired {
            return Err(Refused::about(Refusal::LotExpired, "lot"));
        }
        // A lot that is overdrawn has to be made good by the others, so the whole is the bound for each of them.
        let in_good = || good.iter().map(|(_, bin)| bin.balance()).fold(0, i64::saturating_add);
        let known = match lot.as_deref() {
            Some(lot) => lot_balance(state, item, Some(lot)).min(state.balance(item)),
            None => in_good().min(state.balance(item)),
        };
        if known < quantity && !even_if_short {
            return Err(Refused::not_enough("quantity", item, known, quantity));
        }
        if lot.is_some() {
            return Ok(vec![(lot, quantity)]);
        }
        let (mut parts, mut left): (Vec<(Option<String>, i64)>, i64) = (Vec::new(), quantity);
        for (lot, bin) in good {
            let take = bin.balance().min(left);
            if take > 0 {
                parts.push(((!lot.is_empty()).then(|| (*lot).to_owned()), take));
                left -= take;
            }
        }
        match parts.last_mut() {
            Some((_, last)) => *last = last.saturating_add(left),
            None => parts.push((None, left)),
        }
        Ok(parts)
    }
}

/// Several facts about one record, by somebody who had seen what `seen` shows of it: each follows the one before, so that
/// they never look concurrent.
pub(super) fn in_a_row(
    ctx: &CommandContext<'_>,
    seen: &RecordView,
    view: &RecordView,
    facts: impl IntoIterator<Item = Fact>,
) -> Result<Vec<Draft>, Refused> {
    let drafts: Result<Vec<Draft>, Refused> = facts.into_iter().map(|fact| ctx.next_after(seen, view, fact)).collect();
    let mut drafts = drafts?.into_iter();
    Ok(drafts.next().into_iter().chain(drafts.map(Draft::following)).collect())
}
