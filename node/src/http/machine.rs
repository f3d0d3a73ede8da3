//! What only the command line of this machine may ask, with the token of the data directory: invitations of nodes,
//! rebuilding the read models, taking in what a courier brought.

use axum::Json as Answer;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use linli_core::area::Area;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::api::aside;
use super::error::{HttpError, Problem};
use super::input::{Json, Raw};
use super::limits;
use super::session::Caller;
use crate::words::Word;

/// The routes, relative to `/api/v1`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/invitations", post(invite))
        .route("/rebuild", post(rebuild))
        .route("/carry/volumes", post(take_volume))
}

fn machine_only(caller: &Caller) -> Result<(), HttpError> {
    match caller {
        Caller::Machine => Ok(()),
        Caller::Operator(_) => {
            Err(HttpError::new(StatusCode::FORBIDDEN, "token_only", Word::ErrBearerOnly, Word::ErrTokenNext))
        }
    }
}

/// Whom to let in as a node.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    /// The text that `linli join` printed.
    request: String,
    /// The newcomer's public name.
    name: String,
    /// Where it will work, within this node's area.
    #[schema(value_type = String)]
    area: Area,
    /// Where it can reach this node; by default where this node listens.
    #[serde(default)]
    addresses: Vec<String>,
}

/// The answer to a request.
#[derive(Serialize, ToSchema)]
struct Ticketed {
    /// The text for `linli join`.
    ticket: String,
}

/// Enrols another node below this one.
#[utoipa::path(post, path = "/api/v1/invitations", tag = "machine", request_body = Invitation, security(("token" = [])),
    responses((status = 201, body = Ticketed), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn invite(
    State(app): State<App>,
    caller: Caller,
    Json(invitation): Json<Invitation>,
) -> Result<Response, HttpError> {
    machine_only(&caller)?;
    let node = app.node.clone();
    let ticket =
        aside(move || node.invite(&invitation.request, invitation.name, invitation.area, invitation.addresses))
            .await??;
    Ok((StatusCode::CREATED, Answer(Ticketed { ticket })).into_response())
}

/// Hashes of all read models before and after they were thrown away and folded again.
#[derive(Serialize, ToSchema)]
struct Rebuilt {
    /// Before.
    before: String,
    /// After; equal, or something is wrong.
    after: String,
}

/// Throws all read models away and folds the logs again.
#[utoipa::path(post, path = "/api/v1/rebuild", tag = "machine", security(("token" = [])),
    responses((status = 200, body = Rebuilt), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn rebuild(State(app): State<App>, caller: Caller) -> Result<Response, HttpError> {
    machine_only(&caller)?;
    let node = app.node.clone();
    let (before, after) = aside(move || node.rebuild()).await??;
    Ok(Answer(Rebuilt { before, after }).into_response())
}

/// Takes in one sealed volume that a courier brought. What is wrong with it stands in the answer.
#[utoipa::path(post, path = "/api/v1/carry/volumes", tag = "machine", security(("token" = [])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn take_volume(
    State(app): State<App>,
    caller: Caller,
    body: Raw<{ limits::VOLUME_BYTES_MAX }>,
) -> Result<Response, HttpError> {
    machine_only(&caller)?;
    // One at a time: each is held in memory, and the disk takes one after the other anyway.
    let _turn = app.volumes.acquire().await.map_err(|error| HttpError::internal(&error))?;
    let node = app.node.clone();
    let report = aside(move || node.take_volume(&body.0)).await??;
    Ok(Answer(report).into_response())
}
