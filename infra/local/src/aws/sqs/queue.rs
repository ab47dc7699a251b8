//! One standard queue, in memory, and in a folder if it is persisted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error;
use super::folder::{Folder, PersistedQueue};
use super::message::{NewMessage, ReceiptHandle, Received, StoredMessage};
use super::messages::Messages;
use super::settings::QueueSettings;
use crate::aws::protocol::ServiceError;

/// Messages that may be in flight at once ("Amazon SQS message quotas", standard queue).
const IN_FLIGHT_LIMIT: usize = 120_000;

/// The maximum total visibility timeout of a receipt, extensions included.
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
pub(super) struct DeadLettered {
    pub(super) message: Uuid,
    /// ARN of the queue that it was moved from.
    pub(super) source: String,
}

struct State {
    /// The queue is from before a restart, and its attributes have not been set since.
    is_restored: bool,
    settings: QueueSettings,
    modified_at: u64,
    messages: Messages,
}

/// The parameters of a receive.
pub(super) struct ReceiveRequest {
    pub(super) max_messages: usize,
    /// `None` means that of the queue.
    pub(super) visibility: Option<Duration>,
    /// How long to wait for a first message; `None` means that of the queue.
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

    /// The queue in that folder, if there is one.
    pub(super) fn restore(name: &str, folder: Folder) -> anyhow::Result<Option<Self>> {
        let Some(PersistedQueue { attributes }) = folder.load()? else { return Ok(None) };
        let settings = QueueSettings::default().with(&attributes)?;
        let queue = Self::new(name, settings, Messages::restore(folder)?);
        queue.state().is_restored = true;
        Ok(Some(queue))
    }

    /// Writes the attributes, if the queue is persisted.
    pub(super) fn save(&self) -> Result<(), ServiceError> {
        self.state().save()
    }

    /// Deletes the folder of a deleted queue.
    pub(super) fn delete_folder(&self) -> Result<(), ServiceError> {
        self.state().messages.delete_folder().map_err(error::storage_failed)
    }

    /// Whether it is from before a restart, and its attributes have not been set since.
    pub(super) fn is_restored(&self) -> bool {
        self.state().is_restored
    }

    /// The number of messages, visible or not.
    pub(super) fn len(&self) -> usize {
        self.state().messages.len()
    }

    /// The messages that came from another queue.
    pub(super) fn dead_lettered(&self) -> Vec<DeadLettered> {
        let state = self.state();
        let moved = state.messages.all().filter_map(|message| {
            let source = message.dead_letter_source.clone().filter(|source| *source != self.arn)?;
            Some(DeadLettered { message: message.id, source })
        });
        moved.collect()
    }

    /// Deletes every copy of a message.
    pub(super) fn remove_copies(&self, message: Uuid) {
        self.state().messages.remove_copies(message);
    }

    pub(super) fn settings(&self) -> QueueSettings {
        self.state().settings.clone()
    }

    pub(super) fn set(&self, attributes: &BTreeMap<String, String>) -> Result<(), ServiceError> {
        let mut state = self.state();
        state.settings = state.settings.with(attributes)?;
        state.modified_at = epoch_seconds();
        state.is_restored = false;
        state.save()
    }

    /// Every attribute, the counts included.
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

    /// Adds a message and returns its id.
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
        state.messages.append(message).map_err(error::storage_failed)?;
        drop(state);
        self.changed.notify_waiters();
        Ok(id)
    }

    /// Waits until there is a message, the wait is over or the service stops. A future that is dropped has received
    /// nothing. Messages that exceed `maxReceiveCount` move to `dead_letters` instead.
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
            let received = self.try_receive(&request, dead_letters.as_deref())?;
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

    fn try_receive(
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
        let (mut received, mut exhausted) = (Vec::new(), Vec::new());
        let (messages, folder) = state.messages.in_order();
        for (position, message) in messages {
            if received.len() == request.max_messages {
                break;
            }
            if message.available_at > now {
                continue;
            }
            if dead_letters.is_some() && limit.is_some_and(|limit| message.receive_count >= limit) {
                exhausted.push(*position);
            } else {
                received.push(message.receive(now, visibility));
                // The message is hidden in memory already; that a restart would lose this count is no reason to refuse the call.
                if let Err(error) = folder.save_message(*position, message) {
                    tracing::error!(message = %message.id, %error, "the receive count cannot be written");
                }
            }
        }
        let exhausted: Vec<_> = exhausted
            .into_iter()
            .filter_map(|position| Some((position, state.messages.take(position)?)))
            .collect();
        // The lock is released before the other queue is locked: two may be each other's dead-letter queue.
        drop(state);
        if let Some(dead_letters) = dead_letters {
            exhausted
                .into_iter()
                .for_each(|(position, message)| self.move_to(dead_letters, position, message));
        }
        Ok(received)
    }

    /// Adds it there before it is deleted here: if the process stops in between, the restart finds both.
    fn move_to(&self, dead_letters: &Queue, position: u64, message: StoredMessage) {
        match dead_letters.accept_dead_letter(message.clone(), &self.arn) {
            Ok(()) => self.state().messages.delete_file(position),
            Err(error) => {
                tracing::error!(message = %message.id, %error, "a message cannot be moved to its dead-letter queue");
                self.state().messages.place(position, message);
            }
        }
    }

    /// Adds a message of another queue, with its id, content and counts.
    fn accept_dead_letter(&self, message: StoredMessage, source: &str) -> Result<(), ServiceError> {
        let moved = StoredMessage {
            available_at: Instant::now(),
            receipt: None,
            dead_letter_source: Some(source.to_owned()),
            ..message
        };
        self.state().messages.append(moved).map_err(error::storage_failed)?;
        self.changed.notify_waiters();
        Ok(())
    }

    fn next_availability(&self) -> Option<Instant> {
        self.state().messages.all().map(|message| message.available_at).min()
    }

    /// Deletes the message unless it has been received again since: then nothing happens, without an error, as in
    /// standard queues of AWS.
    pub(super) fn delete(&self, handle: &str) -> Result<(), ServiceError> {
        let handle = ReceiptHandle::decode(handle).ok_or_else(error::receipt_handle_is_invalid)?;
        let mut state = self.state();
        if let Some(position) = state.messages.position_of(handle) {
            state.messages.remove(position);
        }
        Ok(())
    }

    /// Sets how long from now the message stays invisible; zero releases it at once.
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
        let elapsed = message.receipt.map_or(Duration::ZERO, |receipt| now - receipt.received_at);
        if elapsed + visibility > VISIBILITY_LIMIT {
            return Err(error::invalid_value(
                "Value for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message \
                 is beyond the limit [43200 seconds].",
            ));
        }
        message.available_at = now + visibility;
        drop(state);
        // A waiting receiver has computed its wake-up from the previous time.
        self.changed.notify_waiters();
        Ok(())
    }

    /// Makes a visible copy of each message in flight, or of the one with that id, and returns how many.
    pub(super) fn deliver_again(&self, message_id: Option<&str>) -> usize {
        let now = Instant::now();
        let mut state = self.state();
        let is_selected = |message: &&StoredMessage| {
            message.is_in_flight(now) && message_id.is_none_or(|id| message.id.to_string() == id)
        };
        let copies: Vec<StoredMessage> = state.messages.all().filter(is_selected).cloned().collect();
        let count = copies.len();
        for copy in copies {
            if let Err(error) =
                state.messages.append(StoredMessage { available_at: now, receipt: None, ..copy })
            {
                tracing::error!(%error, "a copy of a message cannot be written");
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
    fn save(&self) -> Result<(), ServiceError> {
        let queue = PersistedQueue { attributes: self.settings.all().collect() };
        self.messages.folder().save(&queue).map_err(error::storage_failed)
    }

    fn drop_expired(&mut self) {
        self.messages.drop_older_than(self.settings.retention());
    }
}

fn epoch_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
