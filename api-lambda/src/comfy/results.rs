//! What a job yielded, by its `.out` file: the stored files, and the texts that nodes showed. Each is an asset.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared_schema::notification::{Notification, Output};
use task_records::time::{from_epoch_seconds, timestamp};
use task_records::{Record, Status};

use super::links::Links;
use crate::error::ApiError;
use crate::s3::Presigned;
use crate::store::TaskStore;

/// The media type of texts.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// One result of a job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JobResult {
    /// The id of the asset: that of the job, and the number of the file or of the text. It is the same for each request.
    pub(super) id: String,
    node_id: String,
    name: String,
    content: Content,
}

/// Where the bytes of a result are.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    /// In the bucket.
    File(Output),
    /// In the `.out` file.
    Text(String),
}

/// A result in a job.
#[derive(Debug, Serialize)]
pub(super) struct OutputView {
    node_id: String,
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    pub(super) content_type: String,
    pub(super) size_bytes: u64,
    pub(super) id: String,
    /// Null: files of results are not hashed.
    hash: Option<String>,
    pub(super) url: String,
    pub(super) url_expires_at: String,
    pub(super) job_id: String,
}

/// The part of an `.out` file that is read.
#[derive(Debug, Deserialize)]
struct Out {
    notification: Notification,
    #[serde(default)]
    outputs: Map<String, Value>,
}

/// The job of a result, if an asset's id is that of one. Ids of jobs have no `_`.
pub(super) fn job_of(id: &str) -> Option<&str> {
    id.split_once('_').map(|(job, _)| job)
}

/// The results of a task; none unless it succeeded, or if its `.out` file has expired.
pub(super) async fn of(store: &TaskStore, record: &Record) -> Result<Vec<JobResult>, ApiError> {
    let Some(url) = record.out.as_deref().filter(|_| record.status == Status::Succeeded) else {
        return Ok(Vec::new());
    };
    let out: Option<Out> = store.out(url).await?;
    Ok(out.map(|out| results(&record.id, out)).unwrap_or_default())
}

/// The results in the order of the report, which is that of the workflow.
fn results(job: &str, Out { notification, outputs }: Out) -> Vec<JobResult> {
    let mut results = Vec::new();
    let mut seen = HashSet::new();
    let mut texts = 0;
    for (node_id, values) in &outputs {
        for (key, values) in values.as_object().into_iter().flatten() {
            let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
            for value in values {
                let Some(n) = value.get("file").and_then(Value::as_u64) else { continue };
                let place = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
                let file = place.and_then(|place| notification.outputs.get(place));
                let Some(file) = file.filter(|_| seen.insert(n)) else { continue };
                let stored = || file.s3_uri.rsplit('/').next().unwrap_or_default();
                let name = value.get("filename").and_then(Value::as_str).unwrap_or_else(stored);
                results.push(JobResult {
                    id: format!("{job}_{n}"),
                    node_id: node_id.clone(),
                    name: name.to_owned(),
                    content: Content::File(file.clone()),
                });
            }
            let lines: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            if !lines.is_empty() {
                texts += 1;
                results.push(JobResult {
                    id: format!("{job}_t{texts}"),
                    node_id: node_id.clone(),
                    name: format!("{key}.txt"),
                    content: Content::Text(lines.join("\n")),
                });
            }
        }
    }
    results
}

impl JobResult {
    fn content_type(&self) -> &str {
        match &self.content {
            Content::File(file) => &file.content_type,
            Content::Text(_) => TEXT,
        }
    }

    fn bytes(&self) -> u64 {
        match &self.content {
            Content::File(file) => file.bytes,
            Content::Text(text) => text.len() as u64,
        }
    }

    /// The kind of output, by its media type: ComfyUI lists videos under `images`, too.
    fn kind(&self) -> &'static str {
        match self.content_type().split('/').next() {
            Some("image") => "image",
            Some("video") => "video",
            Some("audio") => "audio",
            Some("text") => "text",
            _ if self.name.ends_with(".latent") => "latent",
            _ => "file",
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::File(_) => None,
        }
    }

    /// The key of the file in the bucket.
    pub(super) fn key(&self, store: &TaskStore) -> Option<&str> {
        match &self.content {
            Content::File(file) => store.key_of(&file.s3_uri),
            Content::Text(_) => None,
        }
    }

    /// A presigned address of a file. A text has none: its address needs the key.
    pub(super) async fn signed(&self, store: &TaskStore) -> Option<Presigned> {
        store.results.presigned_get(self.key(store)?, store.url_lifetime).await
    }

    /// The result as a part of its job.
    pub(super) async fn view(self, store: &TaskStore, record: &Record, links: &Links) -> OutputView {
        let (url, url_expires_at) = match self.signed(store).await {
            Some(signed) => (signed.url, timestamp(signed.expires_at)),
            None => (links.content(&self.id), timestamp(from_epoch_seconds(record.expires))),
        };
        OutputView {
            kind: self.kind(),
            content_type: self.content_type().to_owned(),
            size_bytes: self.bytes(),
            hash: None,
            url,
            url_expires_at,
            job_id: record.id.clone(),
            node_id: self.node_id,
            name: self.name,
            id: self.id,
        }
    }
}
