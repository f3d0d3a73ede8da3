//! Buildings, supply points and what lies in them.

use std::collections::BTreeMap;

use super::cell::{degrees_e7, text, whole_number};
use super::date::date;
use super::finding::{Findings, Message, quoted};
use super::header::Column;
use super::identifier::{BuildingId, PostName, SupplyPointId, identifier};
use super::record::{Building, Position, StockLot, SupplyPoint};
use super::register::{Referents, Register, duplicate};
use super::source::Source;
use super::table::{Row, read_rows};

pub(super) const BUILDINGS_FILE: &str = "buildings.csv";
pub(super) const SUPPLY_POINTS_FILE: &str = "supply_points.csv";
pub(super) const STOCK_FILE: &str = "stock.csv";

const NAME: Column = Column { zh: "名称", en: "name" };
const LONGITUDE: Column = Column { zh: "经度", en: "longitude" };
const LATITUDE: Column = Column { zh: "纬度", en: "latitude" };

const BUILDING_ID: Column = Column { zh: "楼栋编号", en: "id" };
const HOUSEHOLDS: Column = Column { zh: "户数", en: "households" };
const RESIDENTS: Column = Column { zh: "人口", en: "residents" };
const BUILDING_COLUMNS: &[Column] = &[BUILDING_ID, NAME, HOUSEHOLDS, RESIDENTS, LONGITUDE, LATITUDE];

/// No single building of the country comes near.
const HOUSEHOLDS_MAX: u32 = 100_000;
const RESIDENTS_MAX: u32 = 1_000_000;

const POINT_ID: Column = Column { zh: "储备点编号", en: "id" };
const ADDRESS: Column = Column { zh: "地址", en: "address" };
const RADIUS: Column = Column { zh: "服务半径(米)", en: "service_radius_m" };
const POST: Column = Column { zh: "负责岗位", en: "post" };
const POINT_COLUMNS: &[Column] = &[POINT_ID, NAME, ADDRESS, LONGITUDE, LATITUDE, RADIUS, POST];

/// A point further away than this is no help in a street.
const RADIUS_M_MAX: u32 = 50_000;

const STOCK_POINT: Column = Column { zh: "储备点编号", en: "supply_point" };
const ITEM: Column = Column { zh: "物资", en: "item" };
const UNIT: Column = Column { zh: "单位", en: "unit" };
const LOT: Column = Column { zh: "批次", en: "lot" };
const EXPIRES: Column = Column { zh: "有效期", en: "expires" };
const QUANTITY: Column = Column { zh: "数量", en: "quantity" };
const MINIMUM: Column = Column { zh: "最低库存", en: "minimum" };
const STOCK_COLUMNS: &[Column] = &[STOCK_POINT, ITEM, UNIT, LOT, EXPIRES, QUANTITY, MINIMUM];

/// More units than this in one lot is a slip of the keyboard.
const QUANTITY_MAX: u32 = 10_000_000;

const LONGITUDE_BOUNDS_DEGREES: (i64, i64) = (73, 136);
const LATITUDE_BOUNDS_DEGREES: (i64, i64) = (3, 54);
const E7: i64 = 10_000_000;

/// Reads the buildings, and what others may refer to.
pub(super) fn buildings(source: Option<&Source>, findings: &mut Findings) -> (Vec<Building>, Referents<BuildingId>) {
    let (mut records, mut register) = (Vec::new(), Register::default());
    let layout = source.and_then(|source| {
        read_rows(source, BUILDING_COLUMNS, findings, |row, findings| {
            records.extend(building(row, &mut register, findings));
        })
    });
    let complete = layout.is_some_and(|layout| layout.has(BUILDING_ID));
    (records, Referents::new(BUILDINGS_FILE, register, complete))
}

fn building(row: &Row<'_>, register: &mut Register<BuildingId>, findings: &mut Findings) -> Option<Building> {
    let id = row.read(BUILDING_ID, findings, identifier::<BuildingId>);
    if let Some(id) = &id
        && let Some(first) = register.enter(id.clone(), row.line())
    {
        row.report(BUILDING_ID, findings, || duplicate(id.as_str(), first, row.line()));
    }
    let name = row.read(NAME, findings, text);
    let households = row.read(HOUSEHOLDS, findings, whole_number(0..=HOUSEHOLDS_MAX));
    let residents = row.read(RESIDENTS, findings, whole_number(0..=RESIDENTS_MAX));
    let position = position(row, findings);
    Some(Building { id: id?, name: name?, households: households?, residents: residents?, position: position? })
}

/// Reads the supply points, and what others may refer to.
pub(super) fn supply_points(
    source: Option<&Source>,
    posts: &Referents<PostName>,
    findings: &mut Findings,
) -> (Vec<SupplyPoint>, Referents<SupplyPointId>) {
    let (mut records, mut register) = (Vec::new(), Register::default());
    let layout = source.and_then(|source| {
        read_rows(source, POINT_COLUMNS, findings, |row, findings| {
            records.extend(supply_point(row, posts, &mut register, findings));
        })
    });
    let complete = layout.is_some_and(|layout| layout.has(POINT_ID));
    (records, Referents::new(SUPPLY_POINTS_FILE, register, complete))
}

fn supply_point(
    row: &Row<'_>,
    posts: &Referents<PostName>,
    register: &mut Register<SupplyPointId>,
    findings: &mut Findings,
) -> Option<SupplyPoint> {
    let id = row.read(POINT_ID, findings, identifier::<SupplyPointId>);
    if let Some(id) = &id
        && let Some(first) = register.enter(id.clone(), row.line())
    {
        row.report(POINT_ID, findings, || duplicate(id.as_str(), first, row.line()));
    }
    let name = row.read(NAME, findings, text);
    let address = row.read(ADDRESS, findings, text);
    let position = position(row, findings);
    let service_radius_m = row.read(RADIUS, findings, whole_number(1..=RADIUS_M_MAX));
    let responsible_post = row.read(POST, findings, identifier::<PostName>);
    if let Some(post) = &responsible_post
        && posts.dangling(post)
    {
        row.report(POST, findings, || posts.explain_dangling(post));
    }
    Some(SupplyPoint {
        id: id?,
        name: name?,
        address: address?,
        position: position?,
        service_radius_m: service_radius_m?,
        responsible_post: responsible_post?,
    })
}

fn position(row: &Row<'_>, findings: &mut Findings) -> Option<Position> {
    let longitude = row.read(LONGITUDE, findings, degrees_e7);
    let latitude = row.read(LATITUDE, findings, degrees_e7);
    if let (Some(longitude), Some(latitude)) = (longitude, latitude)
        && within(longitude, LATITUDE_BOUNDS_DEGREES)
        && within(latitude, LONGITUDE_BOUNDS_DEGREES)
    {
        row.report(LONGITUDE, findings, swapped);
        return None;
    }
    let longitude_e7 = in_bounds(row, LONGITUDE, longitude, LONGITUDE_BOUNDS_DEGREES, findings);
    let latitude_e7 = in_bounds(row, LATITUDE, latitude, LATITUDE_BOUNDS_DEGREES, findings);
    Some(Position { longitude_e7: longitude_e7?, latitude_e7: latitude_e7? })
}

fn within(degrees_e7: i64, (from, to): (i64, i64)) -> bool {
    (from * E7..=to * E7).contains(&degrees_e7)
}

fn swapped() -> Message {
    Message::new("经度和纬度写反了。请对调这两格", "longitude and latitude are swapped. Exchange the two cells")
}

fn in_bounds(
    row: &Row<'_>,
    column: Column,
    degrees_e7: Option<i64>,
    bounds: (i64, i64),
    findings: &mut Findings,
) -> Option<i64> {
    let degrees_e7 = degrees_e7?;
    if within(degrees_e7, bounds) {
        return Some(degrees_e7);
    }
    row.report(column, findings, || {
        let (from, to) = bounds;
        Message::new(
            format!("{}不在中国范围内（{from} 到 {to} 度）。请核对", column.zh),
            format!("the {} is outside China ({from} to {to} degrees). Check it", column.en),
        )
    });
    None
}

/// What the first row about an item at a point said, for the others to agree with.
struct ItemTerms {
    line: u64,
    unit: String,
    minimum: u32,
}

#[derive(Default)]
struct StockSeen {
    lots: Register<(SupplyPointId, String, String)>,
    terms: BTreeMap<(SupplyPointId, String), ItemTerms>,
}

/// Reads the lots of stock.
pub(super) fn stock(
    source: Option<&Source>,
    points: &Referents<SupplyPointId>,
    findings: &mut Findings,
) -> Vec<StockLot> {
    let (mut records, mut seen) = (Vec::new(), StockSeen::default());
    if let Some(source) = source {
        read_rows(source, STOCK_COLUMNS, findings, |row, findings| {
            let Some(lot) = stock_lot(row, points, findings) else { return };
            seen.check(row, &lot, findings);
            records.push(lot);
        });
    }
    records
}

fn stock_lot(row: &Row<'_>, points: &Referents<SupplyPointId>, findings: &mut Findings) -> Option<StockLot> {
    let supply_point = row.read(STOCK_POINT, findings, identifier::<SupplyPointId>);
    if let Some(point) = &supply_point
        && points.dangling(point)
    {
        row.report(STOCK_POINT, findings, || points.explain_dangling(point));
    }
    let item = row.read(ITEM, findings, text);
    let unit = row.read(UNIT, findings, text);
    let lot = row.read(LOT, findings, text);
    let expires = row.read(EXPIRES, findings, |cell| if cell.is_empty() { Ok(None) } else { date(cell).map(Some) });
    let quantity = row.read(QUANTITY, findings, whole_number(0..=QUANTITY_MAX));
    let minimum = row.read(MINIMUM, findings, whole_number(0..=QUANTITY_MAX));
    Some(StockLot {
        supply_point: supply_point?,
        item: item?,
        unit: unit?,
        lot: lot?,
        expires: expires?,
        quantity: quantity?,
        minimum: minimum?,
    })
}

impl StockSeen {
    fn check(&mut self, row: &Row<'_>, lot: &StockLot, findings: &mut Findings) {
        let item = (lot.supply_point.clone(), lot.item.clone());
        if let Some(first) = self.lots.enter((item.0.clone(), item.1.clone(), lot.lot.clone()), row.line()) {
            row.report(LOT, findings, || {
                duplicate(&format!("{} {} {}", lot.supply_point, lot.item, lot.lot), first, row.line())
            });
        }
        let terms = self.terms.entry(item).or_insert_with(|| ItemTerms {
            line: row.line(),
            unit: lot.unit.clone(),
            minimum: lot.minimum,
        });
        if terms.unit != lot.unit {
            row.report(UNIT, findings, || disagrees(terms.line, &terms.unit, &lot.unit));
        }
        if terms.minimum != lot.minimum {
            row.report(MINIMUM, findings, || {
                disagrees(terms.line, &terms.minimum.to_string(), &lot.minimum.to_string())
            });
        }
    }
}

fn disagrees(first_line: u64, first: &str, this: &str) -> Message {
    let (first, this) = (quoted(first), quoted(this));
    Message::new(
        format!("同一储备点的同一物资，第 {first_line} 行写 {first}，这里写 {this}。请改成一致"),
        format!("for this item at this point, line {first_line} says {first} and this row {this}. Make them agree"),
    )
}
