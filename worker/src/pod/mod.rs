//! The pod's own marks in Kubernetes: while it works, it is not to be disrupted, and of several pods it goes last.
//!
//! Off unless `MARK_POD` says otherwise, since it needs the right to patch pods. A mark is a request, not a protection:
//! nothing here replaces giving the task back on SIGTERM, and nothing that fails here reaches a task.

mod api;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time;
use tokio_util::sync::CancellationToken;

pub use api::PodError;

use crate::config::Config;
use crate::retry;
use api::PodApi;

/// How long a pod must be idle before its marks go, so that a stream of short tasks does not patch it for each.
const IDLE_FOR: Duration = Duration::from_secs(5);

/// How long the removal of the marks may hold up the end of the worker.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

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

/// This pod.
#[derive(Debug)]
pub struct Pod {
    api: PodApi,
}

impl Pod {
    /// The pod that is to be marked, if one is. An error means that `MARK_POD` is set where it cannot work.
    pub fn of(config: &Config) -> Result<Option<Self>, PodError> {
        let pod = |options| PodApi::new(options).map(|api| Self { api });
        config.pod.as_ref().map(pod).transpose()
    }

    /// Keeps the marks in step with how many tasks are inside until that is `over`; then removes them, within a second.
    ///
    /// Begins by removing what a former process of this worker may have left: an idle pod that is marked keeps its node.
    pub async fn keep_marked(self, mut inside: watch::Receiver<usize>, over: CancellationToken) {
        let mut marked = None;
        let mut failures = 0;
        loop {
            let wanted = *inside.borrow_and_update() > 0;
            let pause = match (marked == Some(wanted), failures, wanted) {
                (true, ..) => Duration::MAX,
                (_, 1.., _) => retry::backoff(failures, Duration::from_secs(1), Duration::from_secs(60)),
                (.., true) => Duration::ZERO,
                (.., false) => IDLE_FOR,
            };
            tokio::select! {
                () = over.cancelled() => break,
                changed = inside.changed() => match changed {
                    // Another task more or less changes nothing, and an idle spell goes on.
                    Ok(()) => continue,
                    Err(_) => break,
                },
                () = time::sleep(pause) => {}
            }
            match self.api.patch(&marks(wanted)).await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!(busy = wanted, "pod is marked again");
                    }
                    (marked, failures) = (Some(wanted), 0);
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, busy = wanted, "pod cannot be marked, trying again");
                    }
                    // The call may have worked all the same.
                    (marked, failures) = (None, failures.saturating_add(1));
                }
            }
        }
        if marked != Some(false) {
            let removed = time::timeout(LAST_PATIENCE, self.api.patch(&marks(false))).await;
            if !matches!(removed, Ok(Ok(()))) {
                tracing::warn!("the pod's marks may be left behind");
            }
        }
    }
}

/// The merge patch (RFC 7386) that sets or removes the marks.
fn marks(busy: bool) -> Value {
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
