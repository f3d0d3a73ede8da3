//! What a street's directory holds, checked: every value is in range and every reference leads somewhere.
//!
//! Each record carries the id from its file, which is what makes importing the same file twice harmless.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::date::CalendarDate;
use super::identifier::{AreaCode, BuildingId, CertificateNumber, PlanId, PostName, SupplyPointId, TeamId};

/// A place inside China's bounds: longitude 73° to 136°, latitude 3° to 54°. The coordinate system is the file's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub(super) longitude_e7: i64,
    pub(super) latitude_e7: i64,
}

impl Position {
    /// Longitude east, in units of 1e-7 degree.
    #[must_use]
    pub fn longitude_e7(self) -> i64 {
        self.longitude_e7
    }

    /// Latitude north, in units of 1e-7 degree.
    #[must_use]
    pub fn latitude_e7(self) -> i64 {
        self.latitude_e7
    }
}

/// A telephone number as written: digits with spaces, hyphens, brackets and a leading plus between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Telephone(String);

/// Why a text is not a [`Telephone`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a telephone number of 3 to 20 digits")]
pub struct TelephoneError;

impl Telephone {
    /// The number as written in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Telephone {
    type Err = TelephoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (plus, rest) = text.strip_prefix('+').map_or(("", text), |rest| ("+", rest));
        let allowed = rest.chars().all(|c| c.is_ascii_digit() || " -()".contains(c));
        let digits = rest.bytes().filter(u8::is_ascii_digit).count();
        if allowed && (3..=20).contains(&digits) && rest.len() <= 32 {
            Ok(Self(format!("{plus}{rest}")))
        } else {
            Err(TelephoneError)
        }
    }
}

impl fmt::Display for Telephone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A building (楼栋).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Building {
    /// Unique in the street.
    pub id: BuildingId,
    /// What people call it.
    pub name: String,
    /// How many households (户数).
    pub households: u32,
    /// How many people live there (人口).
    pub residents: u32,
    /// Where it stands.
    pub position: Position,
}

/// A supply point (储备点).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyPoint {
    /// Unique in the street.
    pub id: SupplyPointId,
    /// What people call it.
    pub name: String,
    /// How to find it on foot.
    pub address: String,
    /// Where it stands.
    pub position: Position,
    /// Radius of its service area in metres, 1 to 50,000.
    pub service_radius_m: u32,
    /// The post that answers for it; held in `contacts`.
    pub responsible_post: PostName,
}

/// One lot of one item at one supply point. Unique by point, item and lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLot {
    /// Where it lies; one of `supply_points`.
    pub supply_point: SupplyPointId,
    /// What it is (物资).
    pub item: String,
    /// What it is counted in (单位); the same for all lots of the item at this point.
    pub unit: String,
    /// The lot (批次).
    pub lot: String,
    /// Its last good day; `None` when it does not expire.
    pub expires: Option<CalendarDate>,
    /// How many units there are.
    pub quantity: u32,
    /// How many units of the item, over all lots, the point should hold at least.
    pub minimum: u32,
}

/// The kinds of teams a street keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TeamKind {
    /// 微型消防站.
    MicroFireStation,
    /// 邻里互助组.
    MutualAidGroup,
    /// 楼栋队.
    BuildingTeam,
}

/// A team (队伍).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Unique in the street.
    pub id: TeamId,
    /// What people call it.
    pub name: String,
    /// Its kind.
    pub kind: TeamKind,
    /// Its home, one of `buildings`. Always there for a [`TeamKind::BuildingTeam`].
    pub building: Option<BuildingId>,
}

/// A member's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The member's team; one of `teams`.
    pub team: TeamId,
    /// The person's name: personal data.
    pub holder: String,
    /// What it certifies (证书类型).
    pub kind: String,
    /// Unique in the street.
    pub number: CertificateNumber,
    /// Who issued it (发证单位).
    pub issuer: String,
    /// Its last valid day.
    pub valid_until: CalendarDate,
}

/// Who holds a post. Unique by post and area; name and telephone are personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The post (岗位).
    pub post: PostName,
    /// The person who holds it.
    pub name: String,
    /// Where they are called.
    pub telephone: Telephone,
    /// What the post covers (辖区).
    pub area: AreaCode,
}

/// The three tiers of plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanTier {
    /// 家庭.
    Household,
    /// 楼栋.
    Building,
    /// 小区.
    Estate,
}

/// Where a plan holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanScope {
    /// A whole division.
    Area(AreaCode),
    /// One building; one of `buildings`.
    Building(BuildingId),
}

/// A plan's text with what its front matter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Unique in the street.
    pub id: PlanId,
    /// Its tier.
    pub tier: PlanTier,
    /// Where it holds.
    pub scope: PlanScope,
    /// Its title.
    pub title: String,
    /// The hazards it answers, at least one, in the order written.
    pub hazards: Vec<String>,
    /// Its last valid day.
    pub valid_until: CalendarDate,
    /// Markdown, with `\n` line ends, at most 32 KiB.
    pub body: String,
}
