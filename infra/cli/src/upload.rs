//! Uploads local input files: `POST /v1/uploads`, then a PUT to the presigned URL.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use crate::api::{self, Api, Call};

/// The largest file that `POST /v1/uploads` accepts, in bytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How often the PUT is tried.
const TRIES: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the input {} cannot be read: {cause}", .file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("the input {} has {bytes} bytes; an input has 1 to {MAX_BYTES}", .file.display())]
    WrongSize { file: PathBuf, bytes: u64 },
    #[error("the input {} could not be uploaded: {cause}", .file.display())]
    Storage { file: PathBuf, cause: String },
    #[error(transparent)]
    Api(#[from] api::Error),
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } | Self::WrongSize { .. } => 2,
            Self::Storage { .. } => 3,
            Self::Api(error) => error.exit_code(),
        }
    }
}

/// Where the front door wants a file.
#[derive(Debug, Deserialize)]
struct Upload {
    url: String,
    headers: serde_json::Map<String, serde_json::Value>,
    address: String,
}

/// Uploads a file, and returns the address to use in the content.
pub(crate) async fn upload(api: &Api, file: &Path) -> Result<String, Error> {
    let unreadable = |cause| Error::Unreadable { file: file.to_owned(), cause };
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if !(1..=MAX_BYTES).contains(&size) {
        return Err(Error::WrongSize { file: file.to_owned(), bytes: size });
    }
    let bytes = Bytes::from(fs::read(file).map_err(unreadable)?);
    // The type decides nothing: the worker detects it from the bytes.
    let content_type = infer::get(&bytes).map_or("application/octet-stream", |kind| kind.mime_type());
    let body = json!({ "content_type": content_type, "bytes": bytes.len() });
    let call = Call { body: Some(&body), ..Call::new(Method::POST, &["uploads"]) };
    let Upload { url, headers, address } = api.send(&call).await?.value;

    let headers: HeaderMap = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.as_str()?).ok()?))
        })
        .collect();
    let mut tries = 1;
    loop {
        let sent = api.files.put(&url).headers(headers.clone()).body(bytes.clone()).send().await;
        let cause = match sent.map(|response| response.status()) {
            Ok(status) if status.is_success() => return Ok(address),
            Ok(status) if tries == TRIES || status.is_client_error() => {
                format!("the storage answers {status}")
            }
            Err(error) if tries == TRIES => api::cause(error),
            _ => {
                tries += 1;
                continue;
            }
        };
        return Err(Error::Storage { file: file.to_owned(), cause });
    }
}
