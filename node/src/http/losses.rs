//! What this node has lost, for programs: the list, and that somebody accepts it.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json as Answer, Router};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::api::{aside, count_write};
use super::error::{HttpError, Problem};
use super::input::Json;
use super::session::Caller;
use crate::losses::LossesListed;

/// The routes, relative to `/api/v1`.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/losses", get(list)).route("/losses/accept", post(accept))
}

/// Events and files of this node that are missing, and what people have accepted of that.
#[utoipa::path(get, path = "/api/v1/losses", operation_id = "losses", tag = "reading",
    security(("session" = []), ("token" = [])),
    responses((status = 200, body = LossesListed), (status = 401, body = Problem)))]
pub(crate) async fn list(State(app): State<App>, _caller: Caller) -> Result<Answer<LossesListed>, HttpError> {
    let node = app.node.clone();
    Ok(Answer(aside(move || node.losses_listed()).await?))
}

/// What somebody has seen to be missing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    /// As `/api/v1/losses` names it.
    seen: String,
    /// Who accepts it; taken from the session when a person is signed in.
    by: Option<String>,
}

/// The loss was accepted.
#[derive(Serialize, ToSchema)]
pub(crate) struct LossesAccepted {
    /// The event that has it on record.
    event: String,
}

/// Accepts that what the list named is missing: it is told as trouble no more, and what is missing beyond it is. On record,
/// with who did. For those who may issue sign-in codes.
#[utoipa::path(post, path = "/api/v1/losses/accept", operation_id = "accept_losses", tag = "acting", request_body = Seen,
    security(("session" = []), ("token" = [])),
    responses((status = 200, body = LossesAccepted), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, description = "Nothing, or something else, is missing by now", body = Problem),
        (status = 429, body = Problem)))]
pub(crate) async fn accept(
    State(app): State<App>,
    caller: Caller,
    Json(Seen { seen, by }): Json<Seen>,
) -> Result<Answer<LossesAccepted>, HttpError> {
    let who = caller.issuer(by.as_deref())?;
    count_write(&app, &caller)?;
    let node = app.node.clone();
    let event = aside(move || node.accept_losses(&who, &seen)).await??;
    Ok(Answer(LossesAccepted { event: event.to_string() }))
}
