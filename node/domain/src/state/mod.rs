//! What a record looks like after its facts: one file per kind of record.
//!
//! States never look at a clock. Values that people decide are held in [`Register`]s, which keep every value that nobody
//! has replaced knowingly; the pages show them side by side with who wrote each and what they had seen.

pub mod building;
pub mod contact;
pub mod document;
pub mod hazard;
pub mod incident;
pub mod keys;
pub mod plan;
pub mod supply_point;
pub mod team;

use std::collections::BTreeSet;

use linli_core::area::Area;
use linli_core::id::{AuthorKey, EventId};
use linli_core::time::Hlc;
use serde::{Deserialize, Serialize};

use crate::events::Fact;
use crate::events::role::Booking;
use crate::graph::Graph;
use crate::limits::RECENT_MAX;

pub use building::BuildingState;
pub use contact::ContactState;
pub use hazard::HazardState;
pub use incident::IncidentState;
pub use plan::PlanState;
pub use supply_point::SupplyPointState;
pub use team::TeamState;

/// Which event did something, and who wrote it. Through the event's parents pages show what they had seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The event.
    pub event: EventId,
    /// Who signed it.
    pub author: AuthorKey,
    /// The person at the node for whom it was signed; empty for an event signed by a device.
    pub by: String,
    /// Where it applies.
    pub area: Area,
    /// When, by the author's clock.
    pub time: Hlc,
}

impl Stamp {
    /// Who acted, for rules that ask for two different people: the operator's name where a node signed, otherwise the
    /// key. The same name at two nodes counts as one person: four eyes are cheap, and a false trust is not.
    pub fn person(&self) -> String {
        if self.by.is_empty() { self.author.to_string() } else { self.by.clone() }
    }
}

/// A value with the event that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held<T> {
    /// What was said.
    pub value: T,
    /// Who said it.
    pub stamp: Stamp,
}

/// A value that people set one after the other, or unknowingly at once: then all of them stand, in fold order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Register<T>(Vec<Held<T>>);

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Register<T> {
    /// Replaces what the writer had seen, and stands beside what they had not.
    pub fn write(&mut self, value: T, ctx: &Context<'_>) {
        self.0.retain(|held| !ctx.has_seen(&held.stamp.event));
        self.0.push(Held { value, stamp: ctx.stamp.clone() });
    }

    /// Ends what the writer had seen.
    pub fn forget(&mut self, ctx: &Context<'_>) {
        self.0.retain(|held| !ctx.has_seen(&held.stamp.event));
    }

    /// The last one in fold order.
    pub fn latest(&self) -> Option<&Held<T>> {
        self.0.last()
    }

    /// All that stand, in fold order. More than one means that they were written without seeing each other.
    pub fn all(&self) -> &[Held<T>] {
        &self.0
    }
}

/// The latest of a growing list, and how many there were. The full list is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent<T> {
    /// How many there were.
    pub total: u64,
    /// The latest, oldest first, at most [`RECENT_MAX`].
    pub latest: Vec<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { total: 0, latest: Vec::new() }
    }
}

impl<T> Recent<T> {
    /// Adds one at the end.
    pub fn push(&mut self, item: T) {
        self.total += 1;
        if self.latest.len() >= RECENT_MAX {
            self.latest.remove(0);
        }
        self.latest.push(item);
    }
}

/// One line of a timeline: which kind of event, and its text. The kind's label comes from the kind table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineLine {
    /// The verb.
    pub kind: String,
    /// What it says.
    pub text: String,
    /// Who said it.
    pub stamp: Stamp,
}

/// What the author of the event being folded knew.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Knowledge<'a> {
    /// Everything that was folded before.
    Everything,
    /// What the graph says, and of that only what stands in `within`, if given.
    Graph { graph: &'a Graph, facts: &'a [Option<Folded>], at: usize, within: Option<usize> },
}

/// A fact at its place in the order.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    pub fact: Fact,
    pub stamp: Stamp,
}

/// What a payload needs to know of its event while it is folded.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Who and when.
    pub stamp: Stamp,
    /// The verb, for timelines.
    pub kind: &'a str,
    /// The life of the author's store, which an Automerge actor is derived from.
    pub incarnation: u64,
    pub(crate) knowledge: Knowledge<'a>,
}

impl<'a> Context<'a> {
    /// Whether the author had seen an event that was folded before.
    pub fn has_seen(&self, event: &EventId) -> bool {
        match self.knowledge {
            Knowledge::Everything => true,
            Knowledge::Graph { graph, at, .. } => graph.position(event).is_some_and(|what| graph.has_seen(at, what)),
        }
    }

    /// Facts that were folded before and that the author had not seen, in fold order.
    pub(crate) fn unseen(&self) -> impl Iterator<Item = &'a Folded> + 'a {
        let (graph, facts, at, within) = match self.knowledge {
            Knowledge::Everything => (None, [].as_slice(), 0, None),
            Knowledge::Graph { graph, facts, at, within } => (Some(graph), facts, at, within),
        };
        graph
            .into_iter()
            .flat_map(move |graph| graph.unseen_before(at).map(move |what| (graph, what)))
            .filter(move |(graph, what)| within.is_none_or(|tip| graph.has_seen(tip, *what)))
            .filter_map(move |(_, what)| facts.get(what).and_then(Option::as_ref))
    }

    /// A timeline line of this event.
    pub fn line(&self, text: impl Into<String>) -> TimelineLine {
        TimelineLine { kind: self.kind.to_owned(), text: text.into(), stamp: self.stamp.clone() }
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Something that happened and is being dealt with.
    Incident,
    /// People who help together.
    Team,
    /// Where supplies are kept.
    SupplyPoint,
    /// An emergency plan.
    Plan,
    /// A hazard that somebody reported.
    Hazard,
    /// A residential building.
    Building,
    /// Who holds a post and how to reach them.
    Contact,
    /// Only events of kinds that this program does not know.
    Unknown,
}

impl RecordKind {
    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Incident => "事件",
            Self::Team => "队伍",
            Self::SupplyPoint => "物资点",
            Self::Plan => "预案",
            Self::Hazard => "隐患",
            Self::Building => "楼栋",
            Self::Contact => "联络人",
            Self::Unknown => "未知记录",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Incident => "Incident",
            Self::Team => "Team",
            Self::SupplyPoint => "Supply point",
            Self::Plan => "Plan",
            Self::Hazard => "Hazard",
            Self::Building => "Building",
            Self::Contact => "Contact",
            Self::Unknown => "Unknown record",
        }
    }
}

/// The state of a record, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An incident.
    Incident(Box<IncidentState>),
    /// A team.
    Team(Box<TeamState>),
    /// A supply point.
    SupplyPoint(Box<SupplyPointState>),
    /// A plan.
    Plan(Box<PlanState>),
    /// A hazard report.
    Hazard(Box<HazardState>),
    /// A building.
    Building(Box<BuildingState>),
    /// A contact.
    Contact(Box<ContactState>),
    /// Nothing that this program understands, yet.
    #[default]
    Unknown,
}

impl State {
    /// The empty state of a kind of record.
    pub fn new(kind: RecordKind) -> Self {
        match kind {
            RecordKind::Incident => Self::Incident(Box::default()),
            RecordKind::Team => Self::Team(Box::default()),
            RecordKind::SupplyPoint => Self::SupplyPoint(Box::default()),
            RecordKind::Plan => Self::Plan(Box::default()),
            RecordKind::Hazard => Self::Hazard(Box::default()),
            RecordKind::Building => Self::Building(Box::default()),
            RecordKind::Contact => Self::Contact(Box::default()),
            RecordKind::Unknown => Self::Unknown,
        }
    }

    /// Which kind of record it is.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Incident(_) => RecordKind::Incident,
            Self::Team(_) => RecordKind::Team,
            Self::SupplyPoint(_) => RecordKind::SupplyPoint,
            Self::Plan(_) => RecordKind::Plan,
            Self::Hazard(_) => RecordKind::Hazard,
            Self::Building(_) => RecordKind::Building,
            Self::Contact(_) => RecordKind::Contact,
            Self::Unknown => RecordKind::Unknown,
        }
    }

    /// The document of the record, for kinds that have one.
    pub const fn document(&self) -> Option<&document::DocumentState> {
        match self {
            Self::Team(team) => Some(&team.profile),
            Self::SupplyPoint(point) => Some(&point.profile),
            Self::Plan(plan) => Some(&plan.document),
            Self::Incident(_) | Self::Hazard(_) | Self::Building(_) | Self::Contact(_) | Self::Unknown => None,
        }
    }

    pub(crate) const fn document_mut(&mut self) -> Option<&mut document::DocumentState> {
        match self {
            Self::Team(team) => Some(&mut team.profile),
            Self::SupplyPoint(point) => Some(&mut point.profile),
            Self::Plan(plan) => Some(&mut plan.document),
            Self::Incident(_) | Self::Hazard(_) | Self::Building(_) | Self::Contact(_) | Self::Unknown => None,
        }
    }

    /// Whether a supply point has booked this before; see [`SupplyPointState::has_booked`].
    pub(crate) fn has_booked(&self, booking: Booking<'_>, part: Option<u64>) -> bool {
        match self {
            Self::SupplyPoint(point) => point.has_booked(booking, part),
            _ => false,
        }
    }

    /// Where the record stands, given the events that a settled conflict has put aside.
    pub fn word(&self, lost: &BTreeSet<EventId>) -> StateWord {
        match self {
            Self::Incident(incident) => incident.word(lost),
            Self::Team(team) => team.word(lost),
            Self::SupplyPoint(_) | Self::Contact(_) => StateWord::Listed,
            Self::Plan(plan) => plan.word(lost),
            Self::Hazard(hazard) => hazard.word(lost),
            Self::Building(_) => StateWord::Surveyed,
            Self::Unknown => StateWord::Unknown,
        }
    }
}

macro_rules! state_words {
    ($($(#[$doc:meta])* $name:ident $code:literal $zh:literal $en:literal;)+) => {
        /// Where a record stands, in one word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum StateWord { $($(#[$doc])* $name,)+ }

        impl StateWord {
            /// A stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The Chinese term.
            pub const fn zh(self) -> &'static str {
                match self { $(Self::$name => $zh,)+ }
            }

            /// The English term.
            pub const fn en(self) -> &'static str {
                match self { $(Self::$name => $en,)+ }
            }
        }
    };
}

impl StateWord {
    /// Whether a plan is in force, and so what people act by, whatever becomes of its next version.
    pub const fn is_in_force(self) -> bool {
        matches!(self, Self::Issued | Self::Revising | Self::RevisionApproved | Self::Expired)
    }
}

state_words! {
    /// An incident that nobody has checked yet.
    Reported "reported" "已上报" "reported";
    /// An incident that was checked.
    Verified "verified" "已核实" "verified";
    /// An incident that somebody deals with.
    Active "active" "处置中" "active";
    /// Done with.
    Closed "closed" "已结束" "closed";
    /// Open again.
    Reopened "reopened" "重新打开" "reopened";
    /// A team that waits.
    Standby "standby" "待命" "standby";
    /// A team that is out.
    Deployed "deployed" "出动中" "deployed";
    /// A supply point or contact.
    Listed "listed" "在册" "listed";
    /// A plan being written.
    Draft "draft" "起草中" "draft";
    /// A plan whose present text is approved.
    Approved "approved" "已批准" "approved";
    /// A plan in force.
    Issued "issued" "已发布" "issued";
    /// A plan in force whose next version is being written.
    Revising "revising" "已发布，修订中" "issued, being revised";
    /// A plan in force whose next version is approved and not yet issued.
    RevisionApproved "revision_approved" "已发布，新版已批准" "issued, new version approved";
    /// A plan in force whose last day has passed.
    Expired "expired" "已到期" "expired";
    /// A plan replaced by another.
    Superseded "superseded" "已被取代" "superseded";
    /// A hazard reported (采集).
    Collected "collected" "采集" "collected";
    /// A hazard filed (立案).
    Filed "filed" "立案" "filed";
    /// A hazard given to somebody (派遣).
    Dispatched "dispatched" "派遣" "dispatched";
    /// A hazard handled (处理).
    Handled "handled" "处理" "handled";
    /// The reporter was told (反馈).
    Answered "answered" "反馈" "answered";
    /// A hazard checked and closed (核查结案).
    CheckedAndClosed "checked_and_closed" "核查结案" "checked and closed";
    /// A building in the register.
    Surveyed "surveyed" "在册" "surveyed";
    /// Not understood by this program.
    Unknown "unknown" "未知" "unknown";
}
