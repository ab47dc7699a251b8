//! A runtime that makes no progress is interrupted, and restarted if that does not help; one that crashes is waited for.

use std::time::Duration;

use integration_tests::health_port::HealthPort;
use integration_tests::lab::Lab;
use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{ComfyUiOptions, Fault, SdWebUiOptions};

const STUCK_SOON: [(&str, &str); 2] = [("STUCK_SECONDS", "2"), ("MAX_ATTEMPTS", "1")];

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 })
}

#[tokio::test]
async fn a_run_without_progress_is_interrupted_and_the_runtime_reported_as_stuck() {
    let lab = Lab::start().await;
    let mut runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &STUCK_SOON).await;
    let port = HealthPort::of(&mut worker).await;
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));

    runtime.simulation.as_ref().unwrap().faults().plan(Fault::Hang, 1);
    api.submit("sdruntime", "text-to-image", "hangs", small()).await;
    let error = lab.completion("hangs").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeStuck, 1));
    port.until("/runtime-livez", Err("runtime_stuck")).await;
    assert_eq!(port.probe("/readyz").await, Err("runtime_stuck".to_owned()));
    assert_eq!(port.probe("/healthz").await, Ok(()));

    runtime.restart().await;
    port.until("/runtime-livez", Ok(())).await;
    port.until("/readyz", Ok(())).await;
    api.submit("sdruntime", "text-to-image", "continues", small()).await;
    assert!(lab.completion("continues").await.result);
}

#[tokio::test]
async fn a_runtime_with_a_dead_worker_thread_is_stuck_and_gets_no_task() {
    let lab = Lab::start().await;
    let mut runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &STUCK_SOON).await;
    let port = HealthPort::of(&mut worker).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::DeadWorker, 1);
    let workflow =
        integration_tests::fixtures::load("comfyui/images-batch-of-3.json")["request"]["body"]["prompt"]
            .clone();
    api.submit("comfyui", "pipeline", "waits", workflow.clone()).await;
    assert_eq!(lab.completion("waits").await.error.unwrap().code, ErrorCode::RuntimeStuck);
    port.until("/runtime-livez", Err("runtime_stuck")).await;
    assert_eq!(port.probe("/healthz").await, Ok(()));

    // The next task stays in the queue until the runtime has been restarted: this would be its only attempt.
    api.submit("comfyui", "pipeline", "waits, too", workflow).await;
    runtime.stop();
    // Real restarts take longer than the second between two probes.
    wait::until("the worker to find the runtime unavailable", async || {
        let lines = worker.lines_so_far();
        let is_it =
            |line: &String| line.contains("waiting for the runtime") && line.contains("runtime_unavailable");
        lines.iter().any(is_it).then_some(())
    })
    .await;
    runtime.start_again().await;
    assert!(lab.completion("waits, too").await.result);
    lab.emptied(&runtime.queue.url).await;
}

/// As on real servers whose worker thread crashes in mid-job: the job counts as running for ever.
#[tokio::test]
async fn a_run_that_does_not_stop_blocks_other_tasks_until_the_runtime_restarts() {
    let lab = Lab::start().await;
    let mut runtime = lab.comfyui(ComfyUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &STUCK_SOON).await;
    let port = HealthPort::of(&mut worker).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    simulation.faults().plan(Fault::Hang, 1);
    let workflow =
        integration_tests::fixtures::load("comfyui/images-batch-of-3.json")["request"]["body"]["prompt"]
            .clone();
    api.submit("comfyui", "pipeline", "hangs", workflow.clone()).await;
    assert_eq!(lab.completion("hangs").await.error.unwrap().code, ErrorCode::RuntimeStuck);
    // This would be its only attempt.
    api.submit("comfyui", "pipeline", "innocent", workflow).await;
    port.until("/runtime-livez", Err("runtime_stuck")).await;
    let requests = simulation.requests();
    assert_eq!(
        requests.iter().filter(|request| request.method == "POST" && request.path == "/prompt").count(),
        1
    );

    runtime.restart().await;
    assert!(lab.completion("innocent").await.result);
    port.until("/runtime-livez", Ok(())).await;
}

#[tokio::test]
async fn a_runtime_that_crashes_in_mid_run_is_waited_for_and_the_task_runs_again() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(30);
    let mut runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    api.submit("sdruntime", "text-to-image", "survives", small()).await;
    wait::until("the run to begin", async || {
        let requests = runtime.simulation.as_ref().unwrap().requests();
        requests.iter().any(|request| request.path.ends_with("/txt2img")).then_some(())
    })
    .await;
    runtime.stop();
    let port = HealthPort::of(&mut worker).await;
    port.until("/readyz", Err("waiting_for_runtime")).await;
    // Released, and not received while the runtime is unavailable.
    wait::until("the message to be visible", async || {
        (lab.counts(&runtime.queue.url).await == (1, 0)).then_some(())
    })
    .await;
    assert_eq!(port.probe("/runtime-livez").await, Ok(()), "a restart is under way");

    runtime.start_again().await;
    worker.logged("ready again").await;
    assert!(lab.completion("survives").await.result);
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_runtime_that_accepts_several_jobs_gets_them() {
    let lab = Lab::start().await;
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = Duration::from_secs(3);
    let runtime = lab.comfyui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("WORKER_CONCURRENCY", "3")]).await;
    let workflow =
        integration_tests::fixtures::load("comfyui/images-batch-of-3.json")["request"]["body"]["prompt"]
            .clone();
    for id in ["one", "two", "three"] {
        api.submit("comfyui", "pipeline", id, workflow.clone()).await;
    }
    wait::until("all jobs to be at the runtime before one has completed", async || {
        let simulation = runtime.simulation.as_ref().unwrap();
        let posted = simulation
            .requests()
            .iter()
            .filter(|request| request.method == "POST" && request.path == "/prompt")
            .count();
        (posted == 3 && simulation.busy().is_empty()).then_some(())
    })
    .await;
    for id in ["one", "two", "three"] {
        assert!(lab.completion(id).await.result);
    }
}
