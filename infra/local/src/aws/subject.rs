//! What calls are about, as records of calls and orders of faults name it.

use std::collections::BTreeSet;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::faults::Service;
use super::protocol::Call;
use super::sns::Texts;
use super::sqs;

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An object, or a whole bucket if the key is empty.
    Object {
        /// The bucket's name.
        bucket: String,
        /// The key, decoded.
        key: String,
    },
    /// A queue.
    Queue {
        /// The queue's name.
        name: String,
        /// The deliveries of a receive, or the one whose handle was given.
        deliveries: Vec<Delivery>,
        /// The requested visibility timeout.
        visibility: Option<Duration>,
    },
    /// A topic.
    Topic {
        /// The topic's ARN.
        arn: String,
        /// The text that was published, for every protocol that has none of its own.
        message: String,
        /// The text for email subscribers, if it is another one. Nothing sends emails here.
        email: Option<String>,
    },
    /// A table.
    Table {
        /// The table's name; the first one of a batch or a transaction.
        name: String,
        /// The index of a query or scan. A policy names it as a resource of its own.
        index: Option<String>,
        /// The writes of a transaction as single operations, such as `PutItem`, each once.
        writes: BTreeSet<String>,
    },
}

/// One receive of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The id that SQS gave the message.
    pub message_id: String,
    /// The receipt handle, which no other delivery has.
    pub receipt_handle: String,
    /// The message's body, of a receive.
    pub body: Option<String>,
}

impl Subject {
    /// The name that a fault can be restricted to.
    pub(super) fn resource(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Queue { name, .. } => name,
            Self::Topic { arn, .. } => arn,
            Self::Table { name, .. } => name,
        }
    }

    /// The object that a path-style request names.
    pub(super) fn of_object(path: &str) -> Self {
        let path = percent_decode_str(path.strip_prefix('/').unwrap_or(path)).decode_utf8_lossy();
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        Self::Object { bucket: bucket.to_owned(), key: key.to_owned() }
    }

    /// The queue, topic or table that a call names.
    pub(super) fn of_call(service: Service, call: &Call) -> Self {
        match service {
            Service::Sns => Self::of_topic(call),
            Service::DynamoDb => Self::of_table(call),
            Service::Sqs | Service::S3 => Self::of_queue(call),
        }
    }

    fn of_topic(call: &Call) -> Self {
        let (arn, message) = (text(call, "TopicArn"), text(call, "Message"));
        match Texts::parse(&message, call.input["MessageStructure"].as_str()) {
            Ok(texts) => {
                let email = Some(texts.of("email")).filter(|email| *email != texts.default());
                Self::Topic { arn, message: texts.default().to_owned(), email: email.map(str::to_owned) }
            }
            Err(_) => Self::Topic { arn, message, email: None },
        }
    }

    fn of_table(call: &Call) -> Self {
        let batch = call.input["RequestItems"].as_object().and_then(|tables| tables.keys().next());
        let transaction = call.input["TransactItems"].as_array().into_iter().flatten();
        let writes: Vec<(&String, &Value)> = transaction.filter_map(Value::as_object).flatten().collect();
        let written = writes.first().and_then(|(_, write)| write["TableName"].as_str());
        let several = batch.map(String::as_str).or(written);
        Self::Table {
            name: several.map_or_else(|| text(call, "TableName"), str::to_owned),
            index: call.input["IndexName"].as_str().map(str::to_owned),
            writes: writes.into_iter().map(|(kind, _)| format!("{kind}Item")).collect(),
        }
    }

    fn of_queue(call: &Call) -> Self {
        let receipt_handle = text(call, "ReceiptHandle");
        let message_id = sqs::message_of(&receipt_handle);
        Self::Queue {
            name: text(call, "QueueUrl").rsplit('/').next().unwrap_or_default().to_owned(),
            deliveries: message_id
                .map(|message_id| Delivery { message_id, receipt_handle, body: None })
                .into_iter()
                .collect(),
            visibility: seconds(&call.input["VisibilityTimeout"]).map(Duration::from_secs),
        }
    }
}

fn text(call: &Call, parameter: &str) -> String {
    call.input[parameter].as_str().unwrap_or_default().to_owned()
}

/// The messages in the answer of `ReceiveMessage`; none in any other.
pub(super) fn received(output: &Value) -> Vec<Delivery> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let delivery = |message: &Value| {
        Some(Delivery {
            message_id: text(&message["MessageId"])?,
            receipt_handle: text(&message["ReceiptHandle"])?,
            body: text(&message["Body"]),
        })
    };
    output["Messages"].as_array().into_iter().flatten().filter_map(delivery).collect()
}

/// A number of the JSON protocol, or a text of the Query protocol.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
