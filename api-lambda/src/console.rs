//! `GET /console`: a web page to submit, watch and browse tasks. It calls `v1` with the API key of its user.
//!
//! The files need no API key. Their URLs contain a hash of all of them, so a browser keeps them until they change.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::App;
use crate::error::ApiError;
use crate::steps::publish::Publisher;

/// The page. `{version}` stands for the folder of its files.
const PAGE: &str = include_str!("../console/index.html");

macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../console/", $name)))),*] };
}

/// What the page loads, by name.
const FILES: &[(&str, &str)] = files! {
    "app.js" "api.js" "base.js" "dom.js" "format.js" "json.js" "key.js" "poll.js"
    "new-task.js" "fields.js" "inputs.js" "schema.js" "workflow.js"
    "task-list.js" "task.js" "timeline.js" "gallery.js" "viewer.js" "images.js" "runtimes.js"
    "console.css" "icon.svg"
};

/// A hash of the page and its files, in hexadecimal.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = FILES.iter().fold(Sha256::new_with_prefix(PAGE), |hash, (_, text)| hash.chain_update(text));
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
});

static VERSIONED_PAGE: LazyLock<String> = LazyLock::new(|| PAGE.replace("{version}", &VERSION));

/// The methods and paths of the console.
pub const PATHS: [(Method, &str); 2] =
    [(Method::GET, "/console"), (Method::GET, "/console/{version}/{file}")];

/// The handlers of these paths.
pub(crate) fn router<P: Publisher>() -> Router<Arc<App<P>>> {
    Router::new()
        .route("/console", get(page::<P>))
        // The links of the page are relative to `/console`.
        .route("/console/", get(async || Redirect::temporary("../console")))
        .route("/console/{version}/{file}", get(file))
}

async fn page<P: Publisher>(State(app): State<Arc<App<P>>>) -> Response {
    let results = match &app.store {
        Some(store) => store.results.root().await.unwrap_or_default(),
        None => String::new(),
    };
    let mut response = Html(VERSIONED_PAGE.as_str()).into_response();
    let headers = response.headers_mut();
    headers.extend(security_headers());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(policy) = HeaderValue::from_str(&policy(&results)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The Content-Security-Policy of the page: its own files, `v1`, and the one bucket for results and uploads. `blob:` shows
/// inputs before they are sent. Trusted Types refuse markup from texts.
fn policy(results: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: {results}; media-src {results}; \
         connect-src 'self' {results}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

fn security_headers() -> HeaderMap {
    HeaderMap::from_iter(
        [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value))),
    )
}

/// The path of a file; a stage before it does not matter.
#[derive(Debug, Deserialize)]
struct FilePath {
    version: String,
    file: String,
}

/// A page of another version, loaded during a deployment, gets the present files, but does not keep them.
async fn file(Path(FilePath { version, file }): Path<FilePath>) -> Result<impl IntoResponse, ApiError> {
    let (name, text) = FILES.iter().find(|(name, _)| *name == file).ok_or(ApiError::NotFound)?;
    let media_type = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    let lifetime = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, lifetime)];
    Ok((security_headers(), headers, *text))
}
