//! Between structs and deterministic CBOR: what is signed, stored and hashed has exactly one encoding.
//!
//! Structs go through serde into a value, the value is put into canonical order and encoded by the core. On the way in
//! the core's strict decoder comes first, so a payload with two spellings never becomes a struct. Floats and tags have
//! no place here.

use ciborium::Value as Loose;
use linli_core::cbor::{CborError, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a struct could not be written as deterministic CBOR. Always a programming error: our structs hold no floats.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The struct cannot be represented at all.
    #[error("cannot be represented: {reason}")]
    Unrepresentable {
        /// What serde says.
        reason: String,
    },
    /// It holds a float, a tag or an integer beyond 64 bits.
    #[error("holds a float, a tag or an integer beyond 64 bits")]
    OutsideFormat,
}

/// Why bytes are not the payload that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not deterministic CBOR.
    #[error("not deterministic CBOR: {0}")]
    Cbor(#[from] CborError),
    /// Deterministic CBOR of another shape.
    #[error("fields are missing or of another type: {reason}")]
    Shape {
        /// What serde says, cut to a line.
        reason: String,
    },
}

/// Encodes a struct as deterministic CBOR.
///
/// # Errors
/// [`EncodeError`] when the struct holds what the format has no place for.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let loose = Loose::serialized(value).map_err(|e| EncodeError::Unrepresentable { reason: e.to_string() })?;
    Ok(strict(loose)?.canonical().encode())
}

/// Decodes a struct from deterministic CBOR, strictly.
///
/// # Errors
/// [`DecodeError`] says whether the bytes or the fields are wrong.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let value = Value::decode(bytes)?;
    loose(value).deserialized().map_err(|e| DecodeError::Shape { reason: e.to_string().chars().take(200).collect() })
}

fn strict(value: Loose) -> Result<Value, EncodeError> {
    Ok(match value {
        Loose::Integer(n) => {
            let n = i128::from(n);
            match (u64::try_from(n), u64::try_from(-1 - n)) {
                (Ok(n), _) => Value::Uint(n),
                (_, Ok(n)) => Value::Negative(n),
                _ => return Err(EncodeError::OutsideFormat),
            }
        }
        Loose::Bytes(bytes) => Value::Bytes(bytes),
        Loose::Text(text) => Value::Text(text),
        Loose::Bool(b) => Value::Bool(b),
        Loose::Null => Value::Null,
        Loose::Array(items) => Value::Array(items.into_iter().map(strict).collect::<Result<_, _>>()?),
        Loose::Map(pairs) => {
            Value::Map(pairs.into_iter().map(|(k, v)| Ok((strict(k)?, strict(v)?))).collect::<Result<_, _>>()?)
        }
        _ => return Err(EncodeError::OutsideFormat),
    })
}

fn loose(value: Value) -> Loose {
    match value {
        Value::Uint(n) => Loose::Integer(n.into()),
        // CBOR's negative range is one bit wider than i64; ciborium takes it as an i128 and cannot fail here.
        Value::Negative(n) => {
            Loose::Integer(ciborium::value::Integer::try_from(-1 - i128::from(n)).unwrap_or_else(|_| i64::MIN.into()))
        }
        Value::Bytes(bytes) => Loose::Bytes(bytes),
        Value::Text(text) => Loose::Text(text),
        Value::Bool(b) => Loose::Bool(b),
        Value::Null => Loose::Null,
        Value::Array(items) => Loose::Array(items.into_iter().map(loose).collect()),
        Value::Map(pairs) => Loose::Map(pairs.into_iter().map(|(k, v)| (loose(k), loose(v))).collect()),
    }
}

/// One payload as lines that people can read: top-level keys in canonical order, values as plain text.
///
/// # Errors
/// [`DecodeError`] when the bytes are not deterministic CBOR or no map.
pub fn readable(bytes: &[u8]) -> Result<Vec<(String, String)>, DecodeError> {
    match Value::decode(bytes)? {
        Value::Map(pairs) => Ok(pairs.into_iter().map(|(key, value)| (plain(&key), plain(&value))).collect()),
        _ => Err(DecodeError::Shape { reason: "expected a map".to_owned() }),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) if bytes.len() > 32 => format!("{} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        long_name_first: i64,
        b: Option<u64>,
        #[serde(flatten)]
        rest: BTreeMap<String, Loose>,
    }

    #[test]
    fn what_a_newer_program_added_is_kept() {
        let newer = Value::map_of([
            ("long_name_first", Value::Negative(4)),
            ("zz", Value::Array(vec![Value::Bytes(vec![1]), Value::Null])),
        ]);
        let sample: Sample = decode(&newer.encode()).unwrap();
        assert_eq!(sample.long_name_first, -5);
        assert_eq!(encode(&sample).unwrap(), encode(&decode::<Sample>(&encode(&sample).unwrap()).unwrap()).unwrap());
        assert!(sample.rest.contains_key("zz"));
    }

    #[test]
    fn floats_and_loose_spellings_are_refused() {
        assert_eq!(encode(&1.5f64), Err(EncodeError::OutsideFormat));
        assert!(matches!(decode::<u64>(&[0x18, 0x01]), Err(DecodeError::Cbor(_))));
        assert!(matches!(decode::<u64>(&[0x61, 0x61]), Err(DecodeError::Shape { .. })));
    }
}
