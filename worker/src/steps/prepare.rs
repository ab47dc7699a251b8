//! Fetches the inputs that a task names, before its runtime is asked to do anything.

use shared_schema::Task;

use super::Worker;
use crate::error::TaskError;
use crate::inputs::{Input, enlarged};

impl Worker {
    /// All inputs of a task, in the order of their fields. An input that cannot be had fails the task: its address
    /// never reaches the runtime. Nor may it become larger than a task may ask for.
    pub(super) async fn prepare(&self, task: &Task) -> Result<Vec<Input>, TaskError> {
        let contract = self.config.runtime_type.contract;
        let fields = contract.media_fields(task.metadata.tasktype, &task.content);
        let inputs = self.fetcher.fetch_all(&fields).await?;
        if let Some(enlargement) = contract.enlargement(task.metadata.tasktype, &task.content) {
            let max_pixels = self.config.max_pixels;
            inputs.iter().try_for_each(|input| enlarged::check(input, enlargement, max_pixels))?;
        }
        self.health.metrics().bytes_in(inputs.iter().map(|input| input.bytes.len() as u64).sum());
        Ok(inputs)
    }
}
