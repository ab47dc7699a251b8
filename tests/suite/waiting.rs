//! Several jobs in ComfyUI's own queue: the timeouts of a task count while it runs, and not while it is pending there.

use std::time::{Duration, SystemTime};

use axum::http::header;
use axum::response::IntoResponse as _;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::{fixtures, wait};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::TaskStatus;
use simulated_runtimes::{ComfyUiOptions, DEFAULT_MODEL, Fault, SdWebUiOptions, Simulation};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

async fn comfyui(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = latency;
    lab.comfyui(options).await
}

/// From checkpoint to saved picture; every seed is different work, in twenty steps that report progress.
fn sampled(seed: u32) -> Value {
    let mut workflow =
        fixtures::load("comfyui/checkpoint-sampler-progress.json")["request"]["body"]["prompt"].clone();
    workflow["1"]["inputs"]["ckpt_name"] = json!(DEFAULT_MODEL);
    workflow["5"]["inputs"]["seed"] = json!(seed);
    workflow["5"]["inputs"]["steps"] = json!(20);
    workflow
}

async fn submit(api: &SubmitApi, id: &str, seed: u32, more: &[(&str, Value)]) {
    let mut metadata = json!({ "id": id, "runtime": "comfyui", "tasktype": "pipeline", "prefix": "output" });
    for (key, value) in more {
        metadata[*key] = value.clone();
    }
    let body = json!({ "task": { "metadata": metadata, "content": sampled(seed) } });
    let (status, answer) = api.post("/v1alpha2", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

fn simulation(runtime: &Runtime) -> &Simulation {
    runtime.simulation.as_ref().unwrap()
}

/// Waits until the runtime was posted that many workflows.
async fn posted(runtime: &Runtime, count: usize) {
    wait::until("the workflows in the runtime", async || {
        let requests = simulation(runtime).requests().into_iter();
        let posts = requests.filter(|request| request.method == "POST" && request.path == "/prompt").count();
        (posts == count).then_some(())
    })
    .await;
}

fn in_seconds(seconds: u64) -> Value {
    let at = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(seconds));
    json!(at.format(&Rfc3339).unwrap())
}

#[tokio::test]
async fn time_in_the_runtimes_queue_counts_neither_as_run_time_nor_as_stuck() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(4)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let ids = ["one", "two", "three", "four"];
    for (seed, id) in (1..).zip(ids) {
        submit(&api, id, seed, &[]).await;
    }
    // The last waits for twelve seconds.
    let limits = [("WORKER_CONCURRENCY", "4"), ("RUN_TIMEOUT_SECONDS", "9"), ("STUCK_SECONDS", "8")];
    let hold = simulation(&runtime).hold().await;
    let _worker = lab.worker(&runtime, &limits).await;
    posted(&runtime, 4).await;
    drop(hold);
    for id in ids {
        let completion = lab.completion(id).await;
        // With the time in the queue, the last one would exceed both limits.
        assert!(completion.result, "{id}: {:?}", completion.error);
    }
    assert_eq!(simulation(&runtime).busy().len(), 4);
}

#[tokio::test]
async fn a_second_run_that_is_pending_behind_another_job_has_its_full_timeout() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(6)).await;
    let api = lab.submit_api(&[&runtime]).await;
    simulation(&runtime).faults().plan(Fault::OutOfMemory, 1);
    submit(&api, "one", 1, &[]).await;
    submit(&api, "two", 2, &[]).await;
    let limits = [("WORKER_CONCURRENCY", "2"), ("RUN_TIMEOUT_SECONDS", "10"), ("STUCK_SECONDS", "5")];
    let _worker = lab.worker(&runtime, &limits).await;
    for id in ["one", "two"] {
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
    }
    posted(&runtime, 3).await;
}

#[tokio::test]
async fn a_task_whose_start_by_passes_in_the_runtimes_queue_is_cancelled() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(2)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let concurrency = [("WORKER_CONCURRENCY", "2"), ("EXP_CALLBACK_WHEN_RUNNING", "true")];
    let _worker = lab.worker(&runtime, &concurrency).await;
    // The first begins in time and continues after it.
    submit(&api, "begins", 1, &[("start_by", in_seconds(8))]).await;
    lab.notification("the first to run", |sent| sent["id"] == "begins" && sent["status"] == "running").await;
    let hold = simulation(&runtime).hold().await;
    submit(&api, "waits", 2, &[("start_by", in_seconds(4))]).await;

    let completion = lab.completion("waits").await;
    let error = completion.error.unwrap();
    assert_eq!((completion.task_status, error.code), (TaskStatus::Expired, ErrorCode::DeadlinePassed));
    assert_eq!(error.field.as_deref(), Some("/metadata/start_by"));
    drop(hold);
    assert!(lab.completion("begins").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(simulation(&runtime).busy().len(), 1);
    let sent = lab.notifications().await;
    let running = sent.iter().filter(|sent| sent["status"] == "running");
    assert_eq!(running.map(|sent| &sent["id"]).collect::<Vec<_>>(), ["begins"]);
}

#[tokio::test]
async fn a_task_whose_start_by_passes_while_it_is_prepared_does_not_run() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &images.address.to_string())]).await;
    let start_by = in_seconds(3);
    let at = OffsetDateTime::parse(start_by.as_str().unwrap(), &Rfc3339).unwrap();
    let url = images.respond_with("later.png", move |_| match OffsetDateTime::now_utc() > at {
        true => cat().into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "4")]).into_response(),
    });
    let metadata = json!({ "id": "late", "runtime": "sdruntime", "tasktype": "image-to-image", "prefix": "output",
                           "start_by": start_by });
    let content = json!({ "init_images": [url], "prompt": "x", "width": 64, "height": 64 });
    let body = json!({ "task": { "metadata": metadata, "content": content } });
    assert_eq!(api.post("/v1alpha2", &body).await.0, StatusCode::OK);

    let completion = lab.completion("late").await;
    let code = completion.error.map(|error| error.code);
    assert_eq!((completion.task_status, code), (TaskStatus::Expired, Some(ErrorCode::DeadlinePassed)));
    assert_eq!(simulation(&runtime).busy(), []);
}

#[tokio::test]
async fn a_run_that_takes_too_long_does_not_cost_the_one_behind_it_an_attempt() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(5)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("WORKER_CONCURRENCY", "2"), ("MAX_ATTEMPTS", "1")]).await;
    submit(&api, "short", 1, &[("run_timeout", json!(1))]).await;
    posted(&runtime, 1).await;
    submit(&api, "behind", 2, &[]).await;

    let error = lab.completion("short").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::RunTimeout);
    let completion = lab.completion("behind").await;
    assert!(completion.result, "{:?}", completion.error);
    assert!(completion.timings.run_ms >= 4_000, "ran for {} ms", completion.timings.run_ms);
}
