//! The log of calls, for tests: who asked for what, when it was done, and how it was answered.

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

/// One call that has ended.
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
    /// When it had arrived.
    pub began: Instant,
    /// When it was done; `None` if it was refused, failed, or was given up before.
    pub took_effect: Option<Instant>,
    /// When it was answered or given up.
    pub ended: Instant,
    /// The status of the answer; `None` if the connection broke instead, on whichever side.
    pub status: Option<StatusCode>,
    /// What a test had ordered for it.
    pub fault: Option<Fault>,
}

impl CallRecord {
    /// The actions that a role must allow for the call to be answered as it was, named as in a policy.
    pub fn iam_actions(&self) -> Vec<String> {
        let mut actions = vec![permissions::iam_action(self.service, &self.action)];
        // Who may not list is told "forbidden" instead: see `permissions`.
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
        /// The deliveries that were handed out, or the one whose handle was given.
        deliveries: Vec<Delivery>,
        /// The visibility timeout that was asked for.
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

/// One reception of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The id that SQS gave the message.
    pub message_id: String,
    /// The receipt handle, which no other delivery has.
    pub receipt_handle: String,
    /// The message's body, where it was handed out.
    pub body: Option<String>,
}

/// All calls so far, if they are kept.
#[derive(Debug, Default)]
pub(super) struct CallLog(Option<Mutex<Vec<CallRecord>>>);

impl CallLog {
    pub(super) fn new(keeps: bool) -> Self {
        Self(keeps.then(Mutex::default))
    }

    /// The calls that have ended, but for the first `skipped` of them.
    pub(super) fn after(&self, skipped: usize) -> Vec<CallRecord> {
        self.records().map_or_else(Vec::new, |records| records.iter().skip(skipped).cloned().collect())
    }

    pub(super) fn count(&self) -> usize {
        self.records().map_or(0, |records| records.len())
    }

    /// Notes that a call has arrived. It is logged when what this returns is dropped, answered or not.
    pub(super) fn begin(
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
            began: now,
            took_effect: None,
            ended: now,
            status: None,
            fault: None,
        });
        OpenRecord { log: self, record }
    }

    fn records(&self) -> Option<MutexGuard<'_, Vec<CallRecord>>> {
        self.0.as_ref().map(|records| records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call that is under way. A client that goes away drops it with the rest of its call.
pub(super) struct OpenRecord<'a> {
    log: &'a CallLog,
    record: Option<CallRecord>,
}

impl OpenRecord<'_> {
    pub(super) fn suffers(&mut self, fault: Option<Fault>) {
        if let Some(record) = &mut self.record {
            record.fault = fault;
        }
    }

    /// The call was carried out; `handed_out` are the messages that a receiver gets.
    pub(super) fn took_effect(&mut self, handed_out: Vec<Delivery>) {
        let Some(record) = &mut self.record else { return };
        record.took_effect = Some(Instant::now());
        if let Subject::Queue { deliveries, .. } = &mut record.subject
            && !handed_out.is_empty()
        {
            *deliveries = handed_out;
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
            records.push(CallRecord { ended: Instant::now(), ..record });
        }
    }
}

impl Subject {
    /// The name by which a fault can be ordered for it.
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
pub(super) fn handed_out(output: &Value) -> Vec<Delivery> {
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
