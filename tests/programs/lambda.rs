//! The Lambda: real API Gateway events in, proxy answers out, messages in the queue of the right runtime.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::MessageSystemAttributeName;
use integration_tests::lab::{Lab, Runtime};
use integration_tests::runtime_api::{TRACE, lambda_variables};
use serde_json::{Value, json};
use simulated_runtimes::DEFAULT_MODEL;

use crate::function::{Function, bootstrap, rest};

const REST_BASE64: &str = include_str!("../../api-lambda/tests/events/rest-v1alpha1-base64.json");
const HTTP_STAGE: &str = include_str!("../../api-lambda/tests/events/http-v1alpha2-stage.json");

fn registry() -> Value {
    json!([
        { "name": "sdruntime", "type": "sdwebui", "models": [DEFAULT_MODEL] },
        { "name": "other", "type": "sdwebui", "models": [] },
    ])
}

/// A queue without a worker.
async fn queue(lab: &Lab, name: &str) -> Runtime {
    lab.runtime(name, "sdwebui", "http://127.0.0.1:9".to_owned(), None, &[]).await
}

/// A REST event with a trailing slash.
fn slash() -> Value {
    let mut event = rest("POST", "/v1alpha2/");
    event["body"] = json!(event["body"].as_str().unwrap().replace("rest-1", "slash"));
    event
}

/// A REST event without any headers, as the test button of the API Gateway console sends it.
fn headless() -> Value {
    let mut event = rest("POST", "/v1alpha2");
    event["headers"] = Value::Null;
    event["multiValueHeaders"] = Value::Null;
    event["body"] = json!(event["body"].as_str().unwrap().replace("rest-1", "headless"));
    event
}

#[tokio::test]
async fn an_accepted_task_arrives_in_the_queue_of_its_runtime_and_in_no_other() {
    let lab = Lab::start().await;
    let (runtime, other) = (queue(&lab, "sdruntime").await, queue(&lab, "other").await);
    let mut function = Function::start(&lab, &registry()).await;
    let bucket = &lab.shared.bucket;
    for (event, id, location) in [
        (rest("POST", "/v1alpha2"), json!("rest-1"), "output/rest-1"),
        (slash(), json!("slash"), "output/slash"),
        (headless(), json!("headless"), "output/headless"),
        (serde_json::from_str(REST_BASE64).unwrap(), json!("rest-2"), "rest-2"),
        (serde_json::from_str(HTTP_STAGE).unwrap(), json!(2), "output/2"),
    ] {
        let answer = function.answer(event).await;
        assert_eq!((answer.status, &answer.body["id_task"]), (200, &id), "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json", "{answer:?}");
        assert_eq!(answer.body["output_location"], format!("s3://{bucket}/{location}"));

        let (envelope, attributes) = lab.receive(&runtime.queue.url).await;
        assert_eq!(
            envelope["MessageAttributes"],
            json!({ "runtime": { "Type": "String", "Value": "sdruntime" } })
        );
        let message: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
        assert_eq!(message["metadata"]["id"], id);
        assert_eq!(message["metadata"]["submission"], answer.body["submission"]);
        if lab.aws.embedded.is_some() {
            assert_eq!(attributes[&MessageSystemAttributeName::AwsTraceHeader], TRACE);
        }
    }
    assert_eq!(lab.counts(&runtime.queue.url).await.0, 0, "more was published than accepted");
    assert_eq!(lab.counts(&other.queue.url).await, (0, 0), "the filter policy matched it");

    function.process.signal("TERM");
    function.process.exited().await;
    for line in function.process.printed() {
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(!line.to_string().contains("a-key-that-is-never-logged"), "{line}");
    }
}

#[tokio::test]
async fn a_refused_task_gets_its_error_and_is_not_published() {
    let lab = Lab::start().await;
    let runtime = queue(&lab, "sdruntime").await;
    let function = Function::start(&lab, &registry()).await;
    let with_body = |body: &str| {
        let mut event = rest("POST", "/v1alpha2");
        event["body"] = json!(body);
        event
    };
    let original = rest("POST", "/v1alpha2")["body"].as_str().unwrap().to_owned();
    let unknown = original.replace("sdruntime", "nobody");
    let mut empty = rest("POST", "/v1alpha2");
    empty["body"] = Value::Null;
    let mut http = serde_json::from_str::<Value>(HTTP_STAGE).unwrap();
    http["body"] = json!("{nope");
    for (event, status, code) in [
        (rest("GET", "/v1alpha2"), 405, "method_not_allowed"),
        (rest("POST", "/v1alpha3"), 404, "not_found"),
        (with_body("{nope"), 400, "invalid_body"),
        (empty, 400, "invalid_body"),
        (http, 400, "invalid_body"),
        (with_body(&unknown), 400, "invalid_task"),
        (with_body(&original.replace("16", "\"many\"")), 400, "invalid_task"),
    ] {
        let answer = function.answer(event).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
    }
    let answer = function.answer(rest("GET", "/healthz")).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({ "status": "ok" })));
    assert_eq!(lab.counts(&runtime.queue.url).await, (0, 0));
}

#[tokio::test]
async fn an_event_of_another_service_is_an_error_and_the_process_continues() {
    let lab = Lab::start().await;
    let function = Function::start(&lab, &registry()).await;
    let outcome = function.invoke(json!({ "Records": [{ "eventSource": "aws:sqs", "body": "{}" }] })).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(function.answer(rest("GET", "/healthz")).await.status, 200);
}

#[tokio::test]
async fn an_invalid_configuration_ends_the_process_and_names_every_invalid_variable() {
    // Nothing listens there: a request for an event would fail with another error.
    let mut variables = lambda_variables("front-door", "127.0.0.1:9");
    for (name, value) in [
        ("SNS_TOPIC_ARN", "tasks"),
        ("RUNTIMES", "{"),
        ("MAX_BODY_BYTES", "many"),
        ("MAX_MESSAGE_BYTES", "12"),
        ("PUBLISH_TIMEOUT_MS", "60000"),
        ("LOG_LEVEL", "loud"),
    ] {
        variables.insert(name, value.to_owned());
    }
    let mut process = bootstrap(&variables);
    let started = Instant::now();
    let status = process.exited().await;
    assert!(!status.success());
    assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
    let printed = process.printed();
    let [line] = printed.as_slice() else { panic!("{printed:?}") };
    let line: Value = serde_json::from_str(line).unwrap();
    let error = line["error"].as_str().unwrap();
    let bad = [
        "SNS_TOPIC_ARN",
        "S3_OUTPUT_BUCKET",
        "RUNTIMES",
        "MAX_BODY_BYTES",
        "MAX_MESSAGE_BYTES",
        "PUBLISH_TIMEOUT_MS",
        "LOG_LEVEL",
    ];
    for variable in bad {
        assert_eq!(error.matches(&format!("; {variable} ")).count(), 1, "{variable}: {error}");
    }
}
