//! Error answers in the words of each server.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::ImageServer;

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
    /// The field at fault.
    param: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None }
    }

    /// A request that the server refuses.
    pub(super) fn refused(message: impl Into<String>, param: &'static str) -> Self {
        Self { param: Some(param), ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    /// A run that failed.
    pub(super) fn exception(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(super) fn answer(self, kind: ImageServer) -> Response {
        let Self { status, message, param } = self;
        let body = match kind {
            ImageServer::VllmOmni => {
                let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
                let error =
                    json!({ "message": message, "type": reason, "param": param, "code": status.as_u16() });
                json!({ "error": error })
            }
            ImageServer::SdServer if status.is_server_error() => {
                json!({ "error": "server_error", "message": message })
            }
            ImageServer::SdServer => json!({ "error": message }),
        };
        (status, Json(body)).into_response()
    }
}
