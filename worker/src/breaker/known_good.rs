//! The task that a runtime is checked with: one that succeeded before.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_schema::Task;
use tokio::time::Instant;

use crate::inputs::Input;

/// A task is kept for checks only if its inputs have no more bytes.
const KEPT_BYTES: usize = 8 << 20;

/// A task that is kept for checks gives way to a slower one after this long: what it needs may be gone by then.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// A task is kept in a file for the checks of the next process only if its JSON is no longer.
pub(super) const FILED_BYTES: usize = 16 << 10;

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
pub struct FiledTask {
    task: Task,
    took: Duration,
}

impl KnownGood {
    /// A task that succeeded within that time.
    pub fn new(task: &Arc<Task>, inputs: Vec<Input>, took: Duration) -> Self {
        Self { task: Arc::clone(task), inputs, took, at: Instant::now() }
    }

    /// The one that a former process of the worker kept.
    pub(super) fn restored(FiledTask { task, took }: FiledTask) -> Self {
        Self::new(&Arc::new(task), Vec::new(), took)
    }

    /// For the next process of the worker. `None` for a task that is large or has inputs.
    pub fn filed(&self) -> Option<FiledTask> {
        let is_short = || serde_json::to_vec(&*self.task).is_ok_and(|json| json.len() <= FILED_BYTES);
        let is_kept = self.inputs.is_empty() && is_short();
        is_kept.then(|| FiledTask { task: Task::clone(&self.task), took: self.took })
    }

    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.took <= other.took || self.at.duration_since(other.at) > KEPT_FOR
    }

    pub(super) fn is_small(&self) -> bool {
        self.inputs.iter().map(|input| input.bytes.len()).sum::<usize>() <= KEPT_BYTES
    }
}
