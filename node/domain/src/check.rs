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

/// The first character of a text that shows nothing by itself and changes how the text around it reads: control
/// characters, marks that turn the direction of writing, joints and spaces without width. Line ends and tabs are text,
/// and so is the joint that makes one picture of several emoji.
pub fn unshown(text: &str) -> Option<char> {
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let joins = character == JOINT && is_picture(before) && rest.peek().copied().is_some_and(is_picture);
        if !joins && is_unshown(character) {
            return Some(character);
        }
        before = character;
    }
    None
}

/// Holds emoji together, as in a family of three.
const JOINT: char = '\u{200d}';

/// Whether a character shows nothing by itself, wherever it stands.
pub fn is_unshown(character: char) -> bool {
    let is_format = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    is_format || (character.is_control() && !matches!(character, '\n' | '\r' | '\t'))
}

/// Emoji, and the marks that choose their look and colour.
const fn is_picture(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
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
    #[test]
    fn what_shows_nothing_is_found_and_joined_pictures_are_text() {
        for (text, found) in
            [("a\0b", '\0'), ("火\u{202e}灾", '\u{202e}'), ("a\u{200d}b", JOINT), ("\u{1f468}\u{200d}", JOINT)]
        {
            assert_eq!(unshown(text), Some(found), "{text:?}");
        }
        for text in [
            "",
            "两行\n\t文字",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "全角\u{3000}空格",
        ] {
            assert_eq!(unshown(text), None, "{text:?}");
        }
    }
}
