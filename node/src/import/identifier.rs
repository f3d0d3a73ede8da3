//! The ids and codes that a street's own lists use. They stay what the file says, so that reading a corrected file
//! again meets the same records; nothing here draws new ones.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use linli_domain::check::is_unshown;

use super::cell::{empty, folded};
use super::finding::{Message, quoted};
use super::limits::IDENTIFIER_CHARS_MAX;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentifierError {
    /// Nothing is written.
    #[error("an id is empty")]
    Empty,
    /// Longer than [`IDENTIFIER_CHARS_MAX`] characters.
    #[error("an id has {chars} characters, more than {IDENTIFIER_CHARS_MAX}")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
    /// A space, a quotation mark, a separator or an invisible character.
    #[error("an id contains {character:?}")]
    Forbidden {
        /// The first such character.
        character: char,
    },
    /// Not the digits of an administrative division's code.
    #[error("not a division's code of 2, 4, 6, 9 or 12 digits")]
    NotADivision,
}

macro_rules! identifier {
    ($(#[$documentation:meta])* $name:ident, $check:path) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text as it stands in the file, with full-width letters and digits made ordinary.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let text = folded(text);
                let text = text.trim();
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Id of a building (楼栋编号).
    BuildingId,
    check_word
);
identifier!(
    /// Id of a supply point (储备点编号).
    SupplyPointId,
    check_word
);
identifier!(
    /// Id of a team (队伍编号).
    TeamId,
    check_word
);
identifier!(
    /// Number of a certificate (证书编号).
    CertificateNumber,
    check_word
);
identifier!(
    /// Id of a plan (编号).
    PlanId,
    check_word
);
identifier!(
    /// Name of a post (岗位): the work follows it, not the person. May hold spaces between words.
    PostName,
    check_words
);
identifier!(
    /// Code of an administrative division (辖区): 2, 4, 6, 9 or 12 digits, after GB/T 2260 and GB/T 10114; a prefix
    /// contains what it prefixes.
    AreaCode,
    check_division
);

fn check_word(text: &str) -> Result<(), IdentifierError> {
    check_words(text)?;
    forbid(text, char::is_whitespace)
}

fn check_words(text: &str) -> Result<(), IdentifierError> {
    if text.is_empty() {
        return Err(IdentifierError::Empty);
    }
    let chars = text.chars().count();
    if chars > IDENTIFIER_CHARS_MAX {
        return Err(IdentifierError::TooLong { chars });
    }
    forbid(text, |c| c.is_control() || is_unshown(c) || "\"'`,;=<>\\，；、“”\u{fffd}".contains(c))
}

fn forbid(text: &str, forbidden: impl Fn(char) -> bool) -> Result<(), IdentifierError> {
    match text.chars().find(|&c| forbidden(c)) {
        Some(character) => Err(IdentifierError::Forbidden { character }),
        None => Ok(()),
    }
}

fn check_division(text: &str) -> Result<(), IdentifierError> {
    if text.is_empty() {
        return Err(IdentifierError::Empty);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits && matches!(text.len(), 2 | 4 | 6 | 9 | 12) { Ok(()) } else { Err(IdentifierError::NotADivision) }
}

/// Reads a cell as an id of any of the kinds above.
pub(super) fn identifier<T: FromStr<Err = IdentifierError>>(cell: &str) -> Result<T, Message> {
    cell.parse().map_err(|error| explained(cell, error))
}

fn explained(cell: &str, error: IdentifierError) -> Message {
    let shown = quoted(cell);
    match error {
        IdentifierError::Empty => empty(),
        IdentifierError::TooLong { chars } => Message::new(
            format!("编号有 {chars} 个字，最多 {IDENTIFIER_CHARS_MAX} 个。请改短"),
            format!("this has {chars} characters, at most {IDENTIFIER_CHARS_MAX} are allowed. Shorten it"),
        ),
        IdentifierError::Forbidden { character } => Message::new(
            format!("{shown} 含有不能用的字符 U+{:04X}。请删去空格、引号、分隔符和看不见的字符", u32::from(character)),
            format!(
                "{shown} contains U+{:04X}. Remove spaces, quotation marks, separators and invisible characters",
                u32::from(character)
            ),
        ),
        IdentifierError::NotADivision if cell.to_ascii_uppercase().contains("E+") => Message::new(
            format!("{shown} 被表格软件改成了科学计数。请把此列设为文本格式，重新填写代码"),
            format!("a spreadsheet turned the code into {shown}. Format the column as text and enter the code again"),
        ),
        IdentifierError::NotADivision => Message::new(
            format!("{shown} 不是区划代码。请填 6 位（区县）、9 位（街道）或 12 位（社区）数字"),
            format!(
                "{shown} is not a division's code. Write 6 digits for a district, 9 for a street, 12 for a community"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_full_width_letters_so_that_references_meet() {
        assert_eq!("Ｂ００１".parse::<BuildingId>(), "B001".parse());
    }

    #[test]
    fn rejects_what_the_eye_cannot_see_or_a_spreadsheet_left() {
        for text in ["B 001", "B001\u{200b}", "=\"B001\"", "B,1", "B\n1"] {
            assert!(matches!(text.parse::<BuildingId>(), Err(IdentifierError::Forbidden { .. })), "{text:?}");
        }
        assert_eq!("  ".parse::<BuildingId>(), Err(IdentifierError::Empty));
        assert!(matches!("x".repeat(65).parse::<BuildingId>(), Err(IdentifierError::TooLong { chars: 65 })));
    }

    #[test]
    fn a_post_may_be_several_words() {
        assert_eq!("Block warden".parse::<PostName>().unwrap().as_str(), "Block warden");
    }

    #[test]
    fn explains_a_code_that_a_spreadsheet_turned_into_a_float() {
        let message = identifier::<AreaCode>("3.20508E+11").unwrap_err();
        assert!(message.en.contains("as text"), "{message}");
        assert!(identifier::<AreaCode>("320508005012").is_ok());
        assert!(identifier::<AreaCode>("32050800").is_err());
    }
}
