//! Administrative division codes: where an event applies and how far a grant reaches.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;
use crate::short_text::ShortText;

/// A hierarchical division code after GB/T 2260 and GB/T 10114: county `320508`, street `320508005`, community
/// `320508005012`. A code contains every code that it prefixes. Elsewhere any hierarchical code of `0-9A-Z` works.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(ShortText<{ limits::AREA_BYTES_MAX }>);

/// A text that is no area code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an area code: {text:?} (expected 1 to 32 digits or capital letters, such as 320508005012)")]
pub struct ParseAreaError {
    text: String,
}

impl Area {
    /// The code.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether `other` is this area or lies within it.
    pub fn contains(&self, other: &Self) -> bool {
        other.as_str().starts_with(self.as_str())
    }
}

impl FromStr for Area {
    type Err = ParseAreaError;
    fn from_str(text: &str) -> Result<Self, ParseAreaError> {
        let shape = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase();
        let refused = || ParseAreaError { text: text.chars().take(80).collect() };
        ShortText::new(text, shape).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Area {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Area {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_street_contains_its_communities_and_nothing_else() {
        let street: Area = "320508005".parse().unwrap();
        assert!(street.contains(&"320508005012".parse().unwrap()));
        assert!(street.contains(&street));
        assert!(!street.contains(&"320508006".parse().unwrap()));
        assert!(!street.contains(&"320508".parse().unwrap()));
        assert!("".parse::<Area>().is_err() && "320508 ".parse::<Area>().is_err());
    }
}
