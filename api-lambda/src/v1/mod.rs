//! `v1`: upload inputs, submit a task once, watch it, fetch its results, cancel it.
//!
//! Everything is read from and written to the records of tasks; without them each path answers 501.

// In the order of a task's life.
mod idempotency;
mod submit;

mod links;
mod show;
mod task;
mod wait;

mod list;
mod query;

mod cancel;
mod retry;

mod uploads;

mod runtimes;

pub mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::App;
use crate::steps::publish::Publisher;

/// The paths of `v1`.
pub(crate) fn router<P: Publisher>() -> Router<Arc<App<P>>> {
    Router::new()
        .route("/v1/tasks", post(submit::one::<P>).get(list::tasks::<P>))
        .route("/v1/tasks/batch", post(submit::batch::<P>))
        .route("/v1/tasks/{id}", get(show::task::<P>))
        .route("/v1/tasks/{id}/cancel", post(cancel::task::<P>))
        .route("/v1/tasks/{id}/retry", post(retry::task::<P>))
        .route("/v1/uploads", post(uploads::create::<P>))
        .route("/v1/runtimes", get(runtimes::list::<P>))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::html))
}
