//! Third step: the task becomes a message with an identity of its own, and the topic takes it.

use shared_schema::envelope::Accepted;
use shared_schema::message::{self, Route};
use shared_schema::{ClaimCheck, Submission, Task};
use task_records::Owner;
use task_traces::{Span, TraceContext};
use tracing::field;

use super::claim_check::Checked;
use crate::error::ApiError;
use crate::{App, Config, metrics, trace};

/// Where accepted tasks go: a topic, and a bucket for those that are too large for it.
pub trait Publisher: Send + Sync + 'static {
    /// Stores a task, as JSON, at the address of its claim check. Returns `Ok` only when it can be read there.
    fn store(
        &self,
        check: &ClaimCheck,
        task: String,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

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
    /// The owner of the task, by whom SQS fair queues separate tenants (`MessageGroupId`); none without task records.
    pub group: Option<String>,
    /// The trace that its receiver continues, if traces are recorded: a header, which does not count towards the size.
    pub trace: Option<TraceContext>,
}

impl Message {
    /// The type of the attribute, in SNS's words.
    pub const DATA_TYPE: &'static str = "String";

    pub(super) fn new(body: String, route: &Route) -> Self {
        let (attribute, value) = route.attribute();
        Self { body, attribute, value: value.to_owned(), group: None, trace: None }
    }

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
    /// Whether it is certain that no message was published.
    pub is_unpublished: bool,
}

impl PublishError {
    /// A failure without an error code of the service.
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason, code: None, request_id: None, is_unpublished: false }
    }
}

/// The identity of an accepted task.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The id of the POST that brought it.
    pub(crate) submission: Submission,
    /// Its owner, if tasks are recorded.
    pub(crate) owner: Option<Owner>,
    /// Whether the task is stored in the bucket although it fits into a message, so that its content can be shown later.
    pub(crate) is_kept: bool,
}

/// A task that has been published.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) task: Task,
    pub(crate) route: Route,
    pub(crate) submission: Submission,
}

/// Publishes a task. Every POST has a submission of its own, also one that repeats an id.
pub(crate) async fn publish<P: Publisher>(
    app: &App<P>,
    Accepted { mut task, route }: Accepted,
    identity: &Identity,
) -> Result<Published, ApiError> {
    let submission = identity.submission.clone();
    task.metadata.submission = Some(submission.clone());
    tracing::Span::current()
        .record("task.id", task.metadata.id.as_str())
        .record("runtime", task.metadata.runtime.as_str())
        .record("submission", submission.as_str());

    let json = message::to_json(&task).map_err(|error| {
        tracing::error!(error = field::display(error), "task not written as json");
        ApiError::PublishUnavailable
    })?;
    let group = identity.owner.as_ref().map(|owner| owner.as_str().to_owned());
    let span = trace::PUBLISH.start();
    describe(&span, &task, &app.config);
    let trace = span.context().filter(|_| app.traces.is_on());
    let message = Message { group, trace, ..Message::new(json, &route) };
    let (bytes, limit) = (message.size(), app.config.max_message_bytes);
    let published = if bytes > limit {
        let checked = Checked::new(&app.config, &task, &submission, &route, message);
        checked.ok_or(ApiError::TaskTooLarge { bytes, limit })?.publish(app).await
    } else if identity.is_kept {
        Checked::kept(&submission, message).publish(app).await
    } else {
        app.publisher.publish(message).await
    };
    published.map_err(|error| {
        span.failed(error.code.as_deref().unwrap_or("unavailable"));
        let (code, request_id) = (error.code.as_deref(), error.request_id.as_deref());
        tracing::error!(%error, error.code = code, service_request_id = request_id, bytes, "task not published");
        if error.is_unpublished { ApiError::NotPublished } else { ApiError::PublishUnavailable }
    })?;
    metrics::accepted(&app.metrics, &app.config.runtimes, &task.metadata.runtime);
    Ok(Published { task, route, submission })
}

/// The attributes of the span.
fn describe(span: &Span, Task { metadata, .. }: &Task, config: &Config) {
    if !span.is_recording() {
        return;
    }
    let topic = config.sns_topic_arn.rsplit(':').next().unwrap_or_default();
    span.set("messaging.system", "aws_sns");
    span.set("messaging.operation.name", "publish");
    span.set("messaging.operation.type", "send");
    span.set("messaging.destination.name", topic.to_owned());
    span.set("darkroom.task.id", metadata.id.as_str().to_owned());
    span.set("darkroom.task.type", metadata.tasktype.as_str());
    span.set("darkroom.runtime", metadata.runtime.as_str().to_owned());
    if let Some(submission) = &metadata.submission {
        span.set("darkroom.submission", submission.as_str().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attribute_counts_towards_the_size() {
        let message = Message {
            body: "猫".to_owned(),
            attribute: "runtime",
            value: "sd".to_owned(),
            group: None,
            trace: None,
        };
        assert_eq!(message.size(), 3 + 7 + 6 + 2);
    }
}
