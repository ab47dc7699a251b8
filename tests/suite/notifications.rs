//! What subscribers of the completion topic get: JSON, or a text for emails, and attributes that they can filter by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use integration_tests::dead_letters::{Function, drain};
use integration_tests::lab::{Lab, free_port};
use integration_tests::{aws, wait};
use local_stack::aws::Subject;
use serde_json::{Value, json};
use shared_schema::{ErrorCode, Notification};
use simulated_runtimes::{Fault, SdWebUiOptions};

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2 })
}

/// One message of a queue: its body, and its attributes.
type Received = (String, BTreeMap<String, String>);

/// A subscriber's own queue.
struct Subscriber<'a> {
    lab: &'a Lab,
    url: String,
}

impl<'a> Subscriber<'a> {
    async fn start(lab: &'a Lab, name: &str, attributes: &[(&str, &str)]) -> Self {
        let name = format!("{}-{name}", lab.shared.prefix);
        let created = lab.clients().sqs.create_queue().queue_name(&name).send().await.unwrap();
        let topic = &lab.shared.completions_topic_arn;
        let queue_arn = topic.replacen(":sns:", ":sqs:", 1).replace(topic.rsplit(':').next().unwrap(), &name);
        let subscribe = lab.clients().sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(queue_arn);
        let with = attributes.iter().fold(subscribe, |call, (name, value)| call.attributes(*name, *value));
        with.send().await.unwrap();
        Self { lab, url: created.queue_url.unwrap() }
    }

    /// The next message.
    async fn next(&self) -> Received {
        let sqs = &self.lab.clients().sqs;
        let message = wait::until("a notification", async || {
            let poll = sqs.receive_message().queue_url(&self.url).wait_time_seconds(1);
            let poll = poll.message_attribute_names("All");
            poll.send().await.unwrap().messages.unwrap_or_default().pop()
        })
        .await;
        let handle = message.receipt_handle.unwrap();
        sqs.delete_message().queue_url(&self.url).receipt_handle(handle).send().await.unwrap();
        let attributes = message.message_attributes.unwrap_or_default().into_iter();
        let attributes = attributes.map(|(name, value)| (name, value.string_value.unwrap_or_default()));
        (message.body.unwrap(), attributes.collect())
    }

    async fn next_ids(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let sent: Value = serde_json::from_str(&self.next().await.0).unwrap();
            ids.push(sent["id"].as_str().unwrap().to_owned());
        }
        ids.sort();
        ids
    }
}

fn attributes(known: &[(&str, &str)]) -> BTreeMap<String, String> {
    known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn queues_with_filter_policies_get_the_results_that_they_name() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let raw = ("RawMessageDelivery", "true");
    let policy = |policy: &'static str| [raw, ("FilterPolicy", policy)];
    let failures = Subscriber::start(&lab, "failures", &policy(r#"{"status":["failed","expired"]}"#)).await;
    let other = Subscriber::start(&lab, "other", &policy(r#"{"runtime":["another"]}"#)).await;
    let pictures = Subscriber::start(&lab, "pictures", &policy(r#"{"tasktype":["text-to-image"]}"#)).await;
    let running = Subscriber::start(&lab, "running", &policy(r#"{"status":["running"]}"#)).await;
    let all = Subscriber::start(&lab, "all", &[raw]).await;
    let _worker = lab.worker(&runtime, &[("EXP_CALLBACK_WHEN_RUNNING", "true")]).await;

    api.submit("sdruntime", "text-to-image", "works", small()).await;
    assert!(lab.completion("works").await.result);
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::NoImages, 1);
    api.submit("sdruntime", "text-to-image", "fails", small()).await;
    lab.completion("fails").await;
    let metadata = json!({ "id": "expires", "runtime": "sdruntime", "tasktype": "text-to-image",
                           "start_by": "2020-01-01T00:00:00Z" });
    api.post("/v1alpha2", &json!({ "task": { "metadata": metadata, "content": small() } })).await;
    lab.completion("expires").await;
    // Past the front door: a task type that does not exist is in no attribute.
    let metadata = json!({ "id": "odd", "runtime": "sdruntime", "tasktype": "video" });
    lab.send(&runtime.queue.url, &json!({ "metadata": metadata, "content": {} }).to_string()).await;
    lab.completion("odd").await;

    assert_eq!(failures.next_ids(3).await, ["expires", "fails", "odd"]);
    // Each run that starts is notified too.
    assert_eq!(pictures.next_ids(5).await, ["expires", "fails", "fails", "works", "works"]);
    assert_eq!(running.next_ids(2).await, ["fails", "works"]);
    for queue in [&failures, &pictures, &running, &other] {
        assert_eq!(lab.counts(&queue.url).await, (0, 0), "more than its policy names");
    }
    let mut found = Vec::new();
    for _ in 0..6 {
        found.push(all.next().await.1);
    }
    let task = [("runtime", "sdruntime"), ("tasktype", "text-to-image")];
    for (status, times) in [("succeeded", 1), ("failed", 1), ("expired", 1), ("running", 2)] {
        let expected = attributes(&[&[("status", status)], &task[..]].concat());
        assert_eq!(found.iter().filter(|found| **found == expected).count(), times, "{status}: {found:?}");
    }
    assert!(found.contains(&attributes(&[("status", "failed"), ("runtime", "sdruntime")])), "{found:?}");
}

#[tokio::test]
async fn programs_get_the_notification_and_nothing_else_in_each_form_of_delivery() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let raw = Subscriber::start(&lab, "raw", &[("RawMessageDelivery", "true")]).await;
    let enveloped = Subscriber::start(&lab, "enveloped", &[]).await;
    let hook = Hook::start(&lab).await;
    let _worker = lab.worker(&runtime, &[]).await;

    let metadata = json!({ "id": "a \"cat\"/猫", "runtime": "sdruntime", "tasktype": "text-to-image",
                           "context": { "quotes": "\"\\\u{ffff}\n", "order": 7 } });
    api.post("/v1alpha2", &json!({ "task": { "metadata": metadata, "content": small() } })).await;
    let (json, _) = raw.next().await;
    let notification: Notification = serde_json::from_str(&json).unwrap();
    assert!(notification.result && notification.outputs[0].url.is_some(), "{json}");
    // The bytes of earlier versions, which published this alone.
    let bytes = serde_json::to_string(&notification).unwrap().replace('\u{ffff}', "\\uffff");
    assert_eq!(json, bytes);

    for envelope in [serde_json::from_str(&enveloped.next().await.0).unwrap(), hook.next().await] {
        assert_eq!(envelope["Message"], json, "{envelope}");
        assert_eq!(envelope["Subject"], "Task a \"cat\"/?: succeeded", "{envelope}");
        // Moto sends HTTP endpoints no attributes.
        if lab.aws.embedded.is_some() {
            assert_eq!(
                envelope["MessageAttributes"]["status"],
                json!({ "Type": "String", "Value": "succeeded" })
            );
        }
    }
}

#[tokio::test]
async fn an_email_says_what_happened_and_links_the_files() {
    let name = "an_email_says_what_happened_and_links_the_files";
    if aws::skipped_elsewhere(name, "only the embedded APIs show what is published for emails") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("MAX_ATTEMPTS", "1")]).await;
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "n_iter": 2 });
    api.submit("sdruntime", "text-to-image", "works", content).await;
    let works = lab.completion("works").await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::OutOfMemory, 2);
    api.submit("sdruntime", "text-to-image", "fails", small()).await;
    let fails = lab.completion("fails").await;

    let emails: Vec<String> =
        lab.aws.embedded.as_ref().unwrap().calls().into_iter().filter_map(email).collect();
    let [success, failure] = emails.as_slice() else { panic!("{emails:?}") };
    let links: Vec<&str> = success.lines().filter(|line| line.starts_with("http://")).collect();
    let urls: Vec<&str> = works.outputs.iter().map(|output| output.url.as_deref().unwrap()).collect();
    assert_eq!((links.len(), &links), (2, &urls), "{success}");
    for link in links {
        let file = reqwest::get(link).await.unwrap();
        assert_eq!(file.headers()["content-type"], "image/png");
    }
    assert!(
        success
            .starts_with("Task: works\nStatus: succeeded\nRuntime: sdruntime\nFiles: 2 (links work until ")
    );
    let error = fails.error.unwrap();
    let expected = format!(
        "Task: fails\nStatus: failed\nRuntime: sdruntime\nError: out_of_memory: {}\n\
         What to do: request fewer or smaller images, or use a larger GPU\nDetails: {}\n",
        error.message, fails.output_url
    );
    assert_eq!(*failure, expected);
}

#[tokio::test]
async fn the_dead_letter_function_publishes_in_the_same_form() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let policy = [("RawMessageDelivery", "true"), ("FilterPolicy", r#"{"status":["failed"]}"#)];
    let failures = Subscriber::start(&lab, "failures", &policy).await;
    // What died may name a runtime that no attribute can have, and that would not fit a notification.
    let large = "\"".repeat(100_000);
    for (id, runtime_name, task_type) in [
        ("known", "sdruntime", "pipeline"),
        ("odd", "a\u{1}", "video"),
        ("large", large.as_str(), "pipeline"),
    ] {
        let metadata = json!({ "id": id, "runtime": runtime_name, "tasktype": task_type });
        let task = json!({ "metadata": metadata, "content": {} });
        lab.send(&runtime.queue.dead_letter_url, &task.to_string()).await;
    }
    let function = Function::start(&lab).await;
    drain(&lab, &runtime.queue.dead_letter_url, &function).await;

    let mut found = BTreeMap::new();
    for _ in 0..3 {
        let (json, attributes) = failures.next().await;
        let notification: Notification = serde_json::from_str(&json).unwrap();
        assert_eq!(notification.error.unwrap().code, ErrorCode::DeadLettered);
        found.insert(notification.id.to_string(), attributes);
    }
    let (failed, pipeline) = (("status", "failed"), ("tasktype", "pipeline"));
    assert_eq!(found["known"], attributes(&[failed, ("runtime", "sdruntime"), pipeline]));
    assert_eq!(found["odd"], attributes(&[failed]));
    assert_eq!(found["large"], attributes(&[failed, pipeline]));
}

fn email(call: local_stack::aws::CallRecord) -> Option<String> {
    match call.subject {
        Subject::Topic { email, .. } => email,
        _ => None,
    }
}

/// A web hook, subscribed and confirmed.
struct Hook(Arc<Mutex<Vec<Value>>>);

impl Hook {
    async fn start(lab: &Lab) -> Self {
        let received: Arc<Mutex<Vec<Value>>> = Arc::default();
        let recorder = Arc::clone(&received);
        let record = async move |_: HeaderMap, body: String| {
            recorder.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        };
        let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(record))).await });
        let hook = Self(received);
        let topic = &lab.shared.completions_topic_arn;
        lab.clients().sns.subscribe().topic_arn(topic).protocol("http").endpoint(url).send().await.unwrap();
        // Moto does not ask for a confirmation.
        if lab.aws.embedded.is_some() {
            let confirmation = hook.next().await;
            let answer = reqwest::get(confirmation["SubscribeURL"].as_str().unwrap()).await.unwrap();
            assert!(answer.status().is_success());
        }
        hook
    }

    /// The next document.
    async fn next(&self) -> Value {
        wait::until("a document", async || {
            let mut received = self.0.lock().unwrap();
            (!received.is_empty()).then(|| received.remove(0))
        })
        .await
    }
}
