//! Annotations of the worker's pod in Kubernetes: a busy pod is not disrupted, and deleted last.
//!
//! Off unless `MARK_POD` is set, since it needs the right to patch pods. An annotation is a request, not a protection:
//! nothing here replaces giving the task back on SIGTERM, and nothing that fails here reaches a task.

mod api;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::OptionFuture;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

pub use api::PodError;

use crate::config::Config;
use crate::retry;
use api::PodApi;

/// How long a pod must be idle before its annotations are removed, so that a stream of short tasks does not patch it for each.
const IDLE_FOR: Duration = Duration::from_secs(5);

/// How long the removal of the annotations may delay the end of the worker.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a busy pod costs to delete, where an unmarked one costs 0: a replica set that shrinks deletes the cheapest first
/// (`controller.kubernetes.io/pod-deletion-cost`, a signed 32-bit number as text).
const BUSY_DELETION_COST: &str = "1000";

/// Which pod this is, and how its cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodOptions {
    /// `POD_NAME`.
    pub name: String,
    /// `POD_NAMESPACE`.
    pub namespace: String,
    /// `KUBERNETES_SERVICE_HOST`: a name or an address of either family, without brackets.
    pub api_host: String,
    /// `KUBERNETES_SERVICE_PORT`.
    pub api_port: u16,
    /// `SERVICE_ACCOUNT_FOLDER`: holds `token`, which rotates, and `ca.crt`.
    pub service_account: PathBuf,
}

/// The annotations of this pod, kept in sync with the tasks in flight until they are removed; none if `MARK_POD` is off.
#[derive(Debug)]
pub struct PodAnnotations {
    keeper: Option<AbortOnDropHandle<()>>,
    finished: CancellationToken,
}

impl PodAnnotations {
    /// Starts to keep them in sync. An error means that `MARK_POD` is set where it cannot work.
    pub fn start(config: &Config, tasks_inside: watch::Receiver<u32>) -> Result<Self, PodError> {
        let finished = CancellationToken::new();
        let api = config.pod.as_ref().map(PodApi::new).transpose()?;
        let keeper = api.map(|api| keep(api, tasks_inside, finished.clone()).in_current_span());
        Ok(Self { keeper: keeper.map(|keeper| AbortOnDropHandle::new(tokio::spawn(keeper))), finished })
    }

    /// Removes them: within about a second, or not at all.
    pub async fn remove(self) {
        self.finished.cancel();
        if let Some(Err(error)) = OptionFuture::from(self.keeper).await {
            tracing::warn!(%error, "removing the pod annotations failed");
        }
    }
}

/// First removes annotations of the previous process: an idle pod with them keeps its node.
async fn keep(api: PodApi, mut tasks_inside: watch::Receiver<u32>, finished: CancellationToken) {
    let mut marked = None;
    let mut failures = 0;
    loop {
        let busy = *tasks_inside.borrow() > 0;
        let pause = match (marked == Some(busy), failures, busy) {
            (true, ..) => Duration::MAX,
            (_, 1.., _) => retry::backoff(failures, Duration::from_secs(1), Duration::from_secs(60)),
            (.., true) => Duration::ZERO,
            (.., false) => IDLE_FOR,
        };
        tokio::select! {
            biased;
            () = finished.cancelled() => break,
            Ok(_) = tasks_inside.wait_for(|inside| (*inside > 0) != busy), if failures == 0 => continue,
            () = time::sleep(pause) => {}
        }
        match finished.run_until_cancelled(api.patch(&annotations(busy))).await {
            Some(Ok(())) => {
                if failures > 0 {
                    tracing::info!(busy, "updating the pod annotations succeeded again");
                }
                (marked, failures) = (Some(busy), 0);
            }
            Some(Err(error)) => {
                if failures == 0 {
                    tracing::warn!(%error, busy, "updating the pod annotations failed, retrying");
                }
                // The call may have worked all the same.
                (marked, failures) = (None, failures.saturating_add(1));
            }
            None => marked = None,
        }
    }
    if marked != Some(false) {
        let removed = time::timeout(REMOVE_TIMEOUT, api.patch(&annotations(false))).await;
        if !matches!(removed, Ok(Ok(()))) {
            tracing::warn!("removing the pod annotations failed");
        }
    }
}

/// The merge patch (RFC 7386) that sets or removes the marks.
fn annotations(busy: bool) -> Value {
    let annotations = if busy {
        json!({
            "karpenter.sh/do-not-disrupt": "true",
            "controller.kubernetes.io/pod-deletion-cost": BUSY_DELETION_COST,
        })
    } else {
        json!({
            "karpenter.sh/do-not-disrupt": null,
            "controller.kubernetes.io/pod-deletion-cost": null,
        })
    };
    json!({ "metadata": { "annotations": annotations } })
}
