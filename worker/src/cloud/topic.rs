//! The completion topic.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use shared_schema::notification::Publication;

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

    /// Publishes a notification: a text for emails, and for all other subscribers the JSON that the predecessors' subscribers
    /// expect.
    pub async fn publish(&self, publication: &Publication) -> Result<(), CloudError> {
        let Publication { message, is_structured, subject, attributes } = publication;
        let call = self.client.publish().topic_arn(&self.arn).message(message).subject(subject);
        let call = call.set_message_structure(is_structured.then(|| "json".to_owned()));
        let attributes = attributes.iter().filter_map(|(name, value)| Some((*name, attribute(value)?)));
        let call = attributes.fold(call, |call, (name, value)| call.message_attributes(name, value));
        call.send().await.map(drop).map_err(|error| CloudError::new("sns", "publish", &error))
    }
}

/// Building fails only without a type.
fn attribute(value: &str) -> Option<MessageAttributeValue> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().ok()
}
