//! What people want to do, checked against what is known here, as drafts of the events to sign. Pure: the caller adds
//! log positions, salts, time and signature.
//!
//! A command may be refused; an event never is. What another node let pass arrives, counts and is marked.

mod adoption;
mod community;
mod explaining;
mod guard;
mod incidents;
mod plans;
mod refusal;
mod settling;
mod stamp;
mod supplies;
mod teams;
#[cfg(test)]
mod tests;
mod transfers;

use std::collections::BTreeSet;

use linli_core::area::Area;
use linli_core::id::{AuthorKey, EventId, Kind, RecordId, Stream};
use linli_core::limits::PARENTS_MAX;
use linli_core::time::Hlc;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::date::Date;
use crate::documents::{Document, DocumentError, Edit};
use crate::events::edited::Edited;
use crate::events::{Fact, Said};
use crate::payload;
use crate::record::RecordView;
use crate::state::document::{ChangeHash, DocumentState};
use crate::state::{RecordKind, State};
use crate::summary::Summary;

pub use adoption::*;
pub use community::*;
pub use explaining::*;
pub use guard::may;
pub use incidents::*;
pub use plans::*;
pub use refusal::{Refusal, Refused};
pub use settling::*;
pub use stamp::Stamps;
pub use supplies::*;
pub use teams::*;
pub use transfers::*;

/// The views that are known here.
pub trait Views {
    /// The view of a record; none if there is no such record here.
    ///
    /// # Errors
    /// [`Unreadable`] when there may be one and it cannot be read: that is never the same as not knowing it.
    fn view(&self, record: &RecordId) -> Result<Option<RecordView>, Unreadable>;

    /// The view of a record as whoever saw just these heads saw it; none if one of them is no event of it here.
    ///
    /// # Errors
    /// [`Unreadable`] when its events cannot be read.
    fn as_seen(&self, record: &RecordId, heads: &[EventId]) -> Result<Option<RecordView>, Unreadable>;

    /// The summaries of all records that are wanted, in no order that matters.
    fn matching(&self, wanted: &dyn Fn(&Summary) -> bool) -> Vec<Summary>;
}

/// A view could not be read. Whoever keeps the views knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the view of a record cannot be read")]
pub struct Unreadable;

/// Everything that a command needs and does not say itself.
#[derive(Clone, Copy)]
pub struct CommandContext<'a> {
    /// What is known here.
    pub views: &'a dyn Views,
    /// The person at this node; goes into every payload as `by`.
    pub operator: &'a str,
    /// The area of the node that will sign.
    pub area: &'a Area,
    /// The act that the events are of; none only where no act begins them, as in tests.
    pub act: Option<&'a Stamps>,
    /// The id for a new record or transfer, if the command makes one: that of the act.
    pub new_id: RecordId,
    /// Today, where the node is.
    pub today: Date,
    /// Now, in Unix milliseconds; stands in document changes for display.
    pub now_ms: u64,
    /// The key and incarnation that will sign: a document change is made under the actor that follows from them.
    pub writer: (AuthorKey, u64),
}

/// An event to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it is about.
    pub stream: Stream,
    /// Where it applies.
    pub area: Area,
    /// The record.
    pub record: RecordId,
    /// What happened.
    pub kind: Kind,
    /// The heads of the record that were seen, ascending.
    pub parents: Vec<EventId>,
    /// Whether this event follows the draft before it in the same answer: then its only parent is that event, and
    /// `parents` is empty because that event has no id yet.
    pub follows_previous: bool,
    /// The largest time that the record had when it was looked at: the event is dated after it.
    pub after: Hlc,
    /// Operational payload.
    pub op: Vec<u8>,
    /// Personal payload.
    pub pii: Option<Vec<u8>>,
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What somebody wants to do. The JSON form (`{"do": "issue_supplies", …}`) is the body of the HTTP API and of
        /// the command line.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "do", rename_all = "snake_case")]
        pub enum Command { $($(#[$doc])* $name($name),)+ }

        /// What kind of act a command is, without its particulars.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Act { $($(#[$doc])* $name,)+ }

        impl Act {
            /// The act of a `do` word.
            pub fn named(word: &str) -> Option<Self> {
                [$((stringify!($name), Self::$name)),+].into_iter().find(|(name, _)| snake_case(name) == word).map(|(_, act)| act)
            }
        }

        impl Act {
            /// Its `do` word.
            pub fn word(self) -> String {
                snake_case(match self { $(Self::$name => stringify!($name),)+ })
            }
        }

        impl Command {
            /// What kind of act it is.
            pub const fn act(&self) -> Act {
                match self { $(Self::$name(_) => Act::$name,)+ }
            }

            /// The `do` words of all commands, in the order of the table.
            pub fn words() -> Vec<String> {
                [$(stringify!($name)),+].iter().map(|name| snake_case(name)).collect()
            }

            fn drafts(self, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
                match self { $(Self::$name(command) => command.prepare(ctx),)+ }
            }
        }

        $(impl From<$name> for Command {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        })+
    };
}

commands! {
    /// Reports an incident.
    ReportIncident,
    /// Says that an incident is real.
    VerifyIncident,
    /// Gives a team or post a task.
    AssignIncident,
    /// Adds to an incident.
    UpdateIncident,
    /// Closes an incident.
    CloseIncident,
    /// Opens an incident again.
    ReopenIncident,
    /// Links an incident to another record of the same thing.
    LinkIncident,
    /// Begins a team, or brings an imported one up to date.
    FormTeam,
    /// Changes a team's profile, roster or kit.
    SetTeam,
    /// Enters a member's certificate.
    CertifyMember,
    /// Reports where a team stands.
    CheckInTeam,
    /// Sends a team to an incident.
    DeployTeam,
    /// Takes a team back.
    ReleaseTeam,
    /// Begins a supply point, or brings an imported one up to date.
    FormPoint,
    /// Changes a supply point's profile.
    SetPoint,
    /// Books supplies in.
    ReceiveSupplies,
    /// Hands supplies out.
    IssueSupplies,
    /// Sends supplies to another point.
    SendSupplies,
    /// Books in what another point has sent, all at once or in parts.
    ArriveSupplies,
    /// Enters what was counted.
    CountSupplies,
    /// Books losses and findings.
    AdjustSupplies,
    /// Begins a plan.
    DraftPlan,
    /// Changes a plan's text.
    EditPlan,
    /// Approves a plan's present text.
    ApprovePlan,
    /// Puts an approved text into force.
    IssuePlan,
    /// Replaces a plan by another.
    SupersedePlan,
    /// Reports a hazard.
    ReportHazard,
    /// Files a hazard.
    FileHazard,
    /// Gives a hazard to somebody.
    DispatchHazard,
    /// Says what was done about a hazard.
    HandleHazard,
    /// Tells the reporter.
    AnswerHazard,
    /// Closes a hazard after a check.
    CloseHazard,
    /// Opens a hazard again.
    ReopenHazard,
    /// Enters a building into the register.
    SurveyBuilding,
    /// Enters who holds a post.
    ListContact,
    /// Settles a conflict.
    SettleConflict,
    /// Lets acts from outside the record's area count.
    AdoptActs,
    /// Explains a contradiction between two records.
    ExplainCheck,
}

/// Checks a command against what is known here and drafts its events. No drafts means that there is nothing to do,
/// because all of it stands there already: so an import can be repeated.
///
/// # Errors
/// [`Refused`] says what is wrong and what to do next.
pub fn prepare(command: Command, ctx: &CommandContext<'_>) -> Result<Vec<Draft>, Refused> {
    let said = serde_json::to_value(&command).map_err(|_| Refused::new(Refusal::Internal))?;
    let drafts = command.drafts(ctx)?;
    shows_all_it_holds("", &said)?;
    Ok(drafts)
}

/// Refuses texts, a document's included, that hold what no screen shows: one rule for pages, programs and imports.
fn shows_all_it_holds(name: &str, said: &serde_json::Value) -> Result<(), Refused> {
    use serde_json::Value;
    match said {
        Value::String(text) => check::unshown(text).map_or(Ok(()), |hidden| Err(Refused::unshown(name, text, hidden))),
        Value::Array(items) => items.iter().try_for_each(|item| shows_all_it_holds(name, item)),
        Value::Object(pairs) => pairs.iter().try_for_each(|(key, value)| {
            shows_all_it_holds(key, &Value::String(key.clone()))?;
            shows_all_it_holds(key, value)
        }),
        _ => Ok(()),
    }
}

/// The record of a line of an import: the same at every node and every time.
pub fn import_id(area: &Area, file_kind: &str, id: &str) -> RecordId {
    RecordId::derived("linli/import/1", &[area.as_str().as_bytes(), file_kind.as_bytes(), id.as_bytes()])
}

impl CommandContext<'_> {
    fn said(&self, note: Option<String>) -> Said {
        Said { act: self.act.map(Stamps::next), ..Said::by(self.operator, note) }
    }

    /// Who acts, for rules that ask for two different people.
    fn person(&self) -> String {
        let (author, _) = self.writer;
        if self.operator.is_empty() { author.to_string() } else { self.operator.to_owned() }
    }

    /// The view of a record that must exist and be of a kind, named by this field of the command.
    fn record(&self, field: &'static str, record: &RecordId, kind: RecordKind) -> Result<RecordView, Refused> {
        let view = self.any_record(field, record)?;
        if view.kind == kind { Ok(view) } else { Err(Refused::about(Refusal::OtherKindOfRecord, field)) }
    }

    /// The view of a record that must exist, named by this field of the command.
    fn any_record(&self, field: &'static str, record: &RecordId) -> Result<RecordView, Refused> {
        self.views.view(record)?.ok_or_else(|| Refused::about(Refusal::UnknownRecord, field))
    }

    /// The record of a command that may begin one: its id, and the view if it exists already.
    fn begun(&self, id: Option<RecordId>, kind: RecordKind) -> Result<(RecordId, Option<RecordView>), Refused> {
        let id = id.unwrap_or(self.new_id);
        match self.views.view(&id)? {
            Some(view) if view.kind != kind => Err(Refused::about(Refusal::OtherKindOfRecord, "record")),
            view => Ok((id, view)),
        }
    }

    /// The area of a new record: the one asked for if it lies within the node's, otherwise the node's.
    fn area_within(&self, asked: Option<&Area>) -> Result<Area, Refused> {
        match asked {
            Some(area) if self.area.contains(area) => Ok(area.clone()),
            Some(_) => Err(Refused::about(Refusal::OutsideArea, "area")),
            None => Ok(self.area.clone()),
        }
    }

    /// The first event of a record.
    fn first(&self, record: RecordId, area: Area, fact: &Fact) -> Result<Draft, Refused> {
        draft(record, area, Vec::new(), fact)
    }

    /// The next event of a record. It applies to the record's area where this node may speak for that.
    fn next(&self, view: &RecordView, fact: Fact) -> Result<Draft, Refused> {
        let area = if self.area.contains(&view.area) { view.area.clone() } else { self.area.clone() };
        let draft = draft(view.record, area, view.heads.clone(), &fact)?;
        Ok(Draft { after: view.last_time, ..draft })
    }

    /// The record as whoever acts saw it: as it is now, unless they say which heads they were shown.
    fn seen(&self, view: &RecordView, heads: Option<&[EventId]>) -> Result<RecordView, Refused> {
        let Some(heads) = heads else { return Ok(view.clone()) };
        let heads: BTreeSet<EventId> = heads.iter().copied().collect();
        if heads.iter().eq(&view.heads) {
            return Ok(view.clone());
        }
        let heads: Vec<EventId> = heads.into_iter().collect();
        let unknown = || Refused::about(Refusal::UnknownHeads, "heads");
        if heads.is_empty() || heads.len() > PARENTS_MAX {
            return Err(unknown());
        }
        self.views.as_seen(&view.record, &heads)?.ok_or_else(unknown)
    }

    /// The next event of a record by somebody who had seen no more of it than `seen` shows: what came since is
    /// concurrent to it.
    fn next_after(&self, seen: &RecordView, view: &RecordView, fact: Fact) -> Result<Draft, Refused> {
        Ok(Draft { parents: seen.heads.clone(), ..self.next(view, fact)? })
    }

    /// The first or next event, as the case may be.
    fn first_or_next(
        &self,
        record: RecordId,
        view: Option<&RecordView>,
        asked: Option<&Area>,
        fact: Fact,
    ) -> Result<Draft, Refused> {
        match view {
            Some(view) => self.next(view, fact),
            None => self.first(record, self.area_within(asked)?, &fact),
        }
    }

    /// One change with all edits; none where the document says all of it already.
    fn change(&self, document: Option<&DocumentState>, edits: Vec<Edit>) -> Result<Option<Edited>, Refused> {
        self.change_since(document, None, edits)
    }

    /// As [`Self::change`], for edits that somebody made with these heads before them: what others changed since stays.
    fn change_since(
        &self,
        document: Option<&DocumentState>,
        seen: Option<Vec<ChangeHash>>,
        edits: Vec<Edit>,
    ) -> Result<Option<Edited>, Refused> {
        let opened = match document {
            Some(state) if !state.saved.is_empty() => Document::load(&state.saved),
            _ => Ok(Document::empty()),
        };
        let opened = opened.map_err(Refused::document)?;
        let now = document.map(|state| state.heads.as_slice()).unwrap_or_default();
        let edits = match seen {
            Some(mut seen) => {
                seen.sort_unstable();
                let bytes: Vec<[u8; 32]> = seen.iter().map(|head| *head.as_bytes()).collect();
                if seen == now { edits } else { opened.rebase(&bytes, edits).map_err(Refused::rebase)? }
            }
            None => edits,
        };
        let (author, incarnation) = self.writer;
        let change = opened.edit(&edits, &author, incarnation, self.now_ms);
        match change {
            Ok(change) => Ok(Some(Edited { change, said: self.said(None) })),
            Err(DocumentError::NothingToChange) => Ok(None),
            Err(error) => Err(Refused::document(error)),
        }
    }
}

fn draft(record: RecordId, area: Area, parents: Vec<EventId>, fact: &Fact) -> Result<Draft, Refused> {
    fact.check().map_err(Refused::field)?;
    let info = fact.info().ok_or_else(|| Refused::new(Refusal::Internal))?;
    let kind = info.word.parse().map_err(|_| Refused::new(Refusal::Internal))?;
    let op = fact.encode().map_err(|_| Refused::new(Refusal::Internal))?;
    if op.len() > linli_core::limits::PAYLOAD_BYTES_MAX {
        return Err(Refused::new(Refusal::TooLarge));
    }
    let after = Hlc::default();
    Ok(Draft { stream: info.stream, area, record, kind, parents, follows_previous: false, after, op, pii: None })
}

impl Draft {
    fn with_pii<T: Serialize>(mut self, pii: &T) -> Result<Self, Refused> {
        self.pii = Some(payload::encode(pii).map_err(|_| Refused::new(Refusal::Internal))?);
        Ok(self)
    }

    fn following(mut self) -> Self {
        self.parents.clear();
        self.follows_previous = true;
        self
    }
}

/// `IssueSupplies` as `issue_supplies`, the way serde writes it.
fn snake_case(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

/// The document of a view, if its kind has one.
fn document_of(view: Option<&RecordView>) -> Option<&DocumentState> {
    view.and_then(|view| State::document(&view.state))
}

/// Whether a field is among those to be emptied.
fn is_cleared(clear: &[String], key: &str) -> bool {
    clear.iter().any(|cleared| cleared == key)
}

/// Refuses names of fields that cannot be emptied.
fn check_cleared(clear: &[String], may: &[&str]) -> Result<(), Refused> {
    match clear.iter().all(|key| may.contains(&key.as_str())) {
        true => Ok(()),
        false => Err(Refused::about(Refusal::InvalidField, "clear")),
    }
}

/// An edit that sets a field, where a value is given, or takes it away, where it is to be emptied.
fn set_or_clear(edits: &mut Vec<Edit>, key: &str, value: Option<String>, cleared: bool) {
    match value {
        None if cleared => edits.push(Edit::RemoveField { key: key.to_owned() }),
        value => set(edits, key, value),
    }
}

/// An edit that sets a field, where a value is given.
fn set(edits: &mut Vec<Edit>, key: &str, value: Option<String>) {
    edits.extend(value.map(|value| Edit::SetField { key: key.to_owned(), value }));
}
