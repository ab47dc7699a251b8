//! Comfy API v2: the interface of the official Comfy SDKs, on the same tasks and records as `v1`.
//!
//! A base address serves one runtime: `/api/v2` the default one, `/runtimes/{name}/api/v2` that of the name.

// In the order of a job's life.
mod runtime;

mod metadata;
mod submit;
mod violations;

mod job;
mod links;
mod results;
mod show;

mod list;
mod query;

mod cancel;
mod workflow;

pub(crate) mod assets;

pub mod error;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::App;
use crate::steps::publish::Publisher;
pub use error::ComfyError;

/// What the path of each request contains.
const BASE: &str = "/api/v2";

/// The base paths: of the default runtime, and of a named one.
pub const BASES: [&str; 2] = [BASE, "/runtimes/{name}/api/v2"];

/// The paths of the API.
pub(crate) fn router<P: Publisher>() -> Router<Arc<App<P>>> {
    let api = Router::new()
        .route("/jobs", post(submit::job::<P>).get(list::jobs::<P>))
        .route("/jobs/{id}", get(show::job::<P>))
        .route("/jobs/{id}/cancel", post(cancel::job::<P>))
        .route("/jobs/{id}/workflow", get(workflow::of_job::<P>))
        .route("/jobs/{id}/events", get(async || ComfyError::no_events()))
        .merge(assets::router::<P>());
    BASES.iter().fold(Router::new(), |router, base| router.nest(base, api.clone()))
}

/// Whether a path is one of this API, whose errors have another form.
pub fn is_path(path: &str) -> bool {
    path.contains("/api/v2/") || path.ends_with(BASE)
}
