//! What all tasks of one worker share: configuration, clients, and state that outlives a task. The state of one task's
//! processing is a [`crate::steps::Attempt`].

use std::sync::Arc;

use shared_schema::{Contract, ErrorCode, Registry, RuntimeName};
use task_traces::Traces;
use tokio_util::sync::CancellationToken;

use crate::breaker::Breaker;
use crate::claims::{Claim, Claims, Recovered};
use crate::cloud::Cloud;
use crate::config::Config;
use crate::health::HealthState;
use crate::inputs::fetch::Fetcher;
use crate::pipeline::Pipeline;
use crate::runtimes::Runtime;
use crate::scratch::Scratch;
use crate::steps::in_flight::InFlight;
use crate::steps::results::Results;
use crate::supervisor::Error;

/// The dependencies of every step.
pub(crate) struct Worker {
    /// The environment variables, parsed.
    pub(crate) config: Config,
    /// Queue, bucket and topic.
    pub(crate) cloud: Cloud,
    /// Records the spans of tasks.
    pub(crate) traces: Traces,
    /// Stores results and publishes notifications.
    pub(crate) results: Results,
    /// The runtime's client.
    pub(crate) runtime: Arc<dyn Runtime>,
    /// The folder that the runtime writes to, if the worker may delete its files.
    pub(crate) scratch: Option<Scratch>,
    /// The validation rules for tasks.
    pub(crate) contract: Contract,
    /// Fetches inputs: nothing else connects to an address that a caller chose.
    pub(crate) fetcher: Fetcher,
    /// The stages that tasks pass through, and their permits.
    pub(crate) pipeline: Pipeline,
    /// The state behind probes and metrics.
    pub(crate) health: Arc<HealthState>,
    /// The submissions that are being processed.
    pub(crate) in_flight: InFlight,
    /// The circuit breaker of the runtime.
    pub(crate) breaker: Breaker,
    /// The messages that the worker holds, in a file for the next process.
    pub(crate) claims: Claims,
    /// Cancelled when graceful shutdown starts.
    pub(crate) stopping: CancellationToken,
    /// Cancelled during shutdown before a message is released, so that this worker does not receive it again.
    pub(crate) giving_back: CancellationToken,
}

impl Worker {
    /// A worker, and the claims of the previous process.
    ///
    /// # Errors
    /// If the runtime's client cannot be created, or `STATE_FILE` or `SCRATCH_FOLDER` cannot be used.
    pub(crate) fn new(
        config: Config,
        cloud: Cloud,
        traces: Traces,
        stopping: CancellationToken,
    ) -> Result<(Arc<Self>, Vec<Claim>), Error> {
        let runtime = (config.runtime_type.connect)(&config.runtime).map_err(Error::Runtime)?;
        let (claims, recovered) = match &config.state_file {
            Some(path) => Claims::open(path, config.host_name.clone()).map_err(Error::StateFile)?,
            None => (Claims::default(), Recovered::default()),
        };
        let scratch = match &config.scratch_folder {
            Some(path) => {
                let (limit, leavings) = (config.scratch_limit_bytes, &config.runtime_type.leavings);
                Some(Scratch::open(path, limit, leavings).map_err(Error::ScratchFolder)?)
            }
            None => None,
        };
        let worker = Self {
            health: HealthState::new(
                &config.runtime_name,
                config.gpu_usd_per_hour,
                config.cloudwatch.is_some(),
            ),
            results: Results::new(&cloud, RuntimeName::new(&config.runtime_name)),
            fetcher: Fetcher::new(&config, cloud.store.clone()),
            pipeline: Pipeline::new(config.worker_concurrency, config.staged_timeout()),
            contract: Contract::new(Registry::default().with_runtime_type(config.runtime_type.name()))
                .with_node_rules(config.node_rules.clone())
                .with_allowed_settings(config.runtime.settings_allowed.clone())
                .with_allowed_scripts(config.scripts_allowed.clone())
                .with_limits(config.limits()),
            config,
            cloud,
            traces,
            runtime,
            scratch,
            in_flight: InFlight::default(),
            breaker: Breaker::new(recovered.broken, recovered.succeeded),
            claims,
            stopping,
            giving_back: CancellationToken::new(),
        };
        if worker.breaker.broken().is_some() {
            worker.health.set_runtime(Err(ErrorCode::RuntimeBroken.as_str()));
        }
        Ok((Arc::new(worker), recovered.claims))
    }

    /// Completes shortly before the grace period is over; never without a shutdown.
    pub(crate) async fn shutdown_deadline(&self) {
        self.stopping.cancelled().await;
        tokio::time::sleep(self.config.shutdown_deadline()).await;
    }
}
