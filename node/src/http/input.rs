//! Bodies: bounded, decoded, and described when they are wrong.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::HttpError;
use super::limits;
use crate::words::Word;

/// Which page of a list is asked for, counted from 0.
#[derive(Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    pub(crate) page: usize,
}

/// A form: its fields in order, as they were typed.
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// Puts a text in the place of what a field held.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.retain(|(key, _)| key != name);
        self.0.push((name.to_owned(), value));
    }

    /// Whether a field was sent, be it empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A field's text; empty if it is missing. A line comes without the blanks around it; several lines come as they
    /// are, because a plan's text that is sent back untouched must stay untouched.
    pub(crate) fn text(&self, name: &str) -> &str {
        let value = self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        let trimmed = value.trim();
        if trimmed.contains('\n') { value } else { trimmed }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = HttpError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        let bytes = bounded(&parts, body, limits::FORM_BYTES_MAX).await?;
        let unreadable = |error: &dyn std::fmt::Display| {
            HttpError::filled(StatusCode::BAD_REQUEST, "form", Word::ErrQuery, &[error], Word::ErrFormTokenNext)
        };
        // The decoder puts question marks where bytes are no text; what a person signs must be what they typed.
        if !is_utf8_form(&bytes) {
            return Err(unreadable(&"UTF-8"));
        }
        let whole = Request::from_parts(parts, Body::from(bytes));
        let axum::Form(pairs) =
            axum::Form::<Vec<(String, String)>>::from_request(whole, &()).await.map_err(|error| unreadable(&error))?;
        Ok(Self(pairs.into_iter().map(|(key, value)| (key, value.replace("\r\n", "\n"))).collect()))
    }
}

/// A JSON body of at most `MAX` bytes.
pub(crate) struct Json<T, const MAX: usize = { limits::JSON_BYTES_MAX }>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync, const MAX: usize> FromRequest<S> for Json<T, MAX> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, HttpError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // Browsers send this type across sites only after asking first, which is never granted here.
        if content_type.is_none_or(|text| text.split(';').next() != Some("application/json")) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(HttpError::new(status, "content_type", Word::ErrContentType, Word::ErrContentTypeNext));
        }
        let (parts, body) = request.into_parts();
        let bytes = bounded(&parts, body, MAX).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| described::<T>(&bytes, &error))
    }
}

/// A body of at most `MAX` bytes, as it is.
pub(crate) struct Raw<const MAX: usize>(pub(crate) Bytes);

impl<S: Send + Sync, const MAX: usize> FromRequest<S> for Raw<MAX> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        bounded(&parts, body, MAX).await.map(Self)
    }
}

/// Whether a form's bytes are UTF-8 once their percent signs are read.
fn is_utf8_form(bytes: &[u8]) -> bool {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// How long the reading of a request's body may take, where it is less than the request itself may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTime(pub(crate) Duration);

async fn bounded(parts: &Parts, body: Body, bytes_max: usize) -> Result<Bytes, HttpError> {
    let time = parts.extensions.get::<BodyTime>().map_or(limits::BATCH_TIME_MAX, |time| time.0);
    let slow = |_| HttpError::new(StatusCode::REQUEST_TIMEOUT, "timeout", Word::ErrSlow, Word::ErrSlowNext);
    tokio::time::timeout(time, whole(&parts.headers, body, bytes_max)).await.map_err(slow)?
}

async fn whole(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, HttpError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        return Err(HttpError::too_large(bytes_max));
    }
    let (mut whole, mut pieces) = (vec![], body.into_data_stream());
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|_| HttpError::new(StatusCode::BAD_REQUEST, "body", Word::ErrBody, Word::ErrBodyNext))?;
        if piece.len() > bytes_max - whole.len() {
            return Err(HttpError::too_large(bytes_max));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Bytes::from(whole))
}

/// What is wrong with a JSON text, and in which field.
fn described<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> HttpError {
    let said = json_error(&error.to_string());
    if said.code != "json" || bytes.len() > LOOKED_THROUGH_BYTES_MAX {
        return said;
    }
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return said };
    let Some(field) = said.field.clone().or_else(|| culprit::<T>(&body)) else { return said };
    let act = body.pointer("/command/do").and_then(Value::as_str);
    said.about(field).name_field(act.unwrap_or_default(), true)
}

/// Longest body in which the field that is wrong is looked for: it is read once for each of its fields.
const LOOKED_THROUGH_BYTES_MAX: usize = 64 << 10;
/// Fields of one object, or elements of one list, among which the one that is wrong is looked for.
const LOOKED_THROUGH_MAX: usize = 64;

/// The field without which something else is wrong with a body, or nothing: a tagged form does not say which of its fields
/// it could not read.
fn culprit<T: DeserializeOwned>(body: &Value) -> Option<String> {
    let wrong_with = |body: &Value| T::deserialize(body).err().map(|error| error.to_string());
    let whole = wrong_with(body)?;
    let (mut place, mut field) = (String::new(), None);
    loop {
        let mut names: Vec<String> = match body.pointer(&place)? {
            Value::Object(fields) => fields.keys().cloned().collect(),
            Value::Array(items) => (0..items.len()).map(|n| n.to_string()).collect(),
            _ => return field,
        };
        if names.len() > LOOKED_THROUGH_MAX {
            return field;
        }
        // Without its tag nothing of a form can be read, so that says nothing about the tag.
        names.retain(|name| name != "do");
        let without = |name: &String| {
            let mut less = body.clone();
            match less.pointer_mut(&place) {
                Some(Value::Object(fields)) => drop(fields.remove(name)),
                Some(Value::Array(items)) => drop(name.parse().map(|n: usize| items.remove(n))),
                _ => {}
            }
            less
        };
        let Some(name) = names.into_iter().find(|name| wrong_with(&without(name)).as_ref() != Some(&whole)) else {
            return field;
        };
        place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
        let in_list = name.bytes().all(|byte| byte.is_ascii_digit());
        field = if in_list { field } else { Some(name) };
    }
}

/// What is wrong with a JSON text; a name that does not exist comes with the nearest one that does.
pub(crate) fn json_error(message: &str) -> HttpError {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some((given, nearest)) = nearest_of(message) {
        return HttpError::filled(status, "unknown_name", Word::ErrNearest, &[&given, &nearest], Word::ErrJsonNext)
            .about(given);
    }
    let named = message.split("missing field `").nth(1).and_then(|rest| rest.split('`').next());
    let error = HttpError::filled(status, "json", Word::ErrJson, &[&message], Word::ErrJsonNext);
    match named {
        Some(field) => error.about(field),
        None => error,
    }
}

/// The unknown name in serde's message and the most similar of those it lists.
fn nearest_of(message: &str) -> Option<(String, String)> {
    let (unknown, expected) = message.split_once(", expected ")?;
    // In a query the message says first which parameter it is about.
    let unknown = unknown.rsplit_once(": ").map_or(unknown, |(_, last)| last);
    if !unknown.starts_with("unknown field") && !unknown.starts_with("unknown variant") {
        return None;
    }
    let given = unknown.split('`').nth(1)?;
    let similar = |name: &&str| (strsim::jaro_winkler(name, given) * 1e6) as u64;
    let nearest = expected.split('`').skip(1).step_by(2).max_by_key(similar)?;
    Some((given.to_owned(), nearest.to_owned()))
}

/// An answer that sends the browser on with a new GET, so that reloading does not send the form again.
pub(crate) fn see_other(path: &str) -> Response {
    axum::response::IntoResponse::into_response(axum::response::Redirect::to(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_come_with_the_nearest_known() {
        let message = "unknown field `catgory`, expected one of `category`, `severity`, `place` at line 1 column 20";
        assert_eq!(nearest_of(message), Some(("catgory".into(), "category".into())));
        let message = "unknown variant `issue_suplies`, expected one of `report_incident`, `issue_supplies`";
        assert_eq!(nearest_of(message).unwrap().1, "issue_supplies");
        let message = "Failed to deserialize query string: kind: unknown variant `tea`, expected `team` or `plan`";
        assert_eq!(nearest_of(message).unwrap().1, "team");
        assert_eq!(nearest_of("invalid type: string \"a, expected b\", expected u64"), None);
    }
}
