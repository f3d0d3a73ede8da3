//! The id of an act: made where the act begins, so that whoever sends it twice is understood to mean one act.
//!
//! A client draws an id before it sends an act and keeps it until it has an answer. The id stands in every event of the
//! act, so the log itself knows that the act was recorded: after a lost answer, a restart, or at another node.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use linli_core::cbor::Value;
use linli_core::event::domain_hash;
use linli_core::id::RecordId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text that a client may use as an act id, in bytes.
pub const ACT_ID_TEXT_BYTES_MAX: usize = 200;

/// The id of an act. Its text form is a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActId([u8; 16]);

/// A text that cannot be an act id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an act id is 1 to 200 visible ASCII characters, best a UUID that the client draws for this act")]
pub struct ParseActIdError;

impl ActId {
    /// Wraps the raw bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of one part of a larger act, such as an element of a batch that was given one id as a whole.
    pub fn part(&self, index: u64) -> Self {
        Self::hashed("linli/act-part/1", &[&self.0, &index.to_be_bytes()])
    }

    /// The id of the record, or of the transfer, that this act begins: the same at every node that is told of the act. The
    /// content is in it, because two programs that number their acts 1, 2, 3 mean two records by one id.
    pub fn new_record(&self, content: [u8; 8]) -> RecordId {
        RecordId::derived("linli/act-record/1", &[&self.0, &content])
    }

    /// The id of an act that says the same each time, such as a line of an import.
    pub fn derived(namespace: &str, parts: &[&[u8]]) -> Self {
        Self::hashed(namespace, parts)
    }

    fn hashed(namespace: &str, parts: &[&[u8]]) -> Self {
        let digest = domain_hash(namespace, parts);
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}

impl fmt::Display for ActId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RecordId::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for ActId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActId({self})")
    }
}

impl FromStr for ActId {
    type Err = ParseActIdError;

    /// A UUID stands for itself, however its letters are written. Any other text of visible ASCII characters is hashed, so
    /// that a client may use whatever key it has. What stands in quotes, as the draft of the `Idempotency-Key` header has
    /// it, is what stands in them.
    fn from_str(text: &str) -> Result<Self, ParseActIdError> {
        let text = &*unquoted(text).ok_or(ParseActIdError)?;
        if let Ok(uuid) = text.to_ascii_lowercase().parse::<RecordId>() {
            return Ok(Self(*uuid.as_bytes()));
        }
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > ACT_ID_TEXT_BYTES_MAX || !visible {
            return Err(ParseActIdError);
        }
        Ok(Self::hashed("linli/act-text/1", &[text.as_bytes()]))
    }
}

/// What a text in quotes says, by the rules of structured header fields; any other text as it is. None if the quotes are
/// not closed, or something is escaped that needs no escape.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let Some(inside) = text.strip_prefix('"') else { return Some(Cow::Borrowed(text)) };
    let (mut said, mut letters) = (String::new(), inside.chars());
    loop {
        match letters.next()? {
            '"' => return letters.as_str().is_empty().then_some(Cow::Owned(said)),
            '\\' => said.push(letters.next().filter(|letter| matches!(letter, '"' | '\\'))?),
            letter => said.push(letter),
        }
    }
}

impl Serialize for ActId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ActId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What stands of an act in each of its events: 25 bytes, the id, what was asked, and which of the act's events it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActStamp {
    /// The act.
    pub id: ActId,
    /// The first eight bytes of a hash over operator and command: the same id with another content is another act.
    pub content: [u8; 8],
    /// Which of the act's events this is, from 0; 255 stands for that one and all after it.
    pub ordinal: u8,
}

impl ActStamp {
    const BYTES: usize = 25;

    /// The bytes in a payload.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0u8; Self::BYTES];
        bytes[..16].copy_from_slice(&self.id.0);
        bytes[16..24].copy_from_slice(&self.content);
        bytes[24] = self.ordinal;
        bytes
    }

    /// From the bytes in a payload.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut id, mut content) = ([0u8; 16], [0u8; 8]);
        id.copy_from_slice(&bytes[..16]);
        content.copy_from_slice(&bytes[16..24]);
        Self { id: ActId(id), content, ordinal: bytes[24] }
    }

    /// The stamp in an operational payload; none where it bears none, or is no payload.
    pub fn in_payload(op: &[u8]) -> Option<Self> {
        // Most events of old have none: they are not decoded for it.
        if !op.windows(Self::MARK.len()).any(|at| at == Self::MARK) {
            return None;
        }
        let Ok(Value::Map(pairs)) = Value::decode(op) else { return None };
        let stamp = pairs.into_iter().find(|(key, _)| matches!(key, Value::Text(key) if key == "act"));
        match stamp {
            Some((_, Value::Bytes(bytes))) => bytes.try_into().ok().map(Self::from_bytes),
            _ => None,
        }
    }

    /// How the key and the beginning of a stamp lie in a payload's CBOR: the text `act`, and 25 bytes.
    const MARK: [u8; 6] = [0x63, b'a', b'c', b't', 0x58, 25];

    /// The content in hexadecimal digits, for people who compare two.
    pub fn content_text(&self) -> String {
        HEXLOWER.encode(&self.content)
    }
}

impl Serialize for ActStamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for ActStamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let bytes = <[u8; Self::BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| serde::de::Error::invalid_length(bytes.len(), &"25 bytes"))?;
        Ok(Self::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Said;
    use crate::payload;

    #[test]
    fn a_uuid_stands_for_itself_and_any_other_text_for_its_hash() {
        let uuid = "018f3c1e-0000-7000-8000-000000000000";
        assert_eq!(uuid.parse::<ActId>().unwrap().to_string(), uuid);
        let text: ActId = "order-4711".parse().unwrap();
        assert_eq!(text, "order-4711".parse().unwrap());
        assert_ne!(text, "order-4712".parse().unwrap());
        assert_ne!(text.part(0), text.part(1));
        for bad in ["", "two words", "办", &"x".repeat(201)] {
            assert!(bad.parse::<ActId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_id_in_quotes_and_in_capitals_is_the_same_id() {
        let id = |text: &str| text.parse::<ActId>();
        let uuid = "018f3c1e-0000-7000-8000-00000000abcd";
        for same in [uuid.to_uppercase(), format!("\"{uuid}\""), format!("\"{}\"", uuid.to_uppercase())] {
            assert_eq!(id(&same), id(uuid), "{same}");
        }
        assert_eq!(id(r#""order-4711""#), id("order-4711"));
        assert_eq!(id(r#""a\"b\\c""#), id(r#"a"b\c"#));
        // letters of other texts are as they are
        assert_ne!(id("Order-4711"), id("order-4711"));
        for bad in [r#"""#, r#""""#, r#""open"#, r#""a"b"#, r#""a\b""#, r#""two words""#] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_payload_with_an_act_is_31_bytes_longer_and_one_without_is_what_it_was() {
        let id = ActId::from_bytes([7; 16]);
        let mut said = Said::by("王芳", None);
        let without = payload::encode(&said).unwrap();
        said.act = Some(ActStamp { id, content: [1; 8], ordinal: 3 });
        let with = payload::encode(&said).unwrap();
        assert_eq!(with.len(), without.len() + 31);
        assert_eq!(payload::decode::<Said>(&with).unwrap(), said);
        assert_eq!(payload::decode::<Said>(&without).unwrap().act, None);
        assert_eq!((ActStamp::in_payload(&with), ActStamp::in_payload(&without)), (said.act, None));
        assert_eq!(ActStamp::in_payload(&with[..with.len() - 1]), None);
    }
}
