//! One standard queue, in memory, and in a folder if it is to be kept.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error;
use super::folder::{Folder, Kept};
use super::message::{NewMessage, ReceiptHandle, Received, StoredMessage};
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
    /// Told when a message arrives or becomes visible before its time.
    changed: Notify,
}

/// A message that was moved to a dead-letter queue.
pub(super) struct Buried {
    pub(super) message: Uuid,
    /// ARN of the queue that it was moved from.
    pub(super) source: String,
}

struct State {
    folder: Folder,
    /// The queue is from before a restart, and nobody has set its attributes since.
    is_restored: bool,
    settings: QueueSettings,
    modified_at: u64,
    tags: BTreeMap<String, String>,
    /// By order of arrival.
    messages: BTreeMap<u64, StoredMessage>,
    /// Where the copies of each message are: one, unless a test had it delivered again.
    positions: HashMap<Uuid, Vec<u64>>,
    next_position: u64,
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
    pub(super) fn new(
        name: &str,
        settings: QueueSettings,
        tags: BTreeMap<String, String>,
        folder: Folder,
    ) -> Self {
        let now = epoch_seconds();
        Self {
            name: name.to_owned(),
            arn: crate::aws::arn("sqs", name),
            created_at: now,
            state: Mutex::new(State {
                folder,
                is_restored: false,
                settings,
                modified_at: now,
                tags,
                messages: BTreeMap::new(),
                positions: HashMap::new(),
                next_position: 0,
            }),
            changed: Notify::new(),
        }
    }

    /// The queue that is kept in that folder, if one is.
    pub(super) fn restore(name: &str, folder: Folder) -> anyhow::Result<Option<Self>> {
        let Some(Kept { attributes, tags }) = folder.kept()? else { return Ok(None) };
        let messages = folder.messages()?;
        let queue = Self::new(name, QueueSettings::default().with(&attributes)?, tags, folder);
        let mut state = queue.state();
        state.is_restored = true;
        for (position, message) in messages {
            state.place(position, message);
        }
        drop(state);
        Ok(Some(queue))
    }

    /// Writes what is set, if the queue is kept.
    pub(super) fn keep(&self) -> Result<(), ServiceError> {
        self.state().keep()
    }

    /// Takes away what is kept of a queue that is deleted.
    pub(super) fn delete_folder(&self) -> Result<(), ServiceError> {
        let mut state = self.state();
        std::mem::take(&mut state.folder).delete().map_err(error::not_kept)
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
        let buried = state.messages.values().filter_map(|message| {
            Some(Buried { message: message.id, source: message.dead_letter_source.clone()? })
        });
        buried.collect()
    }

    /// Drops every copy of a message.
    pub(super) fn forget(&self, message: Uuid) {
        let mut state = self.state();
        for position in state.positions.get(&message).cloned().unwrap_or_default() {
            state.remove(position);
        }
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
        for message in state.messages.values() {
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

    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        self.state().tags.clone()
    }

    pub(super) fn change_tags(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), ServiceError> {
        let mut state = self.state();
        change(&mut state.tags);
        state.keep()
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
        state.append(message).map_err(error::not_kept)?;
        drop(state);
        self.changed.notify_waiters();
        Ok(id)
    }

    /// Waits until there is a message, the wait is over or the service stops. Whoever drops the future has taken
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
        if state.messages.values().filter(|message| message.is_in_flight(now)).count() >= IN_FLIGHT_LIMIT {
            return Err(error::over_limit());
        }
        let visibility = request.visibility.unwrap_or_else(|| state.settings.visibility_timeout());
        let limit = state.settings.redrive().map(|policy| policy.max_receive_count);
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        let State { messages, folder, .. } = &mut *state;
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
        // First there, then gone from here: if the process ends in between, the restart finds both.
        for position in dead {
            if let (Some(message), Some(dead_letters)) = (state.messages.get(&position), dead_letters) {
                dead_letters.bury(message.clone(), &self.arn)?;
                state.remove(position);
            }
        }
        Ok(received)
    }

    /// Takes over a message of another queue, with its id, content and counts.
    fn bury(&self, message: StoredMessage, source: &str) -> Result<(), ServiceError> {
        let moved = StoredMessage {
            available_at: Instant::now(),
            receipt: None,
            dead_letter_source: Some(source.to_owned()),
            ..message
        };
        self.state().append(moved).map_err(error::not_kept)?;
        self.changed.notify_waiters();
        Ok(())
    }

    fn next_availability(&self) -> Option<Instant> {
        self.state().messages.values().map(|message| message.available_at).min()
    }

    /// Deletes the message unless somebody else has received it since: then nothing happens, without an error,
    /// as AWS answers for standard queues.
    pub(super) fn delete(&self, handle: &str) -> Result<(), ServiceError> {
        let handle = ReceiptHandle::decode(handle).ok_or_else(error::receipt_handle_is_invalid)?;
        let mut state = self.state();
        if let Some(position) = state.position_of(handle) {
            state.remove(position);
        }
        Ok(())
    }

    /// Sets how long from now the message stays invisible; zero gives it back at once.
    pub(super) fn change_visibility(&self, handle: &str, visibility: Duration) -> Result<(), ServiceError> {
        let handle = ReceiptHandle::decode(handle).ok_or_else(error::receipt_handle_is_invalid)?;
        let now = Instant::now();
        let mut state = self.state();
        let position = state.position_of(handle);
        let message = position.and_then(|position| state.messages.get_mut(&position)).ok_or_else(|| {
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
        // Whoever waits has reckoned with the time before.
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
        let copies: Vec<StoredMessage> = state.messages.values().filter(is_meant).cloned().collect();
        let count = copies.len();
        for copy in copies {
            if let Err(error) = state.append(StoredMessage { available_at: now, receipt: None, ..copy }) {
                tracing::error!(%error, "a copy of a message is not kept");
            }
        }
        drop(state);
        self.changed.notify_waiters();
        count
    }

    pub(super) fn purge(&self) {
        let mut state = self.state();
        let positions: Vec<u64> = state.messages.keys().copied().collect();
        for position in positions {
            state.remove(position);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, message: StoredMessage) -> io::Result<()> {
        self.folder.keep_message(self.next_position, &message)?;
        self.place(self.next_position, message);
        Ok(())
    }

    fn place(&mut self, position: u64, message: StoredMessage) {
        self.positions.entry(message.id).or_default().push(position);
        self.messages.insert(position, message);
        self.next_position = position + 1;
    }

    fn keep(&self) -> Result<(), ServiceError> {
        let kept = Kept { attributes: self.settings.all().collect(), tags: self.tags.clone() };
        self.folder.keep(&kept).map_err(error::not_kept)
    }

    fn remove(&mut self, position: u64) -> Option<StoredMessage> {
        let message = self.messages.remove(&position)?;
        self.folder.forget_message(position);
        if let Some(copies) = self.positions.get_mut(&message.id) {
            copies.retain(|copy| *copy != position);
            if copies.is_empty() {
                self.positions.remove(&message.id);
            }
        }
        Some(message)
    }

    /// The message whose latest receipt the handle is.
    fn position_of(&self, handle: ReceiptHandle) -> Option<u64> {
        let is_latest = |position: &&u64| {
            let receipt = self.messages.get(position).and_then(|message| message.receipt);
            receipt.is_some_and(|receipt| receipt.nonce == handle.nonce)
        };
        self.positions.get(&handle.message)?.iter().find(is_latest).copied()
    }

    fn drop_expired(&mut self) {
        let retention = self.settings.retention();
        let expired = |message: &StoredMessage| message.sent_at.elapsed().is_ok_and(|age| age > retention);
        let positions: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, message)| expired(message))
            .map(|(position, _)| *position)
            .collect();
        for position in positions {
            self.remove(position);
        }
    }
}

fn epoch_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
