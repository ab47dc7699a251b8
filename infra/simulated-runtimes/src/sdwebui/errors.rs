//! Error responses of each dialect.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Dialect, WebUi};

/// Why a call failed. Becomes a response in [`render`], where the dialect is known.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The body does not fit the model of the request: FastAPI's list of violations.
    Validation(Vec<Value>),
    /// FastAPI's `HTTPException`.
    Http { status: StatusCode, detail: String },
    /// An uncaught exception.
    Exception { kind: String, message: String },
}

impl Failure {
    pub(super) fn http(status: StatusCode, detail: &str) -> Self {
        Self::Http { status, detail: detail.to_owned() }
    }

    pub(super) fn exception(kind: &str, message: &str) -> Self {
        Self::Exception { kind: kind.to_owned(), message: message.to_owned() }
    }

    /// PyTorch's exception for a lack of GPU memory.
    pub(super) fn out_of_memory() -> Self {
        Self::exception(
            "OutOfMemoryError",
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB of which \
             1.12 GiB is free.",
        )
    }

    fn answer(self, dialect: Dialect) -> Response {
        match (self, dialect) {
            (Self::Validation(violations), _) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"detail": violations}))).into_response()
            }
            (Self::Http { status, detail }, Dialect::Forge) => {
                (status, Json(json!({"detail": detail}))).into_response()
            }
            // Routing fails outside of the middleware that rewrites exceptions.
            (Self::Http { status, detail }, _) if detail == "Not Found" || detail == "Method Not Allowed" => {
                (status, Json(json!({"detail": detail}))).into_response()
            }
            (Self::Http { status, detail }, Dialect::Automatic1111) => {
                let body = json!({"error": "HTTPException", "detail": detail, "body": "", "errors": ""});
                (status, Json(body)).into_response()
            }
            (Self::Http { status, detail }, Dialect::SdNext) => {
                let code = status.as_u16();
                let body = json!({"error": "HTTPException", "code": code, "detail": detail, "body": "", "errors": ""});
                (status, Json(body)).into_response()
            }
            (Self::Exception { kind, message }, Dialect::Forge) => {
                let body = json!({"error": kind, "detail": "", "body": "", "message": message});
                (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
            }
            (Self::Exception { kind, message }, Dialect::Automatic1111) => {
                let body = json!({"error": kind, "detail": "", "body": "", "errors": message});
                (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
            }
            (Self::Exception { .. }, Dialect::SdNext) => {
                Json(json!({"images": [], "parameters": {}, "info": ""})).into_response()
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes a failure in the dialect of this SD WebUI.
pub(super) async fn render(State(webui): State<Arc<WebUi>>, mut response: Response) -> Response {
    match response.extensions_mut().remove::<Failure>() {
        Some(failure) => failure.answer(webui.dialect),
        None => response,
    }
}
