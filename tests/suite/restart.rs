//! A worker that restarts in its pod adopts the runs of the previous process, or releases their messages at once.

mod released;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use integration_tests::lab::{Lab, Runtime};
use integration_tests::{aws, wait};
use local_stack::aws::{Fault, Order, Service};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
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

    fn read(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join("state.json")).unwrap()).unwrap()
    }

    /// Changes the one claim that a killed worker left.
    fn change_claim(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.read();
        change(&mut state["claims"][0]);
        std::fs::write(self.0.join("state.json"), state.to_string()).unwrap();
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

async fn slow_sdwebui(lab: &Lab, seconds: u64) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(seconds);
    lab.sdwebui(options).await
}

fn prompt() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 })
}

/// A long workflow that can be interrupted between two steps.
fn workflow() -> Value {
    integration_tests::fixtures::load("comfyui/interrupted.json")["request"]["body"]["prompt"].clone()
}

fn posts(runtime: &Runtime, path: &str) -> usize {
    let requests = runtime.simulation.as_ref().unwrap().requests();
    requests.iter().filter(|request| request.method == "POST" && request.path.ends_with(path)).count()
}

async fn posted(runtime: &Runtime, path: &str, times: usize) {
    wait::until("a call of the runtime", async || (posts(runtime, path) == times).then_some(())).await;
}

#[tokio::test]
async fn a_restarted_worker_adopts_the_job_that_is_still_its_own() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 4).await;
    let api = lab.submit_api(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let mut first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    api.submit("comfyui", "pipeline", "adopted", workflow()).await;
    posted(&runtime, "/prompt", 1).await;
    first.signal("KILL");
    first.exited().await;

    let mut second = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    second.logged("adopting the run of the previous process").await;
    assert!(lab.completion("adopted").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!((posts(&runtime, "/prompt"), posts(&runtime, "/interrupt")), (1, 0));
    assert_eq!(lab.notifications().await.len(), 1);
}

#[tokio::test]
async fn a_finished_job_whose_results_were_not_stored_is_collected_again() {
    let name = "a_finished_job_whose_results_were_not_stored_is_collected_again";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 0).await;
    let api = lab.submit_api(&[&runtime]).await;
    let no_upload = Order::new(Service::S3, "PutObject", Fault::FailBefore).by("first").times(1000);
    lab.aws.embedded.as_ref().unwrap().faults().order(no_upload);
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let mut first = lab.worker(&runtime, &[&settings[..], &[("AWS_ACCESS_KEY_ID", "first")]].concat()).await;
    api.submit("comfyui", "pipeline", "finished", workflow()).await;
    wait::until("the worker to have the results", async || {
        let requests = runtime.simulation.as_ref().unwrap().requests();
        requests.iter().any(|request| request.path.starts_with("/view")).then_some(())
    })
    .await;
    first.signal("KILL");
    first.exited().await;
    assert_eq!(posts(&runtime, "/history"), 0, "the job was deleted before its results were stored");

    let _second = lab.worker(&runtime, &settings).await;
    assert!(lab.completion("finished").await.result);
    assert_eq!(posts(&runtime, "/prompt"), 1);
    posted(&runtime, "/history", 1).await;
}

/// A killed worker, whose ComfyUI continues its one run.
async fn killed_in_mid_run(lab: &Lab, runtime: &Runtime, state: &StateFile, id: &str) {
    let api = lab.submit_api(&[runtime]).await;
    let mut worker = lab.worker(runtime, &state.settings(&state.path(), "pod-a")).await;
    api.submit("comfyui", "pipeline", id, workflow()).await;
    posted(runtime, "/prompt", 1).await;
    worker.signal("KILL");
    worker.exited().await;
}

/// The restarted worker neither stores nor publishes anything of the run, and interrupts it.
async fn is_cancelled(lab: &Lab, runtime: &Runtime, state: &StateFile) {
    let mut second = lab.worker(runtime, &state.settings(&state.path(), "pod-a")).await;
    wait::until("the lease to be rejected", async || {
        second.lines_so_far().iter().any(|line| line.contains("cancelling its run")).then_some(())
    })
    .await;
    wait::until("the run to be interrupted", async || (posts(runtime, "/interrupt") > 0).then_some(())).await;
    second.signal("KILL");
    second.exited().await;
    assert!(!second.lines().iter().any(|line| line.contains("adopting the run")));
}

#[tokio::test]
async fn a_run_whose_lease_the_queue_does_not_confirm_is_cancelled() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 60).await;
    let state = StateFile::new();
    killed_in_mid_run(&lab, &runtime, &state, "elsewhere").await;

    // Another pod has processed the task meanwhile.
    let claim = state.read()["claims"][0].clone();
    let handle = claim["delivery"]["receipt_handle"].as_str().unwrap();
    let release = lab.clients().sqs.change_message_visibility().queue_url(&runtime.queue.url);
    release.receipt_handle(handle).visibility_timeout(0).send().await.unwrap();
    let other = slow_comfyui(&lab, 0).await;
    let _other_pod = lab.worker(&runtime, &[("API_BASE_URL", &other.url)]).await;
    assert!(lab.completion("elsewhere").await.result);
    lab.emptied(&runtime.queue.url).await;

    is_cancelled(&lab, &runtime, &state).await;
    assert_eq!(lab.notifications().await.len(), 1);
}

#[tokio::test]
async fn a_run_whose_message_was_received_twelve_hours_ago_is_not_adopted() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 60).await;
    let state = StateFile::new();
    killed_in_mid_run(&lab, &runtime, &state, "old").await;
    state.change_claim(|claim| {
        let received = claim["delivery"]["received_at"]["secs_since_epoch"].as_u64().unwrap();
        claim["delivery"]["received_at"]["secs_since_epoch"] = json!(received - 12 * 60 * 60 + 30);
    });
    is_cancelled(&lab, &runtime, &state).await;
}

#[tokio::test]
async fn a_run_that_two_processes_crashed_in_is_not_adopted_again() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 60).await;
    let state = StateFile::new();
    killed_in_mid_run(&lab, &runtime, &state, "poison").await;
    let mut second = lab.worker(&runtime, &state.settings(&state.path(), "pod-a")).await;
    second.logged("adopting the run of the previous process").await;
    second.signal("KILL");
    second.exited().await;

    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let _third = lab.worker(&runtime, &[&settings[..], &[("MAX_ATTEMPTS", "1")]].concat()).await;
    let error = lab.completion("poison").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::WorkerDied, 1));
}

#[tokio::test]
async fn all_runs_that_a_worker_had_submitted_are_adopted() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 3).await;
    let api = lab.submit_api(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let settings = [&settings[..], &[("WORKER_CONCURRENCY", "3")]].concat();
    let mut first = lab.worker(&runtime, &settings).await;
    let ids = ["runs", "waits", "waits, too"];
    for id in ids {
        api.submit("comfyui", "pipeline", id, workflow()).await;
    }
    posted(&runtime, "/prompt", 3).await;
    first.signal("KILL");
    first.exited().await;

    // The runs come one after the other: more than one waits longer than a staged task may.
    let _second = lab.worker(&runtime, &[&settings[..2], &[("STAGED_SECONDS", "1")]].concat()).await;
    for id in ids {
        assert!(lab.completion(id).await.result, "{id}");
    }
    lab.emptied(&runtime.queue.url).await;
    assert_eq!((posts(&runtime, "/prompt"), posts(&runtime, "/interrupt")), (3, 0));
}

#[tokio::test]
async fn another_pod_adopts_nothing_and_interrupts_the_orphans() {
    let lab = Lab::start().await;
    let runtime = slow_comfyui(&lab, 60).await;
    let api = lab.submit_api(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let mut first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    api.submit("comfyui", "pipeline", "orphan", workflow()).await;
    posted(&runtime, "/prompt", 1).await;
    first.signal("KILL");
    first.exited().await;

    let _second = lab.worker(&runtime, &state.settings(&path, "pod-b")).await;
    assert!(posts(&runtime, "/interrupt") > 0, "ready, and the orphan still runs");
    assert_eq!(lab.counts(&runtime.queue.url).await, (0, 1), "the message is the other pod's");
}

#[tokio::test]
async fn a_worker_whose_runs_cannot_be_adopted_releases_the_task_at_once() {
    let lab = Lab::start().await;
    let runtime = slow_sdwebui(&lab, 5).await;
    let api = lab.submit_api(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let mut first = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    api.submit("sdruntime", "text-to-image", "again", prompt()).await;
    posted(&runtime, "/txt2img", 1).await;
    first.signal("KILL");
    first.exited().await;

    // Its visibility timeout is a minute: the release did not wait for it.
    let started = std::time::Instant::now();
    let _second = lab.worker(&runtime, &state.settings(&path, "pod-a")).await;
    assert!(lab.completion("again").await.result);
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
    assert!(!second.exited().await.success());
    assert!(second.lines().join("\n").contains("STATE_FILE"), "{:?}", second.lines());
}
