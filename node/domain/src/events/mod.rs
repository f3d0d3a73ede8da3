//! Every kind of event: one file each with its payload, bounds and effect, and one line each in the table below.
//!
//! A new kind is its own new file and one line here. Kinds that this program does not know are kept and shown as
//! unknown; they never stop a record from being folded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ciborium::Value;
use linli_core::id::{Kind, Stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::act::ActStamp;
use crate::check::{self, Invalid};
use crate::payload::{self, DecodeError};
use crate::record::Rule;
use crate::state::{Context, RecordKind, State};

pub mod adopted;
pub mod building_surveyed;
pub mod contact_listed;
pub mod edited;
pub mod explained;
pub mod hazard_answered;
pub mod hazard_closed;
pub mod hazard_dispatched;
pub mod hazard_filed;
pub mod hazard_handled;
pub mod hazard_reopened;
pub mod hazard_reported;
pub mod incident_assigned;
pub mod incident_closed;
pub mod incident_linked;
pub mod incident_reopened;
pub mod incident_reported;
pub mod incident_updated;
pub mod incident_verified;
pub mod plan_approved;
pub mod plan_drafted;
pub mod plan_issued;
pub mod plan_superseded;
pub mod role;
pub mod settled;
pub mod supplies_adjusted;
pub mod supplies_arrived;
pub mod supplies_counted;
pub mod supplies_issued;
pub mod supplies_received;
pub mod supplies_sent;
pub mod team_certified;
pub mod team_checked_in;
pub mod team_deployed;
pub mod team_released;

use role::{Booking, Role};

/// What every operational payload carries.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Said {
    /// The operator for whom a node signed (节点代签); empty where the author's own device signed.
    #[serde(default)]
    pub by: String,
    /// The act that this event is of, for events written since acts have ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActStamp>,
    /// Anything else worth saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Keys that a newer program added: kept, shown, never interpreted.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl Said {
    /// What an operator says.
    pub fn by(operator: &str, note: Option<String>) -> Self {
        Self { by: operator.to_owned(), act: None, note, rest: BTreeMap::new() }
    }

    fn check(&self) -> Result<(), Invalid> {
        if !self.by.is_empty() {
            check::line("by", &self.by)?;
        }
        self.note.as_deref().map_or(Ok(()), |note| check::maybe_empty_text("note", note))
    }
}

/// What every payload can do.
pub trait Fields: Serialize + DeserializeOwned {
    /// Who acted, and a note.
    fn said(&self) -> &Said;

    /// Checks the bounds of its own fields.
    ///
    /// # Errors
    /// Names the first field that breaks its bound.
    fn check(&self) -> Result<(), Invalid>;

    /// The part it plays among concurrent facts.
    fn role(&self) -> Role<'_> {
        Role::Plain
    }

    /// What it books, if a supply point books that only once.
    fn booking(&self) -> Option<Booking<'_>> {
        None
    }

    /// The change of a document that it carries.
    fn change(&self) -> Option<&[u8]> {
        None
    }
}

/// What a payload does to a state. Called in fold order, once per event.
pub trait Applies<S> {
    /// Changes the state.
    fn apply(&self, state: &mut S, ctx: &Context<'_>);

    /// The rule that this act breaks, seen from the state before it.
    fn broken_rule(&self, _state: &S, _ctx: &Context<'_>) -> Option<Rule> {
        None
    }
}

/// Why an event's payload says nothing to this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// The payload does not decode.
    #[error("{0}")]
    Payload(#[from] DecodeError),
    /// A field breaks its bound.
    #[error("{0}")]
    Field(#[from] Invalid),
}

/// A line of the kind table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// The stream.
    pub stream: Stream,
    /// The verb.
    pub word: &'static str,
    /// The kind of record it belongs to.
    pub record: RecordKind,
    /// What people see, in Chinese.
    pub zh: &'static str,
    /// What people see, in English.
    pub en: &'static str,
    /// What it says, in a sentence.
    pub summary: &'static str,
}

macro_rules! kinds {
    ($($stream:ident $word:literal => $variant:ident, $module:ident::$payload:ident, $record:ident, $zh:literal, $en:literal, $summary:literal;)+) => {
        /// What an event says, decoded and within its bounds.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Fact {
            $(#[doc = $summary] $variant($module::$payload),)+
            /// A kind that this program does not know.
            Unknown,
        }

        const KINDS: &[KindInfo] = &[$(KindInfo {
            stream: Stream::$stream,
            word: $word,
            record: RecordKind::$record,
            zh: $zh,
            en: $en,
            summary: $summary,
        },)+];

        impl Fact {
            /// Decodes the payload of an event and checks its bounds. A kind that is not in the table is unknown.
            ///
            /// # Errors
            /// [`FactError`] when a known kind carries a payload that is none.
            pub fn decode(stream: Stream, kind: &Kind, op: &[u8]) -> Result<Self, FactError> {
                $(if stream == Stream::$stream && kind.as_str() == $word {
                    let payload: $module::$payload = payload::decode(op)?;
                    payload.said().check()?;
                    payload.check()?;
                    return Ok(Self::$variant(payload));
                })+
                Ok(Self::Unknown)
            }

            /// Checks the bounds of every field.
            ///
            /// # Errors
            /// Names the first field that breaks its bound.
            pub fn check(&self) -> Result<(), Invalid> {
                match self {
                    $(Self::$variant(payload) => payload.said().check().and_then(|()| payload.check()),)+
                    Self::Unknown => Ok(()),
                }
            }

            /// The operational payload.
            ///
            /// # Errors
            /// Only if a payload holds what the format has no place for, such as a float under an unknown key.
            pub fn encode(&self) -> Result<Vec<u8>, payload::EncodeError> {
                match self {
                    $(Self::$variant(payload) => payload::encode(payload),)+
                    Self::Unknown => payload::encode(&BTreeMap::<String, Value>::new()),
                }
            }

            /// Its line in the kind table.
            pub const fn info(&self) -> Option<&'static KindInfo> {
                match self {
                    $(Self::$variant(_) => {
                        const INFO: &KindInfo = &KindInfo {
                            stream: Stream::$stream,
                            word: $word,
                            record: RecordKind::$record,
                            zh: $zh,
                            en: $en,
                            summary: $summary,
                        };
                        Some(INFO)
                    })+
                    Self::Unknown => None,
                }
            }

            /// Who acted, and a note.
            pub fn said(&self) -> Option<&Said> {
                match self {
                    $(Self::$variant(payload) => Some(payload.said()),)+
                    Self::Unknown => None,
                }
            }

            /// The same, to put an act's id into.
            pub fn said_mut(&mut self) -> Option<&mut Said> {
                match self {
                    $(Self::$variant(payload) => Some(&mut payload.said),)+
                    Self::Unknown => None,
                }
            }

            /// The part it plays among concurrent facts.
            pub fn role(&self) -> Role<'_> {
                match self {
                    $(Self::$variant(payload) => payload.role(),)+
                    Self::Unknown => Role::Plain,
                }
            }

            /// What it books, if a supply point books that only once.
            pub(crate) fn booking(&self) -> Option<Booking<'_>> {
                match self {
                    $(Self::$variant(payload) => payload.booking(),)+
                    Self::Unknown => None,
                }
            }

            /// The change of a document that it carries.
            pub(crate) fn change(&self) -> Option<&[u8]> {
                match self {
                    $(Self::$variant(payload) => payload.change(),)+
                    Self::Unknown => None,
                }
            }

            /// The rule that this act breaks, seen from the state before it.
            pub(crate) fn broken_rule(&self, state: &State, ctx: &Context<'_>) -> Option<Rule> {
                match self {
                    $(Self::$variant(payload) => match state {
                        State::$record(state) => Applies::broken_rule(payload, &**state, ctx),
                        _ => None,
                    },)+
                    Self::Unknown => None,
                }
            }

            /// Changes a state of its kind of record; another kind's is left alone.
            pub(crate) fn apply(&self, state: &mut State, ctx: &Context<'_>) {
                match self {
                    $(Self::$variant(payload) => {
                        if let State::$record(state) = state {
                            Applies::apply(payload, &mut **state, ctx);
                        }
                    })+
                    Self::Unknown => {}
                }
            }
        }
    };
}

kinds! {
    INCIDENTS "reported" => IncidentReported, incident_reported::IncidentReported, Incident, "上报", "reported", "An incident was reported.";
    INCIDENTS "verified" => IncidentVerified, incident_verified::IncidentVerified, Incident, "核实", "verified", "Somebody checked that the incident is real.";
    INCIDENTS "assigned" => IncidentAssigned, incident_assigned::IncidentAssigned, Incident, "派任务", "assigned", "A team or post was given a task.";
    INCIDENTS "updated" => IncidentUpdated, incident_updated::IncidentUpdated, Incident, "续报", "updated", "Something new became known.";
    INCIDENTS "closed" => IncidentClosed, incident_closed::IncidentClosed, Incident, "结束", "closed", "The incident was closed.";
    INCIDENTS "reopened" => IncidentReopened, incident_reopened::IncidentReopened, Incident, "重新打开", "reopened", "The closed incident was opened again.";
    INCIDENTS "linked" => IncidentLinked, incident_linked::IncidentLinked, Incident, "关联重复", "linked", "Another record is about the same thing; both are kept.";
    INCIDENTS "settled" => IncidentSettled, settled::Settled, Incident, "裁定", "settled", "A person settled a conflict of the incident.";
    INCIDENTS "incident_adopted" => IncidentAdopted, adopted::Adopted, Incident, "采纳外来行为", "adopted", "Somebody of the incident's area let acts from outside count.";
    INCIDENTS "incident_explained" => IncidentExplained, explained::Explained, Incident, "对照说明", "explained", "A contradiction with another record was explained.";
    TEAMS "edited" => TeamEdited, edited::Edited, Team, "修改名册", "edited", "The team's profile, roster or kit was changed.";
    TEAMS "certified" => TeamCertified, team_certified::TeamCertified, Team, "持证", "certified", "A member holds a certificate.";
    TEAMS "checked_in" => TeamCheckedIn, team_checked_in::TeamCheckedIn, Team, "报到", "checked in", "The team reported where it stands and how ready it is.";
    TEAMS "deployed" => TeamDeployed, team_deployed::TeamDeployed, Team, "出动", "deployed", "The team was sent to an incident.";
    TEAMS "released" => TeamReleased, team_released::TeamReleased, Team, "归队", "released", "The team came back from an incident.";
    TEAMS "settled" => TeamSettled, settled::Settled, Team, "裁定", "settled", "A person settled a conflict of the team.";
    TEAMS "team_adopted" => TeamAdopted, adopted::Adopted, Team, "采纳外来行为", "adopted", "Somebody of the team's area let acts from outside count.";
    TEAMS "team_explained" => TeamExplained, explained::Explained, Team, "对照说明", "explained", "A contradiction with another record was explained.";
    SUPPLIES "edited" => PointEdited, edited::Edited, SupplyPoint, "修改档案", "edited", "The supply point's profile was changed.";
    SUPPLIES "received" => SuppliesReceived, supplies_received::SuppliesReceived, SupplyPoint, "入库", "received", "Supplies came in from outside.";
    SUPPLIES "issued" => SuppliesIssued, supplies_issued::SuppliesIssued, SupplyPoint, "领用", "issued", "Supplies were handed out.";
    SUPPLIES "sent" => SuppliesSent, supplies_sent::SuppliesSent, SupplyPoint, "调出", "sent", "Supplies left for another point.";
    SUPPLIES "arrived" => SuppliesArrived, supplies_arrived::SuppliesArrived, SupplyPoint, "调入", "arrived", "Supplies arrived from another point.";
    SUPPLIES "counted" => SuppliesCounted, supplies_counted::SuppliesCounted, SupplyPoint, "盘点", "counted", "Somebody counted what is really there.";
    SUPPLIES "adjusted" => SuppliesAdjusted, supplies_adjusted::SuppliesAdjusted, SupplyPoint, "调整", "adjusted", "Stock was lost, damaged, expired or found again.";
    SUPPLIES "settled" => SuppliesSettled, settled::Settled, SupplyPoint, "裁定", "settled", "A person settled a conflict of the supply point.";
    SUPPLIES "point_adopted" => PointAdopted, adopted::Adopted, SupplyPoint, "采纳外来行为", "adopted", "Somebody of the point's area let acts from outside count.";
    SUPPLIES "point_explained" => PointExplained, explained::Explained, SupplyPoint, "对照说明", "explained", "A contradiction with another record was explained.";
    PLANS "drafted" => PlanDrafted, plan_drafted::PlanDrafted, Plan, "起草", "drafted", "A plan was begun.";
    PLANS "edited" => PlanEdited, edited::Edited, Plan, "修改", "edited", "The plan's text was changed.";
    PLANS "approved" => PlanApproved, plan_approved::PlanApproved, Plan, "批准", "approved", "Somebody approved an exact text.";
    PLANS "issued" => PlanIssued, plan_issued::PlanIssued, Plan, "发布", "issued", "An exact text was put into force.";
    PLANS "superseded" => PlanSuperseded, plan_superseded::PlanSuperseded, Plan, "取代", "superseded", "The plan was replaced by another.";
    PLANS "settled" => PlanSettled, settled::Settled, Plan, "裁定", "settled", "A person settled a conflict of the plan.";
    PLANS "plan_adopted" => PlanAdopted, adopted::Adopted, Plan, "采纳外来行为", "adopted", "Somebody of the plan's area let acts from outside count.";
    PLANS "plan_explained" => PlanExplained, explained::Explained, Plan, "对照说明", "explained", "A contradiction with another record was explained.";
    COMMUNITY "reported" => HazardReported, hazard_reported::HazardReported, Hazard, "采集", "reported", "A hazard was reported.";
    COMMUNITY "filed" => HazardFiled, hazard_filed::HazardFiled, Hazard, "立案", "filed", "The hazard was filed.";
    COMMUNITY "dispatched" => HazardDispatched, hazard_dispatched::HazardDispatched, Hazard, "派遣", "dispatched", "The hazard was given to somebody.";
    COMMUNITY "handled" => HazardHandled, hazard_handled::HazardHandled, Hazard, "处理", "handled", "Something was done about the hazard.";
    COMMUNITY "answered" => HazardAnswered, hazard_answered::HazardAnswered, Hazard, "反馈", "answered", "The reporter was told.";
    COMMUNITY "closed" => HazardClosed, hazard_closed::HazardClosed, Hazard, "核查结案", "closed", "The hazard was checked and closed.";
    COMMUNITY "reopened" => HazardReopened, hazard_reopened::HazardReopened, Hazard, "重新打开", "reopened", "The closed hazard was opened again.";
    COMMUNITY "settled" => HazardSettled, settled::Settled, Hazard, "裁定", "settled", "A person settled a conflict of the hazard.";
    COMMUNITY "hazard_adopted" => HazardAdopted, adopted::Adopted, Hazard, "采纳外来行为", "adopted", "Somebody of the hazard's area let acts from outside count.";
    COMMUNITY "surveyed" => BuildingSurveyed, building_surveyed::BuildingSurveyed, Building, "登记楼栋", "surveyed", "A building was entered into the register or surveyed again.";
    COMMUNITY "building_explained" => BuildingExplained, explained::Explained, Building, "对照说明", "explained", "A contradiction with another record was explained.";
    COMMUNITY "listed" => ContactListed, contact_listed::ContactListed, Contact, "登记联络人", "listed", "Somebody holds a post; name and phone are personal.";
}

/// Whether a kind begins a record. Any other event without parents was written by somebody who should have known more.
pub(crate) fn begins_a_record(stream: Stream, kind: &str) -> bool {
    match stream {
        Stream::INCIDENTS => kind == "reported",
        Stream::TEAMS | Stream::SUPPLIES => kind == "edited",
        Stream::PLANS => matches!(kind, "drafted" | "edited"),
        Stream::COMMUNITY => matches!(kind, "reported" | "surveyed" | "listed"),
        _ => false,
    }
}

/// Every kind that this program knows, by stream and in the order of a record's life.
pub const fn kind_table() -> &'static [KindInfo] {
    KINDS
}

/// The line of the kind table for an event, if this program knows its kind.
pub fn kind_info(stream: Stream, kind: &str) -> Option<&'static KindInfo> {
    KINDS.iter().find(|info| info.stream == stream && info.word == kind)
}

/// The kind table as it stands in `docs/domain.md`.
pub fn kind_table_markdown() -> String {
    let mut out = String::from("| kind | 中文 | English | record | what it says |\n|---|---|---|---|---|\n");
    for info in KINDS {
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "| `{}.{}` | {} | {} | {} | {} |",
            info.stream,
            info.word,
            info.zh,
            info.en,
            info.record.zh(),
            info.summary
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_valid_word_and_stands_once() {
        for (n, info) in KINDS.iter().enumerate() {
            assert!(info.word.parse::<Kind>().is_ok(), "{}", info.word);
            let again = KINDS.iter().skip(n + 1).any(|other| (other.stream, other.word) == (info.stream, info.word));
            assert!(!again, "{}.{} stands twice", info.stream, info.word);
        }
        assert_eq!(kind_table_markdown().lines().count(), KINDS.len() + 2);
    }

    #[test]
    fn what_this_program_does_not_know_is_unknown_and_not_an_error() {
        let fact = Fact::decode(Stream::DRILLS, &"started".parse().unwrap(), &[0xa0]).unwrap();
        assert_eq!(fact, Fact::Unknown);
        assert!(Fact::decode(Stream::INCIDENTS, &"closed".parse().unwrap(), &[0xa0]).is_err());
    }
}
