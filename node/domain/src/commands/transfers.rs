//! Commands about what travels between supply points.
//!
//! A transfer arrives at the point that it was sent to, all at once or in parts that together are what was sent. What is
//! known here to be otherwise is refused; what happened over a cut is found by [`crate::crosscheck`].

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::supplies::{Taken, point};
use super::{CommandContext, Draft, Refusal, Refused};
use crate::events::Fact;
use crate::events::supplies_arrived::SuppliesArrived;
use crate::events::supplies_sent::SuppliesSent;
use crate::state::supply_point::Transfer;
use crate::state::{RecordKind, SupplyPointState};
use crate::summary::{Detail, Summary};

/// Sends supplies of one lot to another point. The transfer gets a new id, which the receiver names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendSupplies {
    /// The supply point.
    pub point: RecordId,
    /// Where to.
    pub to_point: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    #[serde(default)]
    pub lot: Option<String>,
    /// How much.
    pub quantity: i64,
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

impl SendSupplies {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = point(ctx, &self.point)?;
        if self.to_point == self.point {
            return Err(Refused::about(Refusal::Itself, "to_point"));
        }
        ctx.record("to_point", &self.to_point, RecordKind::SupplyPoint)?;
        let taken = Taken { item: &self.item, lot: self.lot, quantity: self.quantity };
        let mut parts = taken.draw(&state, ctx.today, self.even_if_short, self.even_if_expired)?;
        // A transfer is one lot, so that its two halves can be compared.
        if parts.len() > 1 {
            let lots: Vec<String> =
                parts.iter().map(|(lot, most)| format!("{} {most}", lot.as_deref().unwrap_or("-"))).collect();
            return Err(Refused::naming(Refusal::OneLot, "quantity", &lots.join("、")));
        }
        let Some((lot, quantity)) = parts.pop() else { return Err(Refused::about(Refusal::NotEnough, "quantity")) };
        let fact = Fact::SuppliesSent(SuppliesSent {
            transfer: ctx.new_id,
            item: self.item,
            lot,
            quantity,
            to_point: self.to_point,
            said: ctx.said(self.note),
        });
        Ok(vec![ctx.next(&view, fact)?])
    }
}

/// Books in what another point has sent: all of it, or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArriveSupplies {
    /// The supply point.
    pub point: RecordId,
    /// Where from.
    pub from_point: RecordId,
    /// The transfer.
    pub transfer: RecordId,
    /// The item, if the sender is not known here.
    #[serde(default)]
    pub item: Option<String>,
    /// The lot, if the sender is not known here.
    #[serde(default)]
    pub lot: Option<String>,
    /// How much arrived, if not all that is still on the way.
    #[serde(default)]
    pub quantity: Option<i64>,
    /// Go on even if this node does not know of the transfer.
    #[serde(default)]
    pub even_if_unknown: bool,
    /// Go on even if more arrived than was sent. The difference is shown until somebody explains it.
    #[serde(default)]
    pub even_if_more: bool,
    /// Anything else worth saying.
    #[serde(default)]
    pub note: Option<String>,
}

impl ArriveSupplies {
    pub(super) fn prepare(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
        let (view, state) = point(ctx, &self.point)?;
        let sender = self.sender(ctx)?;
        let sent = sender.as_ref().and_then(|sender| sender.sent.get(&self.transfer));
        let here = state.arrived.get(&self.transfer);
        let quantity = match sent {
            Some(sent) => self.of_what_was_sent(sent, here)?,
            None => self.of_what_is_unknown(ctx, here)?,
        };
        let item = sent.or(here).map(|known| known.item.clone()).or(self.item);
        let Some(item) = item else { return Err(Refused::missing("item")) };
        let lot = sent.or(here).map_or(self.lot, |known| known.lot.clone());
        let stock = sender.as_ref().and_then(|sender| sender.stock.get(&item));
        let bin = stock.and_then(|stock| stock.bins.get(lot.as_deref().unwrap_or_default()));
        let fact = Fact::SuppliesArrived(SuppliesArrived {
            transfer: self.transfer,
            unit: stock.map(|stock| stock.unit.clone()).filter(|unit| !unit.is_empty()),
            expires: bin.and_then(|bin| bin.expires),
            item,
            lot,
            quantity,
            from_point: self.from_point,
            said: ctx.said(self.note),
        });
        Ok(vec![ctx.next(&view, fact)?])
    }

    /// The point that has sent the transfer here, if that is known; otherwise why it must not be booked in here.
    fn sender(&self, ctx: &CommandContext<'_>) -> Result<Option<Box<SupplyPointState>>, Refused> {
        let sent = |summary: &Summary| match &summary.detail {
            Detail::SupplyPoint { sent, .. } => sent.iter().any(|line| line.transfer == self.transfer),
            _ => false,
        };
        // The point that is named is asked first: an id that is sent from two points is nobody's honest transfer.
        let mut senders: Vec<RecordId> = ctx.views.matching(&sent).iter().map(|summary| summary.id).collect();
        senders.sort_by_key(|sender| (*sender != self.from_point, *sender));
        let Some(sender) = senders.first() else {
            return match self.even_if_unknown {
                true => Ok(None),
                false => Err(Refused::about(Refusal::UnknownTransfer, "transfer")),
            };
        };
        if *sender != self.from_point {
            return Err(Refused::about(Refusal::UnknownTransfer, "from_point"));
        }
        let (_, state) = point(ctx, sender)?;
        match state.sent.get(&self.transfer) {
            Some(sent) if sent.other != self.point => Err(Refused::not_addressee(&title(ctx, &sent.other))),
            _ => Ok(Some(state)),
        }
    }

    /// How much of a known transfer is booked in: no more than is still on the way, unless that is confirmed.
    fn of_what_was_sent(&self, sent: &Transfer, here: Option<&Transfer>) -> Result<i64, Refused> {
        let arrived = here.map_or(0, |here| here.quantity);
        let rest = sent.quantity.saturating_sub(arrived).max(0);
        let asked = self.quantity.unwrap_or(rest);
        match (rest, self.quantity) {
            (_, Some(_)) if self.even_if_more => Ok(asked),
            (0, _) => Err(Refused::arrived_already(arrived, Some(sent.quantity))),
            _ if asked > rest => Err(Refused::more_than_sent(sent.quantity, arrived, asked)),
            _ => Ok(asked),
        }
    }

    /// How much of a transfer is booked in that only the carrier knows of. Whether a second part of it was sent nobody
    /// here can tell.
    fn of_what_is_unknown(&self, ctx: &CommandContext<'_>, here: Option<&Transfer>) -> Result<i64, Refused> {
        let Some(quantity) = self.quantity else { return Err(Refused::missing("quantity")) };
        let arrived_at = |summary: &Summary| match &summary.detail {
            Detail::SupplyPoint { arrived, .. } => arrived.iter().any(|line| line.transfer == self.transfer),
            _ => false,
        };
        if !self.even_if_more && !ctx.views.matching(&arrived_at).is_empty() {
            return Err(Refused::arrived_already(here.map_or(0, |here| here.quantity), None));
        }
        Ok(quantity)
    }
}

/// What people call a record; its id where nothing is known of it.
fn title(ctx: &CommandContext<'_>, record: &RecordId) -> String {
    let found = ctx.views.matching(&|summary| summary.id == *record);
    let named = found.into_iter().map(|summary| summary.title).find(|title| !title.is_empty());
    named.unwrap_or_else(|| record.to_string())
}
