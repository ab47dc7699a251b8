//! What the worker asks of AWS: no more than it must, and no more than its role allows.

use integration_tests::aws;
use integration_tests::lab::Lab;
use local_stack::aws::{CallRecord, Service, Subject};
use serde_json::json;
use shared_schema::ErrorCode;
use simulated_runtimes::{Fault, SdWebUiOptions};

/// The calls that a worker of that access key made about anything but waiting in vain: action and, for objects, the
/// ending of the key.
fn calls_of(caller: &str, calls: &[CallRecord]) -> Vec<String> {
    let told = |call: &CallRecord| match &call.subject {
        Subject::Object { key, .. } => {
            let ending = key.rsplit_once('.').map_or("", |(_, ending)| ending);
            Some(format!("{} {ending}", call.action))
        }
        Subject::Queue { deliveries, .. } if call.service == Service::Sqs && deliveries.is_empty() => None,
        _ => Some(call.action.clone()),
    };
    calls.iter().filter(|call| call.caller == caller).filter_map(told).collect()
}

#[tokio::test]
async fn a_task_costs_one_call_for_each_thing_that_has_to_be_done() {
    let name = "a_task_costs_one_call_for_each_thing_that_has_to_be_done";
    if aws::skipped_elsewhere(name, "only embedded APIs keep a record of their calls") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let door = lab.front_door(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("AWS_ACCESS_KEY_ID", "worker")]).await;
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2, "batch_size": 2 });
    // The first one also meets what a worker looks at once, when it starts.
    for id in ["first", "counted"] {
        let before = lab.aws.embedded.as_ref().unwrap().calls().len();
        door.submit("sdruntime", "text-to-image", id, content.clone()).await;
        assert!(lab.ended(id).await.result);
        lab.emptied(&runtime.queue.url).await;
        if id == "counted" {
            let mut calls = calls_of("worker", &lab.aws.embedded.as_ref().unwrap().calls()[before..]);
            calls.sort();
            assert_eq!(
                calls,
                [
                    "DeleteMessage",
                    "HeadObject out",
                    "Publish",
                    "PutObject out",
                    "PutObject png",
                    "PutObject png",
                    "ReceiveMessage"
                ]
            );
        }
    }
}

/// What the first predecessor's deployment allows its worker: no get, no head, no list.
const PREDECESSORS_ROLE: [&str; 5] =
    ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "s3:PutObject", "sns:Publish"];

#[tokio::test]
async fn a_predecessors_role_is_enough_and_what_it_switches_off_is_said() {
    let name = "a_predecessors_role_is_enough_and_what_it_switches_off_is_said";
    if aws::skipped_elsewhere(name, "only embedded APIs know roles") {
        return;
    }
    let lab = Lab::start().await;
    lab.aws.embedded.as_ref().unwrap().allow_only("worker", &PREDECESSORS_ROLE);
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let door = lab.front_door(&[&runtime]).await;
    let settings = [("AWS_ACCESS_KEY_ID", "worker"), ("MAX_ATTEMPTS", "2")];
    let mut worker = lab.worker(&runtime, &settings).await;
    let said = "s3:GetObject or s3:ListBucket is not allowed: presigned urls may not open, a redelivered task runs again, \
                a released task counts as attempted";
    worker.logged(said).await;

    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2 });
    door.submit("sdruntime", "text-to-image", "succeeds", content.clone()).await;
    assert!(lab.ended("succeeds").await.result);

    let faults = runtime.simulation.as_ref().unwrap().faults();
    faults.plan(Fault::NotJson, 1);
    door.submit("sdruntime", "text-to-image", "retried", content.clone()).await;
    assert!(lab.ended("retried").await.result);

    faults.plan(Fault::NotJson, 2);
    door.submit("sdruntime", "text-to-image", "fails", content).await;
    let error = lab.ended("fails").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeBadAnswer, 2));
    lab.emptied(&runtime.queue.url).await;
}
