//! First step: the body, bounded, as JSON.

use std::error::Error;

use axum::body::{Body, to_bytes};
use http_body_util::LengthLimitError;
use serde_json::Value;
use shared_schema::{Violation, ViolationCode};

use super::{encoding, syntax};
use crate::error::ApiError;

/// Reads at most `limit` bytes and parses them, whatever the Content-Type says: predecessors never looked at it.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = to_bytes(body, limit).await.map_err(|error| {
        if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
            ApiError::BodyTooLarge { limit }
        } else {
            not_json("the body is incomplete".to_owned())
        }
    })?;
    let text = encoding::text(&bytes).map_err(not_json)?;
    if text.trim_ascii().is_empty() {
        return Err(not_json("the body is empty; send a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| not_json(syntax::fault(text, &error)))
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
    async fn a_byte_order_mark_of_utf_8_is_no_part_of_the_body() {
        assert_eq!(read(Body::from("\u{feff}[1]"), 100).await, Ok(serde_json::json!([1])));
    }
}
