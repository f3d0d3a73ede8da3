//! Calendar dates of certificates, lots and plans: proleptic Gregorian, no time zone, `YYYY-MM-DD`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A checked calendar date between 1900 and 2199.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a date: {text:?} (expected YYYY-MM-DD, such as 2026-11-24)")]
pub struct ParseDateError {
    text: String,
}

impl Date {
    /// Checks a date.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let valid = (1900..2200).contains(&year) && (1..=12).contains(&month) && day >= 1;
        (valid && day <= days_in_month(year, month)).then_some(Self { year, month, day })
    }

    /// The date at a Unix time, given how far the wall clock is ahead of UTC.
    pub fn from_unix_ms(unix_ms: u64, utc_offset_minutes: i64) -> Option<Self> {
        let local_minutes = i64::try_from(unix_ms / 60_000).ok()?.checked_add(utc_offset_minutes)?;
        Self::from_day_number(local_minutes.div_euclid(1440))
    }

    /// The year.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, from 1.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01, after Howard Hinnant's `days_from_civil`.
    pub fn day_number(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// The date so many days after 1970-01-01.
    pub fn from_day_number(days: i64) -> Option<Self> {
        let shifted = days.checked_add(719_468)?;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }

    /// Days from `earlier` to this date; negative if this one comes first.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.day_number() - earlier.day_number()
    }
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = ParseDateError;
    fn from_str(text: &str) -> Result<Self, ParseDateError> {
        let fail = || ParseDateError { text: text.chars().take(40).collect() };
        let bytes = text.as_bytes();
        let shape = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shape {
            return Err(fail());
        }
        let number = |from: usize, to: usize| text[from..to].parse::<u16>().ok();
        let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
        match (year, month.and_then(|m| u8::try_from(m).ok()), day.and_then(|d| u8::try_from(d).ok())) {
            (Some(year), Some(month), Some(day)) => Self::new(year, month, day).ok_or_else(fail),
            _ => Err(fail()),
        }
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_checked_and_survives_its_text_form() {
        for good in ["2026-11-24", "2024-02-29", "2000-02-29", "1900-01-01", "2199-12-31"] {
            assert_eq!(good.parse::<Date>().unwrap().to_string(), good);
        }
        for bad in ["2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-1-01", "26-11-24", "2026/11/24", ""] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    #[test]
    fn day_numbers_run_without_gaps_over_three_centuries() {
        let first = Date::new(1900, 1, 1).unwrap().day_number();
        let last = Date::new(2199, 12, 31).unwrap().day_number();
        for number in first..=last {
            assert_eq!(Date::from_day_number(number).unwrap().day_number(), number);
        }
        assert_eq!(Date::from_unix_ms(0, 0).unwrap().to_string(), "1970-01-01");
        assert_eq!(Date::from_unix_ms(17 * 3_600_000, 480).unwrap().to_string(), "1970-01-02");
    }
}
