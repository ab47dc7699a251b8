//! The messages of one queue by order of arrival, in memory, and on disk if the queue is persisted.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use uuid::Uuid;

use super::folder::Folder;
use super::message::{ReceiptHandle, StoredMessage};

#[derive(Debug)]
pub(super) struct Messages {
    folder: Folder,
    by_position: BTreeMap<u64, StoredMessage>,
    /// The positions of the copies of each message: one, unless a test delivered it again.
    positions: HashMap<Uuid, Vec<u64>>,
    next_position: u64,
}

impl Messages {
    /// The messages of a new queue.
    pub(super) fn new(folder: Folder) -> Self {
        Self { folder, by_position: BTreeMap::new(), positions: HashMap::new(), next_position: 0 }
    }

    /// The messages in the folder. The position of a file that cannot be read stays in use.
    pub(super) fn restore(folder: Folder) -> io::Result<Self> {
        let (stored, next_position) = folder.messages()?;
        let mut messages = Self::new(folder);
        for (position, message) in stored {
            messages.place(position, message);
        }
        messages.next_position = next_position;
        Ok(messages)
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(super) fn delete_folder(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.folder).delete()
    }

    pub(super) fn len(&self) -> usize {
        self.by_position.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &StoredMessage> {
        self.by_position.values()
    }

    /// Each message with its position, mutable, and the folder that stores changes.
    pub(super) fn in_order(&mut self) -> (impl Iterator<Item = (&u64, &mut StoredMessage)>, &Folder) {
        (self.by_position.iter_mut(), &self.folder)
    }

    pub(super) fn at(&mut self, position: u64) -> Option<&mut StoredMessage> {
        self.by_position.get_mut(&position)
    }

    /// Adds a message: on disk first.
    pub(super) fn append(&mut self, message: StoredMessage) -> io::Result<()> {
        self.folder.save_message(self.next_position, &message)?;
        self.place(self.next_position, message);
        Ok(())
    }

    /// Puts a message that is on disk at its position.
    pub(super) fn place(&mut self, position: u64, message: StoredMessage) {
        self.positions.entry(message.id).or_default().push(position);
        self.by_position.insert(position, message);
        self.next_position = self.next_position.max(position + 1);
    }

    /// Removes a message from memory; its file stays until [`Self::delete_file`].
    pub(super) fn take(&mut self, position: u64) -> Option<StoredMessage> {
        let message = self.by_position.remove(&position)?;
        if let Some(copies) = self.positions.get_mut(&message.id) {
            copies.retain(|copy| *copy != position);
            if copies.is_empty() {
                self.positions.remove(&message.id);
            }
        }
        Some(message)
    }

    pub(super) fn delete_file(&self, position: u64) {
        self.folder.delete_message(position);
    }

    pub(super) fn remove(&mut self, position: u64) {
        if self.take(position).is_some() {
            self.delete_file(position);
        }
    }

    /// Removes every copy of a message.
    pub(super) fn remove_copies(&mut self, message: Uuid) {
        for position in self.positions.get(&message).cloned().unwrap_or_default() {
            self.remove(position);
        }
    }

    /// The position of the message whose latest receipt has this handle.
    pub(super) fn position_of(&self, handle: ReceiptHandle) -> Option<u64> {
        let is_latest = |position: &&u64| {
            let receipt = self.by_position.get(position).and_then(|message| message.receipt);
            receipt.is_some_and(|receipt| receipt.nonce == handle.nonce)
        };
        self.positions.get(&handle.message)?.iter().find(is_latest).copied()
    }

    pub(super) fn drop_older_than(&mut self, retention: Duration) {
        let is_expired = |message: &StoredMessage| message.sent_at.elapsed().is_ok_and(|age| age > retention);
        let expired = self.by_position.iter().filter(|(_, message)| is_expired(message));
        let positions: Vec<u64> = expired.map(|(position, _)| *position).collect();
        positions.into_iter().for_each(|position| self.remove(position));
    }
}
