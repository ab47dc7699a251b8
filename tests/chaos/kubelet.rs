//! Restarts the containers of a pod: a worker that has exited, and a runtime whose liveness probe fails.

use std::sync::Arc;
use std::time::Duration;

use integration_tests::health_port::HealthPort;
use tokio_util::sync::CancellationToken;

use crate::pod::Pod;

/// How often it checks the processes.
const PERIOD: Duration = Duration::from_millis(20);

/// How often it probes, and how long it does not probe a container that it has just started.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// How long a container takes to start again.
const DOWNTIME: Duration = Duration::from_millis(200);

/// Supervises the worker's process until `stopping`, and records the prompts of the runtime.
pub(crate) async fn keep_worker_alive(pod: Arc<Pod>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        pod.supervise_worker().await;
        pod.record_prompts();
        tokio::time::sleep(PERIOD).await;
    }
}

/// Restarts the runtime whenever its liveness probe fails, until `stopping`. A worker that does not answer
/// fails no probe: in a cluster, `failureThreshold` covers its restarts.
pub(crate) async fn keep_runtime_alive(pod: Arc<Pod>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        if let Some(address) = pod.health_address().await
            && is_stuck(&HealthPort::at(&address)).await
            && let Err(error) = pod.restart_runtime(DOWNTIME).await
        {
            // The next probe fails, too.
            tracing::warn!(%error, pod = pod.name, "the runtime does not start");
        }
        tokio::time::sleep(PROBE_PERIOD).await;
    }
}

async fn is_stuck(port: &HealthPort) -> bool {
    port.get("/runtime-livez").await.is_ok_and(|answer| answer.status().as_u16() == 503)
}
