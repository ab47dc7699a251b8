//! A failed task has one result, with an error code, in `.out` and notification; a transient failure is retried.

use integration_tests::lab::Lab;
use integration_tests::{aws, fixtures};
use local_stack::aws::{Fault as AwsFault, Order, Service};
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{Fault, SdWebUiOptions};

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2 })
}

#[tokio::test]
async fn each_failure_of_the_runtime_has_its_code() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    let faults = runtime.simulation.as_ref().unwrap().faults();
    let exception =
        Fault::Exception { node: None, kind: "RuntimeError".into(), message: "shapes differ".into() };
    for (id, fault, code) in [
        ("exception", exception, ErrorCode::RuntimeFailed),
        ("memory", Fault::OutOfMemory, ErrorCode::OutOfMemory),
        ("proxy", Fault::PlainText { status: 500 }, ErrorCode::RuntimeBadAnswer),
        ("html", Fault::NotJson, ErrorCode::RuntimeBadAnswer),
        ("nothing", Fault::NoImages, ErrorCode::NoOutput),
        ("base64", Fault::InvalidBase64, ErrorCode::RuntimeBadAnswer),
        ("before", Fault::DropBeforeWork, ErrorCode::RuntimeUnavailable),
        ("after", Fault::DropAfterWork, ErrorCode::RuntimeUnavailable),
    ] {
        // A task that ran out of memory is run once more at once.
        faults.plan(fault, 2);
        api.submit("sdruntime", "text-to-image", id, small()).await;
        let completion = lab.completion(id).await;
        let error = completion.error.clone().unwrap();
        assert_eq!((completion.result, error.code, error.attempts), (false, code, 1), "{id}: {error:?}");
        assert_eq!((completion.status.as_str(), completion.image_url.len()), ("failed", 0), "{id}");
        let out = lab.json(&completion.output_url).await;
        assert_eq!(
            (&out["parameters"]["status"], &out["parameters"]["id_task"]),
            (&json!(0), &json!(id)),
            "{out}"
        );
        assert_eq!(out["parameters"]["error_msg"], error.message, "{out}");
        faults.clear();
    }
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn the_defaults_of_swagger_are_refused_by_their_fields() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let mut content = fixtures::load("cases/13-swagger-defaults/request-txt2img.json");
    let metadata = json!({ "id": "refused", "runtime": "sdruntime", "tasktype": "text-to-image" });
    let task = json!({ "metadata": metadata, "content": content });
    let (status, answer) = api.post("/v1alpha2", &json!({ "task": task })).await;
    assert_eq!(
        (status.as_u16(), &answer["violations"][0]["pointer"]),
        (400, &json!("/task/content/infotext"))
    );
    // Past the front door.
    lab.send(&runtime.queue.url, &task.to_string()).await;
    let error = lab.completion("refused").await.error.unwrap();
    let found = (error.code, error.field.as_deref(), error.attempts);
    assert_eq!(found, (ErrorCode::InvalidTask, Some("/content/infotext"), 1), "{error:?}");
    // Values that a schema cannot check are refused by the runtime's own lists.
    for field in ["infotext", "script_name"] {
        content[field] = json!("");
    }
    for (n, field) in ["sampler_name", "scheduler"].into_iter().enumerate() {
        let id = format!("listed-{n}");
        api.submit("sdruntime", "text-to-image", &id, content.clone()).await;
        let error = lab.completion(&id).await.error.unwrap();
        let found = (error.code, error.field.as_deref(), error.attempts);
        let field_of_task = format!("/content/{field}");
        assert_eq!(found, (ErrorCode::RuntimeRejected, Some(field_of_task.as_str()), 1), "{error:?}");
        assert!(error.message.contains("`string`"), "{error:?}");
        content.as_object_mut().unwrap().remove(field);
    }
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty(), "the runtime was called all the same");
}

#[tokio::test]
async fn a_transient_failure_is_retried() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::NotJson, 1);
    api.submit("sdruntime", "text-to-image", "passes", small()).await;
    assert!(lab.completion("passes").await.result);
}

#[tokio::test]
async fn a_task_without_memory_runs_once_more_with_the_memory_freed() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let simulation = runtime.simulation.as_ref().unwrap();

    simulation.faults().plan(Fault::OutOfMemory, 1);
    api.submit("sdruntime", "text-to-image", "fits", small()).await;
    assert!(lab.completion("fits").await.result);
    let freed = || {
        simulation.requests().iter().filter(|request| request.path.ends_with("/unload-checkpoint")).count()
    };
    assert_eq!(freed(), 1);

    simulation.faults().plan(Fault::OutOfMemory, 2);
    api.submit("sdruntime", "text-to-image", "hopeless", small()).await;
    let error = lab.completion("hopeless").await.error.unwrap();
    assert_eq!((error.code, error.attempts, freed()), (ErrorCode::OutOfMemory, 1, 2));
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn attempts_are_limited_and_their_causes_are_stored_with_the_task() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "2")]).await;
    let faults = runtime.simulation.as_ref().unwrap().faults();
    faults.plan(Fault::NotJson, 1);
    faults.plan(Fault::InvalidBase64, 5);
    api.submit("sdruntime", "text-to-image", "hopeless", small()).await;
    let completion = lab.completion("hopeless").await;
    let error = completion.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::RuntimeBadAnswer, 2));

    let first = json!({ "attempt": 1, "code": "runtime_bad_answer" });
    let out = lab.json(&completion.output_url).await;
    let [kept] = lab.keys("_darkroom/failed/").await.try_into().unwrap();
    let kept = lab.json(&format!("s3://{}/{kept}", lab.shared.bucket)).await;
    for causes in [&out["attempts"], &kept["attempts"]] {
        assert_eq!(
            (&causes[0]["attempt"], &causes[0]["code"]),
            (&first["attempt"], &first["code"]),
            "{causes}"
        );
    }

    // The stored task can be submitted again as it is.
    faults.clear();
    let (status, answer) = api.post("/v1alpha2", &json!({ "task": kept["task"] })).await;
    assert!(status.is_success(), "{answer}");
    let again = lab
        .notification("the second submission", |sent| sent["id"] == "hopeless" && sent["result"] == true)
        .await;
    assert_ne!(again["submission"], json!(completion.submission));
}

#[tokio::test]
async fn a_task_that_kills_its_workers_is_charged_an_attempt_for_each() {
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = std::time::Duration::from_secs(60);
    let runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    api.submit("sdruntime", "text-to-image", "deadly", small()).await;
    let settings =
        [("MAX_ATTEMPTS", "2"), ("VISIBILITY_TIMEOUT_SECONDS", "5"), ("RUN_TIMEOUT_SECONDS", "100")];
    for attempt in 1..=2 {
        let mut worker = lab.worker(&runtime, &settings).await;
        integration_tests::wait::until("the run to begin", async || {
            let requests = runtime.simulation.as_ref().unwrap().requests();
            (requests.iter().filter(|request| request.path.ends_with("/txt2img")).count() == attempt)
                .then_some(())
        })
        .await;
        worker.signal("KILL");
        worker.exited().await;
    }
    let _worker = lab.worker(&runtime, &settings).await;
    let error = lab.completion("deadly").await.error.unwrap();
    assert_eq!((error.code, error.attempts), (ErrorCode::WorkerDied, 2));
    lab.emptied(&runtime.queue.url).await;
}

#[tokio::test]
async fn bad_content_of_a_predecessors_front_door_never_reaches_the_runtime() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let task = |id: &str, task_type: Value, content: Value| {
        json!({ "metadata": { "id": id, "runtime": "sdruntime", "tasktype": task_type, "prefix": "p", "context": [1] },
                "content": content })
        .to_string()
    };
    for (id, message, field) in [
        (
            "steps",
            task("steps", json!("text-to-image"), json!({ "prompt": "x", "steps": "many" })),
            "/content/steps",
        ),
        ("null", task("null", json!("text-to-image"), Value::Null), "/content"),
        ("type", task("type", json!("bogus"), json!({})), "/metadata/tasktype"),
        (
            "other",
            task("other", json!("pipeline"), json!({ "1": { "class_type": "A", "inputs": {} } })),
            "/metadata/tasktype",
        ),
    ] {
        lab.send(&runtime.queue.url, &message).await;
        let completion = lab.completion(id).await;
        let error = completion.error.unwrap();
        assert_eq!(
            (error.field.as_deref(), &completion.context),
            (Some(field), &json!([1])),
            "{id}: {error:?}"
        );
        assert_eq!(lab.json(&completion.output_url).await["parameters"]["id_task"], id);
    }
    assert!(runtime.simulation.as_ref().unwrap().busy().is_empty());
}

#[tokio::test]
async fn an_unreadable_message_is_stored_with_its_cause() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    // Poison messages first: they must not stop the worker.
    for body in
        ["{nope", r#"{"Message": "{nope"}"#, r#"{"hello": 1}"#, r#"{"metadata": {"id": ""}, "content": {}}"#]
    {
        lab.send(&runtime.queue.url, body).await;
    }
    let _worker = lab.worker(&runtime, &[]).await;
    lab.emptied(&runtime.queue.url).await;

    let mut causes = Vec::new();
    for key in lab.keys("_darkroom/unreadable/").await {
        let kept = lab.json(&format!("s3://{}/{key}", lab.shared.bucket)).await;
        assert_eq!(kept["code"], "unreadable_message");
        causes
            .push((kept["body"].as_str().unwrap().to_owned(), kept["message"].as_str().unwrap().to_owned()));
    }
    causes.sort();
    let causes: Vec<(&str, &str)> =
        causes.iter().map(|(body, cause)| (body.as_str(), cause.as_str())).collect();
    assert_eq!(
        causes,
        [
            (r#"{"Message": "{nope"}"#, "the message in the SNS envelope is not JSON"),
            (r#"{"hello": 1}"#, "the body is neither an SNS envelope nor a task"),
            (r#"{"metadata": {"id": ""}, "content": {}}"#, "the message has no usable id"),
            ("{nope", "the body is not JSON"),
        ]
    );
}

#[tokio::test]
async fn an_outage_of_s3_or_sns_after_the_run_costs_no_second_run() {
    if aws::skipped_elsewhere(
        "an_outage_of_s3_or_sns_after_the_run_costs_no_second_run",
        "only embedded APIs can be broken",
    ) {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let faults = lab.aws.embedded.as_ref().unwrap().faults();
    api.submit("sdruntime", "text-to-image", "patient", small()).await;
    faults.strike(Service::S3, "PutObject", AwsFault::FailBefore, 5);
    faults.strike(Service::Sns, "Publish", AwsFault::DropBefore, 4);
    assert!(lab.completion("patient").await.result);
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}

#[tokio::test]
async fn a_redelivered_committed_task_is_notified_again_and_not_run_again() {
    let name = "a_redelivered_committed_task_is_notified_again_and_not_run_again";
    if aws::skipped_elsewhere(name, "only embedded APIs can be broken") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let no_delete = Order::new(Service::Sqs, "DeleteMessage", AwsFault::FailBefore).by("first").times(1000);
    lab.aws.embedded.as_ref().unwrap().faults().order(no_delete);
    let settings = [("VISIBILITY_TIMEOUT_SECONDS", "5"), ("RUN_TIMEOUT_SECONDS", "100")];
    let mut first = lab.worker(&runtime, &[&settings[..], &[("AWS_ACCESS_KEY_ID", "first")]].concat()).await;
    api.submit("sdruntime", "text-to-image", "twice", small()).await;
    assert!(lab.completion("twice").await.result);
    first.signal("KILL");
    first.exited().await;
    let _second = lab.worker(&runtime, &settings).await;
    lab.emptied(&runtime.queue.url).await;

    let notifications = lab.notifications().await;
    assert_eq!(notifications.len(), 2, "{notifications:?}");
    assert_eq!(notifications[0]["notification_id"], notifications[1]["notification_id"]);
    assert_eq!(notifications[0]["image_url"], notifications[1]["image_url"]);
    assert!(notifications[1]["outputs"][0]["url"].is_string(), "{}", notifications[1]);
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 1);
}

#[tokio::test]
async fn a_task_that_is_delivered_twice_runs_once() {
    if aws::skipped_elsewhere("a_task_that_is_delivered_twice_runs_once", "only embedded APIs can be broken")
    {
        return;
    }
    let lab = Lab::start().await;
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = std::time::Duration::from_secs(2);
    let runtime = lab.sdwebui(options).await;
    let api = lab.submit_api(&[&runtime]).await;
    let aws = lab.aws.embedded.as_ref().unwrap();
    let _worker = lab.worker(&runtime, &[]).await;

    // SNS sends it twice: two messages of one submission.
    aws.faults().order(Order::new(Service::Sns, "Publish", AwsFault::DeliverTwice));
    api.submit("sdruntime", "text-to-image", "published twice", small()).await;
    lab.emptied(&runtime.queue.url).await;

    // SQS delivers it twice: two deliveries of one message.
    api.submit("sdruntime", "text-to-image", "delivered twice", small()).await;
    integration_tests::wait::until("the message to be received", async || {
        (aws.deliver_again(&runtime.queue.url, None) == 1).then_some(())
    })
    .await;
    lab.completion("delivered twice").await;
    lab.emptied(&runtime.queue.url).await;

    let notifications = lab.notifications().await;
    for id in ["published twice", "delivered twice"] {
        let of_it: Vec<&Value> = notifications.iter().filter(|sent| sent["id"] == id).collect();
        assert!(
            !of_it.is_empty() && of_it.iter().all(|sent| sent["result"] == true),
            "{id}: {notifications:?}"
        );
        assert!(of_it.iter().all(|sent| sent["notification_id"] == of_it[0]["notification_id"]), "{id}");
    }
    assert_eq!(runtime.simulation.as_ref().unwrap().busy().len(), 2, "each ran once");
}
