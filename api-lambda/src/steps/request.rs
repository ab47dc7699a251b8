//! First step: the body, bounded, as JSON.

use std::error::Error;

use axum::body::{Body, to_bytes};
use http_body_util::LengthLimitError;
use serde_json::Value;
use shared_schema::{Violation, ViolationCode};

use crate::error::ApiError;

/// Reads at most `limit` bytes and parses them, whatever the Content-Type says: predecessors never looked at it.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = to_bytes(body, limit).await.map_err(|error| {
        if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
            ApiError::BodyTooLarge { limit }
        } else {
            not_json("the body ended before all of it had come".to_owned())
        }
    })?;
    if bytes.trim_ascii().is_empty() {
        return Err(not_json("the body is empty; send a JSON object".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // serde_json reads 127 levels and reports a deeper one as a syntax error.
        not_json(format!("is not JSON, or nests deeper than 127 levels, at line {line} column {column}"))
    })
}

fn not_json(message: String) -> ApiError {
    ApiError::InvalidBody(Violation::new("", ViolationCode::NotJson, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_more_is_not() {
        assert!(read(Body::from("[1, 2]"), 6).await.is_ok());
        assert_eq!(read(Body::from("[1, 2]"), 5).await, Err(ApiError::BodyTooLarge { limit: 5 }));
    }

    #[tokio::test]
    async fn nesting_is_bounded() {
        let nested = |depth: usize| Body::from(format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(read(nested(127), 1000).await.is_ok());
        assert!(matches!(read(nested(128), 1000).await, Err(ApiError::InvalidBody(_))));
    }
}
