//! Pages for people, JSON for programs, and what both are guarded by.
//!
//! Pages are rendered here and work without JavaScript; `live.js` only refreshes what changed. Handlers do no domain
//! work: they turn a request into a command or a view, and the answer into HTML or JSON. Errors map in [`error`] only.

#![allow(clippy::result_large_err, reason = "an HTTP error is made once per refused request; boxing buys nothing")]

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::node::Node;

mod acts;
mod admissions;
mod api;
mod assets;
mod catalogue;
mod changes;
mod clock;
mod error;
mod forms;
mod guard;
mod input;
mod limits;
mod losses;
mod machine;
mod monitor;
mod openapi;
mod pages;
mod places;
mod recent;
mod serve;
mod session;
mod stalled;
mod strangers;

pub(crate) use clock::{ZONE_MINUTES, minute};
pub use openapi::document as openapi_document;
pub use serve::serve;
pub(crate) use session::DIRECTORY_HEADER;

/// What the pages and the API are set to.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Host names under which browsers may reach this node, besides IP addresses and localhost.
    pub allowed_hosts: Vec<String>,
    /// Whether anybody on the network may read the residents' page without signing in.
    pub residents_open: bool,
    /// Whether anybody on the network may read `/metrics`; otherwise this machine, and whoever has its token.
    pub metrics_open: bool,
}

/// What every handler may use. Each layer of the router and each extractor copies it, so a copy must cost next to nothing.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What every request may need.
pub(crate) struct Parts {
    pub(crate) node: Arc<Node>,
    pub(crate) place: Arc<Place>,
    pub(crate) settings: Arc<HttpSettings>,
    pub(crate) limits: Arc<limits::RateLimits>,
    /// Held while a courier's volume is taken in.
    pub(crate) volumes: Arc<tokio::sync::Semaphore>,
    /// Histories are told a few at a time: each reads all events of its record.
    pub(crate) tellings: Arc<tokio::sync::Semaphore>,
    pub(crate) metrics: monitor::HttpMetrics,
    pub(crate) bodies: Arc<places::Bodies>,
    pub(crate) regulars: places::Regulars,
    /// What residents read, and whether the node is ready: asked for by many, worked out once a second.
    pub(crate) public: Arc<recent::Recent<pages::public::Open>>,
    pub(crate) readiness: Arc<recent::Recent<Vec<String>>>,
}

/// What the frame of a page says of the node; it changes only with the charter, and a restart shows that.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) area: String,
    pub(crate) district: String,
}

/// A node's pages and API, ready to be served.
#[derive(Clone)]
pub struct Site {
    router: Router,
    doors: places::Doors,
}

/// All routes of a node, guarded.
pub fn router(node: Arc<Node>, settings: HttpSettings) -> Site {
    let metrics = monitor::HttpMetrics::register(node.metrics());
    let status = node.status();
    let place = Place { name: status.name, area: status.area.to_string(), district: status.district_name };
    let app = App(Arc::new(Parts {
        place: Arc::new(place),
        node,
        settings: Arc::new(settings),
        limits: Arc::default(),
        volumes: Arc::new(tokio::sync::Semaphore::new(1)),
        tellings: Arc::new(tokio::sync::Semaphore::new(limits::TELLINGS_MAX)),
        metrics,
        bodies: Arc::default(),
        regulars: places::Regulars::default(),
        public: Arc::default(),
        readiness: Arc::default(),
    }));
    let doors = places::Doors::new(limits::CONNECTIONS_MAX, app.regulars.clone());
    let router = Router::new()
        .merge(page_routes())
        .nest("/api/v1", api_routes())
        .route("/assets/{name}", get(assets::asset))
        .route("/favicon.ico", get(assets::favicon))
        .route("/metrics", get(monitor::metrics))
        .route("/healthz", get(monitor::healthz))
        .route("/readyz", get(monitor::readyz))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(axum::extract::DefaultBodyLimit::disable())
        // Each layer copies all that lies within for each request: so they are few.
        .layer(from_fn_with_state(app.clone(), guard::admit))
        .layer(from_fn(guard::dress))
        .layer(from_fn_with_state(app.clone(), monitor::observe))
        .with_state(app);
    Site { router, doors }
}

fn api_routes() -> Router<App> {
    api::routes()
        .merge(admissions::routes())
        .merge(strangers::routes())
        .merge(losses::routes())
        .merge(machine::routes())
}

fn page_routes() -> Router<App> {
    Router::new()
        .route("/", get(pages::desk::page))
        .route("/sign-in", get(pages::login::page).post(pages::login::sign_in))
        .route("/sign-out", post(pages::login::sign_out))
        .route("/operators", get(pages::operators::page).post(pages::operators::issue))
        .route("/operators/revoke", post(pages::operators::revoke))
        .route("/status", get(pages::status::page))
        .route("/status/losses", post(pages::status::accept_losses))
        .route("/m", get(pages::phone::page))
        .route("/public", get(pages::public::page))
        .route("/crosschecks", get(pages::crosschecks::page))
        .route("/lists/{list}", get(pages::lists::page))
        .route("/records/{id}", get(pages::record::page))
        .route("/new/{act}", get(pages::act::page))
        .route("/act/{act}", post(acts::submit))
}
