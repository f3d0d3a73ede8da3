//! From a street's lists to acts: the same rows give the same records everywhere, so an import can be repeated.

use std::collections::BTreeMap;

use anyhow::Context;
use linli_core::area::Area;
use linli_core::id::RecordId;
use linli_domain::act::ActId;
use linli_domain::commands::{
    CertifyMember, Command, DraftPlan, FormPoint, FormTeam, ListContact, ReceiveSupplies, SurveyBuilding, import_id,
};
use linli_domain::date::Date;
use linli_domain::events::plan_drafted::Tier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CalendarDate, ImportReport, PlanScope, PlanTier, Street, TeamKind};
use crate::batch::BatchOf;
use crate::cli::outcome::Failure;
use crate::client::{Client, Sent};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::node::{Node, new_act};

/// Whose name stands in imported events.
const OPERATOR: &str = "导入";

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReceipt {
    /// Rows that were recorded.
    pub written: u64,
    /// Rows that stood there already.
    pub skipped: u64,
}

/// Imports through the running node, or directly if none runs.
///
/// # Errors
/// When the node refuses a row or its store fails; then nothing was imported.
pub fn run(
    dir: &DataDir,
    config: &Config,
    street: &Street,
    area: Option<Area>,
    clock_checked: bool,
    now_ms: u64,
    progress: bool,
) -> Result<ImportReceipt, Failure> {
    let client = Client::new(dir, config)?;
    let bar = match progress {
        true => indicatif::ProgressBar::new_spinner().with_message("导入中 / importing"),
        false => indicatif::ProgressBar::hidden(),
    };
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    let written = match client.get("/status") {
        Ok(status) => {
            let own: Area = serde_json::from_value(status["area"].clone()).map_err(anyhow::Error::from)?;
            let acts = acts(street, &area_within(&own, area)?)?;
            let total = acts.len();
            let elements = acts.iter().map(element).collect::<Result<Vec<_>, _>>().map_err(anyhow::Error::from)?;
            let batch = json!({"by": OPERATOR, "commands": elements, "restate": true});
            let again = "run the same import again: what is on record already is not recorded twice";
            let sent = Sent { act: new_act(), clock_checked, again };
            let receipts = client.post_act("/commands/batch", &batch, &sent)?;
            let written =
                receipts.as_array().into_iter().flatten().filter(|receipt| receipt["repeated"] != json!(true));
            (written.count(), total)
        }
        Err(_) => {
            let node = Node::open(dir, now_ms)?;
            let acts = acts(street, &area_within(node.area(), area)?)?;
            let total = acts.len();
            let receipts = node.submit_all(OPERATOR, acts, BatchOf::Statements).map_err(anyhow::Error::from)?;
            node.close().map_err(anyhow::Error::from)?;
            (receipts.iter().filter(|receipt| !receipt.repeated).count(), total)
        }
    };
    bar.finish_and_clear();
    Ok(ImportReceipt { written: written.0 as u64, skipped: (written.1 - written.0) as u64 })
}

/// The area asked for, if this node may speak for it; by default its own.
fn area_within(own: &Area, asked: Option<Area>) -> Result<Area, Failure> {
    match asked {
        Some(area) if !own.contains(&area) => {
            let message = format!("the area {area} lies outside this node's, which is {own}");
            Err(Failure::usage(
                message,
                format!("give an --area that starts with {own}, or import at a node of {area}"),
            ))
        }
        asked => Ok(asked.unwrap_or_else(|| own.clone())),
    }
}

/// How many rows of each file.
pub fn counts(street: &Street) -> Value {
    json!({
        "buildings": street.buildings.len(), "supply_points": street.supply_points.len(), "stock": street.stock.len(),
        "teams": street.teams.len(), "certificates": street.certificates.len(), "contacts": street.contacts.len(),
        "plans": street.plans.len(),
    })
}

/// Findings for programs.
pub fn report_json(report: &ImportReport) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|f| {
            json!({
                "file": f.file, "line": f.line, "column": f.column, "column_name": f.column_name,
                "zh": f.message.zh, "en": f.message.en,
            })
        })
        .collect();
    json!({"findings": findings, "omitted": report.omitted})
}

/// The acts of a street's lists with their ids. A line has one id everywhere and every time, as long as it says the same:
/// so an import that broke off, or that was done on both sides of a cut, is one import; a corrected line is another act.
///
/// # Errors
/// As [`commands`].
pub fn acts(street: &Street, area: &Area) -> anyhow::Result<Vec<(ActId, Command)>> {
    let with_id = |command: Command| {
        let parts: [&[u8]; 2] = [area.as_str().as_bytes(), &command.content(OPERATOR)];
        (ActId::derived("linli/import-act/1", &parts), command)
    };
    Ok(commands(street, area)?.into_iter().map(with_id).collect())
}

/// An act as an element of a batch.
fn element((act, command): &(ActId, Command)) -> serde_json::Result<Value> {
    let mut element = serde_json::to_value(command)?;
    element["act"] = Value::from(act.to_string());
    Ok(element)
}

/// The acts of a street's lists, in an order in which each finds what it refers to.
///
/// # Errors
/// When a date lies outside what the records can hold.
pub fn commands(street: &Street, area: &Area) -> anyhow::Result<Vec<Command>> {
    let mut commands = buildings(street, area);
    commands.extend(points(street, area));
    commands.extend(stock(street, area)?);
    commands.extend(teams(street, area)?);
    commands.extend(contacts(street, area));
    commands.extend(plans(street, area)?);
    Ok(commands)
}

fn buildings(street: &Street, area: &Area) -> Vec<Command> {
    let survey = |b: &super::Building| SurveyBuilding {
        record: Some(import_id(area, "building", b.id.as_str())),
        area: Some(area.clone()),
        building: b.id.to_string(),
        name: b.name.clone(),
        households: u64::from(b.households),
        residents: u64::from(b.residents),
        lat_e7: Some(b.position.latitude_e7()),
        lon_e7: Some(b.position.longitude_e7()),
        note: None,
    };
    street.buildings.iter().map(|b| survey(b).into()).collect()
}

fn point_id(area: &Area, id: &super::SupplyPointId) -> RecordId {
    import_id(area, "supply_point", id.as_str())
}

fn points(street: &Street, area: &Area) -> Vec<Command> {
    let minimums = |id: &super::SupplyPointId| -> BTreeMap<String, i64> {
        let lots = street.stock.iter().filter(|lot| lot.supply_point == *id);
        lots.map(|lot| (lot.item.clone(), i64::from(lot.minimum))).collect()
    };
    let form = |p: &super::SupplyPoint| FormPoint {
        record: Some(point_id(area, &p.id)),
        area: Some(area.clone()),
        name: p.name.clone(),
        address: Some(p.address.clone()),
        lat_e7: Some(p.position.latitude_e7()),
        lon_e7: Some(p.position.longitude_e7()),
        service_radius_m: Some(i64::from(p.service_radius_m)),
        keeper: Some(p.responsible_post.to_string()),
        minimums: minimums(&p.id),
        note: None,
    };
    street.supply_points.iter().map(|p| form(p).into()).collect()
}

fn stock(street: &Street, area: &Area) -> anyhow::Result<Vec<Command>> {
    let receive = |lot: &super::StockLot| -> anyhow::Result<Command> {
        Ok(ReceiveSupplies {
            point: point_id(area, &lot.supply_point),
            item: lot.item.clone(),
            unit: lot.unit.clone(),
            lot: Some(lot.lot.clone()),
            expires: lot.expires.map(date).transpose()?,
            quantity: i64::from(lot.quantity),
            from: "既有库存".to_owned(),
            reference: Some(format!("stock/{}/{}/{}", lot.supply_point, lot.item, lot.lot)),
            note: None,
        }
        .into())
    };
    // An empty lot says what is kept and what the minimum is; there is nothing to book in.
    street.stock.iter().filter(|lot| lot.quantity > 0).map(receive).collect()
}

fn teams(street: &Street, area: &Area) -> anyhow::Result<Vec<Command>> {
    let id = |team: &super::TeamId| import_id(area, "team", team.as_str());
    let mut commands: Vec<Command> = vec![];
    for team in &street.teams {
        let kind = match team.kind {
            TeamKind::MicroFireStation => "微型消防站",
            TeamKind::MutualAidGroup => "邻里互助组",
            TeamKind::BuildingTeam => "楼栋队",
        };
        commands.push(
            FormTeam {
                record: Some(id(&team.id)),
                area: Some(area.clone()),
                name: team.name.clone(),
                team_kind: Some(kind.to_owned()),
                lead: None,
                roster: street
                    .certificates
                    .iter()
                    .filter(|certificate| certificate.team == team.id)
                    .map(|certificate| (member_of(area, street, certificate), BTreeMap::new()))
                    .collect(),
                kit: BTreeMap::new(),
                note: None,
            }
            .into(),
        );
    }
    for certificate in &street.certificates {
        commands.push(
            CertifyMember {
                team: id(&certificate.team),
                // A pseudonym: the name itself is personal and stands in the personal payload only.
                member: member_of(area, street, certificate),
                name: certificate.holder.clone(),
                certificate: certificate.kind.clone(),
                number: certificate.number.to_string(),
                issuer: certificate.issuer.clone(),
                expires: date(certificate.valid_until)?,
                note: None,
            }
            .into(),
        );
    }
    Ok(commands)
}

/// The same member has the same pseudonym in a team, however many certificates they hold: that of the first of them. It
/// does not tell the name to whoever does not know it already.
fn member_of(area: &Area, street: &Street, certificate: &super::Certificate) -> String {
    let theirs = street.certificates.iter().filter(|c| c.team == certificate.team && c.holder == certificate.holder);
    let first = theirs.map(|c| &c.number).min().unwrap_or(&certificate.number);
    let id = import_id(area, "member", &format!("{}/{}", certificate.team, first));
    format!("M-{}", &id.to_string()[..8])
}

fn contacts(street: &Street, area: &Area) -> Vec<Command> {
    let list = |c: &super::Contact| ListContact {
        record: Some(import_id(area, "contact", &format!("{}/{}", c.post, c.area))),
        area: Some(area.clone()),
        post: c.post.to_string(),
        scope: c.area.as_str().parse().ok(),
        name: c.name.clone(),
        phone: c.telephone.to_string(),
        refresh: false,
        note: None,
    };
    street.contacts.iter().map(|c| list(c).into()).collect()
}

fn plans(street: &Street, area: &Area) -> anyhow::Result<Vec<Command>> {
    let draft = |plan: &super::Plan| -> anyhow::Result<Command> {
        Ok(DraftPlan {
            record: Some(import_id(area, "plan", plan.id.as_str())),
            area: Some(area.clone()),
            tier: match plan.tier {
                PlanTier::Household => Tier::Household,
                PlanTier::Building => Tier::Building,
                PlanTier::Estate => Tier::Community,
            },
            scope: match &plan.scope {
                PlanScope::Area(area) => area.to_string(),
                PlanScope::Building(building) => building.to_string(),
            },
            title: plan.title.clone(),
            hazards: plan.hazards.clone(),
            valid_to: Some(date(plan.valid_until)?),
            text: Some(plan.body.clone()),
            note: None,
        }
        .into())
    };
    street.plans.iter().map(draft).collect()
}

fn date(date: CalendarDate) -> anyhow::Result<Date> {
    Date::new(date.year(), date.month(), date.day())
        .with_context(|| format!("the date {date} lies outside the years 1900 to 2199"))
}
