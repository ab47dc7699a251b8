//! Simple Queue Service: standard queues in memory, and in files if they are persisted.

mod actions;
mod error;
mod folder;
mod message;
mod messages;
mod queue;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::folder::Folder;
pub(super) use self::message::NewMessage;
use self::message::ReceiptHandle;
use self::messages::Messages;
use self::queue::Queue;
use self::settings::QueueSettings;
use super::protocol::{Call, ServiceError};

/// All queues of the account.
pub(super) struct Sqs {
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
    /// The folder of all queues, if they are persisted.
    root: Option<PathBuf>,
    /// Cancels long polls when the server stops.
    stop: CancellationToken,
}

impl Sqs {
    /// Queues that are persisted below `root`, if there is one; those that are there are restored.
    pub(super) fn new(root: Option<PathBuf>, stop: CancellationToken) -> anyhow::Result<Self> {
        let sqs = Self { queues: Mutex::default(), root, stop };
        if let Some(root) = &sqs.root {
            sqs.restore(root)
                .with_context(|| format!("the queues in {} cannot be restored", root.display()))?;
        }
        Ok(sqs)
    }

    fn restore(&self, root: &Path) -> anyhow::Result<()> {
        let mut queues = self.queues();
        for (name, folder) in folder::queues(root)? {
            queues.extend(Queue::restore(&name, folder)?.map(|queue| (name, Arc::new(queue))));
        }
        // The process stopped after a message was written to its dead-letter queue, and before it was deleted from its own.
        for moved in queues.values().flat_map(|queue| queue.dead_lettered()) {
            if let Some(source) = queues.values().find(|queue| queue.arn == moved.source) {
                source.remove_copies(moved.message);
            }
        }
        for queue in queues.values() {
            let messages = queue.len();
            if messages > 0 {
                tracing::info!(queue = queue.name, messages, "messages restored");
            }
        }
        Ok(())
    }

    /// The number of messages of each queue that is not empty, by name.
    pub(super) fn message_counts(&self) -> Vec<(String, usize)> {
        let counts = self.all().into_iter().map(|queue| (queue.name.clone(), queue.len()));
        counts.filter(|(_, messages)| *messages > 0).collect()
    }

    /// Runs one call of the API.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, ServiceError> {
        actions::run(self, call).await
    }

    /// Puts a message into the queue with this ARN, as SNS does.
    pub(super) fn deliver(&self, queue_arn: &str, message: NewMessage) -> Result<(), ServiceError> {
        self.by_arn(queue_arn).ok_or_else(error::queue_does_not_exist)?.send(message).map(drop)
    }

    /// Copies messages that are in flight, see [`EmbeddedAws::deliver_again`](super::EmbeddedAws::deliver_again).
    pub(super) fn deliver_again(&self, queue_url: &str, message_id: Option<&str>) -> usize {
        self.by_url(queue_url).map_or(0, |queue| queue.deliver_again(message_id))
    }

    /// Creates the queue, or returns the existing one if it was created with the same attributes.
    fn create(&self, name: &str, attributes: &BTreeMap<String, String>) -> Result<(), ServiceError> {
        if name.ends_with(".fifo") {
            return Err(error::fifo_is_not_emulated());
        }
        let is_valid = (1..=80).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_valid {
            return Err(error::invalid_value(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            ));
        }
        let mut queues = self.queues();
        match queues.get(name) {
            Some(queue) if queue.settings().agree_with(attributes)? => Ok(()),
            // A restored queue gets the attributes of the new call.
            Some(queue) if queue.is_restored() => queue.set(attributes),
            Some(_) => Err(error::queue_name_exists()),
            None => {
                let settings = QueueSettings::default().with(attributes)?;
                let folder = Folder::create(self.root.as_deref(), name).map_err(error::storage_failed)?;
                let queue = Queue::new(name, settings, Messages::new(folder));
                queue.save()?;
                queues.insert(name.to_owned(), Arc::new(queue));
                Ok(())
            }
        }
    }

    fn delete(&self, name: &str) -> Result<(), ServiceError> {
        // The lock prevents a new queue of that name before the folder is deleted.
        let mut queues = self.queues();
        queues.remove(name).ok_or_else(error::queue_does_not_exist)?.delete_folder()
    }

    fn all(&self) -> Vec<Arc<Queue>> {
        self.queues().values().cloned().collect()
    }

    fn by_name(&self, name: &str) -> Result<Arc<Queue>, ServiceError> {
        self.queues().get(name).cloned().ok_or_else(error::queue_does_not_exist)
    }

    /// By `http://any.host/000000000000/name`, or only its path.
    fn by_url(&self, url: &str) -> Result<Arc<Queue>, ServiceError> {
        let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        self.by_name(name)
    }

    fn by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        self.queues().values().find(|queue| queue.arn == arn).cloned()
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the message that a receipt handle is for.
pub(super) fn message_of(receipt_handle: &str) -> Option<String> {
    ReceiptHandle::decode(receipt_handle).map(|handle| handle.message.to_string())
}
