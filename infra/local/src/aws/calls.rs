//! The log of calls, for tests: the caller, the action and its subject, the times and the status.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::faults::{Fault, Service};
use super::permissions;
use super::protocol::Call;
use super::sqs;

/// A finished call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The service that was called.
    pub service: Service,
    /// The action's API name, such as `PutObject`.
    pub action: String,
    /// The access key id that signed the call; empty for an unsigned one.
    pub caller: String,
    /// What the call was about.
    pub subject: Subject,
    /// When it was received.
    pub started: Instant,
    /// When it took effect; `None` if it was refused, failed, or was cancelled before.
    pub took_effect: Option<Instant>,
    /// When it was answered or cancelled.
    pub finished: Instant,
    /// The status of the answer; `None` if the connection broke instead, on whichever side.
    pub status: Option<StatusCode>,
    /// The fault that was injected.
    pub fault: Option<Fault>,
}

impl CallRecord {
    /// The actions that a role must allow for the call to be answered as it was, named as in a policy.
    pub fn iam_actions(&self) -> Vec<String> {
        let mut actions = vec![permissions::iam_action(self.service, &self.action)];
        // Without the permission to list, the response is 403 instead: see `permissions`.
        if self.service == Service::S3 && self.status == Some(StatusCode::NOT_FOUND) {
            actions.push(permissions::LISTING.to_owned());
        }
        actions
    }
}

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
        /// The text that was published.
        message: String,
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

/// All finished calls, if they are recorded.
#[derive(Debug, Default)]
pub(super) struct CallLog(Option<Mutex<Vec<CallRecord>>>);

impl CallLog {
    pub(super) fn new(is_enabled: bool) -> Self {
        Self(is_enabled.then(Mutex::default))
    }

    /// The finished calls without the first `skipped` of them.
    pub(super) fn after(&self, skipped: usize) -> Vec<CallRecord> {
        self.records().map_or_else(Vec::new, |records| records.iter().skip(skipped).cloned().collect())
    }

    pub(super) fn count(&self) -> usize {
        self.records().map_or(0, |records| records.len())
    }

    /// Starts the record of a call. It is logged when the returned value is dropped, answered or not.
    pub(super) fn start(
        &self,
        service: Service,
        action: &str,
        caller: &str,
        subject: Subject,
    ) -> OpenRecord<'_> {
        let now = Instant::now();
        let record = self.0.is_some().then(|| CallRecord {
            service,
            action: action.to_owned(),
            caller: caller.to_owned(),
            subject,
            started: now,
            took_effect: None,
            finished: now,
            status: None,
            fault: None,
        });
        OpenRecord { log: self, record }
    }

    fn records(&self) -> Option<MutexGuard<'_, Vec<CallRecord>>> {
        self.0.as_ref().map(|records| records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call in progress. A client that disconnects drops it with the rest of its call.
pub(super) struct OpenRecord<'a> {
    log: &'a CallLog,
    record: Option<CallRecord>,
}

impl OpenRecord<'_> {
    pub(super) fn set_fault(&mut self, fault: Option<Fault>) {
        if let Some(record) = &mut self.record {
            record.fault = fault;
        }
    }

    /// The call took effect; `received` are the messages of a receive.
    pub(super) fn took_effect(&mut self, received: Vec<Delivery>) {
        let Some(record) = &mut self.record else { return };
        record.took_effect = Some(Instant::now());
        if let Subject::Queue { deliveries, .. } = &mut record.subject
            && !received.is_empty()
        {
            *deliveries = received;
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        if let Some(record) = &mut self.record {
            record.status = Some(status);
        }
    }
}

impl Drop for OpenRecord<'_> {
    fn drop(&mut self) {
        if let (Some(mut records), Some(record)) = (self.log.records(), self.record.take()) {
            records.push(CallRecord { finished: Instant::now(), ..record });
        }
    }
}

impl Subject {
    /// The name that a fault can be restricted to.
    pub(super) fn resource(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Queue { name, .. } => name,
            Self::Topic { arn, .. } => arn,
        }
    }

    /// The object that a path-style request names.
    pub(super) fn of_object(path: &str) -> Self {
        let path = percent_decode_str(path.strip_prefix('/').unwrap_or(path)).decode_utf8_lossy();
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        Self::Object { bucket: bucket.to_owned(), key: key.to_owned() }
    }

    /// The queue or topic that a call names.
    pub(super) fn of_call(service: Service, call: &Call) -> Self {
        let text = |name: &str| call.input[name].as_str().unwrap_or_default().to_owned();
        if service == Service::Sns {
            return Self::Topic { arn: text("TopicArn"), message: text("Message") };
        }
        let receipt_handle = text("ReceiptHandle");
        let message_id = sqs::message_of(&receipt_handle);
        Self::Queue {
            name: text("QueueUrl").rsplit('/').next().unwrap_or_default().to_owned(),
            deliveries: message_id
                .map(|message_id| Delivery { message_id, receipt_handle, body: None })
                .into_iter()
                .collect(),
            visibility: seconds(&call.input["VisibilityTimeout"]).map(Duration::from_secs),
        }
    }
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

/// The access key id that signed a request, in its `Authorization` header or its URL.
pub(super) fn caller(parts: &Parts) -> String {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = header.and_then(|header| header.split_once("Credential=")).map(|(_, rest)| rest);
    let key = credential.and_then(|credential| credential.split('/').next()).map(str::to_owned);
    key.or_else(|| presigner(parts.uri.query()?)).unwrap_or_default()
}

fn presigner(query: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let credential = value("X-Amz-Credential").or_else(|| value("AWSAccessKeyId"))?;
    credential.split('/').next().map(str::to_owned)
}
