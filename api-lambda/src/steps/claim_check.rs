//! Third step of a task that is too large for a message: it goes to the bucket, and a message that refers to it goes to
//! the topic. A task whose content is shown later goes to both.

use std::time::Duration;

use shared_schema::message::Route;
use shared_schema::{ClaimCheck, Registry, Submission, Task};

use super::publish::{Message, PublishError, Publisher};
use crate::{App, Config};

/// A task that is handed over in two parts.
pub(super) struct Checked {
    check: ClaimCheck,
    task: String,
    /// It refers to the task, or has it.
    message: Message,
}

impl Checked {
    /// The two parts of a message that is too large. `None` where they do not help: the worker at the end of the route
    /// would not understand, or what remains is still too large.
    pub(super) fn new(
        config: &Config,
        task: &Task,
        submission: &Submission,
        route: &Route,
        message: Message,
    ) -> Option<Self> {
        if !is_taken(&config.runtimes, route) {
            return None;
        }
        let check = ClaimCheck::new(submission, &message.body);
        let (group, trace) = (message.group.clone(), message.trace.clone());
        let reference =
            Message { group, trace, ..Message::new(check.to_message(&task.metadata).ok()?, route) };
        (reference.size() <= config.max_message_bytes).then_some(Self {
            check,
            task: message.body,
            message: reference,
        })
    }

    /// A task that fits into its message, and is stored all the same.
    pub(super) fn kept(submission: &Submission, message: Message) -> Self {
        Self { check: ClaimCheck::new(submission, &message.body), task: message.body.clone(), message }
    }

    /// Stores, then publishes, both within the time that publishing may take.
    pub(super) async fn publish<P: Publisher>(self, app: &App<P>) -> Result<(), PublishError> {
        let Self { check, task, message } = self;
        let both = async {
            let stored = app.publisher.store(&check, task).await;
            stored.map_err(|error| PublishError { is_unpublished: true, ..error })?;
            app.publisher.publish(message).await
        };
        let whole = Duration::from_millis(app.config.publish_timeout_ms);
        tokio::time::timeout(whole, both)
            .await
            .unwrap_or_else(|_| Err(PublishError::new("the task could not be stored and published in time")))
    }
}

fn is_taken(registry: &Registry, route: &Route) -> bool {
    match route {
        Route::Runtime(name) => registry.by_name(name.as_str()).is_some_and(|runtime| runtime.claim_check),
        Route::Model(_) => false,
    }
}
