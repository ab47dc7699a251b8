//! Stores results and publishes notifications.

use bytes::Bytes;
use shared_schema::{ErrorCode, RuntimeName};
use task_records::Records;

use crate::cloud::{Cloud, CloudError, Store, Topic};
use crate::error::TaskError;
use crate::retry;

use std::time::Duration;

/// How long storing and notifying are tried again: giving up earlier would throw the GPU's work away.
pub(super) const RETRY_TIMEOUT: Duration = Duration::from_secs(120);

/// The bucket and the topic, in the name of one runtime.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    /// The bucket for results.
    pub store: Store,
    /// The completion topic.
    pub topic: Topic,
    /// The records of tasks, if they are recorded.
    pub records: Option<Records>,
    /// What notifications call the runtime.
    pub runtime: RuntimeName,
}

impl Results {
    /// The bucket and topic of `cloud`.
    pub(crate) fn new(cloud: &Cloud, runtime: RuntimeName) -> Self {
        Self {
            store: cloud.store.clone(),
            topic: cloud.topic.clone(),
            records: cloud.records.clone(),
            runtime,
        }
    }

    /// Stores an object, with patience. `disposition` is its `Content-Disposition`.
    pub(super) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        disposition: Option<&str>,
    ) -> Result<(), TaskError> {
        let is_retryable = |error: &CloudError| error.is_retryable;
        let put = || self.store.put(key, bytes.clone(), content_type, disposition);
        retry::until_timeout(RETRY_TIMEOUT, is_retryable, put)
            .await
            .map_err(|error| TaskError::new(ErrorCode::StorageUnavailable, error.to_string()))
    }
}
