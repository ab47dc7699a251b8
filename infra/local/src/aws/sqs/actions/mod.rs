//! The actions of the API: reading their parameters, running them, writing their answers.

mod batch;
mod messages;
mod queues;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Sqs, error};
use crate::aws::protocol::{Call, ServiceError};

pub(super) async fn run(sqs: &Sqs, call: &Call) -> Result<Value, ServiceError> {
    match call.action.as_str() {
        "CreateQueue" => queues::create(sqs, call),
        "DeleteQueue" => queues::delete(sqs, call.input()?),
        "ListQueues" => queues::list(sqs, call),
        "GetQueueUrl" => queues::url(sqs, call),
        "GetQueueAttributes" => queues::attributes(sqs, call.input()?),
        "SetQueueAttributes" => queues::set_attributes(sqs, call.input()?),
        "SendMessage" => messages::send(sqs, call.input()?),
        "ReceiveMessage" => messages::receive(sqs, call.input()?).await,
        "DeleteMessage" => messages::delete(sqs, call.input()?),
        "ChangeMessageVisibility" => messages::change_visibility(sqs, call.input()?),
        "DeleteMessageBatch" => batch::delete(sqs, call.input()?),
        other => Err(ServiceError::unknown_action(other)),
    }
}

/// The response of an action without output.
fn no_output() -> Value {
    json!({})
}

/// A number of seconds within AWS's range for the parameter.
fn seconds(name: &str, value: i64, range: RangeInclusive<u64>) -> Result<Duration, ServiceError> {
    let seconds = u64::try_from(value).ok().filter(|seconds| range.contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        error::invalid_value(format!(
            "Value {value} for parameter {name} is invalid. Reason: Must be between {} and {}, if provided.",
            range.start(),
            range.end()
        ))
    })
}
