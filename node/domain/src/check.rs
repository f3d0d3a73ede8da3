//! Bounds of payload fields. A payload that breaks one is refused where it is typed, and not folded where it arrives.

use crate::limits;

/// A payload field that breaks its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field, by its key in the payload.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: InvalidProblem,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProblem {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// More characters than fit.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// Control characters, which break screens and exports.
    #[error("contains control characters")]
    ControlCharacters,
    /// Outside its range.
    #[error("is not between {0} and {1}")]
    OutOfRange(i64, i64),
    /// Too many items.
    #[error("has more than {0} entries")]
    TooMany(usize),
    /// One half of a pair is missing.
    #[error("is missing its other half")]
    Halved,
}

const fn fail(field: &'static str, problem: InvalidProblem) -> Result<(), Invalid> {
    Err(Invalid { field, problem })
}

/// A line that must say something.
pub fn line(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return fail(field, InvalidProblem::Empty);
    }
    bounded(field, text, limits::LINE_CHARS_MAX, |c| c.is_control())
}

/// A line that may be left out, but not left empty.
pub fn optional_line(field: &'static str, text: Option<&str>) -> Result<(), Invalid> {
    text.map_or(Ok(()), |text| line(field, text))
}

/// A text of several lines that must say something.
pub fn text(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return fail(field, InvalidProblem::Empty);
    }
    maybe_empty_text(field, text)
}

/// A text of several lines, perhaps empty.
pub fn maybe_empty_text(field: &'static str, text: &str) -> Result<(), Invalid> {
    bounded(field, text, limits::TEXT_CHARS_MAX, |c| c.is_control() && c != '\n' && c != '\t')
}

fn bounded(field: &'static str, text: &str, max: usize, forbidden: impl Fn(char) -> bool) -> Result<(), Invalid> {
    if text.chars().count() > max {
        return fail(field, InvalidProblem::TooLong(max));
    }
    if text.chars().any(forbidden) { fail(field, InvalidProblem::ControlCharacters) } else { Ok(()) }
}

/// A number between two bounds, both included.
pub fn range(field: &'static str, value: i64, min: i64, max: i64) -> Result<(), Invalid> {
    if (min..=max).contains(&value) { Ok(()) } else { fail(field, InvalidProblem::OutOfRange(min, max)) }
}

/// A quantity of at least one.
pub fn quantity(field: &'static str, value: i64) -> Result<(), Invalid> {
    range(field, value, 1, limits::QUANTITY_MAX)
}

/// A head count, perhaps nought, that may be left out.
pub fn head_count(field: &'static str, value: Option<u64>) -> Result<(), Invalid> {
    match value {
        Some(n) if n > limits::QUANTITY_MAX as u64 => fail(field, InvalidProblem::OutOfRange(0, limits::QUANTITY_MAX)),
        _ => Ok(()),
    }
}

/// A position in ten-millionths of a degree: both halves or none.
pub fn position(lat_e7: Option<i64>, lon_e7: Option<i64>) -> Result<(), Invalid> {
    match (lat_e7, lon_e7) {
        (None, None) => Ok(()),
        (Some(lat), Some(lon)) => {
            range("lat_e7", lat, -900_000_000, 900_000_000)?;
            range("lon_e7", lon, -1_800_000_000, 1_800_000_000)
        }
        (Some(_), None) => fail("lat_e7", InvalidProblem::Halved),
        (None, Some(_)) => fail("lon_e7", InvalidProblem::Halved),
    }
}

/// A list of at most so many lines.
pub fn lines(field: &'static str, items: &[String], max: usize) -> Result<(), Invalid> {
    if items.len() > max {
        return fail(field, InvalidProblem::TooMany(max));
    }
    items.iter().try_for_each(|item| line(field, item))
}

/// A list of at most so many entries, and at least one.
pub const fn some(field: &'static str, len: usize, max: usize) -> Result<(), Invalid> {
    if len == 0 {
        return fail(field, InvalidProblem::Empty);
    }
    if len > max { fail(field, InvalidProblem::TooMany(max)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_name_the_field_and_the_problem() {
        assert_eq!(line("place", " ").unwrap_err().to_string(), "place: is empty");
        assert!(line("place", &"里".repeat(120)).is_ok() && line("place", &"里".repeat(121)).is_err());
        assert!(line("place", "a\nb").is_err() && text("summary", "a\nb").is_ok() && text("summary", "a\0").is_err());
        assert!(quantity("quantity", 0).is_err() && quantity("quantity", i64::MAX).is_err());
        assert!(position(Some(1), None).is_err() && position(Some(900_000_001), Some(0)).is_err());
    }
}
