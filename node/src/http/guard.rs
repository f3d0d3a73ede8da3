//! What every request passes before a handler sees it: known host, same origin for writes, a deadline, and the
//! security headers on the way back.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::acts::ActBegun;
use super::error::{HttpError, render};
use super::input::BodyTime;
use super::limits;
use super::session::{Standing, bearer_of, lang_cookie};
use crate::words::Word;

/// What every request passes: a known host, the same origin for writes, a deadline, places for bodies.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Result<Response, HttpError> {
    known_host(&app, &request)?;
    // Who asks matters for writes and for bodies, and is found out once.
    let has_body = !axum::body::HttpBody::is_end_stream(request.body());
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let who = || Standing::of(&app, request.headers(), address_of(request.extensions()));
    let standing = (writes || has_body).then(who);
    if writes {
        same_origin(&request, standing.as_ref())?;
    }
    let standing = standing.filter(|_| has_body);
    within(time_for(&request), request, |request| bodies(app, standing, request, next)).await?
}

/// Refuses host names that are not this node's. A web page of a stranger can make its own name point at an address of
/// the local network (DNS rebinding); the `Host` header then still carries the stranger's name.
fn known_host(app: &App, request: &Request) -> Result<(), HttpError> {
    let host = host_of(request.headers()).unwrap_or_default();
    if is_known(host, &app.settings.allowed_hosts) {
        return Ok(());
    }
    let shown: String = host.chars().take(80).collect();
    Err(HttpError::host(&shown))
}

/// Refuses writes that another site's page makes a browser send. A program with a token that opens something is no
/// browser; a token that opens nothing proves nothing, and is refused as what it is.
///
/// Browsers send `Sec-Fetch-Site` to localhost and over TLS only; on a plain LAN address `Origin` speaks for itself.
fn same_origin(request: &Request, standing: Option<&Standing>) -> Result<(), HttpError> {
    if bearer_of(request.headers()).is_some() {
        return match standing {
            Some(Standing::Machine | Standing::Operator(_)) => Ok(()),
            _ => Err(Standing::unknown_token()),
        };
    }
    if is_same_origin(request.headers()) {
        return Ok(());
    }
    Err(HttpError::new(StatusCode::FORBIDDEN, "origin", Word::ErrOrigin, Word::ErrOriginNext))
}

/// Gives bodies a budget: a stranger's may be few, small in number from one address, and quick; those of people who are
/// signed in have places of their own. The machine's token is not limited: whoever can read it can also stop the node.
async fn bodies(app: App, standing: Option<Standing>, mut request: Request, next: Next) -> Result<Response, HttpError> {
    let address = address_of(request.extensions());
    let busy = || HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", Word::ErrBusy, Word::ErrBusyNext);
    let _place = match &standing {
        None | Some(Standing::Machine) => None,
        Some(Standing::Operator(_)) => Some(app.bodies.operators.take(address).ok_or_else(busy)?),
        Some(Standing::Stranger | Standing::UnknownToken) => {
            request.extensions_mut().insert(BodyTime(limits::STRANGERS_BODY_TIME_MAX));
            Some(app.bodies.strangers.take(address).ok_or_else(busy)?)
        }
    };
    if let Some(standing) = standing {
        request.extensions_mut().insert(standing);
    }
    Ok(next.run(request).await)
}

/// How long a request may take, the reading of its body included. The answer of a stream of changes starts at once.
fn time_for(request: &Request) -> Duration {
    let path = request.uri().path();
    // Thousands of strangers' logs are removed one by one.
    let is_long = path.ends_with("/batch") || path.ends_with("/carry/volumes") || path.contains("/api/v1/strangers/");
    if is_long { limits::BATCH_TIME_MAX } else { limits::REQUEST_TIME_MAX }
}

/// Ends what takes too long.
///
/// What has begun to record an act goes on: then nobody can say here whether it was recorded, and the answer says so, and
/// how to ask.
async fn within<F: Future>(
    time: Duration,
    mut request: Request,
    run: impl FnOnce(Request) -> F,
) -> Result<F::Output, HttpError> {
    let begun = ActBegun::default();
    request.extensions_mut().insert(begun.clone());
    tokio::time::timeout(time, run(request)).await.map_err(|_| match begun.act() {
        Some(act) => HttpError::outcome_unknown(act),
        None => HttpError::new(StatusCode::REQUEST_TIMEOUT, "timeout", Word::ErrSlow, Word::ErrSlowNext),
    })
}

/// Finishes every answer: errors get their words, a language that was asked for is remembered, and headers keep a page to
/// its own resources. Nothing inline, nothing from elsewhere, no framing.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let lang = lang_cookie(request.uri(), request.headers());
    let mut response = render(request, next).await;
    let headers = response.headers_mut();
    if let Some(lang) = lang {
        headers.append(header::SET_COOKIE, lang);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // What is shown changes and is for the person who asked; only hashed assets say otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Not `no-referrer`: with it browsers send `Origin: null` with our own forms, and on a plain LAN address nothing
    // would be left to tell them from another site's. Other sites get no referrer either way.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

fn host_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// The host without its port: `[::1]:8420` → `::1`.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_known(host: &str, allowed: &[String]) -> bool {
    let name = without_port(host);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text("origin") else { return false };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some() && authority == host_of(headers)
}

/// The address at the other end of the connection. Headers that claim another one are not believed.
pub(crate) fn address_of(extensions: &axum::http::Extensions) -> IpAddr {
    extensions.get::<ConnectInfo<SocketAddr>>().map_or(limits::NOWHERE, |info| info.0.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_configured_names_are_known() {
        let allowed = ["node.example".to_owned()];
        for host in ["127.0.0.1:8420", "[::1]:8420", "192.0.2.7", "localhost:1", "LOCALHOST", "node.example:8420"] {
            assert!(is_known(host, &allowed), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8420", "node.example.evil"] {
            assert!(!is_known(host, &allowed), "{host}");
        }
    }

    #[tokio::test]
    async fn whoever_is_given_up_is_told_whether_anything_may_have_been_recorded() {
        use tower::ServiceExt as _;
        // given a node at which an act waits long, before or after it began to be recorded
        let act: linli_domain::act::ActId = "018f3c1e-0000-7000-8000-000000000000".parse().unwrap();
        let waits = |begins: bool| {
            let handler = move |axum::Extension(begun): axum::Extension<ActBegun>| async move {
                if begins {
                    begun.begin(act);
                }
                std::future::pending::<()>().await;
            };
            let short =
                |request: Request, next: Next| within(Duration::from_millis(20), request, |request| next.run(request));
            let routes = axum::Router::new().route("/api/v1/commands", axum::routing::post(handler));
            let routes = routes.layer(axum::middleware::from_fn(short));
            routes.layer(axum::middleware::from_fn(crate::http::error::render))
        };
        let post = || Request::post("/api/v1/commands").body(axum::body::Body::empty()).unwrap();
        // when the time is over
        let before = waits(false).oneshot(post()).await.unwrap();
        let after = waits(true).oneshot(post()).await.unwrap();
        // then the one was not recorded, and of the other it is said that it may have been, and how to ask
        assert_eq!((before.status().as_u16(), after.status().as_u16()), (408, 504));
        let said = axum::body::to_bytes(after.into_body(), 10_000).await.unwrap();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        assert_eq!((said["code"].as_str(), said["act"].as_str()), (Some("outcome_unknown"), Some(&*act.to_string())));
        assert!(said["next"].as_str().unwrap().contains("/api/v1/acts/018f3c1e"), "{said}");
    }

    #[test]
    fn a_write_must_come_from_our_own_page() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.insert(*name, HeaderValue::from_static(value));
            }
            is_same_origin(&map)
        };
        assert!(headers(&[("host", "192.0.2.7:8420"), ("origin", "http://192.0.2.7:8420")]));
        assert!(headers(&[("host", "a"), ("sec-fetch-site", "same-origin")]));
        assert!(!headers(&[("host", "192.0.2.7:8420")]));
        assert!(!headers(&[("host", "192.0.2.7:8420"), ("origin", "null")]));
        assert!(!headers(&[("host", "192.0.2.7:8420"), ("origin", "http://192.0.2.7:9000")]));
        assert!(!headers(&[("host", "a"), ("origin", "http://a"), ("sec-fetch-site", "same-site")]));
    }
}
