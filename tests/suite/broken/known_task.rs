//! The known-good task that a runtime is checked with: a check survives a restart of the worker, and is abandoned when the task cannot
//! be run any more.

use std::time::Duration;

use integration_tests::comfyui::{self, client, job, posts, sampled};
use simulated_runtimes::DEFAULT_MODEL;

use super::*;

const DISCARDED: &str = "known-good task discarded, the next task that succeeds replaces it";

/// A runtime with one model more than it has after a restart.
async fn with_second_model(lab: &Lab, runtime_type: &str) -> Runtime {
    let models = vec![DEFAULT_MODEL.to_owned(), "second.safetensors".to_owned()];
    match runtime_type {
        "comfyui" => lab.comfyui(ComfyUiOptions { models, ..ComfyUiOptions::default() }).await,
        _ => lab.sdwebui(SdWebUiOptions { models, ..SdWebUiOptions::default() }).await,
    }
}

/// A task that needs the second model.
async fn submit_for_second_model(api: &SubmitApi, runtime: &Runtime, id: &str) {
    if runtime.runtime_type == "comfyui" {
        let mut workflow = sampled(1, 1);
        workflow["1"]["inputs"]["ckpt_name"] = json!("second.safetensors");
        api.submit("comfyui", "pipeline", id, workflow).await;
    } else {
        let scripts = json!({ "sd_model_checkpoint": "second" });
        let content =
            json!({ "alwayson_scripts": scripts, "prompt": id, "width": 64, "height": 64, "steps": 2 });
        api.submit(&runtime.name, "text-to-image", id, content).await;
    }
}

/// The known-good task needs a model that the restarted runtime does not have.
async fn a_removed_model(runtime_type: &str, is_worker_restarted: bool) {
    let lab = Lab::start().await;
    let mut runtime = with_second_model(&lab, runtime_type).await;
    let api = lab.submit_api(&[]).await;
    let volume = Volume::new();
    let mut worker = volume.start(&lab, &runtime);
    let port = HealthPort::of(&mut worker).await;
    submit_for_second_model(&api, &runtime, "needs the model").await;
    assert!(lab.completion("needs the model").await.result);
    simulation(&runtime).faults().plan(unlisted_error(), 1);
    submit(&api, &runtime, "other").await;
    port.until("/runtime-livez", Err("runtime_broken")).await;

    if is_worker_restarted {
        worker.signal("KILL");
        worker.exited().await;
    }
    runtime.restart().await;
    if is_worker_restarted {
        worker = volume.start(&lab, &runtime);
    }
    worker.logged(DISCARDED).await;
    let completion = lab.completion("other").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(HealthPort::of(&mut worker).await.probe("/runtime-livez").await, Ok(()));
    let state = volume.state();
    assert_eq!(
        (&state["broken"], &state["succeeded"]["task"]["metadata"]["id"]),
        (&json!(null), &json!("other"))
    );
}

#[tokio::test]
async fn a_webui_without_the_model_of_the_known_good_task_does_not_stay_broken() {
    a_removed_model("sdwebui", false).await;
}

#[tokio::test]
async fn a_comfyui_without_the_model_of_the_known_good_task_does_not_stay_broken() {
    a_removed_model("comfyui", false).await;
}

#[tokio::test]
async fn a_restarted_worker_discards_a_known_good_task_whose_model_its_webui_lacks() {
    a_removed_model("sdwebui", true).await;
}

#[tokio::test]
async fn a_restarted_worker_discards_a_known_good_task_whose_model_its_comfyui_lacks() {
    a_removed_model("comfyui", true).await;
}

/// The process after a broken one gets no task before it has passed a check, even if the worker is killed.
async fn check_survives_the_worker(runtime_type: &str) {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, runtime_type).await;
    let api = lab.submit_api(&[&runtime]).await;
    let volume = Volume::new();
    let first = volume.start(&lab, &runtime);
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);
    break_and_kill(&api, &runtime, first).await;
    runtime.restart().await;

    // Killed during the check: SD WebUI reports from then on that it has executed a job.
    let hold = simulation(&runtime).hold().await;
    let mut second = volume.start(&lab, &runtime);
    second.logged(CHECKING).await;
    wait::until("the check to run", async || simulation(&runtime).running()).await;
    second.signal("KILL");
    second.exited().await;
    drop(hold);

    simulation(&runtime).faults().plan(unlisted_error(), 1);
    let mut third = volume.start(&lab, &runtime);
    third.logged(CHECKING).await;
    let port = HealthPort::of(&mut third).await;
    port.until("/runtime-livez", Err("runtime_broken")).await;
    assert_eq!(
        lab.notifications().await.len(),
        1,
        "a task was submitted to a runtime that had not been checked"
    );
    runtime.restart().await;
    let completion = lab.completion("survives").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(volume.state()["broken"], json!(null));
}

#[tokio::test]
async fn a_restarted_worker_checks_a_restarted_webui_before_it_gets_a_task() {
    check_survives_the_worker("sdwebui").await;
}

#[tokio::test]
async fn a_restarted_worker_checks_a_restarted_comfyui_before_it_gets_a_task() {
    check_survives_the_worker("comfyui").await;
}

/// Every check stops the runtime: the known-good task may be the cause.
#[tokio::test]
async fn a_check_that_never_completes_is_abandoned() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut worker = lab.worker(&runtime, &[]).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);
    let faults = simulation(&runtime).faults();
    faults.plan(exception(None), 1);
    faults.plan(Fault::Restart, 10);
    submit(&api, &runtime, "bad").await;
    let error = lab.completion("bad").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeFailed, 1), "{}", error.message);
    faults.clear();
    submit(&api, &runtime, "after").await;
    assert!(lab.completion("after").await.result);
    worker.signal("KILL");
    worker.exited().await;
    let aborted = worker.lines().into_iter().filter(|line| line.contains("runtime check aborted"));
    assert_eq!(aborted.count(), 3);
}

/// The task fails in every process, and is not rejected: a file of the runtime may be damaged.
#[tokio::test]
async fn a_known_good_task_that_fails_in_every_process_is_discarded() {
    let lab = Lab::start().await;
    let mut runtime = runtime(&lab, "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    let volume = Volume::new();
    let mut worker = volume.start(&lab, &runtime);
    let mut port = HealthPort::of(&mut worker).await;
    submit(&api, &runtime, "before").await;
    assert!(lab.completion("before").await.result);
    simulation(&runtime).faults().plan(unlisted_error(), 1);
    submit(&api, &runtime, "survives").await;
    for _ in 0..2 {
        port.until("/runtime-livez", Err("runtime_broken")).await;
        worker.signal("KILL");
        worker.exited().await;
        runtime.restart().await;
        // Both runs of the check.
        simulation(&runtime).faults().plan(exception(None), 2);
        worker = volume.start(&lab, &runtime);
        port = HealthPort::of(&mut worker).await;
        worker.logged(CHECKING).await;
    }
    worker.logged(DISCARDED).await;
    let completion = lab.completion("survives").await;
    assert!(completion.result, "{:?}", completion.error);
    assert_eq!(port.probe("/runtime-livez").await, Ok(()));
}

#[tokio::test]
async fn a_check_uses_no_larger_seed_than_the_task() {
    let simulation = comfyui::simulation(Duration::ZERO).await;
    let mut workflow = sampled(5_000, 1);
    client(&simulation).run(job(&workflow)).await.unwrap();
    client(&simulation).rerun(job(&workflow)).await.unwrap();
    workflow["5"]["inputs"]["seed"] = json!(42);
    client(&simulation).rerun(job(&workflow)).await.unwrap();

    let seeds: Vec<u64> = posts(&simulation, "/prompt")
        .iter()
        .map(|body| body["prompt"]["5"]["inputs"]["seed"].as_u64().unwrap())
        .collect();
    assert!(seeds[0] == 5_000 && seeds[1] < 5_000 && seeds[2] == 42, "{seeds:?}");
    assert_eq!(posts(&simulation, "/free").len(), 1, "too few seeds are as small as the last one");
}
