//! What `v1` needs beside a topic: the records of tasks, and the bucket with their results.

use std::time::Duration;

use aws_config::SdkConfig;
use task_records::Records;

use crate::Config;
use crate::s3::S3;

/// Records and results of tasks.
#[derive(Debug, Clone)]
pub struct TaskStore {
    pub(crate) records: Records,
    pub(crate) results: S3,
}

impl TaskStore {
    /// The configured table and bucket, called with the credentials and the endpoint of `sdk`. `None` without a table.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Option<Self> {
        let table = config.record_table.as_deref()?;
        let timeout = Duration::from_millis(config.publish_timeout_ms);
        Some(Self { records: Records::new(sdk, table, timeout), results: S3::new(sdk, config) })
    }
}
