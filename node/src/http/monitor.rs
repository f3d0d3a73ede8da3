//! What machines ask of the node: does it live, is it ready, what does it count.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tracing::Instrument;

use super::App;
use super::api::aside;
use super::error::HttpError;
use super::guard::address_of;
use super::places::is_this_machine;
use super::session::{bearer_of, same_secret};
use crate::words::Word;

/// What is counted of requests.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Option<IntCounterVec>,
    seconds: Option<HistogramVec>,
    lag_events: Option<IntGauge>,
    complete_seconds: Option<IntGauge>,
    acts_in_hand: Option<IntGauge>,
    events_missing: Option<IntGaugeVec>,
    troubles: Option<IntGauge>,
    write_failures: Option<IntCounter>,
}

impl HttpMetrics {
    /// Adds the families to the node's registry. A family that is there already, as with two routers over one node,
    /// is counted by the first router only.
    pub(crate) fn register(registry: &Registry) -> Self {
        let requests = IntCounterVec::new(
            Opts::new("linli_http_requests_total", "Requests by route, method and status."),
            &["route", "method", "status"],
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new("linli_http_request_duration_seconds", "Time from request to the start of the answer."),
            &["route"],
        );
        let lag_events =
            IntGauge::new("linli_projection_lag_events", "Events that are durable and not in the read models yet.");
        let complete_seconds = IntGauge::new(
            "linli_projection_complete_timestamp_seconds",
            "The read models hold all that was durable at this time; 0 while that is not known of any.",
        );
        let acts_in_hand = IntGauge::new("linli_acts_in_hand", "Acts that are being recorded, or wait for their turn.");
        let events_missing = IntGaugeVec::new(
            Opts::new(
                "linli_store_events_missing",
                "Events that were durable here and are missing, by how it is known.",
            ),
            &["known_by"],
        );
        let troubles = IntGauge::new(
            "linli_store_troubles",
            "What is wrong with the store now, as the status names it: missing events, damage of unknown extent, no writes.",
        );
        let write_failures =
            IntCounter::new("linli_store_write_failures_total", "Durable writes that the disk refused.");
        Self {
            events_missing: events_missing.ok().filter(|family| registry.register(Box::new(family.clone())).is_ok()),
            troubles: troubles.ok().filter(|gauge| registry.register(Box::new(gauge.clone())).is_ok()),
            write_failures: write_failures.ok().filter(|count| registry.register(Box::new(count.clone())).is_ok()),
            lag_events: lag_events.ok().filter(|gauge| registry.register(Box::new(gauge.clone())).is_ok()),
            complete_seconds: complete_seconds.ok().filter(|gauge| registry.register(Box::new(gauge.clone())).is_ok()),
            acts_in_hand: acts_in_hand.ok().filter(|gauge| registry.register(Box::new(gauge.clone())).is_ok()),
            requests: requests.ok().filter(|family| registry.register(Box::new(family.clone())).is_ok()),
            seconds: seconds.ok().filter(|family| registry.register(Box::new(family.clone())).is_ok()),
        }
    }
}

/// A span and a count for each request, under its route rather than its address: addresses carry ids.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("http", %method, route, status = tracing::field::Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status(), started.elapsed());
    span.record("status", status.as_u16());
    span.in_scope(|| tracing::debug!(elapsed_ms = elapsed.as_millis() as u64, "answered"));
    if let Some(requests) = &app.metrics.requests {
        requests.with_label_values(&[route.as_str(), method_label(method.as_str()), status.as_str()]).inc();
    }
    if let Some(seconds) = &app.metrics.seconds {
        seconds.with_label_values(&[route.as_str()]).observe(elapsed.as_secs_f64());
    }
    response
}

/// A client may invent methods; a label must not grow with them.
fn method_label(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// `/metrics`: the Prometheus text format. It holds counts only, no names, ids or addresses of people; how busy a street
/// is concerns nobody on its network all the same.
pub(crate) async fn metrics(State(app): State<App>, request: Request) -> Result<Response, HttpError> {
    let is_local = is_this_machine(address_of(request.extensions()));
    let has_token =
        || bearer_of(request.headers()).is_some_and(|token| same_secret(token, app.node.operators().admin_token()));
    if !app.settings.metrics_open && !is_local && !has_token() {
        return Err(HttpError::new(StatusCode::UNAUTHORIZED, "token", Word::ErrMetrics, Word::ErrMetricsNext));
    }
    let lag = app.node.as_of();
    if let (Some(events), Some(seconds)) = (&app.metrics.lag_events, &app.metrics.complete_seconds) {
        events.set(i64::try_from(lag.lag_events).unwrap_or(i64::MAX));
        seconds.set(i64::try_from(lag.complete_ms.unwrap_or(0) / 1_000).unwrap_or(i64::MAX));
    }
    if let Some(acts) = &app.metrics.acts_in_hand {
        acts.set(i64::try_from(app.node.acts_in_hand()).unwrap_or(i64::MAX));
    }
    if let Some(missing) = &app.metrics.events_missing {
        for (known_by, events) in app.node.events_missing() {
            missing.with_label_values(&[known_by]).set(i64::try_from(events).unwrap_or(i64::MAX));
        }
    }
    if let Some(troubles) = &app.metrics.troubles {
        troubles.set(i64::try_from(app.node.store_troubles().troubles.len()).unwrap_or(i64::MAX));
    }
    if let Some(failures) = &app.metrics.write_failures {
        failures.inc_by(app.node.write_failures().saturating_sub(failures.get()));
    }
    let text =
        TextEncoder::new().encode_to_string(&app.node.metrics().gather()).map_err(|e| HttpError::internal(&e))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// `/healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`, worked out once a second at most: 200 when the node shows everything it holds and nothing needs attention; else 503 and the reasons.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    if !app.node.is_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: the store is still being read\n").into_response();
    }
    let node = app.node.clone();
    match app.readiness.get(aside(move || node.status().degraded)).await {
        Ok(degraded) if degraded.is_empty() => "ready\n".into_response(),
        Ok(degraded) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("degraded: {}\n", degraded.join("; "))).into_response()
        }
        Err(error) => error.into_response(),
    }
}
