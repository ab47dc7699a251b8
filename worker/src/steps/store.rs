//! Stores what a run yielded: each file under its number, as what its bytes say it is.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use shared_schema::ErrorCode;
use shared_schema::keys::s3_uri;
use shared_schema::notification::Output;

use super::read::{Assignment, Cause};
use super::{Stop, Worker};
use crate::cloud::{CloudError, Delivery, Lease};
use crate::error::TaskError;
use crate::retry;
use crate::runtimes::OutputFile;

/// How many files of one task are uploaded at once.
const UPLOADS: usize = 8;

/// How long storing and notifying are tried again: giving up earlier would throw the GPU's work away.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

impl Worker {
    /// Uploads the files of a run, each under its number.
    pub(super) async fn store_files(
        &self,
        assignment: &Assignment,
        files: Vec<OutputFile>,
        lease: &Lease,
    ) -> Result<Vec<Output>, Stop> {
        let uploads: Vec<_> = files
            .into_iter()
            .enumerate()
            .map(|(index, file)| self.store_file(assignment, index + 1, file))
            .collect();
        let uploads = stream::iter(uploads).buffered(UPLOADS).try_collect();
        tokio::select! {
            outputs = uploads => Ok(outputs?),
            () = lease.lost().cancelled() => Err(Stop::LeaseLost),
        }
    }

    async fn store_file(
        &self,
        assignment: &Assignment,
        n: usize,
        file: OutputFile,
    ) -> Result<Output, TaskError> {
        let (content_type, extension) = media_type(&file);
        let key = assignment.keys.file(n, &extension);
        let size = imagesize::blob_size(&file.bytes).ok();
        let bytes = file.bytes.len() as u64;
        self.put(&key, file.bytes, content_type).await?;
        Ok(Output {
            s3_uri: s3_uri(self.cloud.store.bucket(), &key),
            url: None,
            url_expires_at: None,
            content_type: content_type.to_owned(),
            bytes,
            width: size.map(|size| size.width as u64),
            height: size.map(|size| size.height as u64),
        })
    }

    /// Keeps a body that nobody can be told about, with the cause, where an operator finds it.
    pub(super) async fn keep(&self, key: &str, delivery: &Delivery, cause: Cause) -> Result<(), TaskError> {
        let kept = json!({
            "code": ErrorCode::UnreadableMessage,
            "message": cause.to_string(),
            "message_id": delivery.message_id,
            "receive_count": delivery.receive_count,
            "body": delivery.body,
        });
        self.put(key, kept.to_string().into(), "application/json").await
    }

    /// Stores an object, with patience.
    pub(super) async fn put(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<(), TaskError> {
        let store = &self.cloud.store;
        let is_retryable = |error: &CloudError| error.is_retryable;
        retry::persist(PATIENCE, is_retryable, || store.put(key, bytes.clone(), content_type))
            .await
            .map_err(|error| TaskError::new(ErrorCode::StorageUnavailable, error.to_string()))
    }
}

/// The media type and extension of a file: from its bytes, else from its name in the runtime.
fn media_type(file: &OutputFile) -> (&'static str, String) {
    if let Some(kind) = infer::get(&file.bytes) {
        return (kind.mime_type(), kind.extension().to_owned());
    }
    let extension = file.name.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    let sane = extension
        .filter(|text| (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()));
    match sane.map(str::to_ascii_lowercase) {
        Some(text) if text == "txt" => ("text/plain; charset=utf-8", text),
        Some(text) if text == "json" => ("application/json", text),
        Some(text) if text == "svg" => ("image/svg+xml", text),
        Some(text) => ("application/octet-stream", text),
        None => ("application/octet-stream", "bin".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(bytes: &'static [u8], name: Option<&str>) -> (&'static str, String) {
        media_type(&OutputFile { bytes: Bytes::from_static(bytes), name: name.map(str::to_owned) })
    }

    #[test]
    fn the_bytes_tell_the_type_before_the_name_does() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert_eq!(named(png, Some("x.jpg")), ("image/png", "png".to_owned()));
        assert_eq!(named(b"?", Some("out_00001_.latent")), ("application/octet-stream", "latent".to_owned()));
        assert_eq!(named(b"?", Some("a.b/c")), ("application/octet-stream", "bin".to_owned()));
        assert_eq!(named(b"?", None), ("application/octet-stream", "bin".to_owned()));
    }
}
