//! Style, script and icon: part of the binary, named by their content, cached for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use linli_core::event::domain_hash;

use super::error::HttpError;

/// A file of the binary.
pub(crate) struct Asset {
    /// Its address: a new content has a new one, so that a cache never serves an old file to a new page.
    pub(crate) path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

fn embed(stem: &str, extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Asset {
    let hash = HEXLOWER.encode(&domain_hash("linli/asset/1", &[bytes])[..8]);
    Asset { path: format!("/assets/{stem}.{hash}.{extension}"), content_type, bytes }
}

/// The style of all pages.
pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| embed("style", "css", "text/css; charset=utf-8", include_bytes!("../../web/style.css")));
/// Refreshes what changed.
pub(crate) static LIVE: LazyLock<Asset> =
    LazyLock::new(|| embed("live", "js", "text/javascript; charset=utf-8", include_bytes!("../../web/live.js")));
/// The icon.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| embed("icon", "svg", "image/svg+xml", include_bytes!("../../web/icon.svg")));

/// One asset by its hashed name.
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, HttpError> {
    let wanted = [&STYLE, &LIVE, &ICON].into_iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name));
    wanted.map(|asset| send(asset, "public, max-age=31536000, immutable")).ok_or_else(HttpError::not_found)
}

/// Browsers ask for the icon here without being told.
pub(crate) async fn favicon() -> Response {
    send(&ICON, "public, max-age=86400")
}

fn send(asset: &Asset, caching: &'static str) -> Response {
    ([(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, caching)], asset.bytes).into_response()
}
