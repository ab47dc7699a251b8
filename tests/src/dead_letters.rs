//! The dead-letter Lambda at work: its program, fed with what lies in the dead-letter queues as Lambda's SQS trigger does.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::{Map, Value, json};

use crate::lab::{Lab, Runtime};
use crate::process::Process;
use crate::runtime_api::RuntimeApi;

/// A running dead-letter Lambda.
pub struct DeadLetters {
    /// Its process.
    pub process: Process,
    api: RuntimeApi,
}

impl DeadLetters {
    /// The access key id that it calls AWS with.
    pub const ACCESS_KEY: &str = "dead-letter";

    /// Starts it for the lab's bucket and topic.
    pub async fn start(lab: &Lab) -> Self {
        let api = RuntimeApi::start().await;
        let address = api.address.to_string();
        let variables = [
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "dead-letter"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/dead-letter"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
            ("AWS_ENDPOINT_URL", &lab.aws.url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", Self::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("SNS_TOPIC_ARN", &lab.shared.completions_topic_arn),
            ("S3_BUCKET", &lab.shared.bucket),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { process: Process::start("dead-letter", &variables), api }
    }

    /// Takes up to ten messages out of a runtime's dead-letter queue, hands them to the Lambda, and deletes those that it
    /// does not report as failed. Says how many it deleted.
    pub async fn consume(&self, lab: &Lab, runtime: &Runtime) -> usize {
        let (sqs, url) = (&lab.clients().sqs, &runtime.queue.dead_letter_url);
        let poll = sqs.receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(30);
        let poll = poll
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let messages = poll.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return 0;
        }
        let records: Vec<Value> = messages.iter().map(|message| record(message, url)).collect();
        let Ok(outcome) = self.api.invoke(json!({ "Records": records })).await else { return 0 };
        let failed: Vec<&str> = outcome["batchItemFailures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|failure| failure["itemIdentifier"].as_str())
            .collect();
        let mut deleted = 0;
        for message in messages.iter().filter(|message| !failed.contains(&message.message_id().unwrap())) {
            let handle = message.receipt_handle().unwrap();
            sqs.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
            deleted += 1;
        }
        deleted
    }
}

/// A message as an event of Lambda's SQS trigger has it (AWS Lambda developer guide, "Using Lambda with Amazon SQS").
fn record(message: &Message, queue_url: &str) -> Value {
    let attributes = message.attributes().into_iter().flatten();
    let attributes: Map<String, Value> =
        attributes.map(|(name, value)| (name.as_str().to_owned(), json!(value))).collect();
    let custom = message.message_attributes().into_iter().flatten().map(|(name, attribute)| {
        let described = json!({ "stringValue": attribute.string_value(), "dataType": attribute.data_type() });
        (name.clone(), described)
    });
    let queue = queue_url.rsplit('/').next().unwrap();
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": custom.collect::<Map<String, Value>>(),
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        "awsRegion": "us-east-1",
    })
}
