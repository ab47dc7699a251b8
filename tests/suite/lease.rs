//! The lease: a worker that loses it interrupts its run and stores nothing. And deadlines: a late task expires.

use std::time::Duration;

use integration_tests::aws;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::wait;
use local_stack::aws::{EmbeddedAws, Fault, Order, Service, Subject};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::TaskStatus;
use simulated_runtimes::{Fault as RuntimeFault, SdWebUiOptions};

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 20 })
}

async fn slow(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = latency;
    lab.sdwebui(options).await
}

/// How each extension fails, until the lease is lost.
const WAYS_TO_LOSE: [(&str, Fault); 3] = [
    ("refused", Fault::Deny),
    ("failing", Fault::FailBefore),
    ("too slow", Fault::DelayBefore(Duration::from_secs(60))),
];

#[tokio::test]
async fn a_worker_that_loses_its_lease_interrupts_the_run_and_stores_nothing() {
    if aws::skipped_elsewhere(
        "a_worker_that_loses_its_lease_interrupts_the_run_and_stores_nothing",
        "only embedded APIs can be broken",
    ) {
        return;
    }
    for (how, fault) in WAYS_TO_LOSE {
        let lab = Lab::start().await;
        let runtime = slow(&lab, Duration::from_secs(30)).await;
        let api = lab.submit_api(&[&runtime]).await;
        let extensions = Order::new(Service::Sqs, "ChangeMessageVisibility", fault).by("first").times(1000);
        lab.aws.embedded.as_ref().unwrap().faults().order(extensions);
        let settings = [
            ("VISIBILITY_TIMEOUT_SECONDS", "6"),
            ("RUN_TIMEOUT_SECONDS", "100"),
            ("AWS_ACCESS_KEY_ID", "first"),
            ("DRAIN_SECONDS", "1"),
        ];
        let mut worker = lab.worker(&runtime, &settings).await;
        api.submit("sdruntime", "text-to-image", "lost", small()).await;
        worker.logged("lease lost").await;
        worker.logged("interrupting the run").await;
        wait::until("the interrupted run to stop", async || {
            (!runtime.simulation.as_ref().unwrap().busy().is_empty()).then_some(())
        })
        .await;
        // The message is visible again: the same worker may have received it once more, and releases it.
        lab.aws.embedded.as_ref().unwrap().faults().clear();
        worker.signal("TERM");
        assert!(worker.exited().await.success(), "{how}");
        assert_eq!(lab.keys("output/").await, Vec::<String>::new(), "{how}");
        assert!(lab.notifications().await.is_empty(), "{how}");
    }
}

/// The receipt handles in the calls of an action that got a response, even a denial, with the visibility timeouts that
/// they set.
fn handles(aws: &EmbeddedAws, action: &str) -> Vec<(String, Option<Duration>)> {
    let calls = aws.calls().into_iter().filter(|call| call.action == action && call.status.is_some());
    let handles = calls.flat_map(|call| match call.subject {
        Subject::Queue { deliveries, visibility, .. } => {
            deliveries.into_iter().map(|delivery| (delivery.receipt_handle, visibility)).collect()
        }
        _ => Vec::new(),
    });
    handles.collect()
}

#[tokio::test]
async fn a_lease_that_expires_while_a_failure_is_recorded_or_released_is_not_used_again() {
    let name = "a_lease_that_expires_while_a_failure_is_recorded_or_released_is_not_used_again";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let late = Fault::DelayBefore(Duration::from_secs(9));
    let journal = Order::new(Service::S3, "PutObject", late).about("_darkroom/attempts/*.json");
    let visibility = |fault| Order::new(Service::Sqs, "ChangeMessageVisibility", fault);
    for orders in [vec![journal, visibility(Fault::Deny)], vec![visibility(late)]] {
        let lab = Lab::start().await;
        let aws = lab.aws.embedded.as_ref().unwrap();
        let runtime = slow(&lab, Duration::ZERO).await;
        runtime.simulation.as_ref().unwrap().faults().plan(RuntimeFault::NotJson, 1);
        let api = lab.submit_api(&[&runtime]).await;
        for order in orders {
            aws.faults().order(order.by("worker"));
        }
        let settings = [
            ("VISIBILITY_TIMEOUT_SECONDS", "6"),
            ("RUN_TIMEOUT_SECONDS", "100"),
            ("AWS_ACCESS_KEY_ID", "worker"),
        ];
        let mut worker = lab.worker(&runtime, &settings).await;
        api.submit("sdruntime", "text-to-image", "again", small()).await;
        assert!(lab.completion("again").await.result);
        worker.signal("TERM");
        assert!(worker.exited().await.success());

        let (first, _) = handles(aws, "ReceiveMessage").into_iter().next().unwrap();
        let is_release = |(handle, hidden): &(String, Option<Duration>)| {
            *handle == first && hidden.is_some_and(|hidden| hidden < Duration::from_secs(6))
        };
        assert!(!handles(aws, "ChangeMessageVisibility").iter().any(is_release));
    }
}

#[tokio::test]
async fn an_outage_of_the_queue_that_ends_in_time_costs_no_second_run() {
    let name = "an_outage_of_the_queue_that_ends_in_time_costs_no_second_run";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = slow(&lab, Duration::from_secs(14)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let faults = lab.aws.embedded.as_ref().unwrap().faults();
    faults.strike(Service::Sqs, "ChangeMessageVisibility", Fault::DropAfter, 3);
    let _worker =
        lab.worker(&runtime, &[("VISIBILITY_TIMEOUT_SECONDS", "10"), ("RUN_TIMEOUT_SECONDS", "100")]).await;
    api.submit("sdruntime", "text-to-image", "kept", small()).await;
    assert!(lab.completion("kept").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}

#[tokio::test]
async fn a_task_after_its_deadline_expires() {
    let lab = Lab::start().await;
    let runtime = slow(&lab, Duration::ZERO).await;
    let api = lab.submit_api(&[&runtime]).await;
    let metadata = json!({
        "id": "late", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output",
        "start_by": "2020-01-01T00:00:00Z",
    });
    let (status, answer) =
        api.post("/v1alpha2", &json!({ "task": { "metadata": metadata, "content": small() } })).await;
    assert!(status.is_success(), "{answer}");
    let _worker = lab.worker(&runtime, &[]).await;
    let completion = lab.completion("late").await;
    let error = completion.error.unwrap();
    assert_eq!((completion.task_status, completion.status.as_str()), (TaskStatus::Expired, "failed"));
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::DeadlinePassed, Some("/metadata/start_by")));
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty());
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn a_run_longer_than_its_own_timeout_expires() {
    let lab = Lab::start().await;
    let runtime = slow(&lab, Duration::from_secs(60)).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let metadata = json!({
        "id": "long", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output", "run_timeout": 1,
    });
    let (status, answer) =
        api.post("/v1alpha2", &json!({ "task": { "metadata": metadata, "content": small() } })).await;
    assert!(status.is_success(), "{answer}");
    let completion = lab.completion("long").await;
    let error = completion.error.unwrap();
    assert_eq!((completion.task_status, error.code), (TaskStatus::Expired, ErrorCode::RunTimeout));
    lab.emptied(&runtime.queue.url).await;
}
