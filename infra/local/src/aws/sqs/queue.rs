//! One standard queue, in memory, and in a folder if it is to be kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error;
use super::folder::{Folder, Kept};
use super::message::{NewMessage, ReceiptHandle, Received, StoredMessage};
use super::messages::Messages;
use super::settings::QueueSettings;
use crate::aws::protocol::ServiceError;

/// Messages that may be in flight at once ("Amazon SQS message quotas", standard queue).
const IN_FLIGHT_LIMIT: usize = 120_000;

/// A message can be invisible for so long after it was received, however often that is extended.
const VISIBILITY_LIMIT: Duration = Duration::from_secs(43_200);

pub(crate) struct Queue {
    pub(super) name: String,
    pub(super) arn: String,
    created_at: u64,
    state: Mutex<State>,
    /// Notified when a message arrives or becomes visible before its time.
    changed: Notify,
}

/// A message that was moved to a dead-letter queue.
pub(super) struct Buried {
    pub(super) message: Uuid,
    /// ARN of the queue that it was moved from.
    pub(super) source: String,
}

struct State {
    /// The queue is from before a restart, and nobody has set its attributes since.
    is_restored: bool,
    settings: QueueSettings,
    modified_at: u64,
    messages: Messages,
}

/// What a receiver asks for.
pub(super) struct ReceiveRequest {
    pub(super) max_messages: usize,
    /// `None` takes the queue's own.
    pub(super) visibility: Option<Duration>,
    /// How long to wait for a first message; `None` takes the queue's own.
    pub(super) wait: Option<Duration>,
}

impl Queue {
    pub(super) fn new(name: &str, settings: QueueSettings, messages: Messages) -> Self {
        let now = epoch_seconds();
        Self {
            name: name.to_owned(),
            arn: crate::aws::arn("sqs", name),
            created_at: now,
            state: Mutex::new(State { is_restored: false, settings, modified_at: now, messages }),
            changed: Notify::new(),
        }
    }

    /// The queue that is kept in that folder, if one is.
    pub(super) fn restore(name: &str, folder: Folder) -> anyhow::Result<Option<Self>> {
        let Some(Kept { attributes }) = folder.kept()? else { return Ok(None) };
        let settings = QueueSettings::default().with(&attributes)?;
        let queue = Self::new(name, settings, Messages::restore(folder)?);
        queue.state().is_restored = true;
        Ok(Some(queue))
    }

    /// Writes what is set, if the queue is kept.
    pub(super) fn keep(&self) -> Result<(), ServiceError> {
        self.state().keep()
    }

    /// Takes away what is kept of a queue that is deleted.
    pub(super) fn delete_folder(&self) -> Result<(), ServiceError> {
        self.state().messages.delete_folder().map_err(error::not_kept)
    }

    /// Whether it is from before a restart, and nobody has set its attributes since.
    pub(super) fn is_restored(&self) -> bool {
        self.state().is_restored
    }

    /// How many messages it holds, visible or not.
    pub(super) fn len(&self) -> usize {
        self.state().messages.len()
    }

    /// The messages that came from another queue.
    pub(super) fn buried(&self) -> Vec<Buried> {
        let state = self.state();
        let buried = state.messages.all().filter_map(|message| {
            let source = message.dead_letter_source.clone().filter(|source| *source != self.arn)?;
            Some(Buried { message: message.id, source })
        });
        buried.collect()
    }

    /// Drops every copy of a message.
    pub(super) fn forget(&self, message: Uuid) {
        self.state().messages.forget(message);
    }

    pub(super) fn settings(&self) -> QueueSettings {
        self.state().settings.clone()
    }

    pub(super) fn set(&self, attributes: &BTreeMap<String, String>) -> Result<(), ServiceError> {
        let mut state = self.state();
        state.settings = state.settings.with(attributes)?;
        state.modified_at = epoch_seconds();
        state.is_restored = false;
        state.keep()
    }

    /// Every attribute, those that are counted included.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let mut state = self.state();
        state.drop_expired();
        let now = Instant::now();
        let (mut visible, mut in_flight, mut delayed) = (0, 0, 0);
        for message in state.messages.all() {
            match message {
                message if message.is_in_flight(now) => in_flight += 1,
                message if message.is_delayed(now) => delayed += 1,
                _ => visible += 1,
            }
        }
        let counted = [
            ("ApproximateNumberOfMessages", visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
            ("CreatedTimestamp", self.created_at.to_string()),
            ("LastModifiedTimestamp", state.modified_at.to_string()),
            ("QueueArn", self.arn.clone()),
        ];
        let counted = counted.into_iter().map(|(name, value)| (name.to_owned(), value));
        state.settings.all().chain(counted).collect()
    }

    /// Takes a message in and gives its id.
    pub(super) fn send(&self, content: NewMessage) -> Result<Uuid, ServiceError> {
        let mut state = self.state();
        let limit = state.settings.maximum_message_size();
        if content.size() > limit {
            return Err(error::invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )));
        }
        let delay = content.delay.unwrap_or_else(|| state.settings.delay());
        let message = StoredMessage::new(content, delay);
        let id = message.id;
        state.messages.append(message).map_err(error::not_kept)?;
        drop(state);
        self.changed.notify_waiters();
        Ok(id)
    }

    /// Waits until there is a message, the wait is over or the service stops. A future that is dropped has taken
    /// nothing. Messages that were received too often go to `dead_letters` instead.
    pub(super) async fn receive(
        &self,
        request: ReceiveRequest,
        dead_letters: Option<Arc<Queue>>,
        stop: &CancellationToken,
    ) -> Result<Vec<Received>, ServiceError> {
        let wait = request.wait.unwrap_or_else(|| self.state().settings.receive_wait());
        let deadline = Instant::now() + wait;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let received = self.take(&request, dead_letters.as_deref())?;
            if !received.is_empty() || Instant::now() >= deadline {
                return Ok(received);
            }
            let wake_at = self.next_availability().map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep_until(wake_at) => {}
                () = stop.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    fn take(
        &self,
        request: &ReceiveRequest,
        dead_letters: Option<&Queue>,
    ) -> Result<Vec<Received>, ServiceError> {
        let mut state = self.state();
        state.drop_expired();
        let now = Instant::now();
        if state.messages.all().filter(|message| message.is_in_flight(now)).count() >= IN_FLIGHT_LIMIT {
            return Err(error::over_limit());
        }
        let visibility = request.visibility.unwrap_or_else(|| state.settings.visibility_timeout());
        let limit = state.settings.redrive().map(|policy| policy.max_receive_count);
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        let (messages, folder) = state.messages.in_order();
        for (position, message) in messages {
            if received.len() == request.max_messages {
                break;
            }
            if message.available_at > now {
                continue;
            }
            if dead_letters.is_some() && limit.is_some_and(|limit| message.receive_count >= limit) {
                dead.push(*position);
            } else {
                received.push(message.receive(now, visibility));
                // It is hidden in memory already; an attempt that is not counted after a restart is no reason to refuse it.
                if let Err(error) = folder.keep_message(*position, message) {
                    tracing::error!(message = %message.id, %error, "a delivery is not counted on disk");
                }
            }
        }
        let dead: Vec<_> = dead
            .into_iter()
            .filter_map(|position| Some((position, state.messages.take(position)?)))
            .collect();
        // No queue is locked while it waits for another: two may be each other's dead-letter queue.
        drop(state);
        if let Some(dead_letters) = dead_letters {
            dead.into_iter().for_each(|(position, message)| self.move_to(dead_letters, position, message));
        }
        Ok(received)
    }

    /// First there, then gone from here: if the process ends in between, the restart finds both.
    fn move_to(&self, dead_letters: &Queue, position: u64, message: StoredMessage) {
        match dead_letters.bury(message.clone(), &self.arn) {
            Ok(()) => self.state().messages.forget_file(position),
            Err(error) => {
                tracing::error!(message = %message.id, %error, "a message is not moved to its dead-letter queue");
                self.state().messages.place(position, message);
            }
        }
    }

    /// Takes over a message of another queue, with its id, content and counts.
    fn bury(&self, message: StoredMessage, source: &str) -> Result<(), ServiceError> {
        let moved = StoredMessage {
            available_at: Instant::now(),
            receipt: None,
            dead_letter_source: Some(source.to_owned()),
            ..message
        };
        self.state().messages.append(moved).map_err(error::not_kept)?;
        self.changed.notify_waiters();
        Ok(())
    }

    fn next_availability(&self) -> Option<Instant> {
        self.state().messages.all().map(|message| message.available_at).min()
    }

    /// Deletes the message unless somebody else has received it since: then nothing happens, without an error,
    /// as AWS answers for standard queues.
    pub(super) fn delete(&self, handle: &str) -> Result<(), ServiceError> {
        let handle = ReceiptHandle::decode(handle).ok_or_else(error::receipt_handle_is_invalid)?;
        let mut state = self.state();
        if let Some(position) = state.messages.position_of(handle) {
            state.messages.remove(position);
        }
        Ok(())
    }

    /// Sets how long from now the message stays invisible; zero gives it back at once.
    pub(super) fn change_visibility(&self, handle: &str, visibility: Duration) -> Result<(), ServiceError> {
        let handle = ReceiptHandle::decode(handle).ok_or_else(error::receipt_handle_is_invalid)?;
        let now = Instant::now();
        let mut state = self.state();
        let position = state.messages.position_of(handle);
        let message = position.and_then(|position| state.messages.at(position)).ok_or_else(|| {
            error::invalid_value(
                "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available \
                 for visibility timeout change.",
            )
        })?;
        if !message.is_in_flight(now) {
            return Err(error::message_not_inflight());
        }
        let held = message.receipt.map_or(Duration::ZERO, |receipt| now - receipt.taken_at);
        if held + visibility > VISIBILITY_LIMIT {
            return Err(error::invalid_value(
                "Value for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message \
                 is beyond the limit [43200 seconds].",
            ));
        }
        message.available_at = now + visibility;
        drop(state);
        // A receiver that waits has computed its wake-up from the time before.
        self.changed.notify_waiters();
        Ok(())
    }

    /// Makes a visible copy of each message in flight, or of the one with that id, and says how many.
    pub(super) fn deliver_again(&self, message_id: Option<&str>) -> usize {
        let now = Instant::now();
        let mut state = self.state();
        let is_meant = |message: &&StoredMessage| {
            message.is_in_flight(now) && message_id.is_none_or(|id| message.id.to_string() == id)
        };
        let copies: Vec<StoredMessage> = state.messages.all().filter(is_meant).cloned().collect();
        let count = copies.len();
        for copy in copies {
            if let Err(error) =
                state.messages.append(StoredMessage { available_at: now, receipt: None, ..copy })
            {
                tracing::error!(%error, "a copy of a message is not kept");
            }
        }
        drop(state);
        self.changed.notify_waiters();
        count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&self) -> Result<(), ServiceError> {
        let kept = Kept { attributes: self.settings.all().collect() };
        self.messages.folder().keep(&kept).map_err(error::not_kept)
    }

    fn drop_expired(&mut self) {
        self.messages.drop_older_than(self.settings.retention());
    }
}

fn epoch_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
