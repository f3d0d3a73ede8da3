//! Logs of authors without a grant, for programs: who brought how much, and having it removed.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json as Answer, Router};
use linli_core::id::AuthorKey;
use linli_net::DiscardError;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::api::count_write;
use super::error::{HttpError, Problem};
use super::session::Caller;
use crate::strangers::{StrangersLine, UNKNOWN};
use crate::words::Word;

/// The routes, relative to `/api/v1`.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/strangers", get(list)).route("/strangers/{id}", delete(discard))
}

/// Logs here whose authors have no grant, by the node that brought them. They count for nothing and are handed on to
/// nobody.
#[utoipa::path(get, path = "/api/v1/strangers", operation_id = "strangers", tag = "reading",
    security(("session" = []), ("token" = [])),
    responses((status = 200, body = Vec<StrangersLine>), (status = 401, body = Problem)))]
pub(crate) async fn list(State(app): State<App>, _caller: Caller) -> Answer<Vec<StrangersLine>> {
    Answer(app.node.strangers())
}

/// Logs that were removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Discarded {
    /// How many.
    removed: u64,
}

/// Removes the logs without a grant that a node brought. Their heads stay as proof, and they are not fetched again before
/// their authors have a grant. None to remove is no error.
#[utoipa::path(delete, path = "/api/v1/strangers/{id}", operation_id = "discard_strangers", tag = "acting",
    params(("id" = String, Path, description = "The key of the node that brought them, or `unknown`")),
    security(("session" = []), ("token" = [])),
    responses((status = 200, body = Discarded), (status = 401, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem), (status = 503, description = "The mesh does not run", body = Problem)))]
pub(crate) async fn discard(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<Discarded>, HttpError> {
    count_write(&app, &caller)?;
    let brought_by: Option<AuthorKey> = if id == UNKNOWN { None } else { Some(id.parse().map_err(|_| no_key())?) };
    let discarded = app.node.discard_strangers(brought_by).await;
    let removed = discarded.map_err(|error| match error {
        DiscardError::Closed(_) => {
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", Word::ErrNotReady, Word::ErrNotReadyNext)
        }
        DiscardError::Store(error) => HttpError::internal(&error),
    })?;
    tracing::warn!(by = caller.name(None)?, brought_by = id, removed, "logs without a grant were removed by a person");
    Ok(Answer(Discarded { removed }))
}

fn no_key() -> HttpError {
    HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, "node_key", Word::ErrNodeKey, Word::ErrNodeKeyNext)
}
