//! How and when a failure is attributed to the task or to its runtime.

use std::time::Duration;

use reqwest::Method;
use simulated_runtimes::{CallFault, Order};

use super::*;

async fn assert_own_failure(lab: &Lab, id: &str) {
    let error = lab.completion(id).await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeFailed, 1), "{id}: {}", error.message);
}

#[tokio::test]
async fn a_failure_is_attributed_by_a_run_or_a_check_of_any_length() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(6);
    let runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    // Runs and checks last longer than a runtime may be unavailable.
    let mut worker = lab.worker(&runtime, &[("STUCK_SECONDS", "4")]).await;
    let port = HealthPort::of(&mut worker).await;
    let submit = async |id| {
        let content = json!({ "prompt": id, "width": 64, "height": 64, "steps": 20 });
        api.submit("sdruntime", "text-to-image", id, content).await;
    };
    submit("before").await;
    assert!(lab.completion("before").await.result);

    simulation(&runtime).faults().plan(exception(None), 1);
    submit("before a run").await;
    worker.logged("the run failed, checking the runtime").await;
    submit("next").await;
    assert_own_failure(&lab, "before a run").await;
    assert!(lab.completion("next").await.result);

    simulation(&runtime).faults().plan(exception(None), 1);
    submit("alone").await;
    assert_own_failure(&lab, "alone").await;
    worker.logged(CHECKING).await;
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

#[tokio::test]
async fn a_failure_that_cannot_be_attributed_costs_no_attempt() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[("STUCK_SECONDS", "2"), ("MAX_ATTEMPTS", "1")]).await;
    let port = HealthPort::of(&mut worker).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    // It executes its runs, and answers no probe any more.
    let no_probe = Order::new(Method::GET, "/system_stats", CallFault::FailBefore).times(100_000);
    simulation(&runtime).call_faults().order(no_probe.clone());
    simulation(&runtime).faults().plan(exception(None), 1);
    submit(&api, &runtime, "unlucky").await;
    worker.logged("the runtime cannot be checked, the task will be retried").await;
    simulation(&runtime).call_faults().cancel(&no_probe);
    let completion = lab.completion("unlucky").await;
    assert!(completion.result, "{:?}", completion.error);
    let released = "darkroom_worker_tasks_given_back_total{runtime=\"comfyui\",reason=\"runtime_gone\"}";
    assert_eq!(metric(&port, released).await, 1);
    assert_eq!(found_broken(&port, &runtime).await, [0, 0]);
}

/// The next run may complete before the failure of the previous one is known.
#[tokio::test]
async fn a_job_that_was_submitted_ahead_of_time_attributes_the_failure_before_it() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let settings = [("WORKER_CONCURRENCY", "2"), ("EXP_CALLBACK_WHEN_RUNNING", "true")];
    let mut worker = lab.worker(&runtime, &settings).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);

    simulation(&runtime).faults().plan(exception(Some("SaveImage")), 1);
    let hold = simulation(&runtime).hold().await;
    submit(&api, &runtime, "bad").await;
    lab.notification("the first to run", |sent| sent["id"] == "bad" && sent["status"] == "running").await;
    submit(&api, &runtime, "next").await;
    wait::until("both jobs in the runtime", async || {
        let requests = simulation(&runtime).requests().into_iter();
        (requests.filter(|request| request.method == "POST" && request.path == "/prompt").count() == 3)
            .then_some(())
    })
    .await;
    drop(hold);

    assert_own_failure(&lab, "bad").await;
    assert!(lab.completion("next").await.result);
    worker.signal("KILL");
    worker.exited().await;
    assert!(!worker.lines().iter().any(|line| line.contains(CHECKING)), "the next run had attributed it");
    assert_eq!(simulation(&runtime).busy().len(), 3);
}
