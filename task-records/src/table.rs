//! The table, and the client that calls it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;

/// The index of tasks by owner and time of submission.
pub const BY_OWNER: &str = "by_owner";
/// The index of unfinished tasks by owner, for quotas.
pub const UNFINISHED: &str = "unfinished";

/// The records of tasks in one DynamoDB table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Records {
    /// The table of that name, called with the credentials, endpoint and HTTP client of `sdk`. Each call, with its retries,
    /// takes at most `timeout`.
    pub fn new(sdk: &SdkConfig, table: &str, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(timeout)
            .operation_attempt_timeout(timeout / 2)
            .connect_timeout(timeout / 4)
            .build();
        let retries =
            RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50));
        let dynamodb = Builder::from(sdk).timeout_config(timeouts).retry_config(retries).build();
        Self { client: Client::from_conf(dynamodb), table: table.to_owned() }
    }
}
