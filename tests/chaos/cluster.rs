//! The system under test: front door, queues, and pods.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use integration_tests::dead_letters::{self, Function};
use integration_tests::image_server::ImageServer;
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use local_stack::aws::EmbeddedAws;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::kubelet;
use crate::pod::{GRACE, Pod, PodRecord};

/// The runtimes of the pods, and how long a run takes: two pods work on each queue, one of them quickly.
pub(crate) const PODS: [(&str, Duration); 4] = [
    ("sdwebui", Duration::from_millis(250)),
    ("sdwebui", Duration::from_millis(60)),
    ("comfyui", Duration::from_millis(200)),
    ("comfyui", Duration::from_millis(50)),
];

/// The pods whose queue has a low `maxReceiveCount`.
pub(crate) const COMFYUI_PODS: Range<usize> = 2..4;

/// How often a message of ComfyUI's queue is received before it goes to the dead-letter queue. The other queue has the
/// local stack's number, which is never reached.
pub(crate) const MAX_RECEIVES: usize = 6;

/// The timeout of an input. One that never arrives lasts so long that the worker must extend its lease.
const INPUT_TIMEOUT_SECONDS: u64 = 9;

/// How long a run may make no progress. ComfyUI's dead worker thread is distinguished from a pause after 10 s.
const STUCK_SECONDS: u64 = 12;

/// Everything that runs.
pub(crate) struct Cluster {
    pub(crate) lab: Lab,
    pub(crate) api: SubmitApi,
    pub(crate) images: ImageServer,
    pub(crate) pods: Vec<Arc<Pod>>,
    /// One per queue.
    pub(crate) runtimes: Vec<Runtime>,
    pub(crate) dead_letters: Function,
    stopping: CancellationToken,
    kept_alive: TaskTracker,
}

impl Cluster {
    /// Starts it. Logs and state files of the workers go to `folder`; the visibility timeout is `hidden`.
    pub(crate) async fn start(folder: &Path, hidden: Duration) -> Result<Self> {
        let lab = Lab::start().await;
        let images = ImageServer::start().await;
        let mut runtimes = Vec::new();
        for name in ["sdwebui", "comfyui"] {
            runtimes.push(lab.runtime(name, name, String::new(), None, &[]).await);
        }
        set_max_receive_count(&lab, &runtimes[1]).await?;
        let api = lab.recording_api(&runtimes.iter().collect::<Vec<_>>()).await;

        let stopping = CancellationToken::new();
        let kept_alive = TaskTracker::new();
        let mut pods = Vec::new();
        for (index, pod) in PODS.into_iter().enumerate() {
            let name = format!("pod-{index}");
            let runtime = runtimes.iter().find(|runtime| runtime.name == pod.0).context("no such queue")?;
            let mut variables = worker_variables(&lab, runtime, &name, &images, folder, hidden);
            variables.retain(|(name, _)| name != "API_BASE_URL");
            let log = folder.join(format!("{name}.log"));
            let pod = Arc::new(Pod::start(name, pod, runtime.queue.url.clone(), variables, log).await?);
            kept_alive.spawn(kubelet::keep_worker_alive(Arc::clone(&pod), stopping.clone()));
            kept_alive.spawn(kubelet::keep_runtime_alive(Arc::clone(&pod), stopping.clone()));
            pods.push(pod);
        }
        let dead_letters = Function::recording(&lab).await;
        Ok(Self { lab, api, images, pods, runtimes, dead_letters, stopping, kept_alive })
    }

    /// The embedded AWS APIs.
    pub(crate) fn aws(&self) -> &EmbeddedAws {
        self.lab.aws.embedded.as_ref().unwrap()
    }

    /// The queue that a pod works on.
    pub(crate) fn runtime_of(&self, pod: &Pod) -> &Runtime {
        self.runtimes.iter().find(|runtime| runtime.queue.url == pod.queue_url).unwrap()
    }

    /// Runs the dead-letter Lambda until it is dropped.
    pub(crate) async fn consume_dead_letters(&self) {
        let mut sources = Vec::new();
        for runtime in &self.runtimes {
            sources.push(dead_letters::source(&self.lab, &runtime.queue.dead_letter_url).await);
        }
        loop {
            for source in &sources {
                self.dead_letters.consume(source).await;
            }
        }
    }

    /// Whether no queue holds anything, dead-letter queues included.
    pub(crate) async fn is_drained(&self) -> bool {
        for runtime in &self.runtimes {
            for url in [&runtime.queue.url, &runtime.queue.dead_letter_url] {
                if self.lab.counts(url).await != (0, 0) {
                    return false;
                }
            }
        }
        true
    }

    /// Stops all pods and returns their records.
    pub(crate) async fn stop(&self) -> Vec<PodRecord> {
        self.stopping.cancel();
        self.kept_alive.close();
        self.kept_alive.wait().await;
        let mut records = Vec::new();
        for pod in &self.pods {
            records.push(pod.shut_down().await);
        }
        records
    }
}

async fn set_max_receive_count(lab: &Lab, runtime: &Runtime) -> Result<()> {
    let queue = runtime.queue.dead_letter_url.rsplit('/').next().unwrap_or_default();
    let redrive = json!({
        "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        "maxReceiveCount": MAX_RECEIVES,
    });
    let set = lab.clients().sqs.set_queue_attributes().queue_url(&runtime.queue.url);
    set.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string()).send().await?;
    Ok(())
}

fn worker_variables(
    lab: &Lab,
    runtime: &Runtime,
    name: &str,
    images: &ImageServer,
    folder: &Path,
    hidden: Duration,
) -> Vec<(String, String)> {
    let state: PathBuf = folder.join(format!("{name}.state"));
    let more = [
        ("AWS_ACCESS_KEY_ID", name.to_owned()),
        ("HOSTNAME", name.to_owned()),
        ("RECORD_TABLE", lab.shared.record_table.clone()),
        ("STATE_FILE", state.display().to_string()),
        ("VISIBILITY_TIMEOUT_SECONDS", hidden.as_secs().to_string()),
        ("INPUT_ALLOW_HOSTS", images.address.to_string()),
        ("INPUT_TIMEOUT_SECONDS", INPUT_TIMEOUT_SECONDS.to_string()),
        ("RUN_TIMEOUT_SECONDS", "60".to_owned()),
        ("STUCK_SECONDS", STUCK_SECONDS.to_string()),
        ("DRAIN_SECONDS", "2".to_owned()),
        ("GRACE_PERIOD_SECONDS", GRACE.as_secs().to_string()),
    ];
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    lab.worker_variables(runtime, &more)
}
