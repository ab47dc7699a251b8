//! The journal of attempts: its counts survive outages, and a final failure is completed without another run.

use std::time::Duration;

use integration_tests::lab::{Lab, Runtime};
use integration_tests::process::Process;
use integration_tests::{aws, wait};
use local_stack::aws::{Fault as AwsFault, Order, Service};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{Fault, SdWebUiOptions, Simulation};

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 })
}

/// An error that no retry helps.
fn exception() -> Fault {
    Fault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() }
}

/// A task that one worker has released, as its journal records; and an idle runtime.
async fn released_once(lab: &Lab) -> (Runtime, Simulation) {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(60);
    let busy = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&busy]).await;
    let mut first = lab.worker(&busy, &[("DRAIN_SECONDS", "1")]).await;
    api.submit("sdruntime", "text-to-image", "moves", small()).await;
    wait::until("the run to begin", async || {
        let requests = busy.simulation.as_ref().unwrap().requests();
        requests.iter().any(|request| request.path.ends_with("/txt2img")).then_some(())
    })
    .await;
    first.signal("TERM");
    assert!(first.exited().await.success());
    let idle =
        Simulation::start_sdwebui("127.0.0.1:0".parse().unwrap(), SdWebUiOptions::default()).await.unwrap();
    (busy, idle)
}

/// The worker with the access key `second` cannot read the journal.
fn unreadable_journal() -> Order {
    let order = Order::new(Service::S3, "GetObject", AwsFault::FailBefore).about("_darkroom/attempts/*.json");
    order.by("second").times(1_000_000)
}

/// A worker of the idle runtime.
async fn second_worker(lab: &Lab, queue: &Runtime, idle: &Simulation, max_attempts: &str) -> Process {
    let url = idle.url();
    let settings =
        [("API_BASE_URL", url.as_str()), ("AWS_ACCESS_KEY_ID", "second"), ("MAX_ATTEMPTS", max_attempts)];
    lab.worker(queue, &settings).await
}

#[tokio::test]
async fn a_released_task_runs_although_its_journal_cannot_be_read() {
    let name = "a_released_task_runs_although_its_journal_cannot_be_read";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let (runtime, idle) = released_once(&lab).await;
    lab.aws.embedded.as_ref().unwrap().faults().order(unreadable_journal());
    let _second = second_worker(&lab, &runtime, &idle, "1").await;
    let completion = lab.completion("moves").await;
    assert!(completion.result, "{:?}", completion.error);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_not_overwritten() {
    let name = "a_journal_that_cannot_be_read_is_not_overwritten";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let (runtime, idle) = released_once(&lab).await;
    idle.faults().plan(Fault::NotJson, 1);
    let (faults, unreadable) = (lab.aws.embedded.as_ref().unwrap().faults(), unreadable_journal());
    faults.order(unreadable.clone());
    let mut second = second_worker(&lab, &runtime, &idle, "2").await;
    second.logged("attempt failed, will be retried").await;
    faults.cancel(&unreadable);
    // The third delivery is the second attempt, since the journal has the first one as a release.
    let completion = lab.completion("moves").await;
    assert!(completion.result, "{:?}", completion.error);
    let [journal] = lab.keys("_darkroom/attempts/").await.try_into().unwrap();
    let journal = lab.json(&format!("s3://{}/{journal}", lab.shared.bucket)).await;
    assert_eq!(journal, json!({ "given_back": 1, "attempts": [] }));
}

#[tokio::test]
async fn a_failure_that_one_worker_cannot_store_is_stored_by_the_next_without_another_run() {
    let name = "a_failure_that_one_worker_cannot_store_is_stored_by_the_next_without_another_run";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    simulation.faults().plan(exception(), 1);
    let failing = Order::new(Service::S3, "PutObject", AwsFault::FailBefore).about("_darkroom/failed/*.json");
    lab.aws.embedded.as_ref().unwrap().faults().order(failing.by("first").times(1_000_000));
    let last_attempt = ("MAX_ATTEMPTS", "1");
    let short = [("AWS_ACCESS_KEY_ID", "first"), ("DRAIN_SECONDS", "1"), ("GRACE_PERIOD_SECONDS", "11")];
    let mut first = lab.worker(&runtime, &[&short[..], &[last_attempt]].concat()).await;
    api.submit("sdruntime", "text-to-image", "fails", small()).await;
    wait::until("the failure to be recorded", async || {
        (!lab.keys("_darkroom/attempts/").await.is_empty()).then_some(())
    })
    .await;
    // Its retries would last longer than its grace period.
    first.signal("TERM");
    assert!(first.exited().await.success());
    assert!(lab.notifications().await.is_empty());

    let _second = lab.worker(&runtime, &[last_attempt]).await;
    let error = lab.completion("fails").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeFailed, 1));
    assert!(error.message.contains("shapes differ"), "{error:?}");
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(simulation.busy().len(), 1, "it ran again");
}

#[tokio::test]
async fn a_failing_task_that_is_published_twice_runs_once() {
    if aws::skipped_elsewhere(
        "a_failing_task_that_is_published_twice_runs_once",
        "only embedded APIs can be broken",
    ) {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    // A second run would succeed.
    simulation.faults().plan(exception(), 1);
    let faults = lab.aws.embedded.as_ref().unwrap().faults();
    let slow = AwsFault::DelayBefore(Duration::from_secs(3));
    faults.order(Order::new(Service::S3, "PutObject", slow).about("_darkroom/failed/*.json"));
    faults.order(Order::new(Service::Sns, "Publish", AwsFault::DeliverTwice));
    let _worker = lab.worker(&runtime, &[]).await;
    api.submit("sdruntime", "text-to-image", "fails", small()).await;
    let completions = lab.completions("fails", 2).await;
    assert!(completions.iter().all(|completion| !completion.result), "{completions:?}");
    assert_eq!(completions[0].notification_id, completions[1].notification_id);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(simulation.busy().len(), 1);
}
