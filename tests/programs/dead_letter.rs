//! The dead-letter Lambda: a message that SQS or SNS could not deliver gets its result, once, and a notification.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use integration_tests::dead_letters::{Function, drain};
use integration_tests::lab::{Lab, Runtime};
use integration_tests::process::Process;
use integration_tests::runtime_api::lambda_variables;
use integration_tests::{aws, wait};
use local_stack::aws::{Fault as AwsFault, Service};
use serde_json::{Value, json};
use shared_schema::{ErrorCode, Notification};
use simulated_runtimes::SdWebUiOptions;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::metrics;

/// A queue without a worker.
async fn queue_without_worker(lab: &Lab, name: &str, runtime_type: &'static str) -> Runtime {
    lab.runtime(name, runtime_type, "http://127.0.0.1:9".to_owned(), None, &[]).await
}

/// Sets the queue's `maxReceiveCount` to one.
async fn set_max_receive_count_to_one(lab: &Lab, runtime: &Runtime) {
    let sqs = &lab.clients().sqs;
    let asked = sqs.get_queue_attributes().queue_url(&runtime.queue.dead_letter_url);
    let answer = asked.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    let arn = &answer.attributes.unwrap()[&QueueAttributeName::QueueArn];
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    let call = sqs.set_queue_attributes().queue_url(&runtime.queue.url);
    call.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
}

/// Receives the next message without deleting it, as a killed worker does, until its queue moves it to the dead-letter queue.
async fn dead_letter(lab: &Lab, runtime: &Runtime) -> Message {
    let receive = async || {
        let call = lab.clients().sqs.receive_message().queue_url(&runtime.queue.url);
        let call = call.visibility_timeout(0).wait_time_seconds(1);
        call.send().await.unwrap().messages.unwrap_or_default().pop()
    };
    let message = wait::until("a message", receive).await;
    wait::until("the message to be given up", async || {
        assert_eq!(receive().await.map(|message| message.body), None);
        (lab.counts(&runtime.queue.dead_letter_url).await.0 == 1).then_some(())
    })
    .await;
    message
}

/// A task for a worker, as the topic carries it.
fn task(id: &str, task_type: &str, submission: &str) -> Value {
    let metadata = json!({ "id": id, "runtime": "sdruntime", "tasktype": task_type, "prefix": "output", "submission": submission });
    json!({ "metadata": metadata, "content": { "prompt": "x" } })
}

/// A record of a message that its queue moved to the dead-letter queue after so many receives.
fn record(message_id: &str, body: &str, receipts: u32) -> Value {
    json!({
        "messageId": message_id,
        "receiptHandle": "handle",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": (receipts + 1).to_string(),
            "SentTimestamp": "1767225600000",
            "DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-1:000000000000:darkroom-sdruntime",
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:darkroom-sdruntime-dlq",
        "awsRegion": "us-east-1",
    })
}

fn no_failures() -> Value {
    json!({ "batchItemFailures": [] })
}

async fn completions(lab: &Lab, id: &str, times: usize) -> Vec<Notification> {
    wait::until(&format!("{times} notifications of {id}"), async || {
        let found = lab.notifications().await.into_iter().filter(|sent| sent["id"] == id);
        let found: Vec<Notification> = found.map(|sent| serde_json::from_value(sent).unwrap()).collect();
        (found.len() == times).then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_dead_lettered_task_fails_once_however_often_it_is_delivered() {
    let lab = Lab::start().await;
    let runtime = queue_without_worker(&lab, "sdruntime", "sdwebui").await;
    set_max_receive_count_to_one(&lab, &runtime).await;
    let api = lab.submit_api(&[&runtime]).await;
    let metadata = json!({
        "id": "deadly", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output", "context": { "order": 7 },
    });
    let task = json!({ "metadata": metadata, "content": { "prompt": "x" } });
    let (status, answer) = api.post("/v1alpha2", &json!({ "task": task })).await;
    assert!(status.is_success(), "{answer}");
    let message = dead_letter(&lab, &runtime).await;
    let (message_id, body) = (message.message_id.unwrap(), message.body.unwrap());
    let cause = json!({ "attempt": 1, "code": "runtime_unavailable", "message": "no answer", "at": "2026-01-01T00:00:00Z" });
    let journal = json!({ "given_back": 0, "attempts": [cause] }).to_string();
    let put = lab.clients().s3.put_object().bucket(&lab.shared.bucket);
    put.key(format!("_darkroom/attempts/{message_id}.json"))
        .body(journal.into_bytes().into())
        .send()
        .await
        .unwrap();

    let mut function = Function::with_variables(&lab, &[("METRICS_NAMESPACE", "Darkroom/test")]).await;
    drain(&lab, &runtime.queue.dead_letter_url, &function).await;
    let completion = lab.completion("deadly").await;
    let error = completion.error.clone().unwrap();
    assert_eq!((completion.result, error.code), (false, ErrorCode::DeadLettered));
    assert_eq!((completion.runtime.as_str(), &completion.context), ("sdruntime", &json!({ "order": 7 })));
    assert_eq!(json!(completion.submission), answer["submission"]);
    assert!(error.message.ends_with("the last known cause is runtime_unavailable: no answer"), "{error:?}");
    if lab.aws.embedded.is_some() {
        assert_eq!(error.attempts, 1);
        assert!(error.message.contains("received once"), "{error:?}");
    }
    let out = lab.json(&completion.output_url).await;
    assert_eq!((&out["parameters"]["error_msg"], &out["attempts"]), (&json!(error.message), &json!([cause])));
    let [kept] = lab.keys("_darkroom/failed/").await.try_into().unwrap();
    let kept = lab.json(&format!("s3://{}/{kept}", lab.shared.bucket)).await;
    assert_eq!(kept["task"]["content"], task["content"]);
    assert_eq!((&kept["error"]["code"], &kept["message_id"]), (&json!("dead_lettered"), &json!(message_id)));

    // It is delivered a second time, with other content.
    let again = json!({ "Records": [record(&message_id, &body, 9)] });
    assert_eq!(function.invoke(again).await.unwrap(), no_failures());
    let sent = completions(&lab, "deadly", 2).await;
    assert_eq!(sent[0].notification_id, sent[1].notification_id);
    assert_eq!(sent[0].error, sent[1].error);
    assert_eq!(lab.json(&completion.output_url).await, out);
    function.process.signal("TERM");
    function.process.exited().await;
    let documents = metrics::documents(&function.process.printed());
    let [document] = &documents[..] else { panic!("the repeated notification counts too: {documents:?}") };
    assert_eq!(document["TasksDeadLettered"], 1.0);
}

#[tokio::test]
async fn a_task_that_could_not_be_delivered_fails_in_the_format_of_its_runtime() {
    if aws::skipped_elsewhere("undeliverable", "other emulations deliver nothing to a subscription's queue") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = queue_without_worker(&lab, "comfyui", "comfyui").await;
    let api = lab.submit_api(&[&runtime]).await;
    lab.clients().sqs.delete_queue().queue_url(&runtime.queue.url).send().await.unwrap();
    let workflow = json!({ "1": { "class_type": "EmptyImage", "inputs": {} } });
    api.submit("comfyui", "pipeline", "lost", workflow).await;
    wait::until("the dead letter", async || {
        (lab.counts(&runtime.queue.dead_letter_url).await.0 == 1).then_some(())
    })
    .await;

    drain(&lab, &runtime.queue.dead_letter_url, &Function::start(&lab).await).await;
    let completion = lab.completion("lost").await;
    let error = completion.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::DeadLettered, 0));
    assert!(error.message.contains("could not be delivered"), "{error:?}");
    let out = lab.json(&completion.output_url).await;
    assert_eq!((&out["code"], &out["error"]["code"]), (&json!(500), &json!("dead_lettered")));
}

#[tokio::test]
async fn a_committed_task_is_notified_again_while_another_waits_for_s3() {
    if aws::skipped_elsewhere("out of order", "the AWS APIs are not broken from outside") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    api.submit("sdruntime", "text-to-image", "done", json!({ "prompt": "x", "width": 64, "height": 64 }))
        .await;
    let completion = lab.completion("done").await;
    assert!(completion.result);

    let done = record("a", &task("done", "text-to-image", completion.submission.as_str()).to_string(), 20);
    let new = record("b", &task("new", "text-to-image", "submission-of-new").to_string(), 20);
    let event = json!({ "Records": [new, done] });
    let function = Function::start_with(&lab, Duration::from_secs(3)).await;
    let faults = lab.aws.embedded.as_ref().unwrap().faults();
    faults.strike(Service::S3, "PutObject", AwsFault::FailBefore, 1_000);
    let answer = function.invoke(event.clone()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] }));
    let [first, second] = completions(&lab, "done", 2).await.try_into().unwrap();
    assert_eq!((first.notification_id, &first.image_url), (second.notification_id, &second.image_url));
    assert!(second.result && second.outputs[0].url.is_some(), "{second:?}");
    // Lambda does not report how long the function's credentials are valid, so a day cannot be promised.
    let expires_at =
        OffsetDateTime::parse(second.outputs[0].url_expires_at.as_ref().unwrap(), &Rfc3339).unwrap();
    assert!(expires_at <= OffsetDateTime::now_utc() + time::Duration::HOUR, "{second:?}");

    // A task whose result cannot be read is not failed.
    faults.clear();
    faults.strike(Service::S3, "GetObject", AwsFault::FailBefore, 1_000);
    let answer = function.invoke(json!({ "Records": [event["Records"][1]] })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "a" }] }));
    assert_eq!(lab.keys("_darkroom/failed/").await, [""; 0]);

    faults.clear();
    faults.strike(Service::Sns, "Publish", AwsFault::FailBefore, 1_000);
    let alone = json!({ "Records": [event["Records"][0]] });
    let answer = function.invoke(alone.clone()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] }));
    faults.clear();
    assert_eq!(function.invoke(alone).await.unwrap(), no_failures());
    assert_eq!(lab.completion("new").await.error.unwrap().code, ErrorCode::DeadLettered);
}

#[tokio::test]
async fn an_unreadable_message_is_stored_and_not_notified() {
    let lab = Lab::start().await;
    let function = Function::start(&lab).await;
    let event = json!({ "Records": [record("poison", "{nope", 20)] });
    assert_eq!(function.invoke(event).await.unwrap(), no_failures());
    let kept = lab.json(&format!("s3://{}/_darkroom/unreadable/poison.json", lab.shared.bucket)).await;
    assert_eq!((&kept["body"], &kept["code"]), (&json!("{nope"), &json!("unreadable_message")));
    assert_eq!(lab.notifications().await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_event_of_another_service_is_an_error_and_the_process_continues() {
    let lab = Lab::start().await;
    let function = Function::start(&lab).await;
    let mut nameless = json!({ "Records": [record("poison", "{}", 1)] });
    nameless["Records"][0].as_object_mut().unwrap().remove("messageId");
    for (event, missing) in [(json!({ "source": "aws.events" }), "Records"), (nameless, "messageId")] {
        let error = function.invoke(event).await.unwrap_err();
        assert!(
            error["errorMessage"].as_str().unwrap().contains(&format!("missing field `{missing}`")),
            "{error}"
        );
    }
    assert_eq!(function.invoke(json!({ "Records": [] })).await.unwrap(), no_failures());
}

#[tokio::test]
async fn an_invalid_configuration_ends_the_process_and_names_every_invalid_variable() {
    // Nothing listens there: a request for an event would fail with another error.
    let mut variables = lambda_variables("dead-letter", "127.0.0.1:9");
    variables.insert("URL_EXPIRY_SECONDS", "soon".to_owned());
    let variables: Vec<(String, String)> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut process = Process::start("dead-letter", &variables);
    let started = Instant::now();
    assert!(!process.exited().await.success());
    assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
    let lines = process.lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let line: Value = serde_json::from_str(line).unwrap();
    for variable in ["S3_BUCKET", "SNS_TOPIC_ARN", "URL_EXPIRY_SECONDS"] {
        assert!(line["error"].as_str().unwrap().contains(variable), "{variable}: {line}");
    }
}
