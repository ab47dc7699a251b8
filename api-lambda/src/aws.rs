//! Publishing to AWS: a topic for messages, a bucket for tasks that are too large for one.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use shared_schema::ClaimCheck;

use crate::Config;
use crate::s3::S3;
use crate::sns::Sns;
use crate::steps::publish::{Message, PublishError, Publisher};

/// One call, and two more for a hiccup; a timeout bounds them all.
pub(crate) const ATTEMPTS: u32 = 3;
/// The base of the waits between them, which grow.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The TLS of every call.
pub(crate) const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// The topic that tasks are published to, and the bucket beside it.
#[derive(Debug)]
pub struct Aws {
    sns: Sns,
    s3: S3,
}

impl Aws {
    /// The configured topic and bucket, called with the credentials and the endpoint of `sdk`.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        Self { sns: Sns::new(sdk, config), s3: S3::new(sdk, config) }
    }
}

impl Publisher for Aws {
    async fn store(&self, check: &ClaimCheck, task: String) -> Result<(), PublishError> {
        self.s3.put_task(check, task.into()).await
    }

    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.sns.publish(message).await
    }
}

/// The SDK's configuration in a Lambda: credentials from the environment, the region of the topic, and
/// `AWS_ENDPOINT_URL` if it is set. Asks no metadata service, which a Lambda does not have.
pub async fn sdk_config(config: &Config) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(TLS).build_https())
        .region(Region::new(config.topic_region().to_owned()))
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .load()
        .await
}
