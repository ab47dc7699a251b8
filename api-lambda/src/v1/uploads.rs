//! `POST /v1/uploads`: a presigned URL to store an input.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared_schema::{Violation, ViolationCode, keys};
use task_records::asset::Blob;
use task_records::time::{epoch_seconds, timestamp};
use uuid::Uuid;

use crate::comfy::assets::Blake3;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::steps::request;
use crate::{App, Caller};

/// The largest file, in bytes: what the worker fetches for one task by default (`MAX_TASK_BYTES`).
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How long the URL works.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// Where to store a file.
#[derive(Debug, Serialize)]
pub(super) struct Upload {
    /// The URL for the request, which needs no credentials.
    url: String,
    /// The method of the request.
    method: &'static str,
    /// The headers of the request: S3 refuses other values, since they are signed.
    headers: Map<String, Value>,
    /// Until when the URL works.
    expires_at: String,
    /// What an image field of `content` has, once the file is stored.
    address: String,
}

/// What a caller says about its file.
struct File {
    content_type: String,
    bytes: u64,
    /// The hash of a file that is to become an asset.
    hash: Option<Blake3>,
}

pub(super) async fn create<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Caller(owner): Caller,
    body: Body,
) -> Result<(StatusCode, Json<Upload>), ApiError> {
    let store = app.store()?;
    let body = request::read(body, app.config.max_body_bytes).await?;
    let File { content_type, bytes, hash } = file(&body).map_err(ApiError::InvalidTask)?;
    let key = keys::upload(Uuid::new_v4());
    let length = bytes.to_string();
    let mut headers = vec![("content-type", content_type.as_str()), ("content-length", length.as_str())];
    if let Some(hash) = &hash {
        // The bytes must not change after their hash has been checked.
        headers.push(("if-none-match", "*"));
        let expires = epoch_seconds(SystemTime::now() + app.config.asset_lifetime());
        let (key, content_type) = (key.clone(), content_type.clone());
        let blob = Blob { key, bytes, content_type, expires };
        store.records.put_upload(&owner, &hash.hex(), &blob).await?;
    }
    let signed = store.results.presigned_put(&key, &headers, LIFETIME).await;
    let signed = signed.ok_or_else(|| {
        tracing::error!("the url of an upload could not be signed");
        ApiError::RecordsUnavailable
    })?;
    let upload = Upload {
        url: signed.url,
        method: "PUT",
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect(),
        expires_at: timestamp(signed.expires_at),
        address: keys::s3_uri(store.results.bucket(), &key),
    };
    Ok((StatusCode::CREATED, Json(upload)))
}

fn file(body: &Value) -> Result<File, Vec<Violation>> {
    let mut violations = Vec::new();
    let content_type = body["content_type"].as_str().filter(|text| is_media_type(text));
    if content_type.is_none() {
        let message = "must be the media type of the file, as in `image/png`";
        violations.push(Violation::new("/content_type", ViolationCode::WrongForm, message));
    }
    let bytes = whole(&body["bytes"]).filter(|bytes| (1..=MAX_BYTES).contains(bytes));
    if bytes.is_none() {
        let message = format!("must be the size of the file, from 1 to {MAX_BYTES} bytes");
        violations.push(Violation::new("/bytes", ViolationCode::WrongForm, message));
    }
    let hash = body.get("hash");
    let parsed = hash.and_then(Value::as_str).and_then(Blake3::parse);
    if hash.is_some() && parsed.is_none() {
        let message = "must be the BLAKE3 of the file: `blake3:` and 64 hexadecimal digits";
        violations.push(Violation::new("/hash", ViolationCode::WrongForm, message));
    }
    match (content_type, bytes) {
        (Some(content_type), Some(bytes)) if violations.is_empty() => {
            Ok(File { content_type: content_type.to_owned(), bytes, hash: parsed })
        }
        _ => Err(violations),
    }
}

/// A whole number as JSON Schema has it: `60.0` is one, too.
fn whole(value: &Value) -> Option<u64> {
    let from_float = || value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0);
    value.as_u64().or_else(|| from_float().map(|number| number as u64))
}

/// `type/subtype` without parameters (RFC 9110, section 8.3.1).
pub(crate) fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        (1..=64).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_media_type_and_a_size() {
        assert!(file(&json!({ "content_type": "image/svg+xml", "bytes": 1 })).is_ok());
        assert!(file(&json!({ "content_type": "image/png", "bytes": 60.0 })).is_ok());
        let pointers = |body: Value| -> Vec<String> {
            file(&body).err().unwrap().into_iter().map(|violation| violation.pointer).collect()
        };
        assert_eq!(pointers(json!({})), ["/content_type", "/bytes"]);
        assert_eq!(pointers(json!({ "content_type": "image/png", "bytes": 0 })), ["/bytes"]);
        assert_eq!(pointers(json!({ "content_type": "image/png", "bytes": 1e12 })), ["/bytes"]);
        for invalid in ["png", "image/", "image/png; q=1", "image/p\n", "a/b/c"] {
            assert_eq!(
                pointers(json!({ "content_type": invalid, "bytes": 1 })),
                ["/content_type"],
                "{invalid}"
            );
        }
    }
}
