//! What `v1` does: tasks are submitted with a key, listed, canceled, retried and refused, and their results are opened.

use std::time::Duration;

use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime, SubmitApi, free_port};
use integration_tests::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulated_runtimes::{SdWebUiOptions, Simulation};

use crate::scenes::{Scene, WORKER};

const SLOW: &str = "slow";

/// A runtime whose runs do not finish by themselves, so that there is time to cancel one.
pub(crate) async fn slow_runtime(lab: &Lab) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_hours(1);
    let simulation = Simulation::start_sdwebui(free_port(), options).await.unwrap();
    lab.runtime(SLOW, "sdwebui", simulation.url(), Some(simulation), &[]).await
}

/// The whole life of tasks in `v1`.
pub(crate) async fn use_v1(Scene { lab, api, strict, .. }: &Scene, slow: &Runtime) {
    let settings = [("AWS_ACCESS_KEY_ID", WORKER), ("RECORD_TABLE", lab.shared.record_table.as_str())];
    let mut worker = lab.worker(slow, &settings).await;

    // With an uploaded input; twice, of which the second is a repetition; canceled while it runs.
    let uploaded = json!({ "prompt": "x", "width": 64, "height": 64, "init_images": [upload(api).await] });
    let body = json!({ "type": "image-to-image", "content": uploaded });
    let canceled = submit(api, "once", body.clone()).await;
    assert_eq!(submit(api, "once", body).await, canceled);
    until_status(api, &canceled, "running").await;
    let (status, list) = call(api, Method::GET, "/v1/tasks").await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let (status, listed) = call(api, Method::GET, "/v1/runtimes").await;
    assert_eq!(status, StatusCode::OK, "{listed}");
    let (status, task) = call(api, Method::POST, &format!("/v1/tasks/{canceled}/cancel")).await;
    assert_eq!((status, &task["cancel_requested"]), (StatusCode::OK, &json!(true)), "{task}");
    until_status(api, &canceled, "canceled").await;

    // Too late, and submitted again.
    let late = submit(api, "late", json!({ "start_by": "2026-01-01T00:00:00Z" })).await;
    until_status(api, &late, "expired").await;
    worker.signal("TERM");
    assert!(worker.exited().await.success());
    let (status, retry) = call(api, Method::POST, &format!("/v1/tasks/{late}/retry")).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{retry}");

    // Beyond the quota: the key is free again. The index that is counted follows its table later.
    wait::until("a refusal by the quota", async || {
        let (status, _, problem) = post(strict, "beyond", json!({})).await;
        (status == StatusCode::TOO_MANY_REQUESTS && problem["code"] == "too_many_tasks").then_some(())
    })
    .await;
    let queued = retry["id"].as_str().unwrap();
    let (status, task) = call(api, Method::POST, &format!("/v1/tasks/{queued}/cancel")).await;
    assert_eq!((status, &task["status"]), (StatusCode::OK, &json!("canceled")), "{task}");
}

/// Opens the first file of a task that has been stored, by the URL that the front door signs.
pub(crate) async fn open_result(api: &SubmitApi, id: &str) {
    let task = until_status(api, id, "succeeded").await;
    let opened = reqwest::get(task["outputs"][0]["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(opened.status(), StatusCode::OK, "{task}");
}

/// Uploads an image, and returns the address that a task names.
async fn upload(api: &SubmitApi) -> Value {
    let image = cat();
    let file = json!({ "content_type": "image/png", "bytes": image.len() });
    let (status, _, upload) = api.send(Method::POST, "/v1/uploads", &[], Some(&file)).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let put = reqwest::Client::new().put(upload["url"].as_str().unwrap()).header("content-type", "image/png");
    assert_eq!(put.body(image).send().await.unwrap().status(), StatusCode::OK);
    upload["address"].clone()
}

async fn submit(api: &SubmitApi, key: &str, more: Value) -> String {
    let (status, id, task) = post(api, key, more).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{task}");
    id.unwrap()
}

async fn post(api: &SubmitApi, key: &str, more: Value) -> (StatusCode, Option<String>, Value) {
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2 });
    let mut body = json!({ "runtime": SLOW, "type": "text-to-image", "content": content });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let headers = [("idempotency-key", key)];
    let (status, _, task) = api.send(Method::POST, "/v1/tasks", &headers, Some(&body)).await;
    (status, task["id"].as_str().map(str::to_owned), task)
}

async fn call(api: &SubmitApi, method: Method, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = api.send(method, path, &[], None).await;
    (status, body)
}

async fn until_status(api: &SubmitApi, id: &str, wanted: &str) -> Value {
    wait::until(&format!("{id} to be {wanted}"), async || {
        let (status, task) = call(api, Method::GET, &format!("/v1/tasks/{id}")).await;
        (status == StatusCode::OK && task["status"] == wanted).then_some(task)
    })
    .await
}
