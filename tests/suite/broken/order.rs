//! What decides whether a task or its runtime is at fault, and when.

use std::time::Duration;

use reqwest::Method;
use simulated_runtimes::{CallFault, Order};

use super::*;

async fn assert_own_failure(lab: &Lab, id: &str) {
    let error = lab.ended(id).await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeFailed, 1), "{id}: {}", error.message);
}

#[tokio::test]
async fn a_failure_is_decided_by_a_run_or_a_check_of_any_length() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(6);
    let runtime = lab.sdwebui(options).await;
    let door = lab.front_door(&[&runtime]).await;
    // Runs and checks last longer than a runtime may be unavailable.
    let mut worker = lab.worker(&runtime, &[("STUCK_SECONDS", "4")]).await;
    let port = HealthPort::of(&mut worker).await;
    let submit = async |id| {
        let content = json!({ "prompt": id, "width": 64, "height": 64, "steps": 20 });
        door.submit("sdruntime", "text-to-image", id, content).await;
    };
    submit("before").await;
    assert!(lab.ended("before").await.result);

    simulation(&runtime).faults().plan(exception(None), 1);
    submit("before a run").await;
    worker.logged("the run failed, checking the runtime").await;
    submit("next").await;
    assert_own_failure(&lab, "before a run").await;
    assert!(lab.ended("next").await.result);

    simulation(&runtime).faults().plan(exception(None), 1);
    submit("alone").await;
    assert_own_failure(&lab, "alone").await;
    worker.logged(CHECKING).await;
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

#[tokio::test]
async fn a_failure_that_nothing_can_decide_costs_no_attempt() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let door = lab.front_door(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[("STUCK_SECONDS", "2"), ("MAX_ATTEMPTS", "1")]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    // It does its runs, and answers no probe any more.
    let no_probe = Order::new(Method::GET, "/system_stats", CallFault::FailBefore).times(100_000);
    simulation(&runtime).call_faults().order(no_probe.clone());
    simulation(&runtime).faults().plan(exception(None), 1);
    submit(&door, &runtime, "unlucky").await;
    worker.logged("the runtime cannot be checked, the task will be retried").await;
    simulation(&runtime).call_faults().cancel(&no_probe);
    let ended = lab.ended("unlucky").await;
    assert!(ended.result, "{:?}", ended.error);
    let given_back = "darkroom_worker_tasks_given_back_total{runtime=\"comfyui\",reason=\"runtime_gone\"}";
    assert_eq!(metric(&port, given_back).await, 1);
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

/// The next run may be over before the failure of the one before it is known.
#[tokio::test]
async fn a_job_that_was_handed_over_ahead_clears_the_failure_before_it() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let door = lab.front_door(&[&runtime]).await;
    let settings = [("WORKER_CONCURRENCY", "2"), ("EXP_CALLBACK_WHEN_RUNNING", "true")];
    let worker = lab.worker(&runtime, &settings).await;
    submit(&door, &runtime, "before").await;
    assert!(lab.ended("before").await.result);

    simulation(&runtime).faults().plan(exception(Some("SaveImage")), 1);
    let hold = simulation(&runtime).hold().await;
    submit(&door, &runtime, "bad").await;
    lab.told("the first to run", |told| told["id"] == "bad" && told["status"] == "running").await;
    submit(&door, &runtime, "next").await;
    wait::until("both jobs in the runtime", async || {
        let asked = simulation(&runtime).requests().into_iter();
        (asked.filter(|asked| asked.method == "POST" && asked.path == "/prompt").count() == 3).then_some(())
    })
    .await;
    drop(hold);

    assert_own_failure(&lab, "bad").await;
    assert!(lab.ended("next").await.result);
    assert!(!worker.lines().iter().any(|line| line.contains(CHECKING)), "the next run had decided it");
    assert_eq!(simulation(&runtime).busy().len(), 3);
}
