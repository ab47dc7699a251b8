//! The worker's process: signals, configuration, clients, then the supervisor until graceful shutdown.

use task_traces::Traces;
use worker::cloud::Cloud;
use worker::config::Config;
use worker::{cloud, shutdown, spans, supervisor, telemetry};

/// One thread: the work is waiting for runtime and AWS, and each wake-up of another thread would cost more than it does.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let var = |name: &str| std::env::var(name).ok();
    telemetry::init(var);
    let config =
        Config::from_vars(var).inspect_err(|error| tracing::error!(%error, "invalid configuration"))?;
    let stopping = shutdown::on_signals()?;
    let sdk = cloud::sdk_from_env().await;
    let traces = Traces::from_env(spans::WORKER, sdk.credentials_provider());
    let cloud = Cloud::new(&sdk, &config);
    // A task of the runtime is woken without a system call, unlike the future that the thread blocks on.
    let running = tokio::spawn(supervisor::run(config, cloud, traces, stopping));
    Ok(running.await?.inspect_err(|error| tracing::error!(%error, "worker failed"))?)
}
