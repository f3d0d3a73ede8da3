//! The view of one record: what every node shows of it, equal wherever the same events are.

use std::collections::BTreeSet;

use linli_core::area::Area;
use linli_core::charter::Refusal;
use linli_core::event::domain_hash;
use linli_core::id::{EventId, RecordId};
use linli_core::time::Hlc;
use serde::{Deserialize, Serialize};

use crate::act::ActId;
use crate::conflict::Conflict;
use crate::fold::ActRun;
use crate::fold::covers;
use crate::payload::{self, DecodeError, EncodeError};
use crate::state::keys::Keys;
use crate::state::{Held, Recent, RecordKind, State, StateWord};

/// Version of views and summaries. Raise it with any change of what they say or how: what another version left behind is
/// folded anew. A test holds it against the bytes of known histories.
pub const VIEWS_VERSION: u64 = 4;

/// A record after its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordView {
    /// The record.
    pub record: RecordId,
    /// Where it was begun first.
    pub area: Area,
    /// The smallest areas where it was begun, ascending, mostly just one: an act counts for one of them or a larger one.
    pub areas: Vec<Area>,
    /// The act that began it, if that act has an id.
    pub begun_by: Option<ActId>,
    /// What it is: decided by its first event in fold order.
    pub kind: RecordKind,
    /// Heads, ascending: the parents of the next event. Of more than eight the latest eight.
    pub heads: Vec<EventId>,
    /// How many heads there are.
    pub head_count: u64,
    /// Events that count.
    pub event_count: u64,
    /// The latest time of an event that counts.
    pub last_time: Hlc,
    /// What it looks like.
    pub state: State,
    /// Contradictions, by id. Settled ones stay.
    pub conflicts: Vec<Conflict>,
    /// Events whose acts break a rule; they stand, marked.
    pub marks: Recent<Mark>,
    /// Events that say again what another one said. They have no effect.
    pub repeated: Recent<Repeated>,
    /// A few bits of every act that counts. Equal bits may be the same act, and then the record is folded anew.
    pub acts: Keys<2>,
    /// The act of the latest event, while nothing of it can have been written elsewhere.
    pub last_act: Option<ActRun>,
    /// Cross-checks that were explained in this record.
    pub explained: BTreeSet<RecordId>,
    /// Events of kinds that this program does not know, such as `drills.started`.
    pub unknown: Recent<Held<String>>,
    /// How many events do not enter the state.
    pub unsettled_total: u64,
    /// How many of them wait for their author's grant to arrive.
    pub waiting: u64,
    /// How many of them are acts from outside that nobody has adopted.
    pub outside: u64,
    /// The first of them, ascending.
    pub unsettled: Vec<Unsettled>,
    /// How many events are named as parents and not here.
    pub missing_parents_total: u64,
    /// The first of them, ascending.
    pub missing_parents: Vec<EventId>,
}

/// An act that breaks a rule. It stands, and everybody sees the mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The event.
    pub event: EventId,
    /// The rule.
    pub rule: Rule,
}

/// An event that says again what another one said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// The event.
    pub event: EventId,
    /// The one that counts.
    pub of: EventId,
}

/// Rules that an act on record can break, because its author's own node let it pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Who approves a plan has not written on it.
    ApproverWroteIt,
    /// Only an approved text is issued.
    IssuedUnapproved,
    /// Who closes a hazard has not handled it.
    CloserHandledIt,
    /// A hazard is closed after something was done about it, since it was last opened.
    ClosedUnhandled,
    /// A record is begun in one area.
    BegunElsewhere,
    /// Acts come from the record's area, or are adopted there.
    AdoptedFromOutside,
    /// A transfer and a receipt are booked once.
    BookedBefore,
    /// An item has one unit.
    OtherUnit,
    /// What has expired does not leave.
    LotExpired,
}

impl Rule {
    /// What the mark says, in Chinese.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::ApproverWroteIt => "批准人参与了编写",
            Self::IssuedUnapproved => "发布了未批准的文本",
            Self::CloserHandledIt => "结案人就是处理人",
            Self::ClosedUnhandled => "重新打开后未经处理就结案",
            Self::BegunElsewhere => "在另一辖区另行建立",
            Self::AdoptedFromOutside => "辖区外的行为，已采纳",
            Self::BookedBefore => "此前已入账，未再记账",
            Self::OtherUnit => "计量单位不同，未计入库存",
            Self::LotExpired => "发出了过期批次",
        }
    }

    /// What the mark says, in English.
    pub const fn en(self) -> &'static str {
        match self {
            Self::ApproverWroteIt => "approved by somebody who wrote on it",
            Self::IssuedUnapproved => "issued without an approval of this text",
            Self::CloserHandledIt => "closed by the person who handled it",
            Self::ClosedUnhandled => "closed without anything done since it was opened again",
            Self::BegunElsewhere => "begun once more in another area",
            Self::AdoptedFromOutside => "an act from outside, adopted",
            Self::BookedBefore => "was booked before, and is not booked again",
            Self::OtherUnit => "in another unit, not added to the stock",
            Self::LotExpired => "left although it had expired",
        }
    }
}

/// An event that is here and does not enter the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// The event.
    pub event: EventId,
    /// Why.
    pub reason: UnsettledReason,
}

/// Why an event does not enter the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnsettledReason {
    /// The grant that it names has not arrived. It may count later.
    Waiting,
    /// The charter refuses it.
    Refused(String),
    /// Its payload is not here, or was erased.
    PayloadMissing,
    /// Its payload does not say what its kind says.
    Unreadable(String),
    /// Its kind belongs to another kind of record.
    Misplaced,
    /// It was written for an area that does not cover the record's, and nobody there has adopted it.
    Outside,
}

impl UnsettledReason {
    /// The charter's refusal.
    pub fn refused(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

impl RecordView {
    /// The view in the form in which it is kept.
    ///
    /// # Errors
    /// Never for a view that a fold made; a float under an unknown key would be one.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        payload::encode(self)
    }

    /// A view as it was kept.
    ///
    /// # Errors
    /// [`DecodeError`] for bytes that another version wrote: then the record is folded again.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        payload::decode(bytes)
    }

    /// The hash of everything that the view says. The saved form of a document is left out; its heads are in.
    pub fn view_hash(&self) -> [u8; 32] {
        // A view that cannot be encoded could not have been kept either; its hash then stands for just that.
        self.view_hash_of(&self.encode().unwrap_or_default())
    }

    /// As [`Self::view_hash`], where the view's encoding is at hand.
    pub fn view_hash_of(&self, encoded: &[u8]) -> [u8; 32] {
        let hash = |encoded: &[u8]| domain_hash("linli/view/1", &[encoded]);
        if self.state.document().is_none_or(|document| document.saved.is_empty()) {
            return hash(encoded);
        }
        let mut said = self.clone();
        if let Some(document) = said.state.document_mut() {
            document.saved.clear();
        }
        hash(&said.encode().unwrap_or_default())
    }

    /// Conflicts that somebody has to settle: neither settled nor part of a larger one.
    pub fn open_conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter().filter(|conflict| conflict.is_open() && !conflict.is_part_of_another(&self.conflicts))
    }

    /// Acts from outside that wait until somebody of the record's area adopts them; the first of them, ascending.
    pub fn outside(&self) -> impl Iterator<Item = EventId> + '_ {
        self.unsettled.iter().filter(|one| one.reason == UnsettledReason::Outside).map(|one| one.event)
    }

    /// Whether who speaks for an area speaks for this record.
    pub fn is_covered_by(&self, area: &Area) -> bool {
        covers(&self.areas, area)
    }

    /// Events that settlements have put aside.
    pub fn lost(&self) -> BTreeSet<EventId> {
        self.conflicts.iter().flat_map(Conflict::lost).collect()
    }

    /// Where the record stands.
    pub fn word(&self) -> StateWord {
        self.state.word(&self.lost())
    }
}

/// The hash of a set of views in the order of their records: equal on two nodes that show the same.
pub fn projection_hash(views: impl IntoIterator<Item = (RecordId, [u8; 32])>) -> [u8; 32] {
    let mut all: Vec<(RecordId, [u8; 32])> = views.into_iter().collect();
    all.sort_unstable();
    let bytes: Vec<u8> = all.iter().flat_map(|(record, hash)| record.as_bytes().iter().chain(hash).copied()).collect();
    domain_hash("linli/projection/1", &[&bytes])
}
