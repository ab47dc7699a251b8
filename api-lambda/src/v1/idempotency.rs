//! `Idempotency-Key`: the same request with the same key is processed once.

use axum::http::HeaderMap;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// The header.
pub(crate) const HEADER: &str = "idempotency-key";
/// The header of a response that is replayed.
pub(super) const REPLAYED: &str = "idempotency-replayed";

/// The longest key, in characters.
const MAX_LENGTH: usize = 255;

/// A caller's key, and a digest of the request that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    pub(crate) key: String,
    pub(crate) digest: String,
}

impl IdempotencyKey {
    /// The key of a request to `path` with that body, if it has one.
    pub(crate) fn of(headers: &HeaderMap, path: &str, body: &Value) -> Result<Option<Self>, ApiError> {
        let Some(header) = headers.get(HEADER) else { return Ok(None) };
        let is_valid = |key: &&str| {
            (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        let key = header.to_str().ok().map(str::trim).filter(is_valid);
        let key = key.ok_or_else(|| ApiError::InvalidParameter {
            name: "Idempotency-Key",
            message: format!("must have 1 to {MAX_LENGTH} printable ASCII characters"),
        })?;
        Ok(Some(Self { key: key.to_owned(), digest: digest(path, body) }))
    }

    /// The same key of Comfy API v2, which has keys of its own.
    pub(crate) fn of_comfy(self) -> Self {
        Self { key: format!("\ncomfy\n{}", self.key), ..self }
    }

    /// The key of the n-th task of a batch.
    pub(super) fn nth(&self, n: usize, body: &Value) -> Self {
        Self { key: format!("{}\n{n}", self.key), digest: digest("", body) }
    }
}

/// A digest that is the same for the same JSON, also with its fields in another order.
fn digest(path: &str, body: &Value) -> String {
    let mut body = body.clone();
    body.sort_all_objects();
    let digest = Sha256::new().chain_update(path).chain_update([0]).chain_update(body.to_string()).finalize();
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(text: &str, body: &Value) -> Result<Option<IdempotencyKey>, ApiError> {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), text.parse().unwrap())]);
        IdempotencyKey::of(&headers, "/v1/tasks", body)
    }

    #[test]
    fn the_order_of_fields_and_spaces_does_not_matter() {
        let of = |text: &str| key("k", &serde_json::from_str(text).unwrap()).unwrap().unwrap().digest;
        assert_eq!(of(r#"{"a": {"b": 1, "c": 2}, "d": 3}"#), of(r#"{"d":3,"a":{"c":2,"b":1}}"#));
        assert_ne!(of(r#"{"a": 1}"#), of(r#"{"a": 2}"#));
    }

    #[test]
    fn a_key_has_up_to_255_printable_characters() {
        assert!(key(&"k".repeat(255), &json!({})).unwrap().is_some());
        for invalid in ["", " ", "a\tb", &"k".repeat(256)] {
            assert!(key(invalid, &json!({})).is_err(), "{invalid:?}");
        }
        assert_eq!(IdempotencyKey::of(&HeaderMap::new(), "", &json!({})), Ok(None));
    }
}
