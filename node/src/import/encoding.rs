//! Bytes to text, strictly: what a file does not say plainly is reported with its line and never replaced.
//!
//! A byte order mark decides; without one, UTF-8; otherwise GB18030, which contains GBK and GB 2312, because that is
//! what Excel writes in China. A UTF-8 file with a few broken bytes is told from a GBK file by what most of it is.

use encoding_rs::{DecoderResult, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::limits::UNDECODABLE_PLACES_MAX;

/// Why bytes are not text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// A workbook or document of an office program, not text.
    OfficeFile,
    /// Holds zero characters: a binary file, or UTF-16 without its mark.
    ZeroCharacter {
        /// Line of the first.
        line: u64,
    },
    /// Bytes that the encoding does not have.
    Undecodable {
        /// The encoding that the rest of the file is in.
        encoding: &'static str,
        /// The first places.
        places: Vec<UndecodableBytes>,
        /// Whether reading stopped there, with the rest of the file unread.
        stopped: bool,
    },
}

/// One place that could not be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UndecodableBytes {
    /// Physical line, from 1.
    pub(super) line: u64,
    /// The bytes, at most four, in hexadecimal.
    pub(super) hex: String,
}

/// Decodes a whole file; the text has no byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(DecodeError::OfficeFile);
    }
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, mark_bytes)) => (encoding, bytes.get(mark_bytes..).unwrap_or_default()),
        None => (without_mark(bytes), bytes),
    };
    // Asked before decoding, because UTF-16 without its mark would otherwise be hundreds of undecodable places.
    let utf16 = encoding == UTF_16LE || encoding == UTF_16BE;
    if !utf16 && let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return Err(zero_character(bytes, at));
    }
    let text = decode_strictly(encoding, bytes)?;
    match text.find('\0') {
        Some(at) => Err(zero_character(text.as_bytes(), at)),
        None => Ok(text),
    }
}

fn zero_character(text: &[u8], at: usize) -> DecodeError {
    DecodeError::ZeroCharacter { line: LineCursor::default().line_at(text, at) }
}

fn without_mark(bytes: &[u8]) -> &'static Encoding {
    let mut ideographs = 0_usize;
    let mut broken = 0_usize;
    for chunk in bytes.utf8_chunks() {
        ideographs += chunk.valid().chars().filter(|c| c.len_utf8() >= 3).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    if broken == 0 || ideographs > broken { UTF_8 } else { GB18030 }
}

fn decode_strictly(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, DecodeError> {
    debug_assert!([UTF_8, GB18030, UTF_16LE, UTF_16BE].contains(&encoding));
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2 + 16);
    let mut lines = LineCursor::default();
    let mut places = Vec::new();
    let mut read = 0_usize;
    loop {
        let rest = bytes.get(read..).unwrap_or_default();
        let (result, consumed) = decoder.decode_to_string_without_replacement(rest, &mut text, true);
        read += consumed;
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::OutputFull => text.reserve(rest.len().max(64)),
            DecoderResult::Malformed(..) if places.len() >= UNDECODABLE_PLACES_MAX => {
                return Err(DecodeError::Undecodable { encoding: encoding.name(), places, stopped: true });
            }
            DecoderResult::Malformed(length, after) => {
                let end = read.saturating_sub(usize::from(after));
                let start = end.saturating_sub(usize::from(length));
                let wrong = bytes.get(start..end).unwrap_or_default();
                let hex = wrong.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
                places.push(UndecodableBytes { line: lines.line_at(text.as_bytes(), text.len()), hex });
            }
        }
    }
    if places.is_empty() {
        Ok(text)
    } else {
        Err(DecodeError::Undecodable { encoding: encoding.name(), places, stopped: false })
    }
}

/// Counts physical lines forwards through one text, each byte once. `\n`, `\r\n` and a lone `\r` end a line.
#[derive(Debug, Default)]
pub(super) struct LineCursor {
    offset: usize,
    ends: u64,
    after_return: bool,
}

impl LineCursor {
    /// The line, from 1, of a byte offset that is not before the last one asked for.
    pub(super) fn line_at(&mut self, text: &[u8], offset: usize) -> u64 {
        for &byte in text.get(self.offset..offset).unwrap_or_default() {
            let ends_line = byte == b'\r' || (byte == b'\n' && !self.after_return);
            self.ends += u64::from(ends_line);
            self.after_return = byte == b'\r';
        }
        self.offset = self.offset.max(offset);
        self.ends + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "楼栋编号,名称\nB001,湖滨新村1幢\n";

    fn utf16(mark: &[u8], unit: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.iter().copied().chain(TEXT.encode_utf16().flat_map(unit)).collect()
    }

    #[test]
    fn reads_the_same_text_from_every_encoding() {
        let (gbk, _, _) = encoding_rs::GBK.encode(TEXT);
        assert_eq!(decode(TEXT.as_bytes()).as_deref(), Ok(TEXT));
        assert_eq!(decode(format!("\u{feff}{TEXT}").as_bytes()).as_deref(), Ok(TEXT));
        assert_eq!(decode(&gbk).as_deref(), Ok(TEXT));
        assert_eq!(decode(&utf16(&[0xff, 0xfe], u16::to_le_bytes)).as_deref(), Ok(TEXT));
        assert_eq!(decode(&utf16(&[0xfe, 0xff], u16::to_be_bytes)).as_deref(), Ok(TEXT));
    }

    #[test]
    fn reads_a_rare_character_of_gb18030() {
        let (bytes, encoding, _) = GB18030.encode("编号,姓名\n1,王𠮷\n");
        assert_eq!(encoding, GB18030);
        assert_eq!(decode(&bytes).as_deref(), Ok("编号,姓名\n1,王𠮷\n"));
    }

    #[test]
    fn names_the_line_and_bytes_of_damaged_utf_8_instead_of_guessing_gbk() {
        let mut bytes = TEXT.as_bytes().to_vec();
        bytes.extend_from_slice("B002,湖滨".as_bytes());
        bytes.truncate(bytes.len() - 1);
        let Err(DecodeError::Undecodable { encoding, places, .. }) = decode(&bytes) else { panic!("not reported") };
        assert_eq!(encoding, "UTF-8");
        assert_eq!(places, [UndecodableBytes { line: 3, hex: "E6 BB".to_owned() }]);
    }

    #[test]
    fn names_the_line_of_bytes_that_are_not_gbk() {
        let (gbk, _, _) = encoding_rs::GBK.encode(TEXT);
        let bytes = [&gbk, &b"B002,\xff\n"[..]].concat();
        let Err(DecodeError::Undecodable { encoding, places, .. }) = decode(&bytes) else { panic!("not reported") };
        assert_eq!(encoding, "gb18030");
        assert_eq!((places[0].line, places[0].hex.as_str()), (3, "FF"));
    }

    #[test]
    fn noise_is_given_up_after_a_few_places() {
        let Err(DecodeError::Undecodable { places, stopped, .. }) = decode(&[0xff; 4096]) else {
            panic!("not reported")
        };
        assert_eq!((places.len(), stopped), (UNDECODABLE_PLACES_MAX, true));
    }

    #[test]
    fn recognises_a_workbook_and_binary_files() {
        assert_eq!(decode(b"PK\x03\x04rest"), Err(DecodeError::OfficeFile));
        assert_eq!(decode(b"a\nb\0"), Err(DecodeError::ZeroCharacter { line: 2 }));
        let unmarked = utf16(&[], u16::to_le_bytes);
        assert_eq!(decode(&unmarked), Err(DecodeError::ZeroCharacter { line: 1 }));
    }

    #[test]
    fn counts_the_three_kinds_of_line_ends() {
        let text = "a\nb\r\nc\rd";
        let mut lines = LineCursor::default();
        let found: Vec<u64> = [0, 2, 3, 5, 7].into_iter().map(|at| lines.line_at(text.as_bytes(), at)).collect();
        assert_eq!(found, [1, 2, 2, 3, 4]);
    }
}
