//! The JSON API under `/api/v1`, for the command line, for programs of the district, and for tests.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json as Answer, Router};
use linli_core::id::RecordId;
use linli_domain::act::ActId;
use linli_domain::commands::Command;
use linli_domain::desk::Desk;
use linli_domain::figures::Figures;
use linli_domain::record::RecordView;
use linli_domain::state::RecordKind;
use linli_domain::summary::Summary;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::acts::{ActBegun, act_of, clock_checked};
use super::error::{HttpError, Problem};
use super::guard::address_of;
use super::input::Json;
use super::limits::{self, Client};
use super::session::{Caller, Operator, ended_cookie, session_cookie};
use crate::acts::Recorded;
use crate::batch::BatchOf;
use crate::history::{LINES_MAX, Wanted};
use crate::node::{Receipt, SubmitError, new_act};
use crate::outside::{Outside, ToldReceipt};
use crate::peers::PeerLine;
use crate::status::{AsOf, NodeStatus};
use crate::words::Word;

/// The routes, relative to `/api/v1`. [`super::openapi`] has a test that each is documented.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/status", get(status))
        .route("/peers", get(peers))
        .route("/as-of", get(as_of))
        .route("/desk", get(desk))
        .route("/figures", get(figures))
        .route("/records", get(records))
        .route("/records/{id}", get(record))
        .route("/records/{id}/history", get(history))
        .route("/commands", post(command))
        .route("/commands/batch", post(batch))
        .route("/acts/{id}", get(act))
        .route("/changes", get(super::changes::changes))
        .route("/session", post(sign_in).delete(sign_out))
        .route("/openapi.json", get(openapi))
}

/// Runs what waits for the disk beside the threads that answer.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HttpError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| HttpError::internal(&error))
}

/// This node: version, logs, lag, storage, peers, and what needs attention.
#[utoipa::path(get, path = "/api/v1/status", tag = "reading", security(("session" = []), ("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem)))]
async fn status(State(app): State<App>, _caller: Caller) -> Result<Answer<NodeStatus>, HttpError> {
    let node = app.node.clone();
    Ok(Answer(aside(move || node.status()).await?))
}

/// Other nodes that are known: connected or silent, when last heard, how far apart, how fast the line is, what went wrong.
#[utoipa::path(get, path = "/api/v1/peers", tag = "reading", security(("session" = []), ("token" = [])),
    responses((status = 200, body = Vec<PeerLine>), (status = 401, body = Problem)))]
async fn peers(State(app): State<App>, _caller: Caller) -> Result<Answer<Vec<PeerLine>>, HttpError> {
    let node = app.node.clone();
    Ok(Answer(aside(move || node.peers()).await?))
}

/// How sure the node is of what it shows: the time, events not yet shown, nodes not heard from.
#[utoipa::path(get, path = "/api/v1/as-of", tag = "reading", security(("session" = []), ("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem)))]
async fn as_of(State(app): State<App>, _caller: Caller) -> Result<Answer<AsOf>, HttpError> {
    let node = app.node.clone();
    Ok(Answer(aside(move || node.as_of()).await?))
}

/// A reading of the desk or the figures with what it stands on.
#[derive(Serialize)]
struct Reading<T> {
    #[serde(flatten)]
    reading: T,
    as_of: AsOf,
}

/// What needs attention: open incidents, short and expiring stock, teams, conflicts; with `as_of`.
#[utoipa::path(get, path = "/api/v1/desk", tag = "reading", security(("session" = []), ("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem)))]
async fn desk(State(app): State<App>, _caller: Caller) -> Result<Answer<Reading<Desk>>, HttpError> {
    let node = app.node.clone();
    let (reading, as_of) = aside(move || node.reading(|| node.desk())).await?;
    Ok(Answer(Reading { reading, as_of }))
}

/// The programme's figures; with `as_of`.
#[utoipa::path(get, path = "/api/v1/figures", tag = "reading", security(("session" = []), ("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem)))]
async fn figures(State(app): State<App>, _caller: Caller) -> Result<Answer<Reading<Figures>>, HttpError> {
    let node = app.node.clone();
    let (reading, as_of) = aside(move || node.reading(|| node.figures())).await?;
    Ok(Answer(Reading { reading, as_of }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The kind of record, such as `incident`, `supply_point`, `team`, `plan`, `hazard`; all if absent.
    #[param(value_type = Option<String>)]
    kind: Option<RecordKind>,
}

/// Records, short, of one kind or all.
#[utoipa::path(get, path = "/api/v1/records", tag = "reading", params(Which), security(("session" = []), ("token" = [])),
    responses((status = 200, body = Vec<Object>), (status = 401, body = Problem), (status = 422, body = Problem)))]
async fn records(
    State(app): State<App>,
    _caller: Caller,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Answer<Vec<Summary>>, HttpError> {
    let Query(which) = which.map_err(|error| super::input::json_error(&error.body_text()))?;
    let node = app.node.clone();
    let mut all = aside(move || node.summaries()).await?;
    all.retain(|summary| which.kind.is_none_or(|kind| summary.kind == kind));
    Ok(Answer(all))
}

pub(crate) fn record_id(text: &str) -> Result<RecordId, HttpError> {
    text.parse().map_err(|_| HttpError::not_found())
}

/// One record's state.
#[utoipa::path(get, path = "/api/v1/records/{id}", tag = "reading", params(("id" = String, Path, description = "UUID")),
    security(("session" = []), ("token" = [])),
    responses((status = 200, body = Object), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 503, description = "Not shown yet: events are still being folded", body = Problem)))]
async fn record(
    State(app): State<App>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<RecordView>, HttpError> {
    let (node, id) = (app.node.clone(), record_id(&id)?);
    let shown = aside(move || node.view(&id)).await??;
    shown.map(Answer).ok_or_else(|| HttpError::no_record(&app.node))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// How many lines to leave out at the beginning.
    #[serde(default)]
    from: usize,
}

/// One record's signed history, in the order in which it is folded: who, where, when, how well signed, and what each had
/// seen. At most 500 lines at once; the header `linli-history-total` says how many there are.
#[utoipa::path(get, path = "/api/v1/records/{id}/history", tag = "reading",
    params(("id" = String, Path, description = "UUID"), Part), security(("session" = []), ("token" = [])),
    responses((status = 200, body = Vec<Object>), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 503, description = "Not shown yet: events are still being folded", body = Problem)))]
async fn history(
    State(app): State<App>,
    _caller: Caller,
    Path(id): Path<String>,
    part: Result<Query<Part>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, HttpError> {
    let Query(part) = part.map_err(|error| super::input::json_error(&error.body_text()))?;
    let (node, id) = (app.node.clone(), record_id(&id)?);
    let _place = app.tellings.acquire().await.map_err(|error| HttpError::internal(&error))?;
    let told = aside(move || node.history_part(&id, &Wanted::From(part.from, LINES_MAX), &[])).await??;
    if told.total == 0 {
        return Err(HttpError::no_record(&app.node));
    }
    Ok(([("linli-history-total", HeaderValue::from(told.total))], Answer(told.lines)).into_response())
}

/// One act, and for whom it is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Act {
    /// The operator's name; taken from the session when a person is signed in.
    by: Option<String>,
    /// The act: `do` names it, its particulars stand beside.
    #[schema(schema_with = super::openapi::command)]
    command: Command,
}

/// Where and under which ids an act was recorded: durable on this node.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "documents the JSON form of a receipt")]
struct ReceiptForm {
    /// The act: sent again under this id it is answered with this receipt.
    act: String,
    /// The record.
    record: String,
    /// The events that were written.
    events: Vec<String>,
    /// Other nodes known to hold all of them; 0 right after the act.
    heard_by: u64,
    /// Whether the act was on record before; then the status is 200.
    repeated: bool,
    /// Whether this node shows it. If not, it is durable all the same and shown as soon as possible.
    shown: bool,
    /// Whether it counts: not while it stands outside the record's area and nobody there has adopted it. Null if that
    /// cannot be read just now.
    counts: Option<bool>,
    /// Why it does not count, and who can let it.
    outside: Option<Outside>,
}

/// Records one act. The answer comes after the events are durable on this node. The header `Idempotency-Key` is the act's
/// id, best a UUID that the client keeps until it has the answer: the same act sent again, also after a restart or to another
/// node that has heard of it, is answered with the first receipt; another act under the same id is refused.
#[utoipa::path(post, path = "/api/v1/commands", tag = "acting", request_body = Act,
    params(("Idempotency-Key" = Option<String>, Header, description = "The id of the act; without it the node draws one"),
        ("Clock-Checked" = Option<String>, Header, description = "`yes` where a person has looked at the clock")),
    security(("session" = []), ("token" = [])),
    responses((status = 201, body = ReceiptForm), (status = 200, description = "On record already", body = ReceiptForm),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, description = "The id is another act's, somebody changed the same field, or the clock is in doubt",
            body = Problem),
        (status = 413, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem),
        (status = 503, description = "Not durable, or what it stands on cannot be read", body = Problem),
        (status = 504, description = "It may have been recorded: ask for the act, or send it again", body = Problem)))]
async fn command(
    State(app): State<App>,
    Extension(begun): Extension<ActBegun>,
    headers: HeaderMap,
    caller: Caller,
    Json(act): Json<Act>,
) -> Result<Response, HttpError> {
    count_write(&app, &caller)?;
    let id = act_of(&headers)?.unwrap_or_else(new_act);
    let (node, name, checked) = (app.node.clone(), caller.name(act.by.as_deref())?, clock_checked(&headers));
    let word = act.command.act().word();
    let submitted = aside(move || {
        node.ask_about_clock(&id, checked)?;
        begun.begin(id);
        Ok(node.told(node.submit(&name, id, act.command)?))
    });
    let submitted = submitted.await?;
    let told = submitted.map_err(|error: SubmitError| HttpError::from(error).name_field(&word, true).of(id))?;
    Ok((status_of(&told.receipt), Answer(told)).into_response())
}

const fn status_of(receipt: &Receipt) -> StatusCode {
    if receipt.repeated { StatusCode::OK } else { StatusCode::CREATED }
}

/// An act that is being recorded just now.
#[derive(Serialize, ToSchema)]
struct UnderwayForm {
    /// The act.
    act: String,
    /// Always `underway`.
    state: &'static str,
}

/// What became of an act: its receipt, wherever it was recorded, as far as this node has heard.
#[utoipa::path(get, path = "/api/v1/acts/{id}", tag = "acting",
    params(("id" = String, Path, description = "The act's id, as it was sent")),
    security(("session" = []), ("token" = [])),
    responses((status = 200, body = ReceiptForm), (status = 202, description = "Being recorded", body = UnderwayForm),
        (status = 401, body = Problem), (status = 404, description = "Not recorded here, as of now", body = Problem),
        (status = 422, body = Problem)))]
async fn act(State(app): State<App>, _caller: Caller, Path(id): Path<String>) -> Result<Response, HttpError> {
    let act: ActId = id.parse().map_err(|_| HttpError::act_id())?;
    let node = app.node.clone();
    let (underway, receipt) = aside(move || {
        // First whether it is underway: an act that ends in between is on record by then.
        let underway = node.is_underway(&act);
        let first = |known: &Recorded| node.told(node.receipt_again(act, known));
        (underway, node.recorded(&act).map(|all| all.first().map(first)))
    })
    .await?;
    match (receipt?, underway) {
        (Some(told), _) => Ok(Answer(told).into_response()),
        (None, true) => {
            let underway = UnderwayForm { act: act.to_string(), state: "underway" };
            Ok((StatusCode::ACCEPTED, Answer(underway)).into_response())
        }
        (None, false) => Err(HttpError::act_unknown(&app.node, act)),
    }
}

/// Many acts, and for whom they are done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acts {
    /// The operator's name.
    by: Option<String>,
    /// The acts, in order. Each may bear its id as `act`, beside its particulars.
    #[schema(schema_with = super::openapi::commands)]
    commands: Vec<Element>,
    /// Whether they state how things are, as an import does: what was recorded once and is not so any more is then recorded
    /// again.
    #[serde(default)]
    restate: bool,
}

/// One act of a batch.
#[derive(Deserialize)]
struct Element {
    act: Option<ActId>,
    #[serde(flatten)]
    command: Command,
}

/// Records up to 10,000 acts, all or none. For imports, with the command line's token. A batch may be repeated, also from
/// its middle: acts that are on record are answered with their first receipts. Acts without an id of their own have one that
/// follows from the batch's `Idempotency-Key` and their place in it.
#[utoipa::path(post, path = "/api/v1/commands/batch", tag = "acting", request_body = Acts, security(("token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The id of the batch")),
    responses((status = 201, body = Vec<ReceiptForm>), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn batch(
    State(app): State<App>,
    Extension(begun): Extension<ActBegun>,
    headers: HeaderMap,
    caller: Caller,
    Json(acts): Json<Acts, { limits::BATCH_BYTES_MAX }>,
) -> Result<Response, HttpError> {
    let Caller::Machine = caller else {
        return Err(HttpError::new(StatusCode::FORBIDDEN, "token_only", Word::ErrBearerOnly, Word::ErrTokenNext));
    };
    if acts.commands.len() > limits::BATCH_COMMANDS_MAX {
        let (status, most) = (StatusCode::PAYLOAD_TOO_LARGE, limits::BATCH_COMMANDS_MAX);
        return Err(HttpError::filled(status, "too_many_acts", Word::ErrBatch, &[&most], Word::ErrTooLargeNext));
    }
    let whole = act_of(&headers)?.unwrap_or_else(new_act);
    let (node, name) = (app.node.clone(), caller.name(acts.by.as_deref())?);
    let of = if acts.restate { BatchOf::Statements } else { BatchOf::Acts };
    let parts = (0..).map(|place| whole.part(place));
    let acts: Vec<(ActId, Command)> =
        acts.commands.into_iter().zip(parts).map(|(one, part)| (one.act.unwrap_or(part), one.command)).collect();
    // All or none: what became of the first is what became of all.
    let (first, checked) = (acts.first().map_or(whole, |(act, _)| *act), clock_checked(&headers));
    let recorded = aside(move || {
        node.ask_about_clock(&first, checked)?;
        begun.begin(first);
        let receipts = node.submit_all(&name, acts, of)?;
        Ok::<_, SubmitError>(receipts.into_iter().map(|receipt| node.told(receipt)).collect())
    });
    let told: Vec<ToldReceipt> = recorded.await?.map_err(|error| HttpError::from(error).name_field("", true))?;
    Ok((StatusCode::CREATED, Answer(told)).into_response())
}

/// The machine's own token is not limited: whoever can read it can also stop the node.
pub(crate) fn count_write(app: &App, caller: &Caller) -> Result<(), HttpError> {
    match caller {
        Caller::Machine => Ok(()),
        Caller::Operator(Operator { name, .. }) => {
            app.limits.write(&Client::Operator(name.clone())).map_err(HttpError::too_many)
        }
    }
}

/// A one-time code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// Such as `7KQ4-M2XD`.
    code: String,
}

/// A session that has begun.
#[derive(Serialize, ToSchema)]
struct Begun {
    /// The operator's name.
    name: String,
    /// The token, also set as a cookie; programs may send it as `Authorization: Bearer`.
    token: String,
}

/// Signs in with a one-time code. At most five attempts a minute from one address.
#[utoipa::path(post, path = "/api/v1/session", tag = "signing in", request_body = Code,
    responses((status = 201, body = Begun), (status = 422, body = Problem), (status = 429, body = Problem)))]
async fn sign_in(
    State(app): State<App>,
    extensions: axum::http::Extensions,
    Json(Code { code }): Json<Code>,
) -> Result<Response, HttpError> {
    app.limits.sign_in(address_of(&extensions)).map_err(HttpError::too_many)?;
    let node = app.node.clone();
    let session = aside(move || node.sign_in(&code)).await??;
    let cookie = HeaderValue::from_str(&session_cookie(&session.token)).map_err(|e| HttpError::internal(&e))?;
    let begun = Answer(Begun { name: session.name, token: session.token });
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], begun).into_response())
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "signing in", security(("session" = []), ("token" = [])),
    responses((status = 204), (status = 401, body = Problem)))]
async fn sign_out(State(app): State<App>, caller: Caller) -> Result<Response, HttpError> {
    if let Caller::Operator(operator) = caller {
        aside(move || app.node.operators().end_session(&operator.token)).await??;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, ended_cookie())]).into_response())
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "reading", responses((status = 200, body = Object)))]
async fn openapi() -> Response {
    Answer(super::openapi::document()).into_response()
}

/// What [`super::openapi`] lists.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    status,
    peers,
    as_of,
    desk,
    figures,
    records,
    record,
    history,
    command,
    batch,
    act,
    super::changes::changes,
    sign_in,
    sign_out,
    super::admissions::list,
    super::admissions::issue,
    super::admissions::revoke,
    super::strangers::list,
    super::strangers::discard,
    super::losses::list,
    super::losses::accept,
    super::machine::invite,
    super::machine::rebuild,
    super::machine::take_volume,
    openapi
))]
pub(crate) struct Paths;
