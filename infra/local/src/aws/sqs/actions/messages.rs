//! Actions on single messages.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{no_output, seconds};
use crate::aws::message_attributes::{self, MessageAttributes};
use crate::aws::protocol::{ServiceError, integer};
use crate::aws::sqs::message::NewMessage;
use crate::aws::sqs::queue::ReceiveRequest;
use crate::aws::sqs::{Sqs, error};

/// The maximum number of message attributes ("Amazon SQS message quotas").
const ATTRIBUTE_LIMIT: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(default)]
    message_body: String,
    #[serde(default, deserialize_with = "integer")]
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: MessageAttributes,
}

pub(super) fn send(sqs: &Sqs, message: SendMessage) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&message.queue_url)?;
    let attributes_digest = message_attributes::md5(&message.message_attributes);
    let system_digest = message_attributes::md5(&message.message_system_attributes);
    let message = message.check()?;
    let body_digest = message_attributes::md5_of_text(&message.body);
    let id = queue.send(message)?;
    Ok(json!({
        "MessageId": id.to_string(),
        "MD5OfMessageBody": body_digest,
        "MD5OfMessageAttributes": attributes_digest,
        "MD5OfMessageSystemAttributes": system_digest,
    }))
}

impl SendMessage {
    fn check(mut self) -> Result<NewMessage, ServiceError> {
        if self.message_body.is_empty() {
            return Err(error::missing_parameter("MessageBody"));
        }
        if !self.message_body.chars().all(message_attributes::is_allowed) {
            return Err(error::invalid_message_contents());
        }
        if self.message_attributes.len() > ATTRIBUTE_LIMIT {
            let count = self.message_attributes.len();
            return Err(error::invalid_value(format!(
                "Number of message attributes [{count}] exceeds the allowed maximum [{ATTRIBUTE_LIMIT}]."
            )));
        }
        for (name, attribute) in &self.message_attributes {
            attribute.check(name).map_err(error::invalid_value)?;
        }
        let trace_header = self.message_system_attributes.remove("AWSTraceHeader");
        if let Some(other) = self.message_system_attributes.keys().next() {
            return Err(error::invalid_value(format!("Message system attribute name '{other}' is invalid.")));
        }
        Ok(NewMessage {
            body: self.message_body,
            attributes: self.message_attributes,
            trace_header: trace_header.and_then(|attribute| attribute.string_value),
            delay: self.delay_seconds.map(|delay| seconds("DelaySeconds", delay, 0..=900)).transpose()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    #[serde(default, deserialize_with = "integer")]
    max_number_of_messages: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    visibility_timeout: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    wait_time_seconds: Option<i64>,
    /// The older name of `message_system_attribute_names`.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

pub(super) async fn receive(sqs: &Sqs, input: ReceiveMessage) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&input.queue_url)?;
    let max_messages = input.max_number_of_messages.unwrap_or(1);
    let request = ReceiveRequest {
        max_messages: usize::try_from(max_messages).ok().filter(|count| (1..=10).contains(count)).ok_or_else(|| {
            error::invalid_value(format!(
                "Value {max_messages} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and \
                 10, if provided."
            ))
        })?,
        visibility: input.visibility_timeout.map(visibility).transpose()?,
        wait: input.wait_time_seconds.map(|wait| seconds("WaitTimeSeconds", wait, 0..=20)).transpose()?,
    };
    let dead_letters = queue.settings().redrive().and_then(|policy| sqs.by_arn(&policy.dead_letter_arn));
    let received = queue.receive(request, dead_letters, &sqs.stop).await?;
    if received.is_empty() {
        return Ok(no_output());
    }
    let system_names = [input.attribute_names, input.message_system_attribute_names].concat();
    let messages: Vec<Value> = received
        .into_iter()
        .map(|message| message.into_output(&system_names, &input.message_attribute_names))
        .collect();
    Ok(json!({"Messages": messages}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

pub(super) fn delete(sqs: &Sqs, input: DeleteMessage) -> Result<Value, ServiceError> {
    sqs.by_url(&input.queue_url)?.delete(&input.receipt_handle)?;
    Ok(no_output())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    #[serde(deserialize_with = "integer")]
    visibility_timeout: Option<i64>,
}

pub(super) fn change_visibility(sqs: &Sqs, input: ChangeMessageVisibility) -> Result<Value, ServiceError> {
    let timeout = input.visibility_timeout.ok_or_else(|| error::missing_parameter("VisibilityTimeout"))?;
    sqs.by_url(&input.queue_url)?.change_visibility(&input.receipt_handle, visibility(timeout)?)?;
    Ok(no_output())
}

/// At most 12 hours.
fn visibility(value: i64) -> Result<Duration, ServiceError> {
    seconds("VisibilityTimeout", value, 0..=43_200)
}
