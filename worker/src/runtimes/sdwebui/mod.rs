//! SD WebUI: AUTOMATIC1111 and what speaks its API (Forge, SD.Next).
//!
//! Its jobs have no ids, so whoever interrupts hits whatever runs. Hence one call at a time, and the worker remembers
//! that it interrupted: the server answers an interrupted call with success and an unfinished image.

mod address;
mod client;
mod models;
#[cfg(test)]
mod recordings;
mod refusal;
mod request;
mod response;
mod settings;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use shared_schema::ErrorCode;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::client::{Answer, Client};
use self::models::Models;
use self::request::Request;
use super::{Job, RunHandle, RunOutput, Runtime, RuntimeOptions};
use crate::error::TaskError;
pub use response::failure_report;

/// The name in `RUNTIME_TYPE`.
pub const NAME: &str = "sdwebui";

/// How long an interrupted run is waited for. It ends at the next sampling step, or when the decoding of its image does.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two interrupts. A run that is only about to begin forgets the first.
const INTERRUPT_PERIOD: Duration = Duration::from_millis(500);

/// How long setting the options to what they are may take.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// Makes the client side of the server at `API_BASE_URL`. Connects to nothing yet.
pub fn connect(options: &RuntimeOptions) -> Result<Arc<dyn Runtime>, String> {
    let client = Client::new(options)?;
    Ok(Arc::new(SdWebUi { client, models: Models::new(options.dynamic_model), turn: Mutex::new(()) }))
}

struct SdWebUi {
    client: Client,
    models: Models,
    /// Held by the one run that uses the server.
    turn: Mutex<()>,
}

#[async_trait]
impl Runtime for SdWebUi {
    async fn ready(&self) -> Result<(), TaskError> {
        // The page at `/` is up before the API is.
        self.client.get("progress?skip_current_image=true").await?;
        if models::loaded(&self.client.get("options").await?).is_some() {
            return Ok(());
        }
        match self.client.get("sd-models").await? {
            Value::Array(models) if !models.is_empty() => Ok(()),
            _ => Err(TaskError::new(ErrorCode::RuntimeUnavailable, "the runtime has no model yet")),
        }
    }

    async fn settle(&self) -> Result<(), TaskError> {
        let options = self.client.get("options").await?;
        self.models.remember(&options);
        let pinned = Value::Object(settings::to_pin(&options));
        let answer = timeout(SETTLE_PATIENCE, self.client.set_options(&pinned)).await.map_err(|_| {
            TaskError::new(ErrorCode::RuntimeUnavailable, "the runtime does not take its settings in time")
        })?;
        answer?.accepted("options").map(drop)
    }

    async fn run(&self, job: Job) -> Result<RunOutput, TaskError> {
        let request = request::build(&job.task, &job.inputs)?;
        let turn = unless_stopped(&job.stop, self.turn.lock()).await?;
        let model = unless_stopped(&job.stop, self.models.prepare(&self.client, &request)).await??;
        let answer = self.generate(&request, &job.stop).await?;
        drop(turn);
        let generation = response::read(answer, &request, &job.task.metadata.id)?;
        models::check_that_ran(model.as_deref(), generation.model.as_deref())?;
        Ok(generation.output)
    }

    async fn clear(&self, _keep: &[RunHandle]) -> Result<bool, TaskError> {
        Ok(true)
    }

    async fn free_memory(&self) {}
}

impl SdWebUi {
    /// Makes the call, once. Servers go on with a call whose client has gone: a future that is merely dropped leaves the
    /// generation running, only `stop` ends it.
    async fn generate(&self, request: &Request, stop: &CancellationToken) -> Result<Answer, TaskError> {
        let mut call = pin!(self.client.generate(request.endpoint.path(), request.body.to_string().into()));
        let answer = tokio::select! {
            biased;
            answer = &mut call => answer,
            () = stop.cancelled() => {
                self.interrupt(call).await;
                return Err(interrupted());
            }
        };
        if answer.as_ref().is_err_and(|error| error.code == ErrorCode::RuntimeUnavailable) {
            // The call may go on without its connection, and the next would wait behind it.
            self.client.interrupt().await.ok();
        }
        answer
    }

    /// Interrupts the call until it returns. What it returns is unfinished, whatever its status says.
    async fn interrupt(&self, mut call: impl Future<Output = Result<Answer, TaskError>> + Unpin) {
        let begun = Instant::now();
        while begun.elapsed() < INTERRUPT_PATIENCE {
            // Each is waited for: one that is still on its way when the call returns would hit the next run.
            if let Err(error) = self.client.interrupt().await {
                tracing::warn!(%error, "cannot interrupt the runtime");
            }
            tokio::select! {
                _ = &mut call => return,
                () = sleep(INTERRUPT_PERIOD) => {}
            }
        }
        tracing::warn!("the runtime does not stop; the next run may wait behind this one");
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
