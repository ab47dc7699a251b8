//! What keeps a pod's containers alive: a worker that ended is started again, a runtime whose liveness probe fails, too.

use std::sync::Arc;
use std::time::Duration;

use integration_tests::health_port::HealthPort;
use tokio_util::sync::CancellationToken;

use crate::pod::Pod;

/// How often it looks after the processes.
const PERIOD: Duration = Duration::from_millis(20);

/// How often it probes, and how long it lets a container be that it has just started.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// How long a container takes to start again.
const DOWNTIME: Duration = Duration::from_millis(200);

/// Looks after the worker's process until `stopping`; notes meanwhile what the runtime is asked.
pub(crate) async fn keep_worker_alive(pod: Arc<Pod>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        pod.look_after_worker().await;
        pod.note_prompts();
        tokio::time::sleep(PERIOD).await;
    }
}

/// Restarts the runtime whenever the worker says that nothing else helps, until `stopping`. A worker that does not answer
/// says nothing: the probe's `failureThreshold` is there for its restarts.
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
