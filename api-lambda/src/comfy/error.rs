//! Errors of Comfy API v2: an envelope with a stable code, `{"error": {"code", "message", "details"}}`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::violations;
use crate::error::ApiError;
use crate::problem::LoggedCode;
use crate::request_id;

/// The header with the id of the request, which the SDKs show.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-comfy-request-id");

macro_rules! comfy_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal, $status:ident;)+) => {
        /// The codes. Those of the published contract raise their own exceptions in the SDKs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ComfyCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ComfyCode {
            /// Every code, in the order of the README.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as clients see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The HTTP status of the response.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
        }
    };
}

comfy_codes! {
    /// The key is missing or unknown.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// The request is no JSON, or has a field that it cannot have.
    InvalidRequest = "invalid_request", BAD_REQUEST;
    /// The same for the form of an upload.
    InvalidAsset = "invalid_request", UNPROCESSABLE_ENTITY;
    /// The workflow breaks the contract.
    InvalidWorkflow = "invalid_workflow", UNPROCESSABLE_ENTITY;
    /// The workflow has the editor's format.
    WorkflowFormatUi = "workflow_format_ui", UNPROCESSABLE_ENTITY;
    /// The labels are invalid.
    MetadataInvalid = "metadata_invalid", UNPROCESSABLE_ENTITY;
    /// The workflow refers to an asset that the caller does not have.
    MissingAsset = "missing_asset", UNPROCESSABLE_ENTITY;
    /// The idempotency key has been used.
    IdempotencyKeyReuse = "idempotency_key_reuse", UNPROCESSABLE_ENTITY;
    /// A filter of the list is invalid.
    InvalidMetadataFilter = "invalid_metadata_filter", BAD_REQUEST;
    /// The cursor of the list is invalid.
    InvalidCursor = "invalid_cursor", BAD_REQUEST;
    /// The caller has no such job or asset, or there is nothing at the path.
    NotFound = "not_found", NOT_FOUND;
    /// The caller has stored no bytes with that hash.
    BlobNotFound = "blob_not_found", NOT_FOUND;
    /// The bytes have another hash than the caller says.
    HashMismatch = "hash_mismatch", CONFLICT;
    /// The asset belongs to a job.
    AssetInUse = "asset_in_use", CONFLICT;
    /// The path takes other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The body is larger than is read or published.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE;
    /// The caller has as many unfinished tasks as it may have.
    QueueFull = "queue_full", TOO_MANY_REQUESTS;
    /// The deployment does not have this.
    NotImplemented = "not_implemented", NOT_IMPLEMENTED;
    /// A service that the front door needs is not available.
    UpstreamError = "upstream_error", INTERNAL_SERVER_ERROR;
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ComfyError {
    pub(super) code: ComfyCode,
    pub(super) message: String,
    pub(super) details: Value,
}

impl ComfyError {
    pub(super) fn new(code: ComfyCode, message: impl Into<String>) -> Self {
        Self::with_details(code, message, Value::Null)
    }

    pub(super) fn with_details(code: ComfyCode, message: impl Into<String>, details: Value) -> Self {
        Self { code, message: message.into(), details }
    }

    /// A request without a valid key.
    pub fn unauthorized() -> Self {
        Self::new(ComfyCode::Unauthorized, "send the API key as `Authorization: Bearer KEY`")
    }

    /// There is no stream of events: the SDKs poll then.
    pub(super) fn no_events() -> Self {
        Self::new(ComfyCode::NotImplemented, "this server has no events; poll the job")
    }

    pub(super) fn no_asset() -> Self {
        Self::new(ComfyCode::NotFound, "you have no asset with this id, or it has expired")
    }

    /// The HTTP status of the response.
    pub(super) fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub(super) fn no_job() -> Self {
        Self::new(ComfyCode::NotFound, "you have no job with this id here, or its record has expired")
    }
}

impl From<ApiError> for ComfyError {
    fn from(error: ApiError) -> Self {
        let code = match &error {
            ApiError::InvalidTask(violations) => return violations::refused(violations),
            ApiError::MissingAsset(ids) => {
                let details = json!({ "missing_ids": ids });
                return Self::with_details(ComfyCode::MissingAsset, error.to_string(), details);
            }
            ApiError::InvalidBody(_) | ApiError::InvalidParameter { .. } | ApiError::NotRetryable(_) => {
                ComfyCode::InvalidRequest
            }
            ApiError::BodyTooLarge { .. } | ApiError::TaskTooLarge { .. } => ComfyCode::PayloadTooLarge,
            ApiError::IdempotencyKeyReused | ApiError::IdempotencyKeyInUse => {
                let message =
                    "this Idempotency-Key has been used; look for its job, or use a new key for a new job";
                return Self::new(ComfyCode::IdempotencyKeyReuse, message);
            }
            ApiError::TooManyTasks { .. } => ComfyCode::QueueFull,
            ApiError::RecordsDisabled => ComfyCode::NotImplemented,
            ApiError::TaskNotFound => return Self::no_job(),
            ApiError::NotFound => ComfyCode::NotFound,
            ApiError::MethodNotAllowed => ComfyCode::MethodNotAllowed,
            ApiError::RecordsUnavailable | ApiError::PublishUnavailable | ApiError::NotPublished => {
                ComfyCode::UpstreamError
            }
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for ComfyError {
    fn into_response(self) -> Response {
        let Self { code, message, details } = self;
        let envelope = json!({ "error": { "code": code.as_str(), "message": message, "details": details } });
        let mut response = (code.status(), Json(envelope)).into_response();
        let headers = response.headers_mut();
        if let Some(id) = request_id::current().and_then(|id| HeaderValue::from_str(&id).ok()) {
            headers.insert(REQUEST_ID, id);
        }
        if code == ComfyCode::QueueFull {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response.extensions_mut().insert(LoggedCode(code.as_str()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_code_with_its_status() {
        let listed: Vec<String> = include_str!("../../README.md")
            .lines()
            .skip_while(|line| !line.starts_with("| code of Comfy API v2 |"))
            .skip(2)
            .map_while(|line| line.strip_prefix("| `"))
            .map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" "))
            .collect();
        let ours: Vec<String> = ComfyCode::ALL
            .iter()
            .map(|code| format!("{}` {}", code.as_str(), code.status().as_str()))
            .collect();
        assert_eq!(listed, ours);
    }
}
