//! Third step: the task becomes a message with an identity of its own, and the topic takes it.

use shared_schema::envelope::{Accepted, v1alpha1};
use shared_schema::message::{self, Route};
use shared_schema::{Submission, Task};
use tracing::{Span, field};

use super::ApiVersion;
use crate::App;
use crate::error::ApiError;

/// Where accepted tasks go.
pub trait Publisher: Send + Sync + 'static {
    /// Returns `Ok` only when the message is safe with its receiver.
    fn publish(&self, message: Message) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// A task as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The task as JSON.
    pub body: String,
    /// The name of the attribute by which subscriptions filter.
    pub attribute: &'static str,
    /// Its value.
    pub value: String,
}

impl Message {
    /// The type of the attribute, in SNS's words.
    pub const DATA_TYPE: &'static str = "String";

    /// Its size as SNS counts it, in bytes: the body, and name, type and value of the attribute (SNS developer guide,
    /// "Message attributes").
    pub fn size(&self) -> usize {
        self.body.len() + self.attribute.len() + Self::DATA_TYPE.len() + self.value.len()
    }
}

/// Why a message could not be published: for the log, never for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PublishError {
    /// What happened, in a few fixed words.
    pub reason: &'static str,
    /// The service's code, if it answered with one.
    pub code: Option<String>,
    /// The service's id of the call, to ask it for more.
    pub request_id: Option<String>,
}

/// A task that has been published.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) task: Task,
    pub(crate) route: Route,
    pub(crate) submission: Submission,
}

/// Publishes a task. Every POST gets a submission of its own, also one that repeats an id.
pub(crate) async fn publish<P: Publisher>(
    app: &App<P>,
    version: ApiVersion,
    Accepted { mut task, route }: Accepted,
) -> Result<Published, ApiError> {
    let submission = Submission::mint();
    task.metadata.submission = Some(submission.clone());
    if version == ApiVersion::V1Alpha1 {
        v1alpha1::add_output_path(&mut task, &app.config.s3_output_bucket);
    }
    Span::current()
        .record("task.id", task.metadata.id.as_str())
        .record("runtime", task.metadata.runtime.as_str())
        .record("submission", submission.as_str());

    let message = message(&task, &route)?;
    let (bytes, limit) = (message.size(), app.config.max_message_bytes);
    if bytes > limit {
        return Err(ApiError::TaskTooLarge { bytes, limit });
    }
    app.publisher.publish(message).await.map_err(|error| {
        let (code, request_id) = (error.code.as_deref(), error.request_id.as_deref());
        tracing::error!(%error, error.code = code, sns_request_id = request_id, bytes, "task not published");
        ApiError::PublishUnavailable
    })?;
    Ok(Published { task, route, submission })
}

fn message(task: &Task, route: &Route) -> Result<Message, ApiError> {
    let (attribute, value) = route.attribute();
    let body = message::to_json(task).map_err(|error| {
        tracing::error!(error = field::display(error), "task not written as json");
        ApiError::PublishUnavailable
    })?;
    Ok(Message { body, attribute, value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_counts_towards_the_size() {
        let message = Message { body: "猫".to_owned(), attribute: "runtime", value: "sd".to_owned() };
        assert_eq!(message.size(), 3 + 7 + 6 + 2);
    }
}
