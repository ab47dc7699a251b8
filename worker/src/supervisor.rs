//! The worker's life: wait for the runtime, receive, work, until told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::{Contract, ErrorCode, Registry, keys};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cloud::Cloud;
use crate::cloud::store::ReadError;
use crate::config::Config;
use crate::health::{self, Vitals};
use crate::inputs::fetch::Fetcher;
use crate::pod::Pod;
use crate::retry;
use crate::runtimes::Runtime;
use crate::steps::Worker;

/// How often the runtime is probed until it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// Runs a worker until `stopping` is cancelled and the task at hand has ended or is given back.
pub async fn run(config: Config, cloud: Cloud, stopping: CancellationToken) -> anyhow::Result<()> {
    let started = Instant::now();
    let vitals = Vitals::new(&config.runtime_name);
    let _port = health::serve(config.health_listen, vitals.clone()).await?;
    let (busy, is_busy) = watch::channel(false);
    let marking = Pod::of(&config)?.map(|pod| tokio::spawn(pod.keep_marked(is_busy)));
    let runtime = (config.runtime_type.connect)(&config.runtime).map_err(anyhow::Error::msg)?;
    let fetcher = Fetcher::new(&config, cloud.store.clone());
    let contract = Contract::new(Registry::default());
    let worker = Worker { config, cloud, runtime, contract, fetcher, stopping };

    if worker.wait_until_ready().await {
        tracing::info!(
            runtime = %worker.config.runtime_name,
            runtime_type = worker.config.runtime_type.name,
            startup_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "ready"
        );
        vitals.ready(true);
        let stopped = async {
            worker.stopping.cancelled().await;
            vitals.stopping();
        };
        let telling = worker.stopping.run_until_cancelled(worker.say_what_is_switched_off());
        tokio::join!(telling, stopped, worker.receive_and_work(&busy));
    }
    drop(busy);
    if let Some(marking) = marking {
        marking.await?;
    }
    tracing::info!(runtime = %worker.config.runtime_name, "stopped");
    Ok(())
}

impl Worker {
    /// Probes until the runtime can take a job. `false` when the worker is to stop instead.
    async fn wait_until_ready(&self) -> bool {
        let ready = async {
            let mut last = None;
            while let Err(code) = settled(&self.runtime).await {
                if last.replace(code) != Some(code) {
                    tracing::info!(runtime = %self.config.runtime_name, error.code = %code, "waiting for the runtime");
                }
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
        };
        self.stopping.run_until_cancelled(ready).await.is_some()
    }

    /// Says once what the worker's role does not allow, beyond what it cannot do without.
    async fn say_what_is_switched_off(&self) {
        let store = &self.cloud.store;
        // Nothing is there; the answer tells whether the worker would be told so.
        if let Err(ReadError::Cloud(error)) = store.read(store.bucket(), keys::PROBE, 1).await
            && error.is_denied()
        {
            tracing::warn!(
                bucket = store.bucket(),
                "s3:GetObject or s3:ListBucket is not allowed: presigned urls may not open, and a redelivered task runs again"
            );
        }
    }

    /// One message at a time, until the worker is to stop.
    async fn receive_and_work(&self, busy: &watch::Sender<bool>) {
        let wait = Duration::from_secs(self.config.receive_wait_seconds.into());
        let mut failures = 0;
        loop {
            // A poll that is cut off may leave a message hidden; SQS delivers it again after its visibility timeout.
            let received = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                received = self.cloud.queue.receive(wait, self.config.visibility_timeout()) => received,
            };
            match received {
                Ok(None) => failures = 0,
                Ok(Some(delivery)) => {
                    failures = 0;
                    busy.send_replace(true);
                    let failed = self.work(delivery).await;
                    busy.send_replace(false);
                    if failed == Some(ErrorCode::RuntimeUnavailable) && !self.wait_until_ready().await {
                        return;
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "cannot receive, trying again");
                    let pause = retry::backoff(failures, Duration::from_millis(500), Duration::from_secs(30));
                    tokio::select! {
                        () = self.stopping.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }
}

async fn settled(runtime: &Arc<dyn Runtime>) -> Result<(), ErrorCode> {
    runtime.ready().await.map_err(|error| error.code)?;
    runtime.settle().await.map_err(|error| error.code)
}
