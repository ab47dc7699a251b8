//! AWS as the worker uses it: one queue, one bucket (and those that inputs come from), one topic. SDK types stop here.

pub mod lease;
pub mod metric_log;
pub mod presign;
pub mod queue;
pub mod sdk_error;
mod signing_credentials;
pub mod store;
pub mod topic;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use task_records::Records;

use crate::config::Config;

pub use lease::Lease;
pub use metric_log::{MetricLog, MetricLogOptions};
pub use presign::UrlSigner;
pub use queue::{Delivery, Queue};
pub use sdk_error::CloudError;
pub use store::Store;
pub use topic::Topic;

/// The clients of one worker.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// The queue of the runtime.
    pub queue: Queue,
    /// The bucket for results, and reading of inputs.
    pub store: Store,
    /// The completion topic.
    pub topic: Topic,
    /// The records of tasks, if they are recorded.
    pub records: Option<Records>,
    /// The log group of metrics, if they are sent to CloudWatch.
    pub metric_log: Option<MetricLog>,
}

/// How long one call for a record may take, with its retries. What is worth waiting longer for is retried by the caller.
const RECORD_TIMEOUT: Duration = Duration::from_secs(10);

/// The records in that table.
pub(crate) fn records(sdk: &SdkConfig, table: Option<&str>) -> Option<Records> {
    table.map(|table| Records::new(sdk, table, RECORD_TIMEOUT))
}

impl Cloud {
    /// Clients with the credentials, region and endpoint of the environment (`AWS_ENDPOINT_URL` included).
    pub async fn from_env(config: &Config) -> Self {
        Self::new(&sdk_from_env().await, config)
    }

    /// Clients made from `sdk`, which must have an HTTP client.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let sdk = bounded(sdk);
        Self {
            queue: Queue::new(&sdk, &config.queue_url),
            store: Store::new(&sdk, &config.bucket, config.url_expiry()),
            topic: Topic::new(&sdk, &config.completion_topic_arn),
            records: records(&sdk, config.record_table.as_deref()),
            metric_log: config
                .cloudwatch
                .as_ref()
                .map(|options| MetricLog::new(&sdk, options, &config.host_name)),
        }
    }
}

/// The SDK with the credentials, region and endpoint of the environment (`AWS_ENDPOINT_URL` included).
pub async fn sdk_from_env() -> SdkConfig {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

/// The same with bounds for each call: how often it is tried, and how long a try may take.
pub(crate) fn bounded(sdk: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(60))
        .build();
    let retries = RetryConfig::standard().with_max_attempts(3);
    sdk.to_builder().retry_config(retries).timeout_config(timeouts).build()
}
