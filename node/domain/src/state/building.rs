//! The building register: one record per building, the latest survey in fold order is shown.

use serde::{Deserialize, Serialize};

use super::Register;

/// A building after its surveys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuildingState {
    /// Its surveys. More than one means that they were made without seeing each other: shown merged and marked.
    pub surveys: Register<Survey>,
}

/// A building as somebody surveyed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Its number in the street's own register.
    pub building: String,
    /// Its name or address.
    pub name: String,
    /// Households.
    pub households: u64,
    /// Residents.
    pub residents: u64,
    /// Latitude in ten-millionths of a degree.
    pub lat_e7: Option<i64>,
    /// Longitude in ten-millionths of a degree.
    pub lon_e7: Option<i64>,
}
