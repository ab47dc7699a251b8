//! Fetches the inputs that a task names, before its runtime is asked to do anything.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared_schema::{ErrorCode, Task, content};

use super::Worker;
use crate::error::TaskError;
use crate::inputs::Input;

/// How many inputs of one task are fetched at once.
const FETCHES: usize = 4;

impl Worker {
    /// All inputs of a task, in the order of their fields. An input that cannot be had fails the task: its address
    /// never reaches the runtime.
    pub(super) async fn prepare(&self, task: &Task) -> Result<Vec<Input>, TaskError> {
        let fields = content::media_fields(task.metadata.tasktype, &task.content);
        let max_bytes = self.config.max_task_bytes;
        let fetches: Vec<_> = fields.iter().map(|field| self.fetcher.fetch(field, max_bytes)).collect();
        let inputs: Vec<Input> = stream::iter(fetches).buffered(FETCHES).try_collect().await?;
        let total: u64 = inputs.iter().map(|input| input.bytes.len() as u64).sum();
        if total > max_bytes {
            let message = format!("the inputs have {total} bytes together, more than {max_bytes}");
            return Err(TaskError::new(ErrorCode::InputTooLarge, message));
        }
        self.vitals.metrics().bytes_in(total);
        Ok(inputs)
    }
}
