//! Requests without a response of success.

use std::error::Error as _;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{endpoint} cannot be reached: {cause}")]
    Unreachable { endpoint: String, cause: String },
    #[error("{0}")]
    Refused(Refusal),
    #[error("the response of the front door is not understood: {0}")]
    NotUnderstood(String),
    #[error("the API key has characters that a header cannot have")]
    InvalidKey,
    #[error("the HTTP client cannot be created: {0}")]
    Client(String),
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::NotUnderstood(_) | Self::Client(_) => 3,
            Self::InvalidKey => 2,
            Self::Refused(Refusal { status: 404, .. }) => 4,
            Self::Refused(Refusal { status: 429 | 500.., .. }) => 3,
            Self::Refused(_) => 5,
        }
    }
}

impl Error {
    /// The code of the front door for what it refused, or what kind of failure it is.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.code,
            Self::InvalidKey => "usage",
            Self::Unreachable { .. } | Self::NotUnderstood(_) | Self::Client(_) => "unreachable",
        }
    }
}

/// A response other than success: the problem that the front door describes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) violations: Vec<Violation>,
    pub(crate) request_id: Option<String>,
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Violation {
    pointer: String,
    code: String,
    message: String,
}

/// The parts of the body: a problem of the front door, or API Gateway's own `{"message"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    code: Option<String>,
    detail: Option<String>,
    message: Option<String>,
    violations: Vec<Violation>,
    request_id: Option<String>,
}

impl Refusal {
    pub(super) fn parse(status: StatusCode, body: &[u8]) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let reason = || status.canonical_reason().unwrap_or("an unknown status").to_owned();
        let code = body.code.unwrap_or_else(|| {
            if status == StatusCode::FORBIDDEN { "forbidden" } else { "http_error" }.to_owned()
        });
        Self {
            status: status.as_u16(),
            code,
            message: body.detail.or(body.message).unwrap_or_else(reason),
            violations: body.violations,
            request_id: body.request_id,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, code, message, violations, .. } = self;
        write!(f, "{status} {code}: {message}")?;
        for Violation { pointer, message, .. } in violations {
            write!(f, "; {pointer} {message}")?;
        }
        if *status == 403 {
            write!(f, " (is the API key set? see DARKROOM_API_KEY and the profile file)")?;
        }
        Ok(())
    }
}

/// Why a request failed, in words: the deepest cause, without the URL, which can be a presigned one.
pub(crate) fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no response in time".to_owned();
    }
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    match error.source() {
        Some(_) => format!("{error}: {deepest}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_and_the_responses_of_api_gateway_are_parsed() {
        let body = br#"{"code": "invalid_task", "detail": "the task is invalid", "status": 400, "request_id": "r",
            "violations": [{"pointer": "/content/steps", "code": "too_large", "message": "must be at most 500"}]}"#;
        let refusal = Refusal::parse(StatusCode::BAD_REQUEST, body);
        assert_eq!(
            refusal.to_string(),
            "400 invalid_task: the task is invalid; /content/steps must be at most 500"
        );
        let refusal = Refusal::parse(StatusCode::FORBIDDEN, br#"{"message": "Forbidden"}"#);
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("forbidden", "Forbidden"));
        let refusal = Refusal::parse(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(refusal.to_string(), "502 http_error: Bad Gateway");
    }

    #[test]
    fn the_exit_code_says_who_can_help() {
        let code = |status| Error::Refused(Refusal { status, ..Refusal::default() }).exit_code();
        assert_eq!([404, 400, 403, 409, 422, 429, 500, 501, 503].map(code), [4, 5, 5, 5, 5, 3, 3, 3, 3]);
    }
}
