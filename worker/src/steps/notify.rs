//! Tells the completion topic how a task ended, and while it runs if the deployment asks for it.

use shared_schema::ErrorCode;
use shared_schema::notification::RunningNotification;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::commit::Stored;
use super::read::Assignment;
use super::results::{PATIENCE, Results};
use crate::cloud::CloudError;
use crate::error::TaskError;
use crate::retry;

impl Results {
    /// Publishes the completion notification with freshly signed URLs.
    pub(crate) async fn notify(&self, stored: &Stored) -> Result<(), TaskError> {
        let mut notification = stored.notification.clone();
        let own = format!("s3://{}/", self.store.bucket());
        for output in &mut notification.outputs {
            let Some(key) = output.s3_uri.strip_prefix(&own) else { continue };
            match self.store.presign(key).await {
                Ok(signed) => {
                    output.url = Some(signed.url);
                    output.url_expires_at = OffsetDateTime::from(signed.expires_at)
                        .replace_nanosecond(0)
                        .ok()
                        .and_then(|at| at.format(&Rfc3339).ok());
                }
                Err(error) => tracing::warn!(error.code = %error.code, "no url could be signed"),
            }
        }
        let message = notification.to_json().map_err(not_json)?;
        let is_retryable = |error: &CloudError| error.is_retryable;
        retry::persist(PATIENCE, is_retryable, || self.topic.publish(message.clone()))
            .await
            .map_err(|error| TaskError::new(ErrorCode::NotificationUnavailable, error.to_string()))
    }

    /// Says that a task has begun. Progress is worth one try and no failure.
    pub(super) async fn notify_running(&self, assignment: &Assignment) {
        let running = RunningNotification {
            runtime: self.runtime.clone(),
            id: assignment.id.clone(),
            status: "running".to_owned(),
            context: assignment.context.clone(),
            submission: assignment.submission.clone(),
            shortened: Vec::new(),
        };
        if let Ok(message) = running.to_json()
            && let Err(error) = self.topic.publish(message).await
        {
            tracing::warn!(error.code = %error.code, "running notification not sent");
        }
    }
}

fn not_json(_: serde_json::Error) -> TaskError {
    TaskError::new(ErrorCode::NotificationUnavailable, "the notification is no JSON")
}
