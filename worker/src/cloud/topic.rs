//! The completion topic.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use shared_schema::notification::Publication;
use task_traces::TraceContext;
use task_traces::context::XRAY_HEADER;

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

    /// The last part of the ARN.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    /// Publishes a notification: a text for emails, and for all other subscribers the JSON that the predecessors' subscribers
    /// expect. Queues get the trace as `AWSTraceHeader`.
    pub async fn publish(
        &self,
        publication: &Publication,
        trace: Option<&TraceContext>,
    ) -> Result<(), CloudError> {
        let Publication { message, is_structured, subject, attributes } = publication;
        let call = self.client.publish().topic_arn(&self.arn).message(message).subject(subject);
        let call = call.set_message_structure(is_structured.then(|| "json".to_owned()));
        let attributes = attributes.iter().filter_map(|(name, value)| Some((*name, attribute(value)?)));
        let call = attributes.fold(call, |call, (name, value)| call.message_attributes(name, value));
        let header = trace.map(TraceContext::xray);
        let call = call.customize().mutate_request(move |request| {
            if let Some(header) = &header {
                request.headers_mut().insert(XRAY_HEADER, header.clone());
            }
        });
        call.send().await.map(drop).map_err(|error| CloudError::new("sns", "publish", &error))
    }
}

/// Building fails only without a type.
fn attribute(value: &str) -> Option<MessageAttributeValue> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().ok()
}
