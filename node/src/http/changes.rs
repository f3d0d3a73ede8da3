//! `/api/v1/changes`: which records changed, as they change, as server-sent events.
//!
//! The stream is a hint. A page that missed something is told to load everything anew, so nothing depends on it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::BroadcastStream;

use super::App;
use super::limits::CHANGES_TIME_MAX;
use super::session::Caller;

/// A comment this often keeps proxies from closing the stream and lets a dead connection be noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams `change` events with the record and its kind, and `missed` when a slow reader lost some.
#[utoipa::path(
    get, path = "/api/v1/changes", tag = "reading", security(("session" = []), ("token" = [])),
    responses(
        (status = 200, content_type = "text/event-stream",
         description = "Events `change` with {record, kind_of_record}; `missed` when some were lost: load anew"),
        (status = 401, description = "Nobody is signed in", body = super::error::Problem),
    )
)]
pub(crate) async fn changes(
    State(app): State<App>,
    _caller: Caller,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let hello = futures::stream::once(async { Event::default().event("hello").data("{}") });
    let following = BroadcastStream::new(app.node.changes()).map(|change| match change {
        Ok(change) => Event::default()
            .event("change")
            .json_data(&change)
            .unwrap_or_else(|_| Event::default().event("missed").data("{}")),
        Err(_) => Event::default().event("missed").data("{}"),
    });
    let bounded = hello.chain(following).take_until(Box::pin(tokio::time::sleep(CHANGES_TIME_MAX)));
    Sse::new(bounded.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
