//! Servers with OpenAI's Images API: vLLM-Omni, SGLang Diffusion, LocalAI, stable-diffusion.cpp, NVIDIA Dynamo.
//!
//! A call is one run: it has no id, reports no progress, and nothing interrupts it. Hence one call at a time, and a call that
//! has to be left is followed until the server has answered it ([`LeftRun`]).

mod client;
mod error_body;
mod request;
mod response;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use shared_schema::{ErrorCode, TaskId};
use task_traces::span::in_current_span;
use tokio::sync::Mutex;
use tracing::Instrument;

use self::client::{Answer, Client};
use self::request::Request;
use super::interrupt::{interrupted, unless_stopped};
use super::left_run::LeftRun;
use super::poll_schedule::PollSchedule;
use super::{Job, Leavings, Process, Progress, RunHandle, RunOutput, Runtime, RuntimeOptions, address};
use crate::error::TaskError;

/// The address of the container image.
pub const DEFAULT_ADDRESS: &str = "http://localhost:8080/v1/";

/// Images come in its answers. What a server keeps beside them, it keeps without the worker.
pub const LEAVINGS: Leavings = Leavings { roots: &[], run_folder: "", disposable: &[] };

/// Validates the address.
pub fn check_options(options: &RuntimeOptions) -> Result<(), String> {
    address::parse(options.api_base_url.as_deref(), DEFAULT_ADDRESS).map(drop)
}

/// Makes the client side of the server at `API_BASE_URL`. Connects to nothing yet.
pub fn connect(options: &RuntimeOptions) -> Result<Arc<dyn Runtime>, String> {
    Ok(Arc::new(OpenAiImages {
        client: Arc::new(Client::new(options)?),
        turn: Arc::default(),
        left: LeftRun::new(options.uninterruptible_run, options.stuck_after),
        stuck_after: options.stuck_after,
    }))
}

struct OpenAiImages {
    client: Arc<Client>,
    /// Held until the server has answered the call.
    turn: Arc<Mutex<()>>,
    left: LeftRun,
    stuck_after: Duration,
}

#[async_trait]
impl Runtime for OpenAiImages {
    async fn ready(&self) -> Result<(), TaskError> {
        self.client.ready().await?;
        self.left.check()
    }

    /// What another process left there cannot be seen.
    async fn interrupt_orphans(&self, _keep: &[RunHandle]) -> Result<bool, TaskError> {
        Ok(self.left.check().is_ok())
    }

    async fn run(&self, job: Job) -> Result<RunOutput, TaskError> {
        let request = Request::new(&job.task, &job.inputs);
        let turn = Arc::clone(&self.turn).lock_owned();
        let turn = job.stop.run_until_cancelled(turn).await.ok_or_else(interrupted)?;

        // A task of its own: the call keeps its turn until the server has answered, even after the run was stopped.
        let (client, sent) = (Arc::clone(&self.client), request.clone());
        let call = async move {
            let _turn = turn;
            client.generate(&sent).await
        };
        let mut call = tokio::spawn(in_current_span(call).in_current_span());
        let answer = tokio::select! {
            biased;
            answer = &mut call => answer.map_err(|_| interrupted())??,
            () = job.stop.cancelled() => {
                let still_running = self.left.begin();
                tokio::spawn(async move {
                    // Whatever the answer is, it is over.
                    call.await.ok();
                    drop(still_running);
                });
                let message = "the run was stopped by the worker, but the runtime cannot interrupt it";
                return Err(TaskError::new(ErrorCode::RuntimeStuck, message));
            }
            never = self.watch(&job.progress) => match never {},
        };
        unless_stopped(&job.stop, self.read(answer, &request)).await
    }

    async fn process(&self, _run: Option<&RunHandle>) -> Process {
        if self.client.is_gone().await { Process::Gone } else { Process::Same }
    }

    /// These servers have no call for it.
    async fn free_memory(&self) {}
}

impl OpenAiImages {
    /// The server reports no progress: that it answers is the sign of life.
    async fn watch(&self, progress: &Progress) -> Infallible {
        let schedule = PollSchedule::new(self.stuck_after);
        loop {
            schedule.wait().await;
            if self.client.ready().await.is_ok() {
                progress.heartbeat();
            }
        }
    }

    async fn read(&self, answer: Answer, request: &Request) -> Result<RunOutput, TaskError> {
        if answer.is_not_served() {
            return Err(self.not_served(request.endpoint).await);
        }
        response::read(&self.client, answer, request).await
    }

    /// Why a call has found no endpoint: the server does not have it, or has no API at all (yet).
    async fn not_served(&self, endpoint: &str) -> TaskError {
        let message = format!("the runtime does not serve `POST /v1/{endpoint}`");
        match self.client.ready().await {
            Ok(()) => {
                let message = format!("{message}, which tasks of this type need; send them to another one");
                TaskError::new(ErrorCode::UnsupportedTaskType, message).at_field("/metadata/tasktype")
            }
            Err(error) => {
                TaskError::new(ErrorCode::RuntimeUnavailable, format!("{message}: {}", error.message))
            }
        }
    }
}

/// The `.out` file of a task that failed.
pub fn failure_report(_id: &TaskId, error: &TaskError, attempts: u32) -> Value {
    json!({ "error": error.failure(attempts), "reason": error.reason })
}
