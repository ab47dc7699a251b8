//! Stores what a run yielded: the files first, the `.out` file last, because it is the commit.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_schema::keys::s3_uri;
use shared_schema::notification::{Failure, Notification, Output, TaskStatus, Timings, notification_id};
use shared_schema::{ErrorCode, RuntimeName};

use super::read::{Assignment, Cause};
use super::{Stop, Worker};
use crate::cloud::store::ReadError;
use crate::cloud::{CloudError, Delivery, Lease};
use crate::error::TaskError;
use crate::retry;
use crate::runtimes::OutputFile;

/// How many files of one task are uploaded at once.
const UPLOADS: usize = 8;

/// How long storing and notifying are tried again: giving up earlier would throw the GPU's work away.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The largest `.out` file that is read back.
const MAX_OUT_BYTES: u64 = 16 * 1024 * 1024;

/// A task whose end is decided: what the notification says. URLs are signed when it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The notification, without presigned URLs.
    pub notification: Notification,
}

impl Stored {
    /// The task succeeded and left these files.
    pub(super) fn succeeded(
        worker: &Worker,
        assignment: &Assignment,
        outputs: Vec<Output>,
        timings: Timings,
    ) -> Self {
        Self::ended(worker, assignment, TaskStatus::Succeeded, outputs, None, timings)
    }

    /// The task failed for good.
    pub(super) fn failed(
        worker: &Worker,
        assignment: &Assignment,
        failure: Failure,
        timings: Timings,
    ) -> Self {
        Self::ended(worker, assignment, TaskStatus::Failed, Vec::new(), Some(failure), timings)
    }

    fn ended(
        worker: &Worker,
        assignment: &Assignment,
        task_status: TaskStatus,
        outputs: Vec<Output>,
        error: Option<Failure>,
        timings: Timings,
    ) -> Self {
        let result = task_status == TaskStatus::Succeeded;
        let notification = Notification {
            runtime: RuntimeName::new(&worker.config.runtime_name),
            id: assignment.id.clone(),
            result,
            status: if result { "completed" } else { "failed" }.to_owned(),
            image_url: outputs.iter().map(|output| output.s3_uri.clone()).collect(),
            output_url: s3_uri(worker.cloud.store.bucket(), &assignment.keys.out()),
            context: assignment.context.clone(),
            task_status,
            outputs,
            error,
            notification_id: notification_id(&assignment.submission),
            submission: assignment.submission.clone(),
            timings,
        };
        Self { notification }
    }
}

impl Worker {
    /// The end that a former delivery of the same work has stored already. Looked up only when there was one.
    pub(super) async fn committed(&self, delivery: &Delivery, assignment: &Assignment) -> Option<Stored> {
        if delivery.receive_count <= 1 {
            return None;
        }
        let store = &self.cloud.store;
        match store.read(store.bucket(), &assignment.keys.out(), MAX_OUT_BYTES).await {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(ReadError::Cloud(error)) if error.is_not_found() => None,
            Err(error) => {
                // A predecessor's role may not read: then the work is done again, as the predecessor did.
                tracing::warn!(%error, "cannot tell whether results exist, running again");
                None
            }
        }
    }

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

    /// Writes the `.out` file of a run that succeeded; with it the task has ended, whatever happens to this worker.
    pub(super) async fn commit(
        &self,
        assignment: &Assignment,
        report: Value,
        stored: &Stored,
        lease: &Lease,
    ) -> Result<(), Stop> {
        tokio::select! {
            done = self.commit_failure(assignment, report, stored) => Ok(done?),
            () = lease.lost().cancelled() => Err(Stop::LeaseLost),
        }
    }

    /// Writes the `.out` file: what the runtime said, and beside it what the notification will say.
    pub(super) async fn commit_failure(
        &self,
        assignment: &Assignment,
        mut report: Value,
        stored: &Stored,
    ) -> Result<(), TaskError> {
        report["notification"] = json!(stored.notification);
        self.put(&assignment.keys.out(), report.to_string().into(), "application/json").await
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

    async fn put(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<(), TaskError> {
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
