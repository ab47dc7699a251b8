//! The worker's calls of AWS: no more than necessary, and no more than its role allows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use integration_tests::aws;
use integration_tests::lab::Lab;
use local_stack::aws::{CallRecord, Service, Subject};
use reqwest::Method;
use serde_json::json;
use shared_schema::ErrorCode;
use simulated_runtimes::{Fault, SdWebUiOptions};

/// The calls that a worker with that access key made, without empty receives: the action and, for objects, the
/// extension of the key.
fn calls_of(caller: &str, calls: &[CallRecord]) -> Vec<String> {
    let describe = |call: &CallRecord| match &call.subject {
        Subject::Object { key, .. } => {
            let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
            Some(format!("{} {extension}", call.action))
        }
        Subject::Queue { deliveries, .. } if call.service == Service::Sqs && deliveries.is_empty() => None,
        _ => Some(call.action.clone()),
    };
    calls.iter().filter(|call| call.caller == caller).filter_map(describe).collect()
}

#[tokio::test]
async fn a_task_costs_one_call_for_each_necessary_action() {
    let name = "a_task_costs_one_call_for_each_necessary_action";
    if aws::skipped_elsewhere(name, "only embedded APIs keep a record of their calls") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("AWS_ACCESS_KEY_ID", "worker")]).await;
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2, "batch_size": 2 });
    // The first one also includes the calls that a worker makes once, when it starts.
    for id in ["first", "counted"] {
        let before = lab.aws.embedded.as_ref().unwrap().calls().len();
        api.submit("sdruntime", "text-to-image", id, content.clone()).await;
        assert!(lab.completion(id).await.result);
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

/// The price of a million write request units in US dollars (DynamoDB pricing, us-east-1, on demand, November 2026).
const MILLION_WRITES: f64 = 0.625;

/// The write request units of one write of an item: one per KB or part of it.
fn write_units(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>().div_ceil(1024)
}

/// The size of a value in bytes (DynamoDB developer guide, "Item sizes and formats").
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::Bool(_) => 1,
        AttributeValue::M(fields) => {
            3 + fields.iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>()
        }
        other => panic!("records have no {other:?}"),
    }
}

#[tokio::test]
async fn the_record_of_a_task_costs_a_few_dollars_per_million() {
    let name = "the_record_of_a_task_costs_a_few_dollars_per_million";
    if aws::skipped_elsewhere(name, "only embedded APIs keep a record of their calls") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.recording_api(&[&runtime]).await;
    let task = json!({
        "runtime": "sdruntime", "type": "text-to-image", "name": "counted", "prefix": "output",
        "labels": { "team": "red" },
        "content": { "prompt": "x", "width": 64, "height": 64, "steps": 2, "batch_size": 2 },
    });
    let key = [("idempotency-key", "counted-1")];
    let (_, _, task) = api.send(Method::POST, "/v1/tasks", &key, Some(&task)).await;
    let item = async || {
        let key = AttributeValue::S(format!("task#{}", task["id"].as_str().unwrap()));
        let get = lab.clients().dynamodb.get_item().table_name(&lab.shared.record_table).key("pk", key);
        get.send().await.unwrap().item.unwrap()
    };
    let submitted = item().await;
    let variables = [("AWS_ACCESS_KEY_ID", "worker"), ("RECORD_TABLE", lab.shared.record_table.as_str())];
    let _worker = lab.worker(&runtime, &variables).await;
    lab.completion("counted").await;
    let finished = item().await;

    let is_write = |call: &&CallRecord| {
        call.service == Service::DynamoDb
            && matches!(call.action.as_str(), "PutItem" | "UpdateItem" | "DeleteItem")
            && matches!(&call.subject, Subject::Table { .. })
    };
    let calls = lab.aws.embedded.as_ref().unwrap().calls();
    let mut writes: Vec<(&str, &str)> =
        calls.iter().filter(is_write).map(|call| (call.caller.as_str(), call.action.as_str())).collect();
    writes.sort_unstable();
    // By the front door the key, the record, and that it is published; by the worker the start and the result.
    let front_door = "test";
    let expected = [
        (front_door, "PutItem"),
        (front_door, "PutItem"),
        (front_door, "UpdateItem"),
        ("worker", "UpdateItem"),
        ("worker", "UpdateItem"),
    ];
    assert_eq!(writes, expected);

    // The key, and the entry of the index that the record has.
    let (key, index) = (1, 1);
    // The mark and the start add less than 100 bytes.
    let units = key + index + 3 * write_units(&submitted) + write_units(&finished);
    let dollars = units as f64 * MILLION_WRITES;
    assert!(dollars <= 5.0, "{units} write units are {dollars} dollars per million tasks");
    let documented = include_str!("../../task-records/README.md");
    assert!(documented.contains(&format!("**{units} write request units**")), "{units} units");
}

/// The actions that the first predecessor's deployment allows its worker: no get, no head, no list.
const PREDECESSORS_ROLE: [&str; 5] =
    ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "s3:PutObject", "sns:Publish"];

#[tokio::test]
async fn a_predecessors_role_is_enough_and_what_it_disables_is_logged() {
    let name = "a_predecessors_role_is_enough_and_what_it_disables_is_logged";
    if aws::skipped_elsewhere(name, "only embedded APIs know roles") {
        return;
    }
    let lab = Lab::start().await;
    lab.aws.embedded.as_ref().unwrap().allow_only("worker", &PREDECESSORS_ROLE);
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let settings = [("AWS_ACCESS_KEY_ID", "worker"), ("MAX_ATTEMPTS", "2")];
    let mut worker = lab.worker(&runtime, &settings).await;
    let warning = "s3:GetObject or s3:ListBucket is not allowed: presigned urls may not open, a redelivered task runs again, \
                a released task counts as attempted";
    worker.logged(warning).await;

    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2 });
    api.submit("sdruntime", "text-to-image", "succeeds", content.clone()).await;
    assert!(lab.completion("succeeds").await.result);

    let faults = runtime.simulation.as_ref().unwrap().faults();
    faults.plan(Fault::NotJson, 1);
    api.submit("sdruntime", "text-to-image", "retried", content.clone()).await;
    assert!(lab.completion("retried").await.result);

    faults.plan(Fault::NotJson, 2);
    api.submit("sdruntime", "text-to-image", "fails", content).await;
    let error = lab.completion("fails").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeBadAnswer, 2));
    lab.emptied(&runtime.queue.url).await;
}
