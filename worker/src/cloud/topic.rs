//! The completion topic.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;

use super::CloudError;

/// One SNS topic.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic with that ARN.
    pub fn new(sdk: &SdkConfig, arn: &str) -> Self {
        Self { client: Client::new(sdk), arn: arn.to_owned() }
    }

    /// Publishes a JSON text, without attributes, as the predecessors' subscribers expect it.
    pub async fn publish(&self, message: String) -> Result<(), CloudError> {
        let call = self.client.publish().topic_arn(&self.arn).message(message);
        call.send().await.map(drop).map_err(|error| CloudError::new("sns", "publish", &error))
    }
}
