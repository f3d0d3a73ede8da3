//! Sign-in codes and sessions for programs: issue, list, revoke.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json as Answer, Router};
use linli_domain::act::ActId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::acts::clock_checked;
use super::api::{aside, count_write};
use super::clock::now_ms;
use super::error::{HttpError, Problem};
use super::input::Json;
use super::session::Caller;
use crate::operators::Admissions;
use crate::words::Word;

/// The routes, relative to `/api/v1`.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/operators", get(list).post(issue)).route("/operators/{id}", delete(revoke))
}

/// Sign-in codes that wait and sessions that last: for whom, issued by whom, since when, last used.
#[utoipa::path(get, path = "/api/v1/operators", tag = "signing in", security(("session" = []), ("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem)))]
pub(crate) async fn list(State(app): State<App>, _caller: Caller) -> Answer<Admissions> {
    Answer(app.node.operators().admissions(now_ms()))
}

/// Whom a code is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whom {
    /// The name that will stand in their events: 1 to 40 characters.
    name: String,
    /// Who issues it; taken from the session when a person is signed in.
    by: Option<String>,
}

/// A code that was issued.
#[derive(Serialize, ToSchema)]
struct Issued {
    /// Names it in the list.
    id: String,
    /// The code, valid once within a day.
    code: String,
    /// The event that has it on record.
    event: String,
}

/// Issues a one-time sign-in code, and has it on record who did. With the header `Idempotency-Key` a repetition within
/// ten minutes is answered with the same code.
#[utoipa::path(post, path = "/api/v1/operators", tag = "signing in", request_body = Whom,
    params(("Idempotency-Key" = Option<String>, Header, description = "The act's id, best a UUID"),
        ("Clock-Checked" = Option<String>, Header, description = "`yes` where a person has looked at the clock")),
    security(("session" = []), ("token" = [])),
    responses((status = 201, body = Issued), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, description = "This node's clock is in doubt", body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn issue(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Json(whom): Json<Whom>,
) -> Result<Response, HttpError> {
    let issuer = caller.issuer(whom.by.as_deref())?;
    count_write(&app, &caller)?;
    let act = headers.get("idempotency-key").map(|key| act_id(key.to_str().unwrap_or_default())).transpose()?;
    let (node, checked) = (app.node.clone(), clock_checked(&headers));
    let issued = aside(move || node.issue_code(&issuer, &whom.name, act, checked)).await??;
    let answer = Issued { id: issued.id, code: issued.code, event: issued.event.to_string() };
    Ok((StatusCode::CREATED, Answer(answer)).into_response())
}

/// The id of an act that issues a code.
///
/// # Errors
/// When the text cannot be one.
pub(crate) fn act_id(text: &str) -> Result<ActId, HttpError> {
    let wrong = |_| HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, "act_id", Word::ErrActId, Word::ErrActIdNext);
    text.parse().map_err(wrong)
}

/// A code or session that was ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Revoked {
    /// The event that has it on record.
    event: String,
}

/// Revokes a code that nobody has used yet, or ends a session. On record, with who did.
#[utoipa::path(delete, path = "/api/v1/operators/{id}", tag = "signing in",
    params(("id" = String, Path, description = "As listed")), security(("session" = []), ("token" = [])),
    responses((status = 200, body = Revoked), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<Revoked>, HttpError> {
    let issuer = caller.issuer(None)?;
    count_write(&app, &caller)?;
    let node = app.node.clone();
    let event = aside(move || node.revoke(&issuer, &id)).await??;
    Ok(Answer(Revoked { event: event.to_string() }))
}
