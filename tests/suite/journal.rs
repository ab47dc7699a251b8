//! The journal of attempts: what it counts survives outages, and what failed for good is ended without another run.

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

/// What the runtime says of a task that no retry helps.
fn exception() -> Fault {
    Fault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() }
}

/// A task that one worker has given back, with a journal that says so; and a runtime that is free.
async fn given_back_once(lab: &Lab) -> (Runtime, Simulation) {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(60);
    let busy = lab.sdwebui(options).await;
    let door = lab.front_door(&[&busy]).await;
    let mut first = lab.worker(&busy, &[("DRAIN_SECONDS", "1")]).await;
    door.submit("sdruntime", "text-to-image", "moves", small()).await;
    wait::until("the run to begin", async || {
        let asked = busy.simulation.as_ref().unwrap().requests();
        asked.iter().any(|asked| asked.path.ends_with("/txt2img")).then_some(())
    })
    .await;
    first.signal("TERM");
    assert!(first.ended().await.success());
    let free =
        Simulation::start_sdwebui("127.0.0.1:0".parse().unwrap(), SdWebUiOptions::default()).await.unwrap();
    (busy, free)
}

/// The journal cannot be read by the worker of that name.
fn unreadable_journal() -> Order {
    let order = Order::new(Service::S3, "GetObject", AwsFault::FailBefore).about("_darkroom/attempts/*.json");
    order.by("second").times(1_000_000)
}

/// A worker beside the free runtime.
async fn second_worker(lab: &Lab, queue: &Runtime, free: &Simulation, max_attempts: &str) -> Process {
    let url = free.url();
    let settings =
        [("API_BASE_URL", url.as_str()), ("AWS_ACCESS_KEY_ID", "second"), ("MAX_ATTEMPTS", max_attempts)];
    lab.worker(queue, &settings).await
}

#[tokio::test]
async fn a_task_that_was_given_back_runs_although_its_journal_cannot_be_read() {
    let name = "a_task_that_was_given_back_runs_although_its_journal_cannot_be_read";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let (runtime, free) = given_back_once(&lab).await;
    lab.aws.embedded.as_ref().unwrap().faults().order(unreadable_journal());
    let _second = second_worker(&lab, &runtime, &free, "1").await;
    let ended = lab.ended("moves").await;
    assert!(ended.result, "{:?}", ended.error);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_not_written_over() {
    let name = "a_journal_that_cannot_be_read_is_not_written_over";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let (runtime, free) = given_back_once(&lab).await;
    free.faults().plan(Fault::NotJson, 1);
    let (faults, unreadable) = (lab.aws.embedded.as_ref().unwrap().faults(), unreadable_journal());
    faults.order(unreadable.clone());
    let mut second = second_worker(&lab, &runtime, &free, "2").await;
    second.logged("attempt failed, will be retried").await;
    faults.cancel(&unreadable);
    // The third delivery is the second attempt, as the journal of the first one says.
    let ended = lab.ended("moves").await;
    assert!(ended.result, "{:?}", ended.error);
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
    let door = lab.front_door(&[&runtime]).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    simulation.faults().plan(exception(), 1);
    let refused = Order::new(Service::S3, "PutObject", AwsFault::FailBefore).about("_darkroom/failed/*.json");
    lab.aws.embedded.as_ref().unwrap().faults().order(refused.by("first").times(1_000_000));
    let last_attempt = ("MAX_ATTEMPTS", "1");
    let short = [("AWS_ACCESS_KEY_ID", "first"), ("DRAIN_SECONDS", "1"), ("GRACE_PERIOD_SECONDS", "11")];
    let mut first = lab.worker(&runtime, &[&short[..], &[last_attempt]].concat()).await;
    door.submit("sdruntime", "text-to-image", "fails", small()).await;
    wait::until("the failure to be recorded", async || {
        (!lab.keys("_darkroom/attempts/").await.is_empty()).then_some(())
    })
    .await;
    // It would go on storing for longer than its grace period.
    first.signal("TERM");
    assert!(first.ended().await.success());
    assert!(lab.everything_told().await.is_empty());

    let _second = lab.worker(&runtime, &[last_attempt]).await;
    let error = lab.ended("fails").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeFailed, 1));
    assert!(error.message.contains("shapes differ"), "{error:?}");
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(simulation.busy().len(), 1, "it ran again");
}

#[tokio::test]
async fn a_failing_task_that_is_sent_twice_runs_once() {
    if aws::skipped_elsewhere(
        "a_failing_task_that_is_sent_twice_runs_once",
        "only embedded APIs can be broken",
    ) {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let door = lab.front_door(&[&runtime]).await;
    let simulation = runtime.simulation.as_ref().unwrap();
    // The second run would go well.
    simulation.faults().plan(exception(), 1);
    let faults = lab.aws.embedded.as_ref().unwrap().faults();
    let slow = AwsFault::DelayBefore(Duration::from_secs(3));
    faults.order(Order::new(Service::S3, "PutObject", slow).about("_darkroom/failed/*.json"));
    faults.order(Order::new(Service::Sns, "Publish", AwsFault::DeliverTwice));
    let _worker = lab.worker(&runtime, &[]).await;
    door.submit("sdruntime", "text-to-image", "fails", small()).await;
    let ends = lab.ends("fails", 2).await;
    assert!(ends.iter().all(|ended| !ended.result), "{ends:?}");
    assert_eq!(ends[0].notification_id, ends[1].notification_id);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(simulation.busy().len(), 1);
}
