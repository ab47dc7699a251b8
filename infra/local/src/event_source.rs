//! Lambda's event source mapping for a queue: messages become an event, and those that the response does not report as
//! failed are deleted (AWS Lambda developer guide, "Using Lambda with Amazon SQS", with `ReportBatchItemFailures`).

use anyhow::Context;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::aws::REGION;
use crate::provision::{self, Clients};

/// The maximum number of messages that one call receives or deletes (SQS quotas).
const MAX_BATCH: i32 = 10;

/// The queue that invokes a function.
#[derive(Debug)]
pub struct EventSource {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    queue_arn: String,
    visibility_seconds: u32,
}

impl EventSource {
    /// The maximum duration of a long poll, in seconds (SQS quotas).
    pub const MAX_POLL_SECONDS: u32 = 20;

    /// The queue at `queue_url`. `visibility_seconds` is the visibility timeout of each receipt.
    pub async fn new(clients: &Clients, queue_url: &str, visibility_seconds: u32) -> Result<Self, Error> {
        let queue_arn = provision::queue_arn(clients, queue_url).await?;
        Ok(Self { sqs: clients.sqs.clone(), queue_url: queue_url.to_owned(), queue_arn, visibility_seconds })
    }

    /// Receives up to ten messages with a long poll of `wait_seconds`.
    pub async fn receive(&self, wait_seconds: u32) -> Result<Vec<Message>, Error> {
        let call = self.sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(MAX_BATCH);
        let received = call
            .wait_time_seconds(wait_seconds.cast_signed())
            .visibility_timeout(self.visibility_seconds.cast_signed())
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .context("the event source cannot receive")?;
        Ok(received.messages.unwrap_or_default())
    }

    /// The event of an invocation with these messages.
    pub fn event(&self, messages: &[Message]) -> Value {
        let record = |message: &Message| {
            let attributes: Map<String, Value> = message
                .attributes
                .iter()
                .flatten()
                .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
                .collect();
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": attributes,
                "messageAttributes": {},
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": self.queue_arn,
                "awsRegion": REGION,
            })
        };
        json!({ "Records": messages.iter().map(record).collect::<Vec<Value>>() })
    }

    /// Deletes the messages that the response does not report as failed.
    pub async fn delete_processed(&self, messages: &[Message], response: &Value) -> Result<(), Error> {
        let failures =
            response["batchItemFailures"].as_array().context("the response has no batchItemFailures")?;
        let failed: Vec<&str> =
            failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str()).collect();
        let processed = messages
            .iter()
            .filter(|message| !message.message_id.as_deref().is_some_and(|id| failed.contains(&id)))
            .enumerate()
            .map(|(n, message)| {
                let handle = message.receipt_handle.as_deref().unwrap_or_default();
                DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(handle).build()
            })
            .collect::<Result<Vec<_>, _>>()
            .context("the event source has a message without a receipt handle")?;
        if !processed.is_empty() {
            let call =
                self.sqs.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(processed));
            call.send().await.context("the event source cannot delete")?;
        }
        Ok(())
    }
}
