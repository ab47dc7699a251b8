//! What `v1` needs beside a topic: the records of tasks, the bucket with their results, and the queues of the runtimes.

use std::time::Duration;

use aws_config::SdkConfig;
use serde::de::DeserializeOwned;
use task_records::Records;

use crate::Config;
use crate::error::ApiError;
use crate::s3::S3;
use crate::sqs::Queues;

/// The most bytes that are read of an `.out` file: more than the worker writes (`worker/src/steps/report.rs`).
const MAX_OUT_BYTES: usize = 16 * 1024 * 1024;

/// Records and results of tasks, and where they wait.
#[derive(Debug, Clone)]
pub struct TaskStore {
    pub(crate) records: Records,
    pub(crate) results: S3,
    /// How long presigned URLs of results work.
    pub(crate) url_lifetime: Duration,
    pub(crate) queues: Option<Queues>,
}

impl TaskStore {
    /// The configured table and bucket, called with the credentials and the endpoint of `sdk`. `None` without a table.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Option<Self> {
        let table = config.record_table.as_deref()?;
        let timeout = Duration::from_millis(config.publish_timeout_ms);
        Some(Self {
            records: Records::new(sdk, table, timeout),
            results: S3::new(sdk, config),
            url_lifetime: Duration::from_secs(config.url_expiry_seconds),
            queues: Queues::new(sdk, config),
        })
    }

    /// The key of an `s3://` address in the bucket.
    pub(crate) fn key_of<'a>(&self, uri: &'a str) -> Option<&'a str> {
        uri.strip_prefix("s3://")?.strip_prefix(self.results.bucket())?.strip_prefix('/')
    }

    /// The `.out` file at that address, as far as it is in the bucket and of that form.
    pub(crate) async fn out<T: DeserializeOwned>(&self, uri: &str) -> Result<Option<T>, ApiError> {
        match self.key_of(uri) {
            Some(key) => self.json(key, MAX_OUT_BYTES).await,
            None => Ok(None),
        }
    }

    /// An object of at most `limit` bytes as JSON; `None` if there is none, or if it has another form.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        key: &str,
        limit: usize,
    ) -> Result<Option<T>, ApiError> {
        let bytes = self.results.get(key, limit).await.map_err(|error| {
            tracing::error!(%error, error.code = error.code.as_deref(), "a stored object could not be read");
            ApiError::RecordsUnavailable
        })?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
