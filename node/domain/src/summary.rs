//! One small line per record, kept in memory for lists, the desk and the figures.

use std::collections::BTreeSet;

use linli_core::area::Area;
use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use crate::act::ActId;
use crate::date::Date;
use crate::events::hazard_reported::HazardGrade;
use crate::events::incident_reported::Severity;
use crate::events::plan_drafted::Tier;
use crate::events::team_checked_in::Readiness;
use crate::record::RecordView;
use crate::state::{
    BuildingState, ContactState, HazardState, IncidentState, PlanState, RecordKind, State, StateWord, SupplyPointState,
    TeamState,
};

/// What lists show of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The record.
    pub id: RecordId,
    /// What it is.
    pub kind: RecordKind,
    /// What people call it. Empty where nothing was said yet.
    pub title: String,
    /// Where it stands.
    pub state: StateWord,
    /// Where it was begun.
    pub area: Area,
    /// The latest time of an event that counts, Unix milliseconds by its author's clock.
    pub last_ms: u64,
    /// Events that count.
    pub events: u64,
    /// Conflicts that somebody has to settle.
    pub conflicts_open: Vec<OpenConflict>,
    /// Events that cannot enter the state yet or at all, and parents that are not here.
    pub incomplete: u64,
    /// Acts from outside that wait until somebody of its area adopts them.
    pub outside: u64,
    /// The act that began it, if that act has an id.
    pub begun_by: Option<ActId>,
    /// Cross-checks that were explained in it.
    pub explained: BTreeSet<RecordId>,
    /// What its kind adds.
    pub detail: Detail,
}

/// A conflict that somebody has to settle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenConflict {
    /// The conflict.
    pub id: RecordId,
    /// What kind of contradiction.
    pub class: crate::conflict::ConflictClass,
    /// The item, for an overdraw; otherwise empty.
    pub subject: String,
    /// The time of the last of its events, Unix milliseconds.
    pub opened_ms: u64,
}

/// What a kind of record adds to its summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Detail {
    /// An incident.
    Incident {
        /// How grave, if it was reported.
        severity: Option<Severity>,
        /// Where.
        place: String,
        /// Whether it is open.
        open: bool,
        /// Teams that were given a task there.
        teams: BTreeSet<RecordId>,
    },
    /// A team.
    Team {
        /// For each person on the roster who holds a certificate, the last day on which one of theirs is valid.
        certified_until: Vec<Date>,
        /// What tells the people on its roster apart in every team.
        people: BTreeSet<RecordId>,
        /// Where it is deployed.
        deployed: BTreeSet<RecordId>,
        /// How ready it says it is.
        readiness: Option<Readiness>,
        /// Members on its roster.
        members: u64,
    },
    /// A supply point.
    SupplyPoint {
        /// Where it is.
        position: Option<Position>,
        /// How far it serves, in metres.
        service_radius_m: i64,
        /// What is there.
        stock: Vec<StockLine>,
        /// Transfers sent from here.
        sent: Vec<TransferLine>,
        /// Transfers that arrived here.
        arrived: Vec<ArrivalLine>,
    },
    /// A plan.
    Plan {
        /// Whose plan.
        tier: Option<Tier>,
        /// Which household, building or community.
        scope: String,
        /// Its last day.
        valid_to: Option<Date>,
        /// How many lines two people wrote at without seeing each other, until somebody who has seen both saves it.
        to_be_read: u64,
    },
    /// A hazard.
    Hazard {
        /// How grave, if it was reported.
        grade: Option<HazardGrade>,
        /// Where.
        place: String,
        /// When it must be done.
        due: Option<Date>,
        /// Whether it is open.
        open: bool,
    },
    /// A building.
    Building {
        /// Where it is.
        position: Option<Position>,
        /// Households.
        households: u64,
        /// Residents.
        residents: u64,
    },
    /// A contact.
    Contact {
        /// The post.
        post: String,
        /// The area it answers for.
        scope: Option<Area>,
    },
    /// Nothing that this program understands.
    Unknown,
}

/// A position in ten-millionths of a degree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Latitude.
    pub lat_e7: i64,
    /// Longitude.
    pub lon_e7: i64,
}

impl Position {
    /// Both halves, or nothing.
    pub fn new(lat_e7: Option<i64>, lon_e7: Option<i64>) -> Option<Self> {
        Some(Self { lat_e7: lat_e7?, lon_e7: lon_e7? })
    }
}

/// An item at a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// The item.
    pub item: String,
    /// What it is counted in.
    pub unit: String,
    /// What is there, by the books.
    pub balance: i64,
    /// The least that should be there.
    pub minimum: Option<i64>,
    /// Lots that are there and expire, first to expire first.
    pub lots: Vec<LotLine>,
}

/// A lot that expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotLine {
    /// The lot.
    pub lot: String,
    /// Its last day.
    pub expires: Date,
    /// What is there of it.
    pub balance: i64,
}

/// A transfer that left a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLine {
    /// The transfer.
    pub transfer: RecordId,
    /// Where to.
    pub to_point: RecordId,
    /// The item.
    pub item: String,
    /// The lot, if it bears one.
    pub lot: Option<String>,
    /// How much.
    pub quantity: i64,
    /// When it left, Unix milliseconds by the sender's clock.
    pub sent_ms: u64,
}

/// A transfer that arrived at a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalLine {
    /// The transfer.
    pub transfer: RecordId,
    /// Where it came from.
    pub from_point: RecordId,
    /// How much arrived.
    pub quantity: i64,
}

impl Summary {
    /// Where the record stands on a day: a plan in force whose last day has passed has expired.
    pub fn state_on(&self, day: Date) -> StateWord {
        match &self.detail {
            Detail::Plan { valid_to: Some(last), .. } if self.state.is_in_force() && *last < day => StateWord::Expired,
            _ => self.state,
        }
    }
}

impl From<&RecordView> for Summary {
    fn from(view: &RecordView) -> Self {
        let (title, detail) = describe(view);
        let conflicts_open = view.open_conflicts().map(|conflict| OpenConflict {
            id: conflict.id,
            class: conflict.class,
            subject: conflict.subject.clone(),
            opened_ms: conflict.opened_at.unix_ms(),
        });
        Self {
            id: view.record,
            kind: view.kind,
            title,
            state: view.word(),
            area: view.area.clone(),
            last_ms: view.last_time.unix_ms(),
            events: view.event_count,
            conflicts_open: conflicts_open.collect(),
            incomplete: view.unsettled_total - view.outside + view.missing_parents_total,
            outside: view.outside,
            begun_by: view.begun_by,
            explained: view.explained.clone(),
            detail,
        }
    }
}

fn describe(view: &RecordView) -> (String, Detail) {
    let lost = view.lost();
    match &view.state {
        State::Incident(incident) => incident_line(incident, incident.is_open(&lost)),
        State::Team(team) => {
            let deployed = team.active(&lost).map(|held| held.value.incident).collect();
            team_line(team, deployed)
        }
        State::SupplyPoint(point) => point_line(point),
        State::Plan(plan) => plan_line(plan),
        State::Hazard(hazard) => hazard_line(hazard, hazard.is_open(&lost)),
        State::Building(building) => building_line(building),
        State::Contact(contact) => contact_line(contact),
        State::Unknown => (String::new(), Detail::Unknown),
    }
}

fn incident_line(incident: &IncidentState, open: bool) -> (String, Detail) {
    let report = incident.reports.first().map(|held| &held.value);
    let place = report.map(|r| r.place.clone()).unwrap_or_default();
    let title = report.map(|r| format!("{} {}", r.category, r.place)).unwrap_or_default();
    // Of several reports the gravest counts.
    let severity = incident.reports.iter().map(|held| held.value.severity).min();
    (title, Detail::Incident { severity, place, open, teams: incident.teams() })
}

fn team_line(team: &TeamState, deployed: BTreeSet<RecordId>) -> (String, Detail) {
    let detail = Detail::Team {
        certified_until: team.certified().into_values().collect(),
        people: team.people(),
        deployed,
        readiness: team.check_in.latest().map(|held| held.value.readiness),
        members: team.profile.list("roster").map_or(0, |roster| roster.len() as u64),
    };
    (team.profile.field("name").unwrap_or_default().to_owned(), detail)
}

fn point_line(point: &SupplyPointState) -> (String, Detail) {
    let mut stock: Vec<StockLine> = point.stock.keys().map(|item| stock_line(point, item)).collect();
    let missing = point.profile.list("minimums").into_iter().flat_map(|minimums| minimums.keys());
    stock.extend(missing.filter(|item| !point.stock.contains_key(*item)).map(|item| stock_line(point, item)));
    let sent = point.sent.iter().map(|(transfer, sent)| TransferLine {
        transfer: *transfer,
        to_point: sent.other,
        item: sent.item.clone(),
        lot: sent.lot.clone(),
        quantity: sent.quantity,
        sent_ms: sent.time.unix_ms(),
    });
    let arrived = point.arrived.iter().map(|(transfer, arrived)| ArrivalLine {
        transfer: *transfer,
        from_point: arrived.other,
        quantity: arrived.quantity,
    });
    let detail = Detail::SupplyPoint {
        position: Position::new(point.profile.number("lat_e7"), point.profile.number("lon_e7")),
        service_radius_m: point.profile.number("service_radius_m").unwrap_or(0).clamp(0, crate::limits::RADIUS_M_MAX),
        stock,
        sent: sent.collect(),
        arrived: arrived.collect(),
    };
    (point.profile.field("name").unwrap_or_default().to_owned(), detail)
}

fn stock_line(point: &SupplyPointState, item: &str) -> StockLine {
    let stock = point.stock.get(item);
    let lots = stock.into_iter().flat_map(|stock| stock.lots_by_expiry()).filter_map(|(lot, bin)| {
        let line = LotLine { lot: lot.to_owned(), expires: bin.expires?, balance: bin.balance() };
        (line.balance > 0).then_some(line)
    });
    StockLine {
        item: item.to_owned(),
        unit: stock.map(|stock| stock.unit.clone()).unwrap_or_default(),
        balance: point.balance(item),
        minimum: point.minimum(item),
        lots: lots.collect(),
    }
}

fn plan_line(plan: &PlanState) -> (String, Detail) {
    let outline = plan.outline.latest().map(|held| &held.value);
    let detail = Detail::Plan {
        tier: outline.map(|o| o.tier),
        scope: outline.map(|o| o.scope.clone()).unwrap_or_default(),
        valid_to: outline.and_then(|o| o.valid_to),
        to_be_read: plan.document.to_be_read.len() as u64,
    };
    (outline.map(|o| o.title.clone()).unwrap_or_default(), detail)
}

fn hazard_line(hazard: &HazardState, open: bool) -> (String, Detail) {
    let report = hazard.reports.first().map(|held| &held.value);
    let detail = Detail::Hazard {
        grade: hazard.reports.iter().map(|held| held.value.grade).min(),
        place: report.map(|r| r.place.clone()).unwrap_or_default(),
        due: report.and_then(|r| r.due),
        open,
    };
    (report.map(|r| format!("{} {}", r.category, r.place)).unwrap_or_default(), detail)
}

fn building_line(building: &BuildingState) -> (String, Detail) {
    let survey = building.surveys.latest().map(|held| &held.value);
    let detail = Detail::Building {
        position: survey.and_then(|s| Position::new(s.lat_e7, s.lon_e7)),
        households: survey.map_or(0, |s| s.households),
        residents: survey.map_or(0, |s| s.residents),
    };
    (survey.map(|s| s.name.clone()).unwrap_or_default(), detail)
}

fn contact_line(contact: &ContactState) -> (String, Detail) {
    let listing = contact.listings.latest().map(|held| &held.value);
    let post = listing.map(|l| l.post.clone()).unwrap_or_default();
    (post.clone(), Detail::Contact { post, scope: listing.map(|l| l.scope.clone()) })
}
