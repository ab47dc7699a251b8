//! `v1`: upload inputs, submit a task once, watch it, fetch its results, cancel it.
//!
//! Everything is read from and written to the records of tasks; without them each path answers 501.

// In the order of a task's life.
pub(crate) mod idempotency;
pub(crate) mod submit;

mod links;
pub(crate) mod show;
mod task;
mod wait;

mod list;
pub(crate) mod query;

mod cancel;
mod retry;

pub(crate) mod uploads;

mod runtimes;

pub mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};

use crate::App;
use crate::steps::publish::Publisher;

/// The methods and paths of `v1`.
pub const PATHS: [(Method, &str); 10] = [
    (Method::POST, "/v1/tasks"),
    (Method::POST, "/v1/tasks/batch"),
    (Method::GET, "/v1/tasks/{id}"),
    (Method::GET, "/v1/tasks"),
    (Method::POST, "/v1/tasks/{id}/cancel"),
    (Method::POST, "/v1/tasks/{id}/retry"),
    (Method::POST, "/v1/uploads"),
    (Method::GET, "/v1/runtimes"),
    (Method::GET, "/openapi.json"),
    (Method::GET, "/docs"),
];

/// The handlers of these paths.
pub(crate) fn router<P: Publisher>() -> Router<Arc<App<P>>> {
    let handlers = [
        post(submit::one::<P>),
        post(submit::batch::<P>),
        get(show::task::<P>),
        get(list::tasks::<P>),
        post(cancel::task::<P>),
        post(retry::task::<P>),
        post(uploads::create::<P>),
        get(runtimes::list::<P>),
        get(openapi::document),
        get(openapi::html),
    ];
    let routes = PATHS.iter().zip(handlers);
    routes.fold(Router::new(), |router, ((_, path), handler)| router.route(path, handler))
}
