//! Errors on the wire: `application/problem+json` (RFC 9457), with a stable code and every violation.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared_schema::Violation;

use crate::error::ApiError;

/// How long a caller should wait after an outage of ours, in seconds: longer than the retries that were just made.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("10");

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
    /// There is nothing at that path.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// The message could not be published.
    PublishUnavailable,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [Self; 7] = [
        Self::InvalidBody,
        Self::InvalidTask,
        Self::BodyTooLarge,
        Self::TaskTooLarge,
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
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PublishUnavailable => "publish_unavailable",
        }
    }

    /// The HTTP status it is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidBody | Self::InvalidTask => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge | Self::TaskTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PublishUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The body of an error.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    /// No document describes the type further, so `title` is the phrase of the status (RFC 9457, section 4.2.1).
    #[serde(rename = "type")]
    problem_type: &'static str,
    title: &'static str,
    status: u16,
    code: ProblemCode,
    detail: String,
    violations: &'a [Violation],
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.code();
        let status = code.status();
        let problem = Problem {
            problem_type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: self.to_string(),
            violations: self.violations(),
        };
        let mut response = (status, Json(problem)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if code == ProblemCode::PublishUnavailable {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response.extensions_mut().insert(code);
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
