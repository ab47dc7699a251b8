//! The life cycle of the worker: recover the state of the previous process, keep the runtime ready, receive, shut down gracefully.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::keys;
use task_traces::Traces;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::cloud::Cloud;
use crate::cloud::store::ReadError;
use crate::config::Config;
use crate::health::{self, PortError};
use crate::pod::{PodAnnotations, PodError};
use crate::worker::Worker;

/// How long the process waits for the export of its last spans and metrics.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a worker does not start. Another start with the same configuration fails for the same reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client of the runtime can be created from the configuration.
    #[error("the client of the runtime cannot be created: {0}")]
    Runtime(String),
    /// `STATE_FILE` cannot be created, or another process has locked it.
    #[error("STATE_FILE cannot be used: {0}")]
    StateFile(io::Error),
    /// `SCRATCH_FOLDER` cannot be opened.
    #[error("SCRATCH_FOLDER cannot be used: {0}")]
    ScratchFolder(io::Error),
    /// The port of probes and metrics cannot be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// `MARK_POD` is set where the Kubernetes API cannot be used.
    #[error(transparent)]
    Pod(#[from] PodError),
}

/// Runs a worker until `stopping` is cancelled and every task that it holds is completed or released.
///
/// # Errors
/// If the worker cannot start: [`Error`]. Once it has started, nothing but `stopping` stops it.
#[tracing::instrument(name = "worker", level = "error", skip_all, fields(runtime = %config.runtime_name))]
pub async fn run(
    config: Config,
    cloud: Cloud,
    traces: Traces,
    stopping: CancellationToken,
) -> Result<(), Error> {
    let started = Instant::now();
    let (worker, recovered) = Worker::new(config, cloud, traces, stopping)?;
    let _port = health::serve(worker.config.health_listen, Arc::clone(&worker.health)).await?;
    let annotations = PodAnnotations::start(&worker.config, worker.health.tasks_inside())?;
    let mut tasks = JoinSet::new();
    worker.recover(recovered, &mut tasks);
    let keeping_ready = in_background(Arc::clone(&worker).keep_ready(started));
    let logging = in_background(Arc::clone(&worker).log_disabled_features());
    let reported = CancellationToken::new();
    let reporting = in_background(Arc::clone(&worker).report_metrics(reported.clone()));

    let last_poll = worker.receive(&mut tasks).await;
    worker.health.set_stopping();
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        () = worker.release_last(last_poll) => while tasks.join_next().await.is_some() {},
    }
    drop((keeping_ready, logging));
    reported.cancel();
    let reporting = timeout(FLUSH_TIMEOUT, reporting);
    let _ = tokio::join!(annotations.remove(), worker.traces.shut_down(FLUSH_TIMEOUT), reporting);
    tracing::info!(runtime = %worker.config.runtime_name, "stopped");
    Ok(())
}

/// Runs until the handle is dropped; its log lines name the worker's runtime.
fn in_background(work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work.in_current_span()))
}

impl Worker {
    /// Logs once which optional features the worker's role or configuration disables.
    async fn log_disabled_features(self: Arc<Self>) {
        let store = &self.cloud.store;
        // The object does not exist; the answer shows whether the role may read.
        if let Err(ReadError::Cloud(error)) = store.read(store.bucket(), keys::PROBE, 1).await
            && error.is_denied()
        {
            tracing::warn!(
                bucket = store.bucket(),
                "s3:GetObject or s3:ListBucket is not allowed: presigned urls may not open, a redelivered task runs again, \
                 a released task counts as attempted"
            );
        }
        if self.config.state_file.is_none() {
            tracing::info!("no state file: a restarted worker does not adopt its runs");
        }
        if self.scratch.is_none() && !self.config.runtime_type.leavings.roots.is_empty() {
            tracing::info!(
                "no scratch folder: the runtime's files are not deleted, and free space is not monitored"
            );
        }
    }
}
