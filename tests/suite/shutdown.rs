//! SIGTERM finishes the task at hand or gives it back; a killed worker's task is done by another.

use std::time::Duration;

use integration_tests::image_server::ImageServer;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::wait;
use serde_json::{Value, json};
use simulated_runtimes::{ComfyUiOptions, SdWebUiOptions};

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 10 })
}

async fn slow_webui(lab: &Lab, seconds: u64) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(seconds);
    lab.sdwebui(options).await
}

async fn running(runtime: &Runtime) {
    wait::until("a run at the runtime", async || {
        let asked = runtime.simulation.as_ref().unwrap().requests();
        let runs = |path: &str| path.ends_with("/txt2img") || path == "/prompt";
        asked.iter().any(|asked| asked.method == "POST" && runs(&asked.path)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_worker_ends_at_once() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 0).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let signalled = std::time::Instant::now();
    worker.signal("TERM");
    assert!(worker.ended().await.success());
    assert!(signalled.elapsed() < Duration::from_secs(5), "it waited for its long poll");
}

#[tokio::test]
async fn a_worker_that_waits_for_its_runtime_ends_at_once() {
    let lab = Lab::start().await;
    let runtime = lab.runtime("absent", "comfyui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    let mut worker =
        integration_tests::process::Process::start("worker", &lab.worker_variables(&runtime, &[]));
    worker.logged("waiting for the runtime").await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
}

#[tokio::test]
async fn a_task_that_fits_the_drain_time_is_finished() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 2).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    door.submit("sdruntime", "text-to-image", "finishes", small()).await;
    running(&runtime).await;
    door.submit("sdruntime", "text-to-image", "stays", small()).await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
    assert!(lab.ended("finishes").await.result);
    assert_eq!(lab.counts(&runtime.queue.url).await, (1, 0), "the other task was taken too");
}

#[tokio::test]
async fn a_task_that_does_not_fit_is_interrupted_and_given_back() {
    let lab = Lab::start().await;
    for runtime in [slow_webui(&lab, 60).await, slow_comfyui(&lab).await] {
        let door = lab.front_door(&[&runtime]).await;
        let mut worker = lab.worker(&runtime, &[("DRAIN_SECONDS", "1")]).await;
        let (task_type, content) = match runtime.runtime_type {
            "sdwebui" => ("text-to-image", small()),
            _ => ("pipeline", sampled()),
        };
        door.submit(&runtime.name, task_type, "long", content).await;
        running(&runtime).await;
        worker.signal("TERM");
        assert!(worker.ended().await.success());
        wait::until("the message to be visible again", async || {
            (lab.counts(&runtime.queue.url).await == (1, 0)).then_some(())
        })
        .await;
        let asked = runtime.simulation.as_ref().unwrap().requests();
        assert!(asked.iter().any(|asked| asked.path.ends_with("/interrupt")), "the run was not interrupted");
        assert!(lab.everything_told().await.is_empty(), "nothing has ended yet");
    }
}

#[tokio::test]
async fn a_task_that_waits_for_an_input_is_given_back_at_once() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = slow_webui(&lab, 0).await;
    let door = lab.front_door(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings = [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("INPUT_TIMEOUT_SECONDS", "600")];
    let mut worker = lab.worker(&runtime, &settings).await;
    let content = json!({ "init_images": [images.url("silent")], "prompt": "x", "width": 64, "height": 64 });
    door.submit("sdruntime", "image-to-image", "waits", content).await;
    wait::until("the input to be asked for", async || (!images.asked().is_empty()).then_some(())).await;
    worker.signal("TERM");
    assert!(worker.ended().await.success());
    assert_eq!(lab.counts(&runtime.queue.url).await, (1, 0));
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty());
}

#[tokio::test]
async fn the_task_of_a_killed_worker_is_done_by_another() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 2).await;
    let door = lab.front_door(&[&runtime]).await;
    let mut first =
        lab.worker(&runtime, &[("VISIBILITY_TIMEOUT_SECONDS", "20"), ("RUN_TIMEOUT_SECONDS", "60")]).await;
    door.submit("sdruntime", "text-to-image", "orphan", small()).await;
    running(&runtime).await;
    first.signal("KILL");
    assert!(!first.ended().await.success());
    let _second = lab.worker(&runtime, &[]).await;
    assert!(lab.ended("orphan").await.result);
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_run_longer_than_the_visibility_timeout_runs_once() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 25).await;
    let door = lab.front_door(&[&runtime]).await;
    let settings = [("VISIBILITY_TIMEOUT_SECONDS", "20")];
    let _workers = [lab.worker(&runtime, &settings).await, lab.worker(&runtime, &settings).await];
    door.submit("sdruntime", "text-to-image", "long", small()).await;
    assert!(lab.ended("long").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}

#[tokio::test]
async fn a_run_longer_than_allowed_is_interrupted_and_fails() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 60).await;
    let door = lab.front_door(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("RUN_TIMEOUT_SECONDS", "1")]).await;
    door.submit("sdruntime", "text-to-image", "endless", small()).await;
    let error = lab.ended("endless").await.error.unwrap();
    assert_eq!(error.code, shared_schema::ErrorCode::RunTimeout);
}

async fn slow_comfyui(lab: &Lab) -> Runtime {
    let checkpoint = sampled()["1"]["inputs"]["ckpt_name"].as_str().unwrap().to_owned();
    let mut options = ComfyUiOptions { models: vec![checkpoint], ..ComfyUiOptions::default() };
    options.behaviour.latency = Duration::from_secs(60);
    lab.comfyui(options).await
}

/// A workflow with a sampler: something that takes steps, between which it can be interrupted.
fn sampled() -> Value {
    integration_tests::fixtures::load("comfyui/interrupted.json")["request"]["body"]["prompt"].clone()
}
