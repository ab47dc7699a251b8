//! Several jobs in ComfyUI's own queue: the clocks of a task run while the runtime works on it, and not while it waits there.

use std::time::{Duration, SystemTime};

use axum::http::header;
use axum::response::IntoResponse as _;
use integration_tests::image_server::{ImageServer, cat};
use integration_tests::lab::{FrontDoor, Lab, Runtime};
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

/// From checkpoint to saved picture; every seed is different work, in twenty steps that show progress.
fn sampled(seed: u32) -> Value {
    let mut workflow =
        fixtures::load("comfyui/checkpoint-sampler-progress.json")["request"]["body"]["prompt"].clone();
    workflow["1"]["inputs"]["ckpt_name"] = json!(DEFAULT_MODEL);
    workflow["5"]["inputs"]["seed"] = json!(seed);
    workflow["5"]["inputs"]["steps"] = json!(20);
    workflow
}

async fn submit(door: &FrontDoor, id: &str, seed: u32, more: &[(&str, Value)]) {
    let mut metadata = json!({ "id": id, "runtime": "comfyui", "tasktype": "pipeline", "prefix": "output" });
    for (key, value) in more {
        metadata[*key] = value.clone();
    }
    let body = json!({ "task": { "metadata": metadata, "content": sampled(seed) } });
    let (status, answer) = door.post("/v1alpha2", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

fn simulation(runtime: &Runtime) -> &Simulation {
    runtime.simulation.as_ref().unwrap()
}

/// Waits until the runtime was posted that many workflows.
async fn posted(runtime: &Runtime, count: usize) {
    wait::until("the workflows in the runtime", async || {
        let asked = simulation(runtime).requests().into_iter();
        let posts = asked.filter(|asked| asked.method == "POST" && asked.path == "/prompt").count();
        (posts == count).then_some(())
    })
    .await;
}

fn in_seconds(seconds: u64) -> Value {
    let at = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(seconds));
    json!(at.format(&Rfc3339).unwrap())
}

#[tokio::test]
async fn waiting_in_the_runtimes_queue_is_neither_run_time_nor_standstill() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(4)).await;
    let door = lab.front_door(&[&runtime]).await;
    let ids = ["one", "two", "three", "four"];
    for (seed, id) in (1..).zip(ids) {
        submit(&door, id, seed, &[]).await;
    }
    // The last waits for twelve seconds.
    let limits = [("WORKER_CONCURRENCY", "4"), ("RUN_TIMEOUT_SECONDS", "9"), ("STUCK_SECONDS", "8")];
    let hold = simulation(&runtime).hold().await;
    let _worker = lab.worker(&runtime, &limits).await;
    posted(&runtime, 4).await;
    drop(hold);
    for id in ids {
        let ended = lab.ended(id).await;
        // With the time in the queue, the last one would exceed both limits.
        assert!(ended.result, "{id}: {:?}", ended.error);
    }
    assert_eq!(simulation(&runtime).busy().len(), 4);
}

#[tokio::test]
async fn a_second_try_that_waits_behind_another_job_has_its_whole_time() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(6)).await;
    let door = lab.front_door(&[&runtime]).await;
    simulation(&runtime).faults().plan(Fault::OutOfMemory, 1);
    submit(&door, "one", 1, &[]).await;
    submit(&door, "two", 2, &[]).await;
    let limits = [("WORKER_CONCURRENCY", "2"), ("RUN_TIMEOUT_SECONDS", "10"), ("STUCK_SECONDS", "5")];
    let _worker = lab.worker(&runtime, &limits).await;
    for id in ["one", "two"] {
        let ended = lab.ended(id).await;
        assert!(ended.result, "{id}: {:?}", ended.error);
    }
    posted(&runtime, 3).await;
}

#[tokio::test]
async fn a_task_whose_start_by_passes_in_the_runtimes_queue_is_withdrawn() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(2)).await;
    let door = lab.front_door(&[&runtime]).await;
    let concurrency = [("WORKER_CONCURRENCY", "2"), ("EXP_CALLBACK_WHEN_RUNNING", "true")];
    let _worker = lab.worker(&runtime, &concurrency).await;
    // The first begins in time and goes on beyond it.
    submit(&door, "begins", 1, &[("start_by", in_seconds(8))]).await;
    lab.told("the first to run", |sent| sent["id"] == "begins" && sent["status"] == "running").await;
    let hold = simulation(&runtime).hold().await;
    submit(&door, "waits", 2, &[("start_by", in_seconds(4))]).await;

    let ended = lab.ended("waits").await;
    let error = ended.error.unwrap();
    assert_eq!((ended.task_status, error.code), (TaskStatus::Expired, ErrorCode::DeadlinePassed));
    assert_eq!(error.field.as_deref(), Some("/metadata/start_by"));
    drop(hold);
    assert!(lab.ended("begins").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(simulation(&runtime).busy().len(), 1);
    let sent = lab.everything_told().await;
    let running = sent.iter().filter(|sent| sent["status"] == "running");
    assert_eq!(running.map(|sent| &sent["id"]).collect::<Vec<_>>(), ["begins"]);
}

#[tokio::test]
async fn a_task_whose_start_by_passes_while_it_is_prepared_does_not_run() {
    let lab = Lab::start().await;
    let images = ImageServer::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let door = lab.front_door(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("INPUT_ALLOW_HOSTS", &images.address.to_string())]).await;
    let start_by = in_seconds(3);
    let at = OffsetDateTime::parse(start_by.as_str().unwrap(), &Rfc3339).unwrap();
    let url = images.answers("later.png", move |_| match OffsetDateTime::now_utc() > at {
        true => cat().into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "4")]).into_response(),
    });
    let metadata = json!({ "id": "late", "runtime": "sdruntime", "tasktype": "image-to-image", "prefix": "output",
                           "start_by": start_by });
    let content = json!({ "init_images": [url], "prompt": "x", "width": 64, "height": 64 });
    let body = json!({ "task": { "metadata": metadata, "content": content } });
    assert_eq!(door.post("/v1alpha2", &body).await.0, StatusCode::OK);

    let ended = lab.ended("late").await;
    let code = ended.error.map(|error| error.code);
    assert_eq!((ended.task_status, code), (TaskStatus::Expired, Some(ErrorCode::DeadlinePassed)));
    assert_eq!(simulation(&runtime).busy(), []);
}

#[tokio::test]
async fn a_run_that_takes_too_long_does_not_cost_the_one_behind_it_an_attempt() {
    let lab = Lab::start().await;
    let runtime = comfyui(&lab, Duration::from_secs(5)).await;
    let door = lab.front_door(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("WORKER_CONCURRENCY", "2"), ("MAX_ATTEMPTS", "1")]).await;
    submit(&door, "short", 1, &[("run_timeout", json!(1))]).await;
    posted(&runtime, 1).await;
    submit(&door, "behind", 2, &[]).await;

    let error = lab.ended("short").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::RunTimeout);
    let ended = lab.ended("behind").await;
    assert!(ended.result, "{:?}", ended.error);
    assert!(ended.timings.run_ms >= 4_000, "ran for {} ms", ended.timings.run_ms);
}
