//! What a killed worker held and had not finished: whether it is charged with an attempt, and how it is given back.

use local_stack::aws::CallRecord;
use simulated_runtimes::DEFAULT_MODEL;

use super::*;

#[tokio::test]
async fn a_task_that_kills_its_worker_costs_its_neighbours_nothing() {
    let lab = Lab::start().await;
    let runtime = slow_sdwebui(&lab, 60).await;
    let door = lab.front_door(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let settings = [&settings[..], &[("MAX_ATTEMPTS", "1"), ("DRAIN_SECONDS", "1")]].concat();
    let mut first = lab.worker(&runtime, &settings).await;
    door.submit("sdruntime", "text-to-image", "kills", prompt()).await;
    posted(&runtime, "/txt2img", 1).await;
    door.submit("sdruntime", "text-to-image", "beside", prompt()).await;
    // It is staged once it stands in the state file without a run.
    wait::until("the second task to be staged", async || {
        let state = state.read();
        (state["claims"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    first.signal("KILL");
    first.ended().await;

    let mut second = lab.worker(&runtime, &settings).await;
    let error = lab.ended("kills").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::WorkerDied);
    // The killed worker may have posted the second task, too: only the state file says whose run it is.
    wait::until("the second worker to run the other task", async || {
        let state = state.read();
        let claims = state["claims"].as_array().unwrap();
        (claims.len() == 1 && claims[0]["has_begun"] == true).then_some(())
    })
    .await;
    second.signal("TERM");
    second.ended().await;
    let mut given_back = Vec::new();
    for key in lab.keys("_darkroom/attempts/").await {
        let journal = lab.json(&format!("s3://{}/{key}", lab.shared.bucket)).await;
        given_back.push(journal["given_back"].as_u64().unwrap());
    }
    given_back.sort_unstable();
    assert_eq!(given_back, [0, 2]);
}

/// A ComfyUI that works on one job while another one waits, and the killed worker of both. Returns the id of the message of
/// the one that waits.
async fn killed_with_a_job_that_waits(lab: &Lab, state: &StateFile) -> (Runtime, String) {
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = Duration::from_secs(60);
    let runtime = lab.comfyui(options).await;
    let door = lab.front_door(&[&runtime]).await;
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let mut worker = lab.worker(&runtime, &[&settings[..], &[("WORKER_CONCURRENCY", "2")]].concat()).await;
    let mut content = workflow();
    content["1"]["inputs"]["ckpt_name"] = json!(DEFAULT_MODEL);
    for (n, id) in (1..).zip(["runs", "waits"]) {
        door.submit("comfyui", "pipeline", id, content.clone()).await;
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
    worker.ended().await;
    (runtime, waiting["delivery"]["message_id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_job_that_waited_and_is_lost_with_its_runtime_is_not_charged() {
    let lab = Lab::start().await;
    let state = StateFile::new();
    let (mut runtime, _) = killed_with_a_job_that_waits(&lab, &state).await;
    runtime.restart().await;
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let more = [("WORKER_CONCURRENCY", "2"), ("MAX_ATTEMPTS", "1")];
    let _second = lab.worker(&runtime, &[&settings[..], &more].concat()).await;
    let waited = lab.ended("waits").await;
    assert!(waited.result, "{:?}", waited.error);
    assert_eq!(lab.ended("runs").await.error.unwrap().attempts, 1);
}

#[tokio::test]
async fn a_job_that_waits_is_given_back_uncharged_by_the_worker_that_adopted_it() {
    let lab = Lab::start().await;
    let state = StateFile::new();
    let (runtime, waiting) = killed_with_a_job_that_waits(&lab, &state).await;
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let more = [("WORKER_CONCURRENCY", "2"), ("DRAIN_SECONDS", "1")];
    let mut second = lab.worker(&runtime, &[&settings[..], &more].concat()).await;
    wait::until("both runs to be taken up", async || {
        let lines = second.lines();
        let taken_up = lines.iter().filter(|line| line.contains("adopting the run of the previous process"));
        (taken_up.count() == 2).then_some(())
    })
    .await;
    second.signal("TERM");
    assert!(second.ended().await.success());
    let keys = lab.keys("_darkroom/attempts/").await;
    assert_eq!(keys, [format!("_darkroom/attempts/{waiting}.json")], "the other one has been attempted");
    let journal = lab.json(&format!("s3://{}/{}", lab.shared.bucket, keys[0])).await;
    assert_eq!(journal["given_back"], 1, "{journal}");
}

#[tokio::test]
async fn a_message_whose_lease_ends_while_its_journal_is_read_is_not_released() {
    let name = "a_message_whose_lease_ends_while_its_journal_is_read_is_not_released";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = slow_sdwebui(&lab, 60).await;
    let door = lab.front_door(&[&runtime]).await;
    let state = StateFile::new();
    let path = state.path();
    let settings = state.settings(&path, "pod-a");
    let mut first = lab.worker(&runtime, &settings).await;
    door.submit("sdruntime", "text-to-image", "left", prompt()).await;
    posted(&runtime, "/txt2img", 1).await;
    first.signal("KILL");
    first.ended().await;

    // As if it had waited on its second delivery, with a lease that holds for six more seconds for certain.
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
    assert!(second.ended().await.success());
    let is_release = |call: &CallRecord| call.caller == "second" && call.action == "ChangeMessageVisibility";
    assert!(!aws.calls().iter().any(is_release));
}
