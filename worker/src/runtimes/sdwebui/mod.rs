//! SD WebUI: AUTOMATIC1111 and what speaks its API (Forge, SD.Next).
//!
//! Its runs have no ids, so nothing can be asked or told about one of them, and none is found again: [`line`] says how
//! runs are kept apart all the same.

mod access;
mod address;
mod client;
mod line;
mod models;
mod progress;
#[cfg(test)]
mod recordings;
mod refusal;
mod request;
mod response;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use shared_schema::ErrorCode;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::client::Client;
use self::line::{Call, Line};
use self::models::{Models, Prepared};
use super::{Job, RunHandle, RunOutput, Runtime, RuntimeOptions};
use crate::error::TaskError;
pub use address::DEFAULT_ADDRESS;
pub use response::failure_report;

/// The name in `RUNTIME_TYPE`.
pub const NAME: &str = "sdwebui";

/// How long setting the options to what they are may take.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// How long freeing memory may take: the run that was posted meanwhile ends before, and a model is loaded.
const FREE_PATIENCE: Duration = Duration::from_secs(300);

/// Makes the client side of the server at `API_BASE_URL`. Connects to nothing yet.
pub fn connect(options: &RuntimeOptions) -> Result<Arc<dyn Runtime>, String> {
    let client = Arc::new(Client::new(options)?);
    let line = Arc::new(Line::new(Arc::clone(&client), options.stuck_after));
    Ok(Arc::new(SdWebUi { client, models: Models::new(options.dynamic_model), line }))
}

struct SdWebUi {
    client: Arc<Client>,
    models: Models,
    line: Arc<Line>,
}

#[async_trait]
impl Runtime for SdWebUi {
    async fn ready(&self) -> Result<(), TaskError> {
        // The page at `/` is up before the API is.
        progress::answers(&self.client).await?;
        if models::loaded(&self.client.get("options").await?).is_some() {
            return Ok(());
        }
        match self.client.get("sd-models").await? {
            Value::Array(models) if !models.is_empty() => Ok(()),
            _ => Err(TaskError::new(ErrorCode::RuntimeUnavailable, "the runtime has no model yet")),
        }
    }

    async fn settle(&self) -> Result<(), TaskError> {
        let settling = async {
            // The options of a server that works hold the overrides of its run.
            let _alone = self.models.access.alone().await;
            let options = self.client.get("options").await?;
            self.models.remember(&options);
            let pinned = Value::Object(settings::to_pin(&options));
            self.client.set_options(&pinned).await?.accepted("options").map(drop)
        };
        timeout(SETTLE_PATIENCE, settling).await.unwrap_or_else(|_| {
            let message = "the runtime does not take its settings in time";
            Err(TaskError::new(ErrorCode::RuntimeUnavailable, message))
        })
    }

    async fn clear(&self, _keep: &[RunHandle]) -> Result<bool, TaskError> {
        self.line.clear().await
    }

    async fn run(&self, job: Job) -> Result<RunOutput, TaskError> {
        let request = request::build(&job.task, &job.inputs)?;
        let preparing = self.models.prepare(&self.client, &request);
        let Prepared { using, model } = unless_stopped(&job.stop, preparing).await??;
        let (path, body) = (request.endpoint.path(), request.body.clone());
        let call = Call { path, body, using, stop: job.stop, progress: job.progress };
        let answer = self.line.make(call).await?;
        let generation = response::read(answer, &request, &job.task.metadata.id)?;
        models::check_that_ran(model.as_deref(), generation.model.as_deref())?;
        Ok(generation.output)
    }

    async fn free_memory(&self) {
        let freeing = async {
            let _alone = self.models.access.alone().await;
            for command in ["unload-checkpoint", "reload-checkpoint"] {
                // Servers without the command free what they can by themselves.
                if let Err(error) = self.client.command(command).await {
                    tracing::warn!(%error, "the runtime does not free its memory");
                }
            }
        };
        if timeout(FREE_PATIENCE, freeing).await.is_err() {
            tracing::warn!("the runtime does not free its memory in time");
        }
    }
}

/// Waits for the future unless the run is stopped first. A model that is being loaded then goes on loading: nothing
/// interrupts that, and the next run looks which one is there.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    future: impl Future<Output = T>,
) -> Result<T, TaskError> {
    stop.run_until_cancelled(future).await.ok_or_else(interrupted)
}

fn interrupted() -> TaskError {
    TaskError::new(ErrorCode::Interrupted, "the run was interrupted by the worker")
}
