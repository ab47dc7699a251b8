//! What the server is asked about jobs.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    SdCpp,
    queue::{Known, Status},
    request::Request,
};
use crate::{
    connection::Cutter,
    faults::{Fault, Occasion},
};

pub(super) async fn submit(
    State(server): State<Arc<SdCpp>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Response {
    let fault = server.machine.faults.next(Occasion::Request);
    match fault {
        Some(Fault::DropBeforeWork) => {
            cutter.cut();
            return StatusCode::ACCEPTED.into_response();
        }
        Some(Fault::PlainText { status }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return (status, "Bad Gateway").into_response();
        }
        Some(Fault::NotJson) => return "OK".into_response(),
        _ => {}
    }
    if body.is_empty() {
        return refused("empty body");
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => {
            let message = format!("[json.exception.parse_error.101] {error}");
            let body = json!({ "error": "invalid json", "message": message });
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    };
    let request = match Request::read(&body) {
        Ok(request) => request,
        Err(error) => return refused(&error),
    };
    let Some(answer) = server.queue().push(request, server.options.max_queue_size) else {
        let body = json!({ "error": "job queue is full" });
        return (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    };
    server.queued.notify_one();
    if fault == Some(Fault::DropAfterWork) {
        cutter.cut();
    }
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

pub(super) async fn no_video() -> Response {
    refused("loaded model does not support vid_gen")
}

pub(super) async fn look(State(server): State<Arc<SdCpp>>, Path(id): Path<String>) -> Response {
    let mut queue = server.queue();
    match queue.find(&id) {
        Known::Job => Json(queue.describe(&id)).into_response(),
        known => missing(&known),
    }
}

/// Only a job that waits is cancelled. One that has ended stays as it is.
pub(super) async fn cancel(State(server): State<Arc<SdCpp>>, Path(id): Path<String>) -> Response {
    let mut queue = server.queue();
    match queue.find(&id) {
        Known::Job if queue.status(&id) == Some(Status::Generating) => {
            let body = json!({ "error": "job is currently generating and cannot be interrupted yet" });
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
        Known::Job => {
            queue.cancel(&id);
            Json(queue.describe(&id)).into_response()
        }
        known => missing(&known),
    }
}

fn missing(known: &Known) -> Response {
    let (status, error) = match known {
        Known::Expired => (StatusCode::GONE, "job expired"),
        _ => (StatusCode::NOT_FOUND, "job not found"),
    };
    (status, Json(json!({ "error": error }))).into_response()
}

fn refused(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}
