//! A worker that is started again in its pod takes up what the process before it had begun, or gives it back at once.

use std::path::PathBuf;
use std::time::Duration;

use integration_tests::lab::{Lab, Runtime};
use integration_tests::{aws, wait};
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions};

/// A state file of its own, as a pod's volume holds it.
struct StateFile(PathBuf);

impl StateFile {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("darkroom-pod-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// The variables of a worker in the pod of that name.
    fn settings<'a>(&'a self, path: &'a str, pod: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("STATE_FILE", path),
            ("HOSTNAME", pod),
            ("VISIBILITY_TIMEOUT_SECONDS", "60"),
            ("RUN_TIMEOUT_SECONDS", "100"),
        ]
    }

    fn path(&self) -> String {
        self.0.join("state.json").to_str().unwrap().to_owned()
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn slow_comfyui(lab: &Lab, seconds: u64) -> Runtime {
    let checkpoint = workflow()["1"]["inputs"]["ckpt_name"].as_str().unwrap().to_owned();
    let mut options = ComfyUiOptions { models: vec![checkpoint], ..ComfyUiOptions::default() };
    options.behaviour.latency = Duration::from_secs(seconds);
    lab.comfyui(options).await
}

/// A workflow that takes its time, between whose steps it can be interrupted.
fn workflow() -> Value {
    integration_tests::fixtures::load("comfyui/interrupted.json")["request"]["body"]["prompt"].clone()
}

fn posts(runtime: &Runtime, path: &str) -> usize {
    let asked = runtime.simulation.as_ref().unwrap().requests();
    asked.iter().filter(|asked| asked.method == "POST" && asked.path.ends_with(path)).count()
}

async fn posted(runtime: &Runtime, path: &str, times: usize) {
    wait::until("a call of the runtime", async || (posts(runtime, path) == times).then_some(())).await;
}

#[tokio::test]
async fn a_restarted_worker_adopts_the_job_that_is_still_its_own() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 4).await;
    let door = lab.front_door(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let mut first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    door.submit("comfyui", "pipeline", "adopted", workflow()).await;
    posted(&runtime, "/prompt", 1).await;
    first.signal("KILL");
    first.ended().await;

    let mut second = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    second.logged("taking up the run of the process before this one").await;
    assert!(lab.ended("adopted").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!((posts(&runtime, "/prompt"), posts(&runtime, "/interrupt")), (1, 0));
    assert_eq!(lab.everything_told().await.len(), 1);
}

#[tokio::test]
async fn a_finished_job_whose_results_were_not_stored_is_collected_again() {
    let name = "a_finished_job_whose_results_were_not_stored_is_collected_again";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 0).await;
    let door = lab.front_door(&[&runtime]).await;
    let no_upload = Order::new(Service::S3, "PutObject", Fault::FailBefore).by("first").times(1000);
    lab.aws.embedded.as_ref().unwrap().faults().order(no_upload);
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let mut first = lab.worker(&runtime, &[&settings[..], &[("AWS_ACCESS_KEY_ID", "first")]].concat()).await;
    door.submit("comfyui", "pipeline", "finished", workflow()).await;
    wait::until("the results at the worker", async || {
        let asked = runtime.simulation.as_ref().unwrap().requests();
        asked.iter().any(|asked| asked.path.starts_with("/view")).then_some(())
    })
    .await;
    first.signal("KILL");
    first.ended().await;
    assert_eq!(posts(&runtime, "/history"), 0, "the job was forgotten before its results were stored");

    let _second = lab.worker(&runtime, &settings).await;
    assert!(lab.ended("finished").await.result);
    assert_eq!(posts(&runtime, "/prompt"), 1);
    posted(&runtime, "/history", 1).await;
}

#[tokio::test]
async fn another_pod_adopts_nothing_and_clears_the_runtime() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 60).await;
    let door = lab.front_door(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let mut first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    door.submit("comfyui", "pipeline", "orphan", workflow()).await;
    posted(&runtime, "/prompt", 1).await;
    first.signal("KILL");
    first.ended().await;

    let _second = lab.worker(&runtime, &state.settings(&path, "pod-b")).await;
    assert!(posts(&runtime, "/interrupt") > 0, "ready, and the orphan still runs");
    assert_eq!(lab.counts(&runtime.queue.url).await, (0, 1), "the message is the other pod's");
}

#[tokio::test]
async fn a_worker_whose_runs_cannot_be_found_again_gives_the_task_back_at_once() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(5);
    let runtime = lab.sdwebui(options).await;
    let door = lab.front_door(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let mut first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 });
    door.submit("sdruntime", "text-to-image", "again", content).await;
    posted(&runtime, "/txt2img", 1).await;
    first.signal("KILL");
    first.ended().await;

    // Its visibility timeout is a minute: nobody has waited for that.
    let started = std::time::Instant::now();
    let _second = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    assert!(lab.ended("again").await.result);
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    assert_eq!((posts(&runtime, "/txt2img"), posts(&runtime, "/interrupt") > 0), (2, true));
}

#[tokio::test]
async fn two_workers_do_not_share_a_state_file() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let state = StateFile::new();
    let path = state.path();
    let _first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    let variables = lab.worker_variables(&runtime, &state.settings(&path, "pod-a"));
    let mut second = integration_tests::process::Process::start("worker", &variables);
    assert!(!second.ended().await.success());
    assert!(second.lines().join("\n").contains("STATE_FILE"), "{:?}", second.lines());
}
