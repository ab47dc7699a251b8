//! SD WebUI: AUTOMATIC1111 and what speaks its API (Forge, Forge Neo, reForge, SD.Next, stable-diffusion.cpp).
//!
//! Its runs have no ids, so none can be queried, interrupted or found again one by one: `call_queue` documents how
//! runs are separated all the same. Servers silently ignore most of what they do not have or know: `names` and
//! `control_nets` check first, `replaced`, `ignored` and `image_count` compare afterwards.

mod access;
mod call_queue;
mod client;
mod control_nets;
mod encoding;
mod error_body;
mod ignored;
mod image_count;
mod models;
mod names;
mod progress;
#[cfg(test)]
mod recordings;
mod replaced;
mod request;
mod response;
mod server;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use shared_schema::ErrorCode;
use shared_schema::runtimes::sdwebui as contract;
use tokio::time::timeout;

use self::call_queue::{Call, CallQueue, Completed};
use self::client::Client;
use self::encoding::Encoding;
use self::models::{Models, Prepared};
use self::server::Server;
use super::interrupt::unless_stopped;
use super::{Job, Leavings, Process, RunHandle, RunOutput, Runtime, RuntimeOptions, address};
use crate::error::TaskError;

/// The address that predecessors' deployments rely on when they set none.
pub const DEFAULT_ADDRESS: &str = "http://localhost:8080/sdapi/v1/";
pub use response::failure_report;

/// It is asked to save nothing: images come in its answers.
pub const LEAVINGS: Leavings = Leavings { roots: &[], run_folder: "", disposable: &[] };

/// How long setting the options to what they are may take.
const PIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long freeing memory may take: the run that was posted meanwhile ends before, and a model is loaded.
const FREE_TIMEOUT: Duration = Duration::from_secs(300);

/// Validates the options without a client.
pub fn check_options(options: &RuntimeOptions) -> Result<(), String> {
    if let Some(name) = options.settings_allowed.iter().find(|name| !contract::may_be_allowed(name)) {
        return Err(format!("SETTINGS_ALLOWED: `{name}` leads to files or addresses, which no task may set"));
    }
    address::parse(options.api_base_url.as_deref(), DEFAULT_ADDRESS).map(drop)
}

/// Makes the client side of the server at `API_BASE_URL`. Connects to nothing yet.
pub fn connect(options: &RuntimeOptions) -> Result<Arc<dyn Runtime>, String> {
    let client = Arc::new(Client::new(options)?);
    let calls = Arc::new(CallQueue::new(Arc::clone(&client), options.stuck_after));
    let settings_allowed = options.settings_allowed.clone();
    let (models, server) = (Models::new(options.dynamic_model), Server::default());
    Ok(Arc::new(SdWebUi { client, models, server, encoding: Encoding::default(), settings_allowed, calls }))
}

struct SdWebUi {
    client: Arc<Client>,
    models: Models,
    server: Server,
    encoding: Encoding,
    settings_allowed: Vec<String>,
    calls: Arc<CallQueue>,
}

#[async_trait]
impl Runtime for SdWebUi {
    async fn ready(&self) -> Result<(), TaskError> {
        // The page at `/` is up before the API is.
        let options = self.client.get_if_served("options").await?;
        if options.as_ref().and_then(models::loaded).is_some() {
            return Ok(());
        }
        let message = match (self.client.get_if_served("sd-models").await?, options) {
            (Some(Value::Array(models)), _) if !models.is_empty() => return Ok(()),
            (None, None) => {
                "the runtime serves neither `GET /sdapi/v1/options` nor `GET /sdapi/v1/sd-models`: its API is not up yet, \
                 or it was started without `--api`"
            }
            _ => "the runtime has no model yet",
        };
        Err(TaskError::new(ErrorCode::RuntimeUnavailable, message))
    }

    async fn pin_settings(&self) -> Result<(), TaskError> {
        let settling = async {
            // The options of a server that works hold the overrides of its run.
            let _alone = self.models.access.lock_exclusive().await;
            self.server.forget();
            let Some(options) = self.client.get_if_served("options").await? else { return Ok(()) };
            self.models.remember(&options);
            self.server.learn(&options);
            self.encoding.remember(&options);
            let mut pinned = settings::to_pin(&options, &self.settings_allowed);
            pinned.extend(self.encoding.remembered());
            let pinned = Value::Object(pinned);
            let answer = self.client.set_options(&pinned).await?;
            if answer.is_not_served() {
                tracing::info!("the runtime has no options to set");
                return Ok(());
            }
            answer.accepted("POST", "options").map(drop)
        };
        timeout(PIN_TIMEOUT, settling).await.unwrap_or_else(|_| {
            let message = "the runtime does not take its settings in time";
            Err(TaskError::new(ErrorCode::RuntimeUnavailable, message))
        })
    }

    async fn interrupt_orphans(&self, _keep: &[RunHandle]) -> Result<bool, TaskError> {
        self.calls.interrupt_orphans().await
    }

    async fn run(&self, job: Job) -> Result<RunOutput, TaskError> {
        let mut request = request::build(&job.task, &job.inputs)?;
        let preparing = async {
            names::resolve(&self.client, &self.server, &mut request).await?;
            self.models.prepare(&self.client, &self.server, &mut request).await
        };
        // A model that is being loaded then continues to load: nothing interrupts that, and the next run checks which one is loaded.
        let Prepared { guard, model } = unless_stopped(&job.stop, preparing).await?;
        let around = self.encoding.around(&self.client, &request).await?;
        if let Some(around) = &around {
            job.handles.send(around.handle()).ok();
        }
        let (path, body) = (request.endpoint.path(), request.body());
        let has_batches = image_count::batches(&request) > 1;
        let call = Call { path, body, guard, around, has_batches, stop: job.stop, progress: job.progress };
        let Completed { answer, cut_short } = self.calls.submit(call).await?;
        if answer.is_not_served() {
            return Err(self.not_served(path).await);
        }
        let can_be_cut_short = cut_short.can_be_seen();
        let mut generation = response::read(answer, &request, &job.task.metadata.id, can_be_cut_short)?;
        if cut_short.holds(generation.began.as_deref()) {
            return Err(self::cut_short());
        }
        models::check_that_ran(model.as_deref(), generation.model.as_deref())?;
        generation.output.warnings.extend(ignored::warnings(&self.client, &self.server, &request).await);
        Ok(generation.output)
    }

    async fn adopt(&self, _job: Job, handle: &RunHandle) -> Option<Result<RunOutput, TaskError>> {
        // The run is not found again, but what was set for it is set back.
        self.encoding.recover(&self.client, handle).await;
        None
    }

    async fn process(&self, _run: Option<&RunHandle>) -> Process {
        progress::process(&self.client).await
    }

    async fn free_memory(&self) {
        let freeing = async {
            let _alone = self.models.access.lock_exclusive().await;
            for command in ["unload-checkpoint", "reload-checkpoint"] {
                match self.client.command(command).await {
                    Ok(true) => {}
                    // Such servers free what they can by themselves: Forge Neo loads the model again before it runs it.
                    Ok(false) => tracing::debug!(command, "the runtime does not have the command"),
                    Err(error) => tracing::warn!(%error, "freeing the runtime's memory failed"),
                }
            }
        };
        if timeout(FREE_TIMEOUT, freeing).await.is_err() {
            tracing::warn!("freeing the runtime's memory timed out");
        }
    }
}

impl SdWebUi {
    /// Why a generation has found no endpoint: the server does not have it, or has no API at all (yet).
    async fn not_served(&self, path: &str) -> TaskError {
        match self.ready().await {
            Ok(()) => {
                let message = format!(
                    "the runtime does not serve `POST /sdapi/v1/{path}`, which tasks of this type need; send them to another one"
                );
                TaskError::new(ErrorCode::UnsupportedTaskType, message).at_field("/metadata/tasktype")
            }
            Err(error) => {
                let message =
                    format!("the runtime does not serve `POST /sdapi/v1/{path}`: {}", error.message);
                TaskError::new(ErrorCode::RuntimeUnavailable, message)
            }
        }
    }
}

/// Somebody else interrupted the run.
fn cut_short() -> TaskError {
    let message =
        "the run was interrupted or skipped in the runtime by somebody else; its images are unfinished";
    TaskError::new(ErrorCode::Interrupted, message)
}
