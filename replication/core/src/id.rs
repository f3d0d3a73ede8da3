//! Names of things: events, authors, logs, records. Checked newtypes with one text form each.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::area::Area;
use crate::limits;
use crate::short_text::ShortText;

/// A text that does not name what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {text:?} (expected {expected})")]
pub struct ParseIdError {
    what: &'static str,
    text: String,
    expected: &'static str,
}

macro_rules! bytes_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Wraps the raw bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Reads from a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The first eight hexadecimal digits, for logs and screens.
            pub fn short(&self) -> String {
                HEXLOWER.encode(&self.0[..4])
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }
    };
}

macro_rules! hex_text {
    ($name:ident, $len:literal, $what:literal, $expected:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                HEXLOWER.decode(text.as_bytes()).ok().and_then(|b| Self::from_slice(&b)).ok_or_else(|| ParseIdError {
                    what: $what,
                    text: text.chars().take(80).collect(),
                    expected: $expected,
                })
            }
        }
    };
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes_newtype!(
    /// SHA-256 of an event's to-be-signed bytes. The signature is not part of it.
    EventId, 32, "event id"
);
hex_text!(EventId, 32, "event id", "64 hexadecimal digits in lower case");
serde_as_text!(EventId);

bytes_newtype!(
    /// An Ed25519 public key as it stands in a header. Whether it is a usable key is for [`crate::sign`] to say.
    AuthorKey, 32, "author key"
);
hex_text!(AuthorKey, 32, "author key", "64 hexadecimal digits in lower case");
serde_as_text!(AuthorKey);

bytes_newtype!(
    /// Salted SHA-256 commitment to a payload slot.
    Commitment, 32, "commitment"
);
hex_text!(Commitment, 32, "commitment", "64 hexadecimal digits in lower case");
serde_as_text!(Commitment);

bytes_newtype!(
    /// One bundle that a courier carries, in one or more volumes: drawn at random when it is made.
    BundleId, 16, "bundle id"
);
hex_text!(BundleId, 16, "bundle id", "32 hexadecimal digits in lower case");
serde_as_text!(BundleId);

bytes_newtype!(
    /// The record that an event belongs to: a UUID, version 7 where people create it.
    RecordId, 16, "record id"
);
serde_as_text!(RecordId);

impl RecordId {
    /// A version 7 UUID (RFC 9562 §5.7) from a Unix time in milliseconds and ten random bytes.
    pub fn new_v7(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        Self::with_version(bytes, 7)
    }

    /// A version 8 UUID (RFC 9562 §5.8) derived from a hash, for records that several nodes must name alike without
    /// talking to each other, such as an imported building or a conflict found on both sides of a cut.
    pub fn derived(namespace: &str, parts: &[&[u8]]) -> Self {
        let digest = crate::event::domain_hash(namespace, parts);
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::with_version(bytes, 8)
    }

    const fn with_version(mut bytes: [u8; 16], version: u8) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | (version << 4);
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = HEXLOWER.encode(&self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl FromStr for RecordId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let fail = || ParseIdError {
            what: "record id",
            text: text.chars().take(80).collect(),
            expected: "a UUID such as 018f3c1e-0000-7000-8000-000000000000",
        };
        let dashes = text.len() == 36 && [8, 13, 18, 23].iter().all(|&i| text.as_bytes()[i] == b'-');
        if !dashes {
            return Err(fail());
        }
        let hex: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
        HEXLOWER.decode(&hex).ok().and_then(|b| Self::from_slice(&b)).ok_or_else(fail)
    }
}

/// What a log is about. The number is also the replication priority: lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(u8);

impl Stream {
    /// The federation's constitution.
    pub const CHARTER: Self = Self(0);
    /// Warnings.
    pub const ALERTS: Self = Self(1);
    /// Incidents and their timelines.
    pub const INCIDENTS: Self = Self(2);
    /// Teams, certificates and deployments.
    pub const TEAMS: Self = Self(3);
    /// Supply points and movements of stock.
    pub const SUPPLIES: Self = Self(4);
    /// Emergency plans.
    pub const PLANS: Self = Self(5);
    /// Drills and training.
    pub const DRILLS: Self = Self(6);
    /// Residents, buildings, hazard reports.
    pub const COMMUNITY: Self = Self(7);
    /// Checkpoints and cosignatures.
    pub const WITNESS: Self = Self(8);

    const NAMES: [&'static str; 9] =
        ["charter", "alerts", "incidents", "teams", "supplies", "plans", "drills", "community", "witness"];

    /// The streams of version 1, in order of priority.
    pub fn known() -> impl Iterator<Item = Self> {
        (0..Self::NAMES.len() as u8).map(Self)
    }

    /// Checks a stream number; `None` above [`limits::STREAM_MAX`].
    pub const fn from_code(code: u64) -> Option<Self> {
        if code <= limits::STREAM_MAX as u64 { Some(Self(code as u8)) } else { None }
    }

    /// The number in the header.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "stream-{}", self.0),
        }
    }
}

impl FromStr for Stream {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let known = Self::NAMES.iter().position(|n| *n == text).map(|i| i as u64);
        let number = || text.strip_prefix("stream-").and_then(|n| n.parse().ok());
        known.or_else(number).and_then(Self::from_code).ok_or_else(|| ParseIdError {
            what: "stream",
            text: text.chars().take(80).collect(),
            expected: "charter, alerts, incidents, teams, supplies, plans, drills, community or witness",
        })
    }
}
serde_as_text!(Stream);

/// What happened, as a verb within a stream: `issued` in supplies. 1 to 32 of `a-z`, `0-9`, `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(ShortText<{ limits::KIND_BYTES_MAX }>);

impl Kind {
    /// The verb.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Kind {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let shape = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        ShortText::new(text, shape).map(Self).ok_or_else(|| ParseIdError {
            what: "kind",
            text: text.chars().take(80).collect(),
            expected: "1 to 32 lower-case letters, digits or underscores",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
serde_as_text!(Kind);

/// A log: what one author wrote in one incarnation, for one area, in one stream. Ordered by replication priority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// What it is about.
    pub stream: Stream,
    /// Who writes it.
    pub author: AuthorKey,
    /// Drawn at random when the log was opened; a restored store opens a new one. Text in JSON.
    #[serde(with = "drawn_number")]
    pub incarnation: u64,
    /// Where it applies.
    pub area: Area,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{:016x}", self.area, self.stream, self.author.short(), self.incarnation)
    }
}

/// Numbers of 64 bits are decimal text: many programs read a JSON number as a float, and a rounded
/// incarnation names another log, so that whole logs would seem to be missing.
mod drawn_number {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    /// The largest number below which floats hold every integer.
    const FLOAT_EXACT_MAX: u64 = (1 << 53) - 1;

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Decimal)
    }

    struct Decimal;

    impl Visitor<'_> for Decimal {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an incarnation as decimal text, such as \"15810382071868104767\"")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
            let rounded =
                || E::custom(format!("the incarnation {number} stands as a number and may have been rounded"));
            (number <= FLOAT_EXACT_MAX).then_some(number).ok_or_else(rounded)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits
                .then(|| text.parse().ok())
                .flatten()
                .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
}

/// The last event of a log as somebody knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Head {
    /// Its height: seq counts from 1 without gaps.
    pub seq: u64,
    /// Its id. Heights without ids would let forked replicas believe that they agree.
    pub id: EventId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_form() {
        let id = EventId::from_bytes([7; 32]);
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        let record = RecordId::new_v7(1_790_000_000_000, [255; 10]);
        assert_eq!(record.to_string().parse::<RecordId>().unwrap(), record);
        assert_eq!(record.to_string().as_bytes()[14], b'7');
        assert!("320508-nonsense".parse::<RecordId>().is_err());
        assert!("ZZ".parse::<EventId>().is_err());
        assert_eq!("supplies".parse::<Stream>().unwrap(), Stream::SUPPLIES);
        assert_eq!("stream-12".parse::<Stream>().unwrap().to_string(), "stream-12");
        assert!("stream-32".parse::<Stream>().is_err());
    }

    #[test]
    fn a_kind_is_a_short_plain_verb() {
        assert!("checked_in".parse::<Kind>().is_ok());
        for bad in ["", "Checked", "a b", "领用", "a23456789012345678901234567890123"] {
            assert!(bad.parse::<Kind>().is_err(), "{bad}");
        }
    }
}
