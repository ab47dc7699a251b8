//! A queue on disk, so that a restart of the process loses nothing: `queue.json` has its attributes, and each message is a file.
//!
//! A message is written before its call is answered. A message that was in flight is visible after a restart: the process that
//! received it may have stopped, too, and a worker that still processes it loses its lease, as it would on AWS.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::message::{NewMessage, StoredMessage};
use crate::aws::disk;
use crate::aws::message_attributes::MessageAttributes;

const QUEUE: &str = "queue.json";

/// The folder of one queue, if queues are persisted.
#[derive(Debug, Clone, Default)]
pub(super) struct Folder(Option<PathBuf>);

/// The attributes of a queue that were set.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PersistedQueue {
    pub(super) attributes: BTreeMap<String, String>,
}

/// A message in its file. Times are milliseconds since 1970.
#[derive(Serialize, Deserialize)]
struct PersistedMessage {
    id: String,
    body: String,
    attributes: MessageAttributes,
    trace_header: Option<String>,
    sent_at: u64,
    first_received_at: Option<u64>,
    receive_count: u32,
    /// Of a message that has not been received from this queue yet.
    delayed_until: Option<u64>,
    dead_letter_source: Option<String>,
}

/// The names and folders of the queues below `root`.
pub(super) fn queues(root: &Path) -> io::Result<Vec<(String, Folder)>> {
    fs::create_dir_all(root)?;
    let mut queues = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().filter(|_| entry.path().join(QUEUE).is_file()) {
            queues.push((name.to_owned(), Folder(Some(entry.path()))));
        }
    }
    Ok(queues)
}

impl Folder {
    /// Creates the folder of a new queue.
    pub(super) fn create(root: Option<&Path>, queue: &str) -> io::Result<Self> {
        let Some(path) = root.map(|root| root.join(queue)) else { return Ok(Self(None)) };
        // An interrupted deletion may have left files of an earlier queue of that name.
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(Some(path)))
    }

    pub(super) fn save(&self, queue: &PersistedQueue) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |path| disk::write(&path.join(QUEUE), queue))
    }

    pub(super) fn load(&self) -> io::Result<Option<PersistedQueue>> {
        self.0.as_ref().map_or(Ok(None), |path| disk::read(&path.join(QUEUE)))
    }

    pub(super) fn save_message(&self, position: u64, message: &StoredMessage) -> io::Result<()> {
        self.file(position).map_or(Ok(()), |path| disk::write(&path, &PersistedMessage::from(message)))
    }

    /// A message that cannot be deleted is restored after a restart; the log names it.
    pub(super) fn delete_message(&self, position: u64) {
        if let Some(path) = self.file(position)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::error!(path = %path.display(), %error, "the file of a deleted message cannot be removed, the message will be restored");
        }
    }

    pub(super) fn delete(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), fs::remove_dir_all)
    }

    /// All messages, in order, and the first free position. A file that cannot be read stays where it is, and is
    /// named in the log.
    pub(super) fn messages(&self) -> io::Result<(BTreeMap<u64, StoredMessage>, u64)> {
        let (mut messages, mut next) = (BTreeMap::new(), 0);
        let Some(folder) = &self.0 else { return Ok((messages, next)) };
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let position = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let Some(position) = position else { continue };
            next = next.max(position + 1);
            if path.extension().is_some_and(|extension| extension == disk::UNFINISHED) {
                // Its call was never answered.
                fs::remove_file(&path)?;
                continue;
            }
            let message = disk::read::<PersistedMessage>(&path)
                .and_then(|message| message.map(PersistedMessage::restored).transpose());
            match message {
                Ok(message) => messages.extend(message.map(|message| (position, message))),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a message cannot be restored, its file stays");
                }
            }
        }
        Ok((messages, next))
    }

    fn file(&self, position: u64) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join(format!("{position:020}.json")))
    }
}

impl From<&StoredMessage> for PersistedMessage {
    fn from(message: &StoredMessage) -> Self {
        let StoredMessage { id, content, sent_at, first_received_at, receive_count, .. } = message;
        let delay = message.available_at.checked_duration_since(Instant::now());
        let delayed_until =
            delay.filter(|_| message.receipt.is_none()).map(|delay| SystemTime::now() + delay);
        Self {
            id: id.to_string(),
            body: content.body.clone(),
            attributes: content.attributes.clone(),
            trace_header: content.trace_header.clone(),
            sent_at: millis(*sent_at),
            first_received_at: first_received_at.map(millis),
            receive_count: *receive_count,
            delayed_until: delayed_until.map(millis),
            dead_letter_source: message.dead_letter_source.clone(),
        }
    }
}

impl PersistedMessage {
    fn restored(self) -> io::Result<StoredMessage> {
        let id = Uuid::parse_str(&self.id).map_err(io::Error::other)?;
        let delay = self.delayed_until.and_then(|until| time(until).duration_since(SystemTime::now()).ok());
        let content = NewMessage {
            body: self.body,
            attributes: self.attributes,
            trace_header: self.trace_header,
            delay: None,
        };
        Ok(StoredMessage {
            id,
            content,
            sent_at: time(self.sent_at),
            first_received_at: self.first_received_at.map(time),
            receive_count: self.receive_count,
            available_at: Instant::now() + delay.unwrap_or_default(),
            receipt: None,
            dead_letter_source: self.dead_letter_source,
        })
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
