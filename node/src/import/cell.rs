//! Reading single cells: text, whole numbers, decimal degrees, telephones, one of several words.
//!
//! Every function takes the trimmed cell and answers with a value or with what is wrong and what to write instead.
//! No floats: degrees become integers of 1e-7 degree digit by digit.

use std::ops::RangeInclusive;

use linli_domain::check::unshown;

use super::finding::{Message, quoted};
use super::record::Telephone;

const E7_DIGITS: usize = 7;
const E7: i64 = 10_000_000;

/// Full-width letters, digits, signs and spaces as their ordinary counterparts; nothing else changes.
pub(super) fn folded(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            '\u{3000}' => ' ',
            _ => c,
        })
        .collect()
}

/// Any text that is not empty and shows all it holds.
pub(super) fn text(cell: &str) -> Result<String, Message> {
    if cell.is_empty() {
        return Err(empty());
    }
    let damaged = cell.contains('\u{fffd}');
    if damaged {
        return Err(Message::new(
            format!("{} 中有转换编码时丢失的字（�）。请对照原件重新填写", quoted(cell)),
            format!(
                "{} has characters lost in an earlier conversion (�). Enter them again from the original",
                quoted(cell)
            ),
        ));
    }
    if let Some(character) = unshown(cell) {
        let code = u32::from(character);
        return Err(Message::new(
            format!("含有看不见的字符 U+{code:04X}。请删去后重新填写此格"),
            format!("contains the invisible character U+{code:04X}. Clear the cell and enter it again"),
        ));
    }
    Ok(cell.to_owned())
}

/// The message for a cell in which nothing stands.
pub(super) fn empty() -> Message {
    Message::new("此格为空。请填写", "this cell is empty. Fill it in")
}

/// A whole number in a range.
pub(super) fn whole_number(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, Message> {
    move |cell| {
        let written = folded(cell);
        let written = written.trim();
        if written.is_empty() {
            return Err(empty());
        }
        if let Some(rest) = written.strip_prefix(['-', '−', '–'])
            && is_digits(rest.trim())
        {
            return Err(Message::new(
                format!("{} 是负数。请填 {} 或以上的整数", quoted(cell), range.start()),
                format!("{} is negative. Write a whole number from {}", quoted(cell), range.start()),
            ));
        }
        if !is_digits(written) {
            return Err(Message::new(
                format!("{} 不是整数。请只写数字，不要小数、千位分隔符和单位", quoted(cell)),
                format!("{} is not a whole number. Write digits only: no decimals, separators or units", quoted(cell)),
            ));
        }
        written.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            Message::new(
                format!("{} 不在 {} 到 {} 之间。请核对", quoted(cell), range.start(), range.end()),
                format!("{} is not between {} and {}. Check it", quoted(cell), range.start(), range.end()),
            )
        })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Decimal degrees as an integer of 1e-7 degree; further decimals are rounded, halves away from zero.
pub(super) fn degrees_e7(cell: &str) -> Result<i64, Message> {
    let written = folded(cell);
    let written = written.trim();
    if written.is_empty() {
        return Err(empty());
    }
    parse_e7(written).ok_or_else(|| {
        Message::new(
            format!("{} 不是十进制的度。请写成 120.7012345 这样，不要度分秒和单位", quoted(cell)),
            format!(
                "{} is not decimal degrees. Write it like 120.7012345, without minutes, seconds or units",
                quoted(cell)
            ),
        )
    })
}

fn parse_e7(written: &str) -> Option<i64> {
    let (negative, magnitude) = match written.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let (whole, decimals) = magnitude.split_once('.').unwrap_or((magnitude, "0"));
    // Nine digits are far beyond any degree and leave room for the scale.
    if !is_digits(whole) || !is_digits(decimals) || whole.len() > 9 {
        return None;
    }
    let mut fraction: i64 = 0;
    for place in 0..E7_DIGITS {
        let digit = decimals.as_bytes().get(place).map_or(0, |byte| i64::from(byte - b'0'));
        fraction = fraction * 10 + digit;
    }
    let round_up = decimals.as_bytes().get(E7_DIGITS).is_some_and(|&byte| byte >= b'5');
    let e7 = whole.parse::<i64>().ok()? * E7 + fraction + i64::from(round_up);
    Some(if negative { -e7 } else { e7 })
}

/// A telephone number: digits with the usual signs between them.
pub(super) fn telephone(cell: &str) -> Result<Telephone, Message> {
    folded(cell).trim().parse().map_err(|_| {
        if cell.is_empty() {
            return empty();
        }
        Message::new(
            format!("{} 不是电话号码。请写 3 到 20 位数字，可用空格、- 和括号隔开，不要科学计数", quoted(cell)),
            format!(
                "{} is not a telephone number. Write 3 to 20 digits; spaces, - and brackets may stand between",
                quoted(cell)
            ),
        )
    })
}

/// One of several words, in Chinese or English.
pub(super) fn choice<T: Copy>(
    words: &'static [(T, &'static str, &'static str)],
) -> impl Fn(&str) -> Result<T, Message> {
    move |cell| {
        let written = folded(cell).trim().to_ascii_lowercase();
        if let Some((value, _, _)) = words.iter().find(|(_, zh, en)| written == *zh || written == *en) {
            return Ok(*value);
        }
        let zh: Vec<&str> = words.iter().map(|(_, zh, _)| *zh).collect();
        let en: Vec<String> = words.iter().map(|(_, zh, en)| format!("{zh} ({en})")).collect();
        Err(Message::new(
            format!("{} 不在可选的词里。请填其中之一：{}", quoted(cell), zh.join("、")),
            format!("{} is not one of the words allowed. Write one of: {}", quoted(cell), en.join(", ")),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_full_width_digits() {
        assert_eq!(whole_number(0..=1000)("１２０"), Ok(120));
        assert_eq!(degrees_e7("１２０．５"), Ok(1_205_000_000));
    }

    #[test]
    fn rejects_negative_decimal_separated_and_huge_numbers_each_with_its_reason() {
        let read = whole_number(0..=10_000);
        assert!(read("-5").unwrap_err().en.contains("negative"));
        assert!(read("－５").unwrap_err().en.contains("negative"));
        for written in ["12.0", "1,200", "十二", "12顶", "+5", "1e3", "٣"] {
            assert!(read(written).unwrap_err().en.contains("not a whole number"), "{written}");
        }
        for written in ["10001", "99999999999999999999999"] {
            assert!(read(written).unwrap_err().en.contains("between 0 and 10000"), "{written}");
        }
    }

    #[test]
    fn degrees_are_exact_to_seven_decimals_and_rounded_beyond() {
        assert_eq!(degrees_e7("120.7012345"), Ok(1_207_012_345));
        assert_eq!(degrees_e7("31"), Ok(310_000_000));
        assert_eq!(degrees_e7("31.00000005"), Ok(310_000_001));
        assert_eq!(degrees_e7("31.000000049999"), Ok(310_000_000));
        assert_eq!(degrees_e7("-0.5"), Ok(-5_000_000));
    }

    #[test]
    fn rejects_degrees_in_other_notations() {
        for written in ["120°42′", "1.2e2", "120,7", ".5", "120.", "9999999999", "NaN", "--1"] {
            assert!(degrees_e7(written).is_err(), "{written}");
        }
    }

    #[test]
    fn rejects_text_that_hides_something() {
        assert!(text("湖滨\u{202e}新村").is_err());
        assert!(text("湖滨\u{fffd}村").unwrap_err().en.contains("lost"));
        assert_eq!(text("湖滨\n新村").as_deref(), Ok("湖滨\n新村"));
    }
}
