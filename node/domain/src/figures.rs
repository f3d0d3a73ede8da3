//! The figures that the bureau is asked for (row 22): recomputable by anyone from the same records. Integers only, so
//! that every machine computes the same.

use serde::{Deserialize, Serialize};

use crate::date::Date;
use crate::limits::CERTIFIED_FOR_READY;
use crate::summary::{Detail, Position, Summary};

/// The figures of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Supply points.
    pub points: u64,
    /// Buildings in the register.
    pub buildings: u64,
    /// Buildings without a position: they count as not covered.
    pub buildings_without_position: u64,
    /// Buildings within the service radius of some point.
    pub buildings_covered: u64,
    /// Share of buildings covered, in tenths of a percent, rounded down. Nought without buildings.
    pub covered_permille: u64,
    /// Teams.
    pub teams: u64,
    /// Teams with at least three people on the roster whose certificates are valid.
    pub teams_certified: u64,
    /// Households in all buildings.
    pub households: u64,
    /// Residents in all buildings.
    pub residents: u64,
}

/// Computes the figures of a day.
pub fn figures(summaries: &[Summary], today: Date) -> Figures {
    let reach: Vec<(Position, i64)> = summaries.iter().filter_map(reach_of).collect();
    let mut figures = Figures::default();
    for summary in summaries {
        match &summary.detail {
            Detail::SupplyPoint { .. } => figures.points += 1,
            Detail::Team { certified_until, .. } => {
                let valid = certified_until.iter().filter(|day| **day >= today).count();
                figures.teams += 1;
                figures.teams_certified += u64::from(valid >= CERTIFIED_FOR_READY);
            }
            Detail::Building { position, households, residents } => {
                let covered = position.is_some_and(|at| reach.iter().any(|(point, r)| is_within(at, *point, *r)));
                figures.buildings += 1;
                figures.buildings_covered += u64::from(covered);
                figures.buildings_without_position += u64::from(position.is_none());
                figures.households = figures.households.saturating_add(*households);
                figures.residents = figures.residents.saturating_add(*residents);
            }
            Detail::Incident { .. }
            | Detail::Plan { .. }
            | Detail::Hazard { .. }
            | Detail::Contact { .. }
            | Detail::Unknown => {}
        }
    }
    figures.covered_permille = (figures.buildings_covered * 1000).checked_div(figures.buildings).unwrap_or(0);
    figures
}

fn reach_of(summary: &Summary) -> Option<(Position, i64)> {
    match &summary.detail {
        Detail::SupplyPoint { position, service_radius_m, .. } => position.map(|at| (at, *service_radius_m)),
        _ => None,
    }
}

/// Metres of one ten-millionth of a degree of latitude, times ten million (a degree is 111,195 m on the mean sphere).
const METRES_PER_DEGREE: i64 = 111_195;

/// Whether two positions lie within `radius_m` of each other: equirectangular, good to a few metres over the few
/// kilometres that a supply point serves.
pub fn is_within(a: Position, b: Position, radius_m: i64) -> bool {
    // Millimetres, in 128 bits, so that nothing is lost or overflows.
    let north = i128::from(a.lat_e7 - b.lat_e7) * i128::from(METRES_PER_DEGREE) / 10_000;
    let mut degrees_east = (a.lon_e7 - b.lon_e7).abs();
    degrees_east = degrees_east.min(3_600_000_000 - degrees_east);
    let middle = i64::midpoint(a.lat_e7, b.lat_e7);
    let east = i128::from(degrees_east) * i128::from(METRES_PER_DEGREE) / 10_000 * cosine_e9(middle) / 1_000_000_000;
    let radius_mm = i128::from(radius_m) * 1000;
    radius_m >= 0 && north * north + east * east <= radius_mm * radius_mm
}

/// Cosine of an angle in ten-millionths of a degree, times a thousand million: Taylor's series in integers, whose
/// error stays below a millionth up to ninety degrees.
fn cosine_e9(angle_e7: i64) -> i128 {
    const ONE: i128 = 1_000_000_000_000;
    // π / 180 times 10^12, over 10^7 for the unit of the angle.
    let x = i128::from(angle_e7.clamp(-900_000_000, 900_000_000)) * 17_453_292_520 / 10_000_000;
    let square = x * x / ONE;
    let mut term = ONE;
    let mut sum = ONE;
    for n in 1..=9 {
        term = -term * square / ONE / (2 * n * (2 * n - 1));
        sum += term;
    }
    sum.max(0) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_agree_with_known_ones() {
        assert!((cosine_e9(313_000_000) - 854_458_814).abs() < 1_000);
        assert!((cosine_e9(600_000_000) - 500_000_000).abs() < 1_000 && cosine_e9(900_000_000) < 1_000);
        // A hundredth of a degree near Suzhou: 1,112 m to the north, 950 m to the east.
        let here = Position { lat_e7: 313_000_000, lon_e7: 1_206_000_000 };
        let north = Position { lat_e7: 313_100_000, ..here };
        let east = Position { lon_e7: 1_206_100_000, ..here };
        assert!(is_within(here, north, 1_112) && !is_within(here, north, 1_111));
        assert!(is_within(here, east, 951) && !is_within(here, east, 949));
        let (west, over) =
            (Position { lat_e7: 0, lon_e7: -1_799_999_000 }, Position { lat_e7: 0, lon_e7: 1_799_999_000 });
        assert!(is_within(west, over, 23), "the date line is not a wall");
    }
}
