//! Publishes the result of a task to the completion topic, and optionally that it is running.

use shared_schema::ErrorCode;
use shared_schema::notification::{Output, RunningNotification};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::commit::Completion;
use super::read::Assignment;
use super::results::{RETRY_TIMEOUT, Results};
use crate::cloud::CloudError;
use crate::error::TaskError;
use crate::{retry, spans};

impl Results {
    /// Publishes the completion notification of a task with freshly signed URLs.
    pub(crate) async fn notify(&self, assignment: &Assignment, stored: &Completion) -> Result<(), TaskError> {
        let mut notification = stored.notification.clone();
        if let Err(error) = self.sign(&mut notification.outputs).await {
            tracing::warn!(error.code = %error.code, "signing urls failed");
        }
        let publication = notification.publication(assignment.task_type).map_err(not_json)?;
        let is_retryable = |error: &CloudError| error.is_retryable;
        let span = spans::NOTIFY.start();
        span.set("messaging.system", "aws_sns");
        span.set("messaging.operation.name", "publish");
        span.set("messaging.operation.type", "send");
        span.set("messaging.destination.name", self.topic.name().to_owned());
        let trace = span.context();
        let publish = || self.topic.publish(&publication, trace.as_ref());
        let notified = retry::until_timeout(RETRY_TIMEOUT, is_retryable, publish)
            .await
            .map_err(|error| TaskError::new(ErrorCode::NotificationUnavailable, error.to_string()));
        span.result(&notified, TaskError::code_text);
        notified
    }

    /// Gives each file a URL.
    async fn sign(&self, outputs: &mut [Output]) -> Result<(), CloudError> {
        if outputs.is_empty() {
            return Ok(());
        }
        let own = format!("s3://{}/", self.store.bucket());
        let signer = self.store.url_signer().await?;
        let expires_at = OffsetDateTime::from(signer.expires_at()).format(&Rfc3339).ok();
        for output in outputs {
            let Some(key) = output.s3_uri.strip_prefix(&own) else { continue };
            output.url = Some(signer.url(key).await?);
            output.url_expires_at.clone_from(&expires_at);
        }
        Ok(())
    }

    /// Publishes that a task is running. One attempt, and a failure is only logged.
    pub(super) async fn notify_running(&self, assignment: &Assignment) {
        let running = RunningNotification {
            runtime: self.runtime.clone(),
            id: assignment.id.clone(),
            status: "running".to_owned(),
            context: assignment.context.clone(),
            submission: assignment.submission.clone(),
            trace_id: assignment.trace_id.clone(),
            shortened: Vec::new(),
        };
        if let Ok(publication) = running.publication(assignment.task_type)
            && let Err(error) = self.topic.publish(&publication, None).await
        {
            tracing::warn!(error.code = %error.code, "publishing the running notification failed");
        }
    }
}

fn not_json(_: serde_json::Error) -> TaskError {
    TaskError::new(ErrorCode::NotificationUnavailable, "the notification is no JSON")
}
