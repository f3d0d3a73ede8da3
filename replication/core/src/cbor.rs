//! Deterministic CBOR (RFC 8949 §4.2.1) and nothing more: one encoding per value, everything else refused.
//!
//! Supported: unsigned and negative integers, byte and text strings, arrays, maps, true, false, null. Floats, tags,
//! undefined and indefinite lengths have no place in a signed format. The reader never allocates more than its input
//! is long, whatever lengths the input claims.

use std::fmt;

use crate::limits;

/// What is wrong with some encoded bytes, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct CborError {
    /// What is wrong.
    pub problem: Problem,
    /// Offset of the offending item from the start of the input, in bytes.
    pub offset: usize,
}

/// The ways in which bytes fail to be deterministic CBOR of the expected shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The input ends inside an item.
    #[error("the input ends inside an item")]
    Truncated,
    /// Bytes follow the item.
    #[error("bytes follow after the end")]
    TrailingBytes,
    /// An integer or length that a shorter form could hold.
    #[error("an integer or length is not in its shortest form")]
    NotShortest,
    /// A string, array or map of indefinite length.
    #[error("indefinite lengths are not allowed")]
    Indefinite,
    /// A tag, float, undefined or unassigned simple value.
    #[error("tags, floats and other simple values are not allowed")]
    Unsupported,
    /// Another type than the format asks for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// Map keys out of order.
    #[error("map keys are not in bytewise order")]
    KeyOrder,
    /// The same map key twice.
    #[error("a map key stands twice")]
    DuplicateKey,
    /// Nested too deep.
    #[error("nested deeper than the limit")]
    TooDeep,
    /// A value outside the range that the format allows.
    #[error("out of range: {0}")]
    OutOfRange(&'static str),
}

impl Problem {
    /// The reason's name in test vectors, the same for every implementation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing-bytes",
            Self::NotShortest => "not-shortest",
            Self::Indefinite => "indefinite",
            Self::Unsupported => "unsupported",
            Self::Expected(_) => "unexpected-type",
            Self::NotUtf8 => "not-utf8",
            Self::KeyOrder => "key-order",
            Self::DuplicateKey => "duplicate-key",
            Self::TooDeep => "too-deep",
            Self::OutOfRange(_) => "out-of-range",
        }
    }
}

/// Writes deterministic CBOR. The caller writes as many items as it announced.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Writes after what is there.
    pub(crate) fn after(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// Makes room for `bytes` more.
    pub(crate) fn reserve(&mut self, bytes: usize) -> &mut Self {
        self.out.reserve(bytes);
        self
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        if value < 24 {
            self.out.push(major | value as u8);
        } else if let Ok(v) = u8::try_from(value) {
            self.out.extend_from_slice(&[major | 24, v]);
        } else if let Ok(v) = u16::try_from(value) {
            self.out.push(major | 25);
            self.out.extend_from_slice(&v.to_be_bytes());
        } else if let Ok(v) = u32::try_from(value) {
            self.out.push(major | 26);
            self.out.extend_from_slice(&v.to_be_bytes());
        } else {
            self.out.push(major | 27);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(0, value);
        self
    }

    /// A signed integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        if value < 0 {
            self.head(1, !(value as u64))
        } else {
            self.head(0, value as u64)
        }
        self
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.bytes_head(value.len());
        self.out.extend_from_slice(value);
        self
    }

    /// What stands before the bytes of a byte string of `len`. The caller adds the bytes.
    pub(crate) fn bytes_head(&mut self, len: usize) -> &mut Self {
        self.head(2, len as u64);
        self
    }

    /// A text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(3, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
        self
    }

    /// The head of an array of `len` items.
    pub fn array(&mut self, len: usize) -> &mut Self {
        self.head(4, len as u64);
        self
    }

    /// The head of a map of `len` pairs. The caller keeps the keys in bytewise order of their encodings.
    pub fn map(&mut self, len: usize) -> &mut Self {
        self.head(5, len as u64);
        self
    }

    /// True or false.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.out.push(if value { 0xf5 } else { 0xf4 });
        self
    }

    /// Null.
    pub fn null(&mut self) -> &mut Self {
        self.out.push(0xf6);
        self
    }

    /// A byte string, or null.
    pub fn bytes_or_null(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(bytes) => self.bytes(bytes),
            None => self.null(),
        }
    }

    /// Items that are encoded already.
    pub fn raw(&mut self, encoded: &[u8]) -> &mut Self {
        self.out.extend_from_slice(encoded);
        self
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The encoded bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}

/// What the next item is, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Unsigned integer.
    Uint,
    /// Negative integer.
    Negative,
    /// Byte string.
    Bytes,
    /// Text string.
    Text,
    /// Array.
    Array,
    /// Map.
    Map,
    /// True, false, null, or something unsupported.
    Simple,
}

/// Reads deterministic CBOR item by item, strictly.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Offset of the next item, in bytes.
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// Whether everything was read.
    pub const fn is_at_end(&self) -> bool {
        self.at >= self.input.len()
    }

    /// The bytes from `start` up to the next item.
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.input[start..self.at]
    }

    /// An error about the item that starts at `offset`.
    pub const fn error(offset: usize, problem: Problem) -> CborError {
        CborError { problem, offset }
    }

    fn head(&mut self) -> Result<(u8, u64, usize), CborError> {
        let start = self.at;
        let err = |problem| Self::error(start, problem);
        let first = *self.input.get(start).ok_or(err(Problem::Truncated))?;
        let (major, info) = (first >> 5, first & 0x1f);
        let extra = match info {
            0..=23 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Err(err(Problem::Indefinite)),
            _ => return Err(err(Problem::Unsupported)),
        };
        if major == 6 || (major == 7 && extra > 0) {
            return Err(err(Problem::Unsupported));
        }
        let tail = self.input.get(start + 1..start + 1 + extra).ok_or(err(Problem::Truncated))?;
        let value = if extra == 0 { u64::from(info) } else { tail.iter().fold(0, |v, b| v << 8 | u64::from(*b)) };
        let shortest = match extra {
            0 => true,
            1 => value >= 24,
            2 => value > u64::from(u8::MAX),
            4 => value > u64::from(u16::MAX),
            _ => value > u64::from(u32::MAX),
        };
        if !shortest {
            return Err(err(Problem::NotShortest));
        }
        self.at = start + 1 + extra;
        Ok((major, value, start))
    }

    fn expect(&mut self, major: u8, what: &'static str) -> Result<(u64, usize), CborError> {
        let start = self.at;
        let (found, value, _) = self.head()?;
        if found == major {
            return Ok((value, start));
        }
        self.at = start;
        Err(Self::error(start, Problem::Expected(what)))
    }

    fn take(&mut self, len: u64, start: usize) -> Result<&'a [u8], CborError> {
        let truncated = Self::error(start, Problem::Truncated);
        let len = usize::try_from(len).map_err(|_| truncated)?;
        let end = self.at.checked_add(len).ok_or(truncated)?;
        let bytes = self.input.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(bytes)
    }

    fn take_at_most(&mut self, len: u64, start: usize, max: usize, what: &'static str) -> Result<&'a [u8], CborError> {
        if len > max as u64 {
            return Err(Self::error(start, Problem::OutOfRange(what)));
        }
        self.take(len, start)
    }

    /// The type of the next item.
    pub fn peek(&self) -> Result<Type, CborError> {
        let first = *self.input.get(self.at).ok_or(Self::error(self.at, Problem::Truncated))?;
        match first >> 5 {
            0 => Ok(Type::Uint),
            1 => Ok(Type::Negative),
            2 => Ok(Type::Bytes),
            3 => Ok(Type::Text),
            4 => Ok(Type::Array),
            5 => Ok(Type::Map),
            7 => Ok(Type::Simple),
            _ => Err(Self::error(self.at, Problem::Unsupported)),
        }
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(0, "an unsigned integer").map(|(v, _)| v)
    }

    /// A signed integer that fits 64 bits.
    pub fn int(&mut self) -> Result<i64, CborError> {
        let (major, value, start) = self.head()?;
        let out_of_range = Self::error(start, Problem::OutOfRange("an integer of 64 bits"));
        match major {
            0 => i64::try_from(value).map_err(|_| out_of_range),
            1 => i64::try_from(value).map(|v| !v).map_err(|_| out_of_range),
            _ => Err(Self::error(start, Problem::Expected("an integer"))),
        }
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let (len, start) = self.expect(2, "a byte string")?;
        self.take(len, start)
    }

    /// A byte string of at most `max` bytes. A longer one is refused by its announced length, whether or not the
    /// input holds it, so that nobody waits for bytes that could never be accepted.
    pub fn bytes_of_at_most(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], CborError> {
        let (len, start) = self.expect(2, "a byte string")?;
        self.take_at_most(len, start, max, what)
    }

    /// A byte string of exactly `N` bytes.
    pub fn byte_array<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        const WHAT: &str = "length of a byte string";
        let start = self.at;
        let bytes = self.bytes_of_at_most(N, WHAT)?;
        bytes.try_into().map_err(|_| Self::error(start, Problem::OutOfRange(WHAT)))
    }

    /// A text string.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        self.text_of_at_most(usize::MAX, "length of a text string")
    }

    /// A text string of at most `max` bytes; a longer one is refused by its announced length.
    pub fn text_of_at_most(&mut self, max: usize, what: &'static str) -> Result<&'a str, CborError> {
        let (len, start) = self.expect(3, "a text string")?;
        let bytes = self.take_at_most(len, start, max, what)?;
        std::str::from_utf8(bytes).map_err(|_| Self::error(start, Problem::NotUtf8))
    }

    /// The head of an array: how many items follow.
    pub fn array(&mut self) -> Result<u64, CborError> {
        self.expect(4, "an array").map(|(v, _)| v)
    }

    /// The head of an array of at most `max` items.
    pub fn array_of_at_most(&mut self, max: usize, what: &'static str) -> Result<usize, CborError> {
        let start = self.at;
        let len = self.array()?;
        match usize::try_from(len) {
            Ok(len) if len <= max => Ok(len),
            _ => Err(Self::error(start, Problem::OutOfRange(what))),
        }
    }

    /// The head of an array of exactly `len` items.
    pub fn array_of(&mut self, len: u64, what: &'static str) -> Result<(), CborError> {
        let start = self.at;
        if self.array()? == len { Ok(()) } else { Err(Self::error(start, Problem::Expected(what))) }
    }

    /// The head of a map: how many pairs follow. Key order is for the caller or [`Value`] to check.
    pub fn map(&mut self) -> Result<u64, CborError> {
        self.expect(5, "a map").map(|(v, _)| v)
    }

    /// Reads a null if one is next.
    pub fn null(&mut self) -> bool {
        let found = self.input.get(self.at) == Some(&0xf6);
        self.at += usize::from(found);
        found
    }

    /// True or false.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        let found = match self.input.get(self.at) {
            Some(0xf4) => false,
            Some(0xf5) => true,
            _ => return Err(Self::error(self.at, Problem::Expected("true or false"))),
        };
        self.at += 1;
        Ok(found)
    }

    /// Refuses anything after the last item.
    pub const fn finish(&self) -> Result<(), CborError> {
        if self.is_at_end() { Ok(()) } else { Err(Self::error(self.at, Problem::TrailingBytes)) }
    }
}

/// Any value that the format allows. Unknown parts of payloads live on in this form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// An unsigned integer.
    Uint(u64),
    /// A negative integer; holds n where the value is -1 - n, as CBOR does.
    Negative(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map, in bytewise order of the encoded keys.
    Map(Vec<(Value, Value)>),
    /// True or false.
    Bool(bool),
    /// Null.
    Null,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(v) => write!(f, "{v}"),
            Self::Negative(v) => write!(f, "{}", -1 - i128::from(*v)),
            Self::Bytes(b) => write!(f, "h'{}'", data_encoding::HEXLOWER.encode(b)),
            Self::Text(t) => write!(f, "{t:?}"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(k, v)| (k, v))).finish(),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl Value {
    /// Decodes exactly one value that fills `input`.
    ///
    /// # Errors
    /// Anything that is not deterministic CBOR, nested deeper than [`limits::CBOR_DEPTH_MAX`], or followed by more.
    pub fn decode(input: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(input);
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Reads the next value.
    ///
    /// # Errors
    /// As [`Value::decode`], but more may follow.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Self::read_nested(reader, 0)
    }

    fn read_nested(reader: &mut Reader<'_>, depth: usize) -> Result<Self, CborError> {
        let start = reader.offset();
        if depth > limits::CBOR_DEPTH_MAX {
            return Err(Reader::error(start, Problem::TooDeep));
        }
        Ok(match reader.peek()? {
            Type::Uint => Self::Uint(reader.uint()?),
            Type::Negative => Self::Negative(reader.expect(1, "a negative integer")?.0),
            Type::Bytes => Self::Bytes(reader.bytes()?.to_vec()),
            Type::Text => Self::Text(reader.text()?.to_owned()),
            Type::Array => {
                let len = reader.array()?;
                let mut items = Vec::new();
                for _ in 0..len {
                    items.push(Self::read_nested(reader, depth + 1)?);
                }
                Self::Array(items)
            }
            Type::Map => Self::Map(Self::read_pairs(reader, depth)?),
            Type::Simple if reader.null() => Self::Null,
            Type::Simple => Self::Bool(reader.bool().map_err(|_| Reader::error(start, Problem::Unsupported))?),
        })
    }

    fn read_pairs(reader: &mut Reader<'_>, depth: usize) -> Result<Vec<(Self, Self)>, CborError> {
        let len = reader.map()?;
        let mut pairs = Vec::new();
        let mut last_key: Option<&[u8]> = None;
        for _ in 0..len {
            let start = reader.offset();
            let key = Self::read_nested(reader, depth + 1)?;
            let encoded = reader.since(start);
            match last_key.map(|last| last.cmp(encoded)) {
                Some(std::cmp::Ordering::Equal) => return Err(Reader::error(start, Problem::DuplicateKey)),
                Some(std::cmp::Ordering::Greater) => return Err(Reader::error(start, Problem::KeyOrder)),
                _ => last_key = Some(encoded),
            }
            pairs.push((key, Self::read_nested(reader, depth + 1)?));
        }
        Ok(pairs)
    }

    /// A map from text keys, put into canonical order. Later duplicates are dropped.
    pub fn map_of<'k>(pairs: impl IntoIterator<Item = (&'k str, Value)>) -> Self {
        Self::Map(pairs.into_iter().map(|(k, v)| (Self::Text(k.to_owned()), v)).collect()).canonical()
    }

    /// Sorts every map by its encoded keys and drops repeated keys, first one wins.
    pub fn canonical(self) -> Self {
        match self {
            Self::Map(pairs) => {
                let mut pairs: Vec<(Self, Self)> =
                    pairs.into_iter().map(|(k, v)| (k.canonical(), v.canonical())).collect();
                pairs.sort_by(|a, b| a.0.cmp_encoded(&b.0));
                pairs.dedup_by(|later, first| later.0.cmp_encoded(&first.0).is_eq());
                Self::Map(pairs)
            }
            Self::Array(items) => Self::Array(items.into_iter().map(Self::canonical).collect()),
            scalar => scalar,
        }
    }

    /// The order of two encodings. Texts, which nearly all keys are, need not be encoded for it: the shorter one has the
    /// smaller head.
    fn cmp_encoded(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => (a.len(), a).cmp(&(b.len(), b)),
            _ => self.encode().cmp(&other.encode()),
        }
    }

    /// Encodes. Deterministic if the value came from [`Value::decode`] or [`Value::canonical`].
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.into_bytes()
    }

    /// Appends the encoding to `writer`.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Uint(v) => drop(writer.uint(*v)),
            Self::Negative(v) => writer.head(1, *v),
            Self::Bytes(b) => drop(writer.bytes(b)),
            Self::Text(t) => drop(writer.text(t)),
            Self::Array(items) => {
                writer.array(items.len());
                items.iter().for_each(|item| item.write(writer));
            }
            Self::Map(pairs) => {
                writer.map(pairs.len());
                for (key, value) in pairs {
                    key.write(writer);
                    value.write(writer);
                }
            }
            Self::Bool(b) => drop(writer.bool(*b)),
            Self::Null => drop(writer.null()),
        }
    }

    /// The value under a text key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(k, _)| matches!(k, Self::Text(t) if t == key)).map(|(_, v)| v)
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(t) = self { Some(t) } else { None }
    }

    /// The bytes, if they are.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(b) = self { Some(b) } else { None }
    }

    /// The unsigned integer, if it is one.
    pub const fn as_uint(&self) -> Option<u64> {
        if let Self::Uint(v) = self { Some(*v) } else { None }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The truth value, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_ordered_as_their_encodings_are() {
        let texts =
            ["", "a", "b", "é", "aa", "ab", &"z".repeat(23), &"a".repeat(24), &"z".repeat(255), &"a".repeat(256)];
        for (a, b) in texts.iter().flat_map(|a| texts.iter().map(move |b| (a, b))) {
            let (a, b) = (Value::Text((*a).to_owned()), Value::Text((*b).to_owned()));
            assert_eq!(a.cmp_encoded(&b), a.encode().cmp(&b.encode()));
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<u64>().prop_map(Value::Uint),
            any::<u64>().prop_map(Value::Negative),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
            "[a-z名]{0,12}".prop_map(Value::Text),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec((inner.clone(), inner), 0..6).prop_map(|p| Value::Map(p).canonical()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_is_the_only_encoding(value in any_value()) {
            let bytes = value.encode();
            prop_assert_eq!(Value::decode(&bytes).unwrap(), value);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_never_have_two_encodings(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Ok(value) = Value::decode(&bytes) {
                prop_assert_eq!(value.encode(), bytes);
            }
        }

        #[test]
        fn truncation_at_every_byte_is_refused(value in any_value()) {
            let bytes = value.encode();
            for end in 0..bytes.len() {
                prop_assert!(Value::decode(&bytes[..end]).is_err());
            }
        }
    }

    #[test]
    fn every_non_canonical_form_is_refused_with_its_reason() {
        let cases: &[(&[u8], Problem)] = &[
            (&[0x18, 0x17], Problem::NotShortest),
            (&[0x19, 0x00, 0xff], Problem::NotShortest),
            (&[0x1a, 0, 0, 0xff, 0xff], Problem::NotShortest),
            (&[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], Problem::NotShortest),
            (&[0x58, 0x01, 0x00], Problem::NotShortest),
            (&[0x5f, 0xff], Problem::Indefinite),
            (&[0x9f, 0xff], Problem::Indefinite),
            (&[0xbf, 0xff], Problem::Indefinite),
            (&[0xc0, 0x00], Problem::Unsupported),
            (&[0xf9, 0x3c, 0x00], Problem::Unsupported),
            (&[0xf7], Problem::Unsupported),
            (&[0x1c], Problem::Unsupported),
            (&[0x61, 0xff], Problem::NotUtf8),
            (&[0xa2, 0x61, b'b', 0, 0x61, b'a', 0], Problem::KeyOrder),
            (&[0xa2, 0x61, b'a', 0, 0x61, b'a', 0], Problem::DuplicateKey),
            (&[0x00, 0x00], Problem::TrailingBytes),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Problem::Truncated),
            (&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Problem::Truncated),
        ];
        for (bytes, problem) in cases {
            assert_eq!(Value::decode(bytes).unwrap_err().problem, *problem, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_bomb_of_depth_is_refused() {
        let mut bomb = vec![0x81; 100_000];
        bomb.push(0);
        assert_eq!(Value::decode(&bomb).unwrap_err().problem, Problem::TooDeep);
    }
}
