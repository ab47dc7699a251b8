//! Incomplete tasks of a killed worker: whether they are charged an attempt, and how they are released.

use local_stack::aws::CallRecord;
use simulated_runtimes::DEFAULT_MODEL;

use super::*;

#[tokio::test]
async fn a_task_that_kills_its_worker_costs_other_tasks_no_attempt() {
    let lab = Lab::start().await;
    let runtime = slow_sdwebui(&lab, 60).await;
    let api = lab.submit_api(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let settings = [&settings[..], &[("MAX_ATTEMPTS", "1"), ("DRAIN_SECONDS", "1")]].concat();
    let mut first = lab.worker(&runtime, &settings).await;
    api.submit("sdruntime", "text-to-image", "kills", prompt()).await;
    posted(&runtime, "/txt2img", 1).await;
    api.submit("sdruntime", "text-to-image", "other", prompt()).await;
    // It is staged once it is in the state file without a run.
    wait::until("the second task to be staged", async || {
        let state = state.read();
        (state["claims"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    first.signal("KILL");
    first.exited().await;

    let mut second = lab.worker(&runtime, &settings).await;
    let error = lab.completion("kills").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::WorkerDied);
    // The killed worker may have posted the second task, too: only the state file shows whose run it is.
    wait::until("the second worker to run the other task", async || {
        let state = state.read();
        let claims = state["claims"].as_array().unwrap();
        (claims.len() == 1 && claims[0]["has_begun"] == true).then_some(())
    })
    .await;
    second.signal("TERM");
    second.exited().await;
    let mut released = Vec::new();
    for key in lab.keys("_darkroom/attempts/").await {
        let journal = lab.json(&format!("s3://{}/{key}", lab.shared.bucket)).await;
        released.push(journal["given_back"].as_u64().unwrap());
    }
    released.sort_unstable();
    assert_eq!(released, [0, 2]);
}

/// A ComfyUI that runs one job while another one is pending, and the killed worker of both. Returns the id of the message of
/// the pending one.
async fn killed_with_a_pending_job(lab: &Lab, state: &StateFile) -> (Runtime, String) {
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = Duration::from_secs(60);
    let runtime = lab.comfyui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let mut worker = lab.worker(&runtime, &[&settings[..], &[("WORKER_CONCURRENCY", "2")]].concat()).await;
    let mut content = workflow();
    content["1"]["inputs"]["ckpt_name"] = json!(DEFAULT_MODEL);
    for (n, id) in (1..).zip(["runs", "waits"]) {
        api.submit("comfyui", "pipeline", id, content.clone()).await;
        posted(&runtime, "/prompt", n).await;
    }
    let waiting = wait::until("one to run and one to wait", async || {
        let claims = state.read()["claims"].as_array().unwrap().clone();
        let (begun, waiting): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|claim| claim["has_begun"] == true);
        (begun.len() == 1 && waiting.len() == 1).then(|| waiting[0].clone())
    })
    .await;
    worker.signal("KILL");
    worker.exited().await;
    (runtime, waiting["delivery"]["message_id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_pending_job_that_is_lost_with_its_runtime_is_not_charged() {
    let lab = Lab::start().await;
    let state = StateFile::new();
    let (mut runtime, _) = killed_with_a_pending_job(&lab, &state).await;
    runtime.restart().await;
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let more = [("WORKER_CONCURRENCY", "2"), ("MAX_ATTEMPTS", "1")];
    let _second = lab.worker(&runtime, &[&settings[..], &more].concat()).await;
    let waited = lab.completion("waits").await;
    assert!(waited.result, "{:?}", waited.error);
    assert_eq!(lab.completion("runs").await.error.unwrap().attempts, 1);
}

#[tokio::test]
async fn a_pending_job_is_released_uncharged_by_the_worker_that_adopted_it() {
    let lab = Lab::start().await;
    let state = StateFile::new();
    let (runtime, waiting) = killed_with_a_pending_job(&lab, &state).await;
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let more = [("WORKER_CONCURRENCY", "2"), ("DRAIN_SECONDS", "1")];
    let mut second = lab.worker(&runtime, &[&settings[..], &more].concat()).await;
    wait::until("both runs to be adopted", async || {
        let lines = second.lines_so_far();
        let adopted = lines.iter().filter(|line| line.contains("adopting the run of the previous process"));
        (adopted.count() == 2).then_some(())
    })
    .await;
    second.signal("TERM");
    assert!(second.exited().await.success());
    let keys = lab.keys("_darkroom/attempts/").await;
    assert_eq!(keys, [format!("_darkroom/attempts/{waiting}.json")], "the other one has been attempted");
    let journal = lab.json(&format!("s3://{}/{}", lab.shared.bucket, keys[0])).await;
    assert_eq!(journal["given_back"], 1, "{journal}");
}

#[tokio::test]
async fn a_message_whose_lease_expires_while_its_journal_is_read_is_not_released() {
    let name = "a_message_whose_lease_expires_while_its_journal_is_read_is_not_released";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = slow_sdwebui(&lab, 60).await;
    let api = lab.submit_api(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let mut first = lab.worker(&runtime, &settings).await;
    api.submit("sdruntime", "text-to-image", "left", prompt()).await;
    posted(&runtime, "/txt2img", 1).await;
    first.signal("KILL");
    first.exited().await;

    // As if it had been pending on its second delivery, with a lease that is valid for at least six more seconds.
    state.change_claim(|claim| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        claim["hidden_until"]["secs_since_epoch"] = json!(now.as_secs() + 12);
        claim["delivery"]["receive_count"] = json!(2);
        claim["has_begun"] = json!(false);
        claim["is_alone"] = json!(false);
    });
    let aws = lab.aws.embedded.as_ref().unwrap();
    let slow = Order::new(Service::S3, "GetObject", Fault::DelayBefore(Duration::from_secs(9)));
    aws.faults().order(slow.about("_darkroom/attempts/*.json").by("second").times(1_000_000));
    let mut second =
        lab.worker(&runtime, &[&settings[..], &[("AWS_ACCESS_KEY_ID", "second")]].concat()).await;
    wait::until("the claim to be dropped", async || {
        (state.read()["claims"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    second.signal("TERM");
    assert!(second.exited().await.success());
    let is_release = |call: &CallRecord| call.caller == "second" && call.action == "ChangeMessageVisibility";
    assert!(!aws.calls().iter().any(is_release));
}
