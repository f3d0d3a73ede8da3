//! A day of the Gregorian calendar, as lists write it: no time, no zone, no clock.
//!
//! Accepts the four forms found in street offices and says which part of a date cannot be.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::cell::folded;
use super::finding::{Message, quoted};

const YEAR_MIN: u16 = 1900;
const YEAR_MAX: u16 = 2199;

/// A day that exists, between the years 1900 and 2199. Orders by time; shown as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarDate {
    year: u16,
    month: u8,
    day: u8,
}

/// Why something is not a [`CalendarDate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CalendarDateError {
    /// Not year, month and day in one of the accepted forms.
    #[error("not a date such as 2026-02-28, 2026/2/28, 2026.2.28 or 2026年2月28日")]
    Form,
    /// A year that no list of a street means.
    #[error("the year {0} is not between 1900 and 2199")]
    Year(u16),
    /// A month that does not exist.
    #[error("there is no month {0}")]
    Month(u8),
    /// A day that its month does not have.
    #[error("{month}/{year} has {days} days, not {day}")]
    Day {
        /// The year as written.
        year: u16,
        /// The month, 1 to 12.
        month: u8,
        /// The day as written.
        day: u8,
        /// How many days that month has.
        days: u8,
    },
}

impl CalendarDate {
    /// The day with this year, month (from 1) and day (from 1).
    ///
    /// # Errors
    /// Names the first part, from the left, that cannot be.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, CalendarDateError> {
        if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
            return Err(CalendarDateError::Year(year));
        }
        let days = days_in_month(year, month).ok_or(CalendarDateError::Month(month))?;
        if !(1..=days).contains(&day) {
            return Err(CalendarDateError::Day { year, month, day, days });
        }
        Ok(Self { year, month, day })
    }

    /// The year, 1900 to 2199.
    #[must_use]
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.day
    }
}

impl fmt::Display for CalendarDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for CalendarDate {
    type Err = CalendarDateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = folded(text);
        let (year, month, day) = split(text.trim()).ok_or(CalendarDateError::Form)?;
        if year.len() != 4 {
            return Err(CalendarDateError::Form);
        }
        Self::new(number(year)?, small_number(month)?, small_number(day)?)
    }
}

fn split(text: &str) -> Option<(&str, &str, &str)> {
    if let Some((year, rest)) = text.split_once('年') {
        let (month, rest) = rest.split_once('月')?;
        return Some((year.trim(), month.trim(), rest.strip_suffix('日')?.trim()));
    }
    let separator = text.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
    let mut parts = text.split(separator);
    let date = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(date)
}

fn number(digits: &str) -> Result<u16, CalendarDateError> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().ok_or(CalendarDateError::Form)
}

fn small_number(digits: &str) -> Result<u8, CalendarDateError> {
    if digits.len() > 2 {
        return Err(CalendarDateError::Form);
    }
    number(digits)?.try_into().map_err(|_| CalendarDateError::Form)
}

fn days_in_month(year: u16, month: u8) -> Option<u8> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Reads a cell as a date.
pub(super) fn date(cell: &str) -> Result<CalendarDate, Message> {
    cell.parse().map_err(|error| explained(cell, error))
}

fn explained(cell: &str, error: CalendarDateError) -> Message {
    let shown = quoted(cell);
    match error {
        CalendarDateError::Form if is_spreadsheet_day_number(cell) => Message::new(
            format!("{shown} 是表格软件的日期序号。请把此列设为日期格式（如 2026-02-28）后重新另存"),
            format!(
                "{shown} is a spreadsheet's day number. Format the column as a date such as 2026-02-28 and save again"
            ),
        ),
        CalendarDateError::Form => Message::new(
            format!("{shown} 不是日期。请写成 2026-02-28、2026/2/28、2026.2.28 或 2026年2月28日"),
            format!("{shown} is not a date. Write 2026-02-28, 2026/2/28, 2026.2.28 or 2026年2月28日"),
        ),
        CalendarDateError::Year(year) => Message::new(
            format!("年份 {year} 不在 {YEAR_MIN} 到 {YEAR_MAX} 之间。请核对年份"),
            format!("the year {year} is not between {YEAR_MIN} and {YEAR_MAX}. Check the year"),
        ),
        CalendarDateError::Month(month) => Message::new(
            format!("没有 {month} 月。请核对月份，顺序是年、月、日"),
            format!("there is no month {month}. Check it; the order is year, month, day"),
        ),
        CalendarDateError::Day { year, month, day, days } => {
            let name = MONTHS.get(usize::from(month).saturating_sub(1)).copied().unwrap_or("the month");
            Message::new(
                format!("{year} 年 {month} 月只有 {days} 天，没有 {day} 日。请核对日期"),
                format!("{name} {year} has {days} days, so there is no day {day}. Check the date"),
            )
        }
    }
}

fn is_spreadsheet_day_number(cell: &str) -> bool {
    cell.len() == 5 && cell.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_four_forms_and_full_width_digits_as_the_same_day() {
        for form in ["2026-02-28", "2026/2/28", "2026.2.28", "2026年2月28日", "２０２６－２－２８", "2026-2-28 "]
        {
            assert_eq!(form.parse::<CalendarDate>().unwrap().to_string(), "2026-02-28", "{form}");
        }
    }

    #[test]
    fn says_how_many_days_february_has() {
        let message = date("2026/2/30").unwrap_err();
        assert!(message.zh.contains("2026 年 2 月只有 28 天"), "{message}");
        assert!(message.en.contains("February 2026 has 28 days"), "{message}");
    }

    #[test]
    fn knows_leap_years() {
        assert!("2028-02-29".parse::<CalendarDate>().is_ok());
        assert!("2000-02-29".parse::<CalendarDate>().is_ok());
        assert!("2100-02-29".parse::<CalendarDate>().is_err());
    }

    #[test]
    fn rejects_what_could_be_read_in_two_ways() {
        for text in ["", "26-2-28", "28/2/2026", "2026-2/28", "2026-2-28-1", "2026-02-028", "2026年2月28", "2026-+2-28"]
        {
            assert!(matches!(text.parse::<CalendarDate>(), Err(CalendarDateError::Form)), "{text}");
        }
        assert_eq!("2026-13-01".parse::<CalendarDate>(), Err(CalendarDateError::Month(13)));
        assert_eq!("0226-01-01".parse::<CalendarDate>(), Err(CalendarDateError::Year(226)));
    }

    #[test]
    fn recognises_a_spreadsheets_day_number() {
        assert!(date("46081").unwrap_err().en.contains("day number"));
    }
}
