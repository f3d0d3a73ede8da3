//! Reading a street's own lists: buildings, supply points, stock, teams, certificates, contacts and plans.
//!
//! People keep these in spreadsheets, so the reader takes what spreadsheets write (GBK, byte order marks, slashed
//! dates, full-width digits) and is strict about what it would have to guess. It reads one directory and nothing
//! else: no clock, no randomness, no store, no record ids of its own. Either everything is right and a [`Street`]
//! comes back, or an [`ImportReport`] lists all that has to be put right; there is no half import.
//!
//! The files and their rules are described in `node/samples/README.md`. CSV follows RFC 4180, encodings the WHATWG
//! Encoding Standard, division codes GB/T 2260 and GB/T 10114.

pub mod apply;
mod cell;
mod date;
mod encoding;
mod finding;
mod header;
mod identifier;
pub mod limits;
mod people;
mod places;
mod plan;
mod record;
mod register;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use date::{CalendarDate, CalendarDateError};
pub use finding::{Finding, ImportReport, Message};
pub use identifier::{
    AreaCode, BuildingId, CertificateNumber, IdentifierError, PlanId, PostName, SupplyPointId, TeamId,
};
pub use record::{
    Building, Certificate, Contact, Plan, PlanScope, PlanTier, Position, StockLot, SupplyPoint, Team, TeamKind,
    Telephone, TelephoneError,
};

use finding::Findings;

/// The tables that every directory has.
const TABLE_FILES: [&str; 6] = [
    places::BUILDINGS_FILE,
    places::SUPPLY_POINTS_FILE,
    places::STOCK_FILE,
    people::TEAMS_FILE,
    people::CERTIFICATES_FILE,
    people::CONTACTS_FILE,
];

/// A street's lists, read and checked: ids are unique, and references lead to a record of this same street.
///
/// Records stand in the order of their files; plans in the order of their file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Street {
    /// From `buildings.csv`.
    pub buildings: Vec<Building>,
    /// From `supply_points.csv`.
    pub supply_points: Vec<SupplyPoint>,
    /// From `stock.csv`.
    pub stock: Vec<StockLot>,
    /// From `teams.csv`.
    pub teams: Vec<Team>,
    /// From `certificates.csv`.
    pub certificates: Vec<Certificate>,
    /// From `contacts.csv`.
    pub contacts: Vec<Contact>,
    /// From `plans/*.md`.
    pub plans: Vec<Plan>,
}

/// Reads a street's lists from `directory`. The same files always give the same answer.
///
/// # Errors
/// Everything that is wrong with any of the files, at most [`limits::FINDINGS_MAX`] findings and how many more; also
/// when a file is missing or the disk cannot read it.
pub fn read_street(directory: &Path) -> Result<Street, ImportReport> {
    let mut findings = Findings::default();
    let found = &mut findings;
    // What is referred to comes before what refers to it.
    let (buildings, building_ids) =
        places::buildings(source::read(directory, places::BUILDINGS_FILE, found).as_ref(), found);
    let (contacts, posts) = people::contacts(source::read(directory, people::CONTACTS_FILE, found).as_ref(), found);
    let points_source = source::read(directory, places::SUPPLY_POINTS_FILE, found);
    let (supply_points, point_ids) = places::supply_points(points_source.as_ref(), &posts, found);
    let stock = places::stock(source::read(directory, places::STOCK_FILE, found).as_ref(), &point_ids, found);
    let teams_source = source::read(directory, people::TEAMS_FILE, found);
    let (teams, team_ids) = people::teams(teams_source.as_ref(), &building_ids, found);
    let certificates_source = source::read(directory, people::CERTIFICATES_FILE, found);
    let certificates = people::certificates(certificates_source.as_ref(), &team_ids, found);
    let mut plans = Vec::new();
    let mut plans_seen = plan::PlansSeen::default();
    for name in source::list_plans(directory, found).unwrap_or_default() {
        let source = source::read(directory, &name, found);
        plans.extend(source.and_then(|source| plan::plan(&source, &building_ids, &mut plans_seen, found)));
    }
    match findings.into_report() {
        Some(report) => Err(report),
        None => Ok(Street { buildings, supply_points, stock, teams, certificates, contacts, plans }),
    }
}
