//! The whole path with stable-diffusion.cpp: its jobs have ids and a queue, and nothing interrupts the one that runs.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use base64_simd::STANDARD as BASE64;
use integration_tests::health_port::HealthPort;
use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime, SubmitApi, free_port};
use integration_tests::wait;
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::TaskStatus;
use simulated_runtimes::{Fault, SdCppOptions, Simulation};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn small(seed: u32) -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "seed": seed, "sample_params": { "sample_steps": 2 } })
}

async fn simulated(lab: &Lab) -> Runtime {
    let simulation = Simulation::start_sdcpp(free_port(), SdCppOptions::default()).await.unwrap();
    lab.runtime("sdcpp", "sdcpp", simulation.url(), Some(simulation), &[]).await
}

fn simulation(runtime: &Runtime) -> &Simulation {
    runtime.simulation.as_ref().unwrap()
}

fn posts(runtime: &Runtime, path: &str) -> Vec<Value> {
    let requests = simulation(runtime).requests().into_iter();
    let posts = requests.filter(|request| request.method == "POST" && request.path.ends_with(path));
    posts.map(|request| request.body.unwrap_or_default()).collect()
}

async fn posted(runtime: &Runtime, path: &str, times: usize) {
    wait::until(path, async || (posts(runtime, path).len() == times).then_some(())).await;
}

async fn submit(api: &SubmitApi, id: &str, more: &[(&str, Value)]) {
    let mut metadata =
        json!({ "id": id, "runtime": "sdcpp", "tasktype": "text-to-image", "prefix": "output" });
    for (key, value) in more {
        metadata[*key] = value.clone();
    }
    let body = json!({ "task": { "metadata": metadata, "content": small(1) } });
    let (status, answer) = api.post("/v1alpha2", &body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn images_go_from_the_task_to_the_bucket() {
    let lab = Lab::start().await;
    let runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;

    api.submit("sdcpp", "text-to-image", "drawn", small(7)).await;
    let drawn = lab.completion("drawn").await;
    assert!(drawn.result, "{:?}", drawn.error);
    assert_eq!(drawn.outputs.len(), 1);
    let report = lab.json(&drawn.output_url).await;
    assert_eq!(report["generation"]["seeds"], json!([7]));
    assert_eq!(report["parameters"]["prompt"], "x");

    let mut content = small(1);
    content["init_image"] = json!(format!("data:image/png;base64,{}", BASE64.encode_to_string(cat())));
    content["sample_params"]["sample_method"] = json!("Euler a");
    api.submit("sdcpp", "image-to-image", "redrawn", content).await;
    let redrawn = lab.completion("redrawn").await;
    assert!(redrawn.result, "{:?}", redrawn.error);
    let sent = posts(&runtime, "/img_gen").pop().unwrap();
    assert_eq!(sent["init_image"], BASE64.encode_to_string(cat()));
    assert_eq!(sent["sample_params"]["sample_method"], "euler_a");
    let report = lab.json(&redrawn.output_url).await;
    assert_eq!(report["parameters"]["init_image"], "");

    let mut content = small(5);
    content["n_iter"] = json!(3);
    api.submit("sdcpp", "text-to-image", "several", content).await;
    let several = lab.completion("several").await;
    assert_eq!(several.outputs.len(), 3);
    let report = lab.json(&several.output_url).await;
    assert_eq!(report["generation"]["seeds"], json!([5, 6, 7]));
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_name_that_the_server_would_replace_fails_the_task_at_its_field() {
    let lab = Lab::start().await;
    let runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let mut content = small(1);
    content["sample_params"]["scheduler"] = json!("no such");
    api.submit("sdcpp", "text-to-image", "unknown", content).await;
    let error = lab.completion("unknown").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::RuntimeRejected);
    assert_eq!(error.field.as_deref(), Some("/content/sample_params/scheduler"));
    assert!(error.message.contains("karras"), "{}", error.message);
    assert_eq!(posts(&runtime, "/img_gen").len(), 0);
}

/// A folder that outlives a worker's process, as a pod's volume does.
struct Volume(PathBuf);

impl Volume {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("darkroom-pod-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_restarted_worker_adopts_the_job_of_the_previous_process() {
    let lab = Lab::start().await;
    let runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let volume = Volume::new();
    let path = volume.state_file();
    let settings = [("STATE_FILE", path.to_str().unwrap()), ("HOSTNAME", "pod-a")];
    let hold = simulation(&runtime).hold().await;
    let mut first = lab.worker(&runtime, &settings).await;
    submit(&api, "adopted", &[]).await;
    wait::until("the job's id in the state file", async || {
        let state: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        state["claims"][0]["run"].is_string().then_some(())
    })
    .await;
    first.signal("KILL");
    first.exited().await;

    let mut second = lab.worker(&runtime, &settings).await;
    second.logged("adopting the run of the previous process").await;
    drop(hold);
    let completion = lab.completion("adopted").await;
    assert!(completion.result, "{:?}", completion.error);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!((posts(&runtime, "/img_gen").len(), posts(&runtime, "/cancel").len()), (1, 0));
}

#[tokio::test]
async fn a_job_whose_deadline_passes_in_the_servers_queue_is_cancelled() {
    let lab = Lab::start().await;
    let runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("WORKER_CONCURRENCY", "2")]).await;
    let hold = simulation(&runtime).hold().await;
    submit(&api, "first", &[]).await;
    wait::until("the first to run", async || simulation(&runtime).running()).await;
    let start_by = OffsetDateTime::from(SystemTime::now() + Duration::from_secs(3));
    submit(&api, "late", &[("start_by", json!(start_by.format(&Rfc3339).unwrap()))]).await;
    assert_eq!(lab.completion("late").await.task_status, TaskStatus::Expired);
    posted(&runtime, "/img_gen", 2).await;
    posted(&runtime, "/cancel", 1).await;
    drop(hold);
    assert!(lab.completion("first").await.result);
    assert_eq!(simulation(&runtime).busy().len(), 1);
}

#[tokio::test]
async fn a_run_past_its_deadline_makes_the_worker_request_a_restart() {
    let lab = Lab::start().await;
    let mut runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[("UNINTERRUPTIBLE_RUN", "restart"), ("MAX_ATTEMPTS", "1")]).await;
    let port = HealthPort::of(&mut worker).await;
    simulation(&runtime).faults().plan(Fault::Hang, 1);
    submit(&api, "long", &[("run_timeout", json!(3))]).await;
    let error = lab.completion("long").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::RunTimeout, "{}", error.message);
    port.until("/runtime-livez", Err("runtime_stuck")).await;
    // This would be its only attempt.
    submit(&api, "next", &[]).await;
    runtime.restart().await;
    port.until("/runtime-livez", Ok(())).await;
    let next = lab.completion("next").await;
    assert!(next.result, "{:?}", next.error);
}

#[tokio::test]
async fn the_worker_waits_until_a_run_past_its_deadline_is_over() {
    let lab = Lab::start().await;
    let runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    let port = HealthPort::of(&mut worker).await;
    let hold = simulation(&runtime).hold().await;
    submit(&api, "long", &[("run_timeout", json!(3))]).await;
    assert_eq!(lab.completion("long").await.error.unwrap().code, ErrorCode::RunTimeout);
    port.until("/readyz", Err("waiting_for_runtime")).await;
    submit(&api, "next", &[]).await;
    drop(hold);
    let next = lab.completion("next").await;
    assert!(next.result, "{:?}", next.error);
}

#[tokio::test]
async fn a_job_that_the_server_lost_is_submitted_again() {
    let lab = Lab::start().await;
    let mut runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    simulation(&runtime).faults().plan(Fault::Hang, 1);
    submit(&api, "lost", &[]).await;
    wait::until("the run to start", async || simulation(&runtime).running()).await;
    runtime.restart().await;
    let completion = lab.completion("lost").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(posts(&runtime, "/img_gen").len(), 1, "once in the new process");
}

#[tokio::test]
async fn a_failed_generation_has_the_message_of_the_server() {
    let lab = Lab::start().await;
    let runtime = simulated(&lab).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    simulation(&runtime).faults().plan(Fault::OutOfMemory, 1);
    submit(&api, "fails", &[]).await;
    let error = lab.completion("fails").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::RuntimeFailed);
    assert!(error.message.contains("generate_image returned no results"), "{}", error.message);
}
