//! The form of an upload (`multipart/form-data`, RFC 7578), and the rules for its fields.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, header};
use futures_util::stream;
use serde_json::json;
use shared_schema::TaskId;

use super::{Blake3, Wishes};
use crate::comfy::error::{ComfyCode, ComfyError};
use crate::v1::uploads::is_media_type;

/// The longest name of a file, in bytes, and with it the longest text of a form.
const MAX_NAME: usize = 1_024;
/// How long an asset may exist, in seconds (contract of the API).
const LIFETIME: std::ops::RangeInclusive<u64> = 60..=604_800;
/// The media type of a file whose type is not known.
const UNKNOWN: &str = "application/octet-stream";

/// An uploaded file.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) file: Bytes,
    pub(super) content_type: String,
    pub(super) expected_hash: Option<Blake3>,
    pub(super) wishes: Wishes,
}

impl Form {
    /// Reads at most `limit` bytes.
    pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Self, ComfyError> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
        let boundary = boundary.ok_or_else(|| invalid("the body must be `multipart/form-data`"))?;
        let body = to_bytes(body, limit).await.map_err(|_| too_large(limit))?;
        let mut parts = multer::Multipart::new(stream::iter([Ok::<_, std::io::Error>(body)]), boundary);
        let (mut file, mut name, mut lifetime, mut expected_hash) = (None, None, None, None);
        let mut content_type = UNKNOWN.to_owned();
        while let Some(part) = parts.next_field().await.map_err(|_| invalid("the form is damaged"))? {
            let field = part.name().unwrap_or_default().to_owned();
            let bytes = part.bytes().await.map_err(|_| invalid("the form is damaged"))?;
            if field == "file" {
                file = Some(bytes);
                continue;
            }
            let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= MAX_NAME);
            let text = text.ok_or_else(|| invalid(format!("`{field}` must be a short text in UTF-8")))?;
            match field.as_str() {
                "content_type" if is_media_type(text) => content_type = text.to_owned(),
                "file_path" => name = Some(file_path(text)?),
                "expected_hash" => {
                    let hash = Blake3::parse(text);
                    expected_hash =
                        Some(hash.ok_or_else(|| invalid("`expected_hash` must be `blake3:` and 64 digits"))?);
                }
                "expires_in" => lifetime = Some(expires_in(text.parse().ok())?),
                _ => {}
            }
        }
        let file_path = name.ok_or_else(|| invalid("`file_path` is missing"))?;
        let file = file.ok_or_else(|| invalid("the part `file` is missing"))?;
        Ok(Self { file, content_type, expected_hash, wishes: Wishes { file_path, lifetime } })
    }
}

/// A name for a file: a relative path without steps upwards. No file on a runtime gets that name.
pub(super) fn file_path(text: &str) -> Result<String, ComfyError> {
    if text.starts_with("models/") {
        return Err(invalid("models are not uploaded here; they belong to the deployment of the runtime"));
    }
    let checked = TaskId::from_json(&json!(text)).map_err(|why| invalid(format!("`file_path` {why}")))?;
    Ok(checked.to_string())
}

/// How long an asset is to exist.
pub(super) fn expires_in(seconds: Option<u64>) -> Result<Duration, ComfyError> {
    let seconds = seconds.filter(|seconds| LIFETIME.contains(seconds));
    let message = || invalid("`expires_in` must be 60 to 604800 seconds");
    seconds.map(Duration::from_secs).ok_or_else(message)
}

/// A form, or a body about a hash, with a fault.
pub(super) fn invalid(message: impl Into<String>) -> ComfyError {
    ComfyError::new(ComfyCode::InvalidAsset, message)
}

fn too_large(limit: usize) -> ComfyError {
    let message = format!(
        "the body is incomplete, or larger than {limit} bytes; upload larger files with `POST /v1/uploads`, then register \
         them with `POST /api/v2/assets/from-hash`"
    );
    ComfyError::new(ComfyCode::PayloadTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(parts: &[(&str, &str)]) -> Result<Form, ComfyError> {
        let mut body = String::new();
        for (name, value) in parts {
            body += &format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += "--xx--\r\n";
        let headers = [(header::CONTENT_TYPE, "multipart/form-data; boundary=xx".parse().unwrap())]
            .into_iter()
            .collect();
        Form::read(&headers, Body::from(body), 4_096).await
    }

    #[tokio::test]
    async fn a_form_is_read_in_any_order() {
        let form = read(&[
            ("file", "bytes"),
            ("tags", "a"),
            ("file_path", "a b.png"),
            ("content_type", "image/png"),
        ]);
        let form = form.await.unwrap();
        assert_eq!((&form.file[..], form.content_type.as_str()), (&b"bytes"[..], "image/png"));
        assert_eq!(form.wishes.file_path, "a b.png");
        let form = read(&[("content_type", "x"), ("file_path", "a"), ("file", "")]).await.unwrap();
        assert_eq!(form.content_type, UNKNOWN);
    }

    #[tokio::test]
    async fn faults_are_named() {
        for (parts, expected) in [
            (&[("file", "x")][..], "`file_path` is missing"),
            (&[("file_path", "a")][..], "`file` is missing"),
            (&[("file_path", "../a"), ("file", "x")][..], "`.` or `..`"),
            (&[("file_path", "/a"), ("file", "x")][..], "must not begin with `/`"),
            (&[("file_path", "models/a"), ("file", "x")][..], "models"),
            (&[("file_path", "a"), ("expected_hash", "x"), ("file", "x")][..], "expected_hash"),
            (&[("file_path", "a"), ("expires_in", "5"), ("file", "x")][..], "expires_in"),
        ] {
            let error = read(parts).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
