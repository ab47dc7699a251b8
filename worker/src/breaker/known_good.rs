//! The task that a runtime is checked with: one that succeeded before.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_schema::Task;
use tokio::time::Instant;

use crate::inputs::Input;

/// A task is kept for checks only if its inputs have no more bytes.
const MAX_INPUT_BYTES: usize = 8 << 20;

/// A task that is kept for checks gives way to a slower one after this long: what it needs may be gone by then.
const PREFERRED_FOR: Duration = Duration::from_mins(10);

/// A task is kept in a file for the checks of the next process only if its JSON is no longer.
pub(super) const MAX_SAVED_BYTES: usize = 16 << 10;

/// A task that succeeded, and quickly.
#[derive(Debug, Clone)]
pub struct KnownGood {
    /// The task.
    pub task: Arc<Task>,
    /// What its fields name.
    pub inputs: Vec<Input>,
    pub(super) took: Duration,
    at: Instant,
}

/// A task for checks in a form for files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedTask {
    task: Task,
    took: Duration,
}

impl KnownGood {
    /// A task that succeeded within that time.
    pub fn new(task: &Arc<Task>, inputs: Vec<Input>, took: Duration) -> Self {
        Self { task: Arc::clone(task), inputs, took, at: Instant::now() }
    }

    /// The one that the previous process kept.
    pub(super) fn restored(SavedTask { task, took }: SavedTask) -> Self {
        Self::new(&Arc::new(task), Vec::new(), took)
    }

    /// For the next process of the worker. `None` for a task that is large or has inputs.
    pub fn saved(&self) -> Option<SavedTask> {
        let is_short = || serde_json::to_vec(&*self.task).is_ok_and(|json| json.len() <= MAX_SAVED_BYTES);
        let is_kept = self.inputs.is_empty() && is_short();
        is_kept.then(|| SavedTask { task: Task::clone(&self.task), took: self.took })
    }

    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.took <= other.took || self.at.duration_since(other.at) > PREFERRED_FOR
    }

    pub(super) fn is_small(&self) -> bool {
        self.inputs.iter().map(|input| input.bytes.len()).sum::<usize>() <= MAX_INPUT_BYTES
    }
}
