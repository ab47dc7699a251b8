//! Fetches the inputs that a task names, before the runtime gets anything of it.

use shared_schema::Task;

use super::{Attempt, AttemptError, assets};
use crate::error::TaskError;
use crate::inputs::{Input, enlarged};
use crate::spans;

impl Attempt<'_> {
    /// All inputs of a task, in the order of their fields. An input that cannot be fetched fails the task: its address
    /// never reaches the runtime. Nor may it become larger than a task may ask for.
    pub(super) async fn prepare(&self, task: &Task) -> Result<Vec<Input>, AttemptError> {
        let span = spans::PREPARE.start();
        let fetching = span.within(self.fetch_inputs(task));
        let prepared = self.hold(self.worker.unless_stopping(fetching)).await;
        span.result(&prepared, AttemptError::code);
        prepared
    }

    async fn fetch_inputs(&self, task: &Task) -> Result<Vec<Input>, TaskError> {
        let config = &self.worker.config;
        let contract = config.runtime_type.contract;
        let fields = assets::media_fields(contract, task, self.worker.cloud.store.bucket())?;
        let inputs = self.worker.fetcher.fetch_all(&fields, &task.metadata.assets).await?;
        if let Some(enlargement) = contract.enlargement(task.metadata.tasktype, &task.content) {
            inputs.iter().try_for_each(|input| enlarged::check(input, enlargement, config.max_pixels))?;
        }
        let bytes = inputs.iter().map(|input| input.bytes.len() as u64).sum();
        self.worker.health.metrics().bytes_in(bytes);
        Ok(inputs)
    }
}
