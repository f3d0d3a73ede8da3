//! Histories for the tests of this crate: given facts, when a cut or a decision, then a view. Nothing is random.

use std::collections::BTreeMap;

use linli_core::area::Area;
use linli_core::charter::Verdict;
use linli_core::event::{Header, SlotRef, event_id};
use linli_core::id::{AuthorKey, Commitment, EventId, RecordId};
use linli_core::time::Hlc;

use crate::act::{ActId, ActStamp};
use crate::commands::{Command, CommandContext, Draft, Refused, Unreadable, Views, prepare};
use crate::conflict::{Conflict, ConflictClass};
use crate::date::Date;
use crate::documents::{Document, Edit};
use crate::events::edited::Edited;
use crate::events::incident_assigned::{Assignee, IncidentAssigned};
use crate::events::incident_closed::IncidentClosed;
use crate::events::incident_reopened::IncidentReopened;
use crate::events::incident_reported::{IncidentReported, Severity};
use crate::events::incident_updated::IncidentUpdated;
use crate::events::settled::Settled;
use crate::events::supplies_counted::SuppliesCounted;
use crate::events::supplies_issued::SuppliesIssued;
use crate::events::supplies_received::SuppliesReceived;
use crate::events::team_deployed::TeamDeployed;
use crate::events::team_released::TeamReleased;
use crate::events::{Fact, Said};
use crate::fold::{FoldEvent, fold_record, fold_seen};
use crate::record::RecordView;
use crate::state::State;
use crate::summary::Summary;

/// The instant at which all histories start: 2026-09-21, in Unix milliseconds.
pub const EPOCH_MS: u64 = 1_790_000_000_000;

/// An event as it would lie in a store.
#[derive(Debug, Clone)]
pub struct Told {
    pub id: EventId,
    pub header: Header,
    pub verdict: Verdict,
    pub op: Vec<u8>,
}

impl Told {
    pub fn fold_event(&self) -> FoldEvent<'_> {
        FoldEvent { id: self.id, header: &self.header, verdict: self.verdict.clone(), op: Some(&self.op) }
    }
}

/// The events of one record.
#[derive(Debug, Clone)]
pub struct History {
    pub record: RecordId,
    pub events: Vec<Told>,
    area: Area,
    seq: u64,
}

impl History {
    /// The `n`th record, before anything happened.
    pub fn new(n: u64) -> Self {
        Self { record: record(n), events: Vec::new(), area: street(), seq: 0 }
    }

    /// Facts one after the other, by the first node.
    pub fn of(facts: impl IntoIterator<Item = Fact>) -> Self {
        facts.into_iter().fold(Self::new(1), Self::then)
    }

    /// An event at exactly this place and time.
    pub fn tell(&mut self, node: u8, time_ms: u64, parents: Vec<EventId>, fact: &Fact) -> EventId {
        self.tell_for(self.area.clone(), node, time_ms, parents, fact)
    }

    /// The same for an area that need not be the record's.
    pub fn tell_for(&mut self, area: Area, node: u8, time_ms: u64, mut parents: Vec<EventId>, fact: &Fact) -> EventId {
        let info = fact.info().unwrap();
        let op = fact.encode().unwrap();
        parents.sort_unstable();
        parents.dedup();
        self.seq += 1;
        let header = Header {
            author: author(node),
            incarnation: 1,
            area,
            stream: info.stream,
            seq: self.seq,
            prev: (self.seq > 1).then(|| EventId::from_bytes([1; 32])),
            parents,
            record: Some(self.record),
            kind: info.word.parse().unwrap(),
            time: Hlc::from_unix_ms(time_ms),
            grant: None,
            op: Some(SlotRef { commitment: Commitment::from_bytes([0; 32]), size: op.len() as u32 }),
            pii: None,
        };
        let id = event_id(&header.encode());
        self.events.push(Told { id, header, verdict: Verdict::Authorised { expired: false }, op });
        id
    }

    fn next_ms(&self) -> u64 {
        EPOCH_MS + 1000 * (self.seq + 1)
    }

    /// One more fact by somebody who has seen everything.
    pub fn then(mut self, fact: Fact) -> Self {
        let heads = if self.events.is_empty() { Vec::new() } else { self.view().heads };
        self.tell(1, self.next_ms(), heads, &fact);
        self
    }

    /// One more fact by a node of another area that has seen everything.
    pub fn then_from(mut self, area: &str, fact: Fact) -> Self {
        let heads = self.view().heads;
        self.tell_for(area.parse().unwrap(), 9, self.next_ms(), heads, &fact);
        self
    }

    /// A cut: two nodes go on from here without seeing each other.
    pub fn cut(mut self, left: impl IntoIterator<Item = Fact>, right: impl IntoIterator<Item = Fact>) -> Self {
        let start = if self.events.is_empty() { Vec::new() } else { self.view().heads };
        let mut heads = start.clone();
        for fact in left {
            heads = vec![self.tell(1, self.next_ms(), heads, &fact)];
        }
        let mut heads = start;
        for fact in right {
            heads = vec![self.tell(2, self.next_ms(), heads, &fact)];
        }
        self
    }

    /// What every node shows once it has all events.
    pub fn view(&self) -> RecordView {
        fold_record(self.record, self.events.iter().map(Told::fold_event)).unwrap()
    }

    /// The only conflict, which must be of this class.
    pub fn conflict(&self, class: ConflictClass) -> Conflict {
        let view = self.view();
        assert_eq!(view.conflicts.len(), 1, "{:#?}", view.conflicts);
        assert_eq!(view.conflicts[0].class, class);
        view.conflicts[0].clone()
    }

    /// Settles the only conflict.
    pub fn settle(self, wrap: fn(Settled) -> Fact, keep: Option<EventId>) -> Self {
        let conflict = self.view().conflicts[0].id;
        self.then(wrap(Settled { conflict, keep, decision: "依现场核实".to_owned(), said: said("主任") }))
    }
}

/// All records known at a node, for commands.
#[derive(Debug)]
pub struct Known {
    pub histories: BTreeMap<RecordId, History>,
    /// Where the node works.
    pub area: Area,
    made: u64,
}

impl Default for Known {
    fn default() -> Self {
        Self { histories: BTreeMap::new(), area: street(), made: 0 }
    }
}

impl Views for Known {
    fn view(&self, record: &RecordId) -> Result<Option<RecordView>, Unreadable> {
        Ok(self.histories.get(record).map(History::view))
    }

    fn as_seen(&self, record: &RecordId, heads: &[EventId]) -> Result<Option<RecordView>, Unreadable> {
        let events = self.histories.get(record).into_iter().flat_map(|history| &history.events);
        Ok(fold_seen(*record, heads, events.map(Told::fold_event)))
    }

    fn matching(&self, wanted: &dyn Fn(&Summary) -> bool) -> Vec<Summary> {
        self.summaries().into_iter().filter(|summary| wanted(summary)).collect()
    }
}

impl Known {
    /// Summaries of all records.
    pub fn summaries(&self) -> Vec<Summary> {
        self.histories.values().map(|history| Summary::from(&history.view())).collect()
    }

    /// Carries out a command of an operator and signs what it drafts. Gives the record.
    pub fn act(&mut self, operator: &str, command: impl Into<Command>) -> Result<RecordId, Refused> {
        let new_id = record(1_000 + self.made);
        self.made += 1;
        let drafts = self.drafts(operator, new_id, command.into())?;
        let first = drafts.first().map(|draft| draft.record);
        let mut previous = None;
        for draft in drafts {
            previous = Some(self.sign(draft, previous));
        }
        Ok(first.unwrap_or(new_id))
    }

    /// What a command drafts.
    pub fn drafts(&self, operator: &str, new_id: RecordId, command: Command) -> Result<Vec<Draft>, Refused> {
        // Commands arrive as JSON: whatever a test can say must survive that form.
        let json = serde_json::to_string(&command).unwrap();
        let command: Command = serde_json::from_str(&json).unwrap();
        let ctx = CommandContext {
            views: self,
            operator,
            area: &self.area,
            act: None,
            new_id,
            today: day("2026-09-21"),
            now_ms: EPOCH_MS,
            writer: (author(1), 1),
        };
        prepare(command, &ctx)
    }

    fn sign(&mut self, draft: Draft, previous: Option<EventId>) -> EventId {
        let fact = Fact::decode(draft.stream, &draft.kind, &draft.op).unwrap();
        let parents = if draft.follows_previous { previous.into_iter().collect() } else { draft.parents };
        let empty = || History { record: draft.record, events: Vec::new(), area: draft.area.clone(), seq: 0 };
        let history = self.histories.entry(draft.record).or_insert_with(empty);
        history.tell_for(draft.area, 1, history.next_ms(), parents, &fact)
    }

    /// The view of a record, if it is known.
    pub fn view(&self, record: &RecordId) -> Option<RecordView> {
        self.histories.get(record).map(History::view)
    }

    pub fn state(&self, record: &RecordId) -> State {
        self.view(record).unwrap().state
    }
}

pub fn street() -> Area {
    "320508005".parse().unwrap()
}

pub fn record(n: u64) -> RecordId {
    RecordId::derived("linli/scenario", &[&n.to_be_bytes()])
}

pub fn author(node: u8) -> AuthorKey {
    AuthorKey::from_bytes([node; 32])
}

pub fn said(by: &str) -> Said {
    Said::by(by, None)
}

pub fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// A fact as one event of an act.
pub fn of_act(act: u8, ordinal: u8, mut fact: Fact) -> Fact {
    if let Some(said) = fact.said_mut() {
        said.act = Some(ActStamp { id: ActId::from_bytes([act; 16]), content: [act; 8], ordinal });
    }
    fact
}

pub fn reported() -> Fact {
    Fact::IncidentReported(IncidentReported {
        category: "内涝".to_owned(),
        severity: Severity::III,
        place: "葑门横街".to_owned(),
        lat_e7: None,
        lon_e7: None,
        summary: "积水三十厘米".to_owned(),
        said: said("值班"),
    })
}

pub fn updated(text: &str) -> Fact {
    Fact::IncidentUpdated(IncidentUpdated {
        text: text.to_owned(),
        dead: None,
        injured: None,
        missing: None,
        said: said("值班"),
    })
}

pub fn assigned(task: &str) -> Fact {
    let assignee = Assignee::Post("物业".to_owned());
    Fact::IncidentAssigned(IncidentAssigned { assignee, task: task.to_owned(), said: said("值班") })
}

pub fn closed(outcome: &str) -> Fact {
    Fact::IncidentClosed(IncidentClosed { outcome: outcome.to_owned(), said: said("值班") })
}

pub fn reopened(reason: &str) -> Fact {
    Fact::IncidentReopened(IncidentReopened { reason: reason.to_owned(), said: said("值班") })
}

pub fn deployed(incident: u64) -> Fact {
    Fact::TeamDeployed(TeamDeployed { incident: record(incident), people: 4, said: said("调度") })
}

pub fn released(incident: u64) -> Fact {
    Fact::TeamReleased(TeamReleased { incident: record(incident), said: said("调度") })
}

pub fn received(item: &str, lot: Option<&str>, quantity: i64) -> Fact {
    Fact::SuppliesReceived(SuppliesReceived {
        item: item.to_owned(),
        unit: "个".to_owned(),
        lot: lot.map(str::to_owned),
        expires: None,
        quantity,
        from: "区仓库".to_owned(),
        reference: None,
        said: said("仓管"),
    })
}

pub fn issued(item: &str, quantity: i64) -> Fact {
    Fact::SuppliesIssued(SuppliesIssued {
        item: item.to_owned(),
        lot: None,
        quantity,
        to: "居民".to_owned(),
        incident: None,
        said: said("仓管"),
    })
}

pub fn counted(item: &str, quantity: i64) -> Fact {
    Fact::SuppliesCounted(SuppliesCounted { item: item.to_owned(), lot: None, quantity, said: said("仓管") })
}

/// An edit of the document of `view` by a node: a change like the one that node would make.
pub fn change(view: Option<&RecordView>, node: u8, edits: &[Edit], by: &str) -> Edited {
    let saved = view.and_then(|view| view.state.document()).map(|document| document.saved.clone()).unwrap_or_default();
    let document = if saved.is_empty() { Document::empty() } else { Document::load(&saved).unwrap() };
    Edited { change: document.edit(edits, &author(node), 1, EPOCH_MS).unwrap(), said: said(by) }
}

pub fn text(text: &str) -> Edit {
    Edit::SetText { text: text.to_owned() }
}

/// Numbers that look random and are not: SplitMix64 from a seed that a failing test prints.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.roll(at + 1));
        }
    }
}
