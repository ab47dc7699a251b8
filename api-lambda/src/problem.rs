//! Errors on the wire: `application/problem+json` (RFC 9457), with a stable code and every violation.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared_schema::Violation;

use crate::error::ApiError;
use crate::request_id;

/// The codes of the front door. They are stable: clients may branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The body is no JSON.
    InvalidBody,
    /// The body breaks the contract.
    InvalidTask,
    /// The body is larger than is read.
    BodyTooLarge,
    /// The message would be larger than the topic takes.
    TaskTooLarge,
    /// A header or a parameter of the query is invalid.
    InvalidParameter,
    /// The deployment has no task records.
    RecordsDisabled,
    /// The task records could not be read or written.
    RecordsUnavailable,
    /// The caller has no task of that id.
    TaskNotFound,
    /// The idempotency key came with a different request before.
    IdempotencyKeyReused,
    /// A request with the same idempotency key is being processed.
    IdempotencyKeyInUse,
    /// The caller has as many unfinished tasks as it may have.
    TooManyTasks,
    /// The workflow refers to assets that the caller does not have.
    MissingAsset,
    /// The task cannot be submitted again.
    NotRetryable,
    /// There is nothing at that path.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// The message could not be published.
    PublishUnavailable,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [Self; 16] = [
        Self::InvalidBody,
        Self::InvalidTask,
        Self::BodyTooLarge,
        Self::TaskTooLarge,
        Self::InvalidParameter,
        Self::RecordsDisabled,
        Self::RecordsUnavailable,
        Self::TaskNotFound,
        Self::IdempotencyKeyReused,
        Self::IdempotencyKeyInUse,
        Self::TooManyTasks,
        Self::MissingAsset,
        Self::NotRetryable,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PublishUnavailable,
    ];

    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidBody => "invalid_body",
            Self::InvalidTask => "invalid_task",
            Self::BodyTooLarge => "body_too_large",
            Self::TaskTooLarge => "task_too_large",
            Self::InvalidParameter => "invalid_parameter",
            Self::RecordsDisabled => "records_disabled",
            Self::RecordsUnavailable => "records_unavailable",
            Self::TaskNotFound => "task_not_found",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::IdempotencyKeyInUse => "idempotency_key_in_use",
            Self::TooManyTasks => "too_many_tasks",
            Self::MissingAsset => "missing_asset",
            Self::NotRetryable => "not_retryable",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PublishUnavailable => "publish_unavailable",
        }
    }

    /// The HTTP status it is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidBody | Self::InvalidTask | Self::InvalidParameter => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge | Self::TaskTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::IdempotencyKeyReused | Self::MissingAsset => StatusCode::UNPROCESSABLE_ENTITY,
            Self::IdempotencyKeyInUse | Self::NotRetryable => StatusCode::CONFLICT,
            Self::TooManyTasks => StatusCode::TOO_MANY_REQUESTS,
            Self::RecordsDisabled => StatusCode::NOT_IMPLEMENTED,
            Self::NotFound | Self::TaskNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PublishUnavailable | Self::RecordsUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl ProblemCode {
    /// How long a caller should wait before it sends the request again, in seconds, if that can help.
    fn retry_after(self) -> Option<&'static str> {
        match self {
            // Longer than the retries that were just made.
            Self::PublishUnavailable | Self::RecordsUnavailable | Self::TooManyTasks => Some("10"),
            Self::IdempotencyKeyInUse => Some("1"),
            _ => None,
        }
    }
}

/// The code of an error, for the log line of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoggedCode(pub(crate) &'static str);

/// The body of an error.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    /// No document describes the type further, so `title` is the phrase of the status (RFC 9457, section 4.2.1).
    #[serde(rename = "type")]
    problem_type: &'static str,
    title: &'static str,
    status: u16,
    code: ProblemCode,
    detail: String,
    violations: &'a [Violation],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl<'a> Problem<'a> {
    /// The body of that error.
    pub(crate) fn of(error: &'a ApiError) -> Self {
        let code = error.code();
        let status = code.status();
        Self {
            problem_type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: error.to_string(),
            violations: error.violations(),
            request_id: request_id::current(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.code();
        let mut response = (code.status(), Json(Problem::of(&self))).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = code.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response.extensions_mut().insert(LoggedCode(code.as_str()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_and_as_str_agree_on_the_code() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn the_readme_lists_every_code_with_its_status() {
        let listed: Vec<String> = include_str!("../README.md")
            .lines()
            .skip_while(|line| !line.starts_with("| code |"))
            .skip(2)
            .map_while(|line| line.strip_prefix("| `"))
            .map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" "))
            .collect();
        let ours = ProblemCode::ALL.map(|code| format!("{}` {}", code.as_str(), code.status().as_str()));
        assert_eq!(listed, ours);
    }
}
