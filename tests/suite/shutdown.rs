//! On SIGTERM a worker completes its task or releases it; the task of a killed worker is processed by another.

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
        let requests = runtime.simulation.as_ref().unwrap().requests();
        let runs = |path: &str| path.ends_with("/txt2img") || path == "/prompt";
        requests.iter().any(|request| request.method == "POST" && runs(&request.path)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_worker_exits_at_once() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 0).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    let signalled = std::time::Instant::now();
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    // A long poll lasts for 20 s.
    assert!(signalled.elapsed() < Duration::from_secs(15), "it waited for its long poll");
}

#[tokio::test]
async fn a_worker_that_waits_for_its_runtime_exits_at_once() {
    let lab = Lab::start().await;
    let runtime = lab.runtime("absent", "comfyui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    let mut worker =
        integration_tests::process::Process::start("worker", &lab.worker_variables(&runtime, &[]));
    worker.logged("waiting for the runtime").await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
}

#[tokio::test]
async fn a_task_that_fits_the_drain_time_is_completed() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 2).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    api.submit("sdruntime", "text-to-image", "finishes", small()).await;
    running(&runtime).await;
    api.submit("sdruntime", "text-to-image", "stays", small()).await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert!(lab.completion("finishes").await.result);
    assert_eq!(lab.counts(&runtime.queue.url).await, (1, 0), "the other task was received, too");
}

#[tokio::test]
async fn a_task_that_does_not_fit_the_drain_time_is_interrupted_and_released() {
    let lab = Lab::start().await;
    for runtime in [slow_webui(&lab, 60).await, slow_comfyui(&lab).await] {
        let api = lab.submit_api(&[&runtime]).await;
        let mut worker = lab.worker(&runtime, &[("DRAIN_SECONDS", "1")]).await;
        let (task_type, content) = match runtime.runtime_type {
            "sdwebui" => ("text-to-image", small()),
            _ => ("pipeline", sampled()),
        };
        api.submit(&runtime.name, task_type, "long", content).await;
        running(&runtime).await;
        worker.signal("TERM");
        assert!(worker.exited().await.success());
        wait::until("the message to be visible again", async || {
            (lab.counts(&runtime.queue.url).await == (1, 0)).then_some(())
        })
        .await;
        let requests = runtime.simulation.as_ref().unwrap().requests();
        assert!(
            requests.iter().any(|request| request.path.ends_with("/interrupt")),
            "the run was not interrupted"
        );
        assert!(lab.notifications().await.is_empty(), "nothing has completed yet");
    }
}

#[tokio::test]
async fn a_task_that_waits_for_an_input_is_released_at_once() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = slow_webui(&lab, 0).await;
    let api = lab.submit_api(&[&runtime]).await;
    let allowed = images.address.to_string();
    let settings = [("INPUT_ALLOW_HOSTS", allowed.as_str()), ("INPUT_TIMEOUT_SECONDS", "600")];
    let mut worker = lab.worker(&runtime, &settings).await;
    let content = json!({ "init_images": [images.url("silent")], "prompt": "x", "width": 64, "height": 64 });
    api.submit("sdruntime", "image-to-image", "waits", content).await;
    wait::until("the request for the input", async || (!images.requested_paths().is_empty()).then_some(()))
        .await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    assert_eq!(lab.counts(&runtime.queue.url).await, (1, 0));
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty());
}

#[tokio::test]
async fn the_task_of_a_killed_worker_is_processed_by_another() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 2).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut first =
        lab.worker(&runtime, &[("VISIBILITY_TIMEOUT_SECONDS", "20"), ("RUN_TIMEOUT_SECONDS", "60")]).await;
    api.submit("sdruntime", "text-to-image", "orphan", small()).await;
    running(&runtime).await;
    first.signal("KILL");
    assert!(!first.exited().await.success());
    let _second = lab.worker(&runtime, &[]).await;
    assert!(lab.completion("orphan").await.result);
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_run_longer_than_the_visibility_timeout_runs_once() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 25).await;
    let api = lab.submit_api(&[&runtime]).await;
    let settings = [("VISIBILITY_TIMEOUT_SECONDS", "20")];
    let _workers = [lab.worker(&runtime, &settings).await, lab.worker(&runtime, &settings).await];
    api.submit("sdruntime", "text-to-image", "long", small()).await;
    assert!(lab.completion("long").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}

#[tokio::test]
async fn a_run_longer_than_allowed_is_interrupted_and_fails() {
    let lab = Lab::start().await;
    let runtime = slow_webui(&lab, 60).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("RUN_TIMEOUT_SECONDS", "1")]).await;
    api.submit("sdruntime", "text-to-image", "endless", small()).await;
    let error = lab.completion("endless").await.error.unwrap();
    assert_eq!(error.code, shared_schema::ErrorCode::RunTimeout);
}

async fn slow_comfyui(lab: &Lab) -> Runtime {
    let checkpoint = sampled()["1"]["inputs"]["ckpt_name"].as_str().unwrap().to_owned();
    let mut options = ComfyUiOptions { models: vec![checkpoint], ..ComfyUiOptions::default() };
    options.behaviour.latency = Duration::from_secs(60);
    lab.comfyui(options).await
}

/// A workflow with a sampler, which can be interrupted between two steps.
fn sampled() -> Value {
    integration_tests::fixtures::load("comfyui/interrupted.json")["request"]["body"]["prompt"].clone()
}
