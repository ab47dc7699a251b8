//! `v1`: tasks are submitted once, watched, listed, canceled and retried.

use std::time::Duration;

use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::process::Process;
use integration_tests::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared_schema::notification::TaskStatus;
use simulated_runtimes::{Fault, SdWebUiOptions};

async fn runtime(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = latency;
    lab.sdwebui(options).await
}

async fn worker(lab: &Lab, runtime: &Runtime) -> Process {
    lab.worker(runtime, &[("RECORD_TABLE", lab.shared.record_table.as_str())]).await
}

fn task(name: &str) -> Value {
    json!({
        "runtime": "sdruntime", "type": "text-to-image", "name": name, "prefix": "output",
        "labels": { "team": "red" }, "content": { "prompt": "x", "width": 64, "height": 64, "steps": 5 },
    })
}

async fn submit(api: &SubmitApi, name: &str) -> String {
    let (status, headers, task) = api.send(Method::POST, "/v1/tasks", &[], Some(&task(name))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{task}");
    let id = task["id"].as_str().unwrap().to_owned();
    assert_eq!(headers["location"], format!("/v1/tasks/{id}"));
    id
}

async fn get(api: &SubmitApi, path: &str) -> Value {
    let (status, _, body) = api.send(Method::GET, path, &[], None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn post(api: &SubmitApi, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = api.send(Method::POST, path, &[], None).await;
    (status, body)
}

async fn until_status(api: &SubmitApi, id: &str, wanted: &str) -> Value {
    wait::until(&format!("{id} to be {wanted}"), async || {
        let task = get(api, &format!("/v1/tasks/{id}")).await;
        (task["status"] == wanted).then_some(task)
    })
    .await
}

#[tokio::test]
async fn a_task_is_watched_and_its_image_is_fetched() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(50)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let id = submit(&api, "watched").await;
    assert_eq!(get(&api, &format!("/v1/tasks/{id}")).await["status"], "queued");
    let _worker = worker(&lab, &runtime).await;
    let notified = lab.completion("watched").await;
    // A client that is notified finds the terminal state.
    let task = get(&api, &format!("/v1/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["attempts"]), (&json!("succeeded"), &json!(1)), "{task}");
    assert_eq!(task["output_url"], notified.output_url.as_str());
    let output = &task["outputs"][0];
    assert_eq!((&output["width"], &output["content_type"]), (&json!(64), &json!("image/png")), "{task}");
    let image = reqwest::Client::builder().no_proxy().build().unwrap();
    let image = image.get(output["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(image.status(), StatusCode::OK);
    assert_eq!(image.bytes().await.unwrap().len() as u64, output["bytes"].as_u64().unwrap());
    assert!(task["gpu_seconds"].as_f64().unwrap() > 0.0 && task["error"].is_null(), "{task}");
    let (_, _, waited) =
        api.send(Method::GET, &format!("/v1/tasks/{id}"), &[("prefer", "wait=20")], None).await;
    assert_eq!(waited["status"], "succeeded");
}

#[tokio::test]
async fn tasks_of_the_predecessors_apis_are_visible() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(10)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let content = json!({ "prompt": "x", "width": 64, "height": 64 });
    let accepted = api.submit("sdruntime", "text-to-image", "former", content).await;
    let _worker = worker(&lab, &runtime).await;
    let task = until_status(&api, accepted["submission"].as_str().unwrap(), "succeeded").await;
    assert_eq!(task["name"], "former");
    let list = get(&api, "/v1/tasks?status=succeeded&runtime=sdruntime").await;
    assert_eq!(list["tasks"][0]["id"], accepted["submission"], "{list}");
}

#[tokio::test]
async fn a_list_has_pages_and_filters() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.insert(0, submit(&api, &format!("task-{n}")).await);
    }
    let mut listed = Vec::new();
    let mut path = "/v1/tasks?limit=2&label.team=red".to_owned();
    loop {
        let page = get(&api, &path).await;
        let tasks = page["tasks"].as_array().unwrap();
        assert!(tasks.len() <= 2);
        listed.extend(tasks.iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tasks?limit=2&label.team=red&cursor={cursor}");
    }
    // Tasks of one millisecond have no order.
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(listed), sorted(ids));
    for none in [
        "label.team=blue",
        "status=failed",
        "runtime=other",
        "created_before=2026-01-01T00:00:00Z",
        "created_after=2026-03-01T00:00:00Z&created_before=2026-02-01T00:00:00Z",
    ] {
        let page = get(&api, &format!("/v1/tasks?{none}")).await;
        assert_eq!(page["tasks"], json!([]), "{none}");
    }
}

#[tokio::test]
async fn a_canceled_task_that_was_queued_never_runs() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let id = submit(&api, "unwanted").await;
    let (status, task) = post(&api, &format!("/v1/tasks/{id}/cancel")).await;
    assert_eq!((status, &task["status"]), (StatusCode::OK, &json!("canceled")));
    let _worker = worker(&lab, &runtime).await;
    let notified = lab.completion("unwanted").await;
    assert_eq!(notified.task_status, TaskStatus::Canceled);
    let requests = runtime.simulation.as_ref().unwrap().requests();
    assert!(requests.iter().all(|request| request.path != "/sdapi/v1/txt2img"), "{requests:?}");
    let task = get(&api, &format!("/v1/tasks/{id}")).await;
    assert_eq!(task["output_url"], notified.output_url.as_str());
    // A finished task is shown as it is.
    let (status, task) = post(&api, &format!("/v1/tasks/{id}/cancel")).await;
    assert_eq!((status, &task["status"]), (StatusCode::OK, &json!("canceled")));
}

#[tokio::test]
async fn a_canceled_task_that_was_running_is_interrupted() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_secs(600)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let id = submit(&api, "long").await;
    let _worker = worker(&lab, &runtime).await;
    until_status(&api, &id, "running").await;
    let (status, task) = post(&api, &format!("/v1/tasks/{id}/cancel")).await;
    assert_eq!((status, &task["cancel_requested"]), (StatusCode::OK, &json!(true)));
    let notified = lab.completion("long").await;
    assert_eq!(notified.task_status, TaskStatus::Canceled);
    assert_eq!(until_status(&api, &id, "canceled").await["error"]["code"], "canceled");
}

#[tokio::test]
async fn a_repeated_request_with_its_key_is_one_task() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(10)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let key = [("idempotency-key", "order-1")];
    let body = task("once");
    let (status, _, first) = api.send(Method::POST, "/v1/tasks", &key, Some(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    let (status, headers, second) = api.send(Method::POST, "/v1/tasks", &key, Some(&body)).await;
    assert_eq!((status, &second["id"]), (StatusCode::ACCEPTED, &first["id"]));
    assert_eq!(headers["idempotency-replayed"], "true");
    let (status, _, other) = api.send(Method::POST, "/v1/tasks", &key, Some(&task("other"))).await;
    assert_eq!(
        (status, &other["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_key_reused"))
    );
    let _worker = worker(&lab, &runtime).await;
    lab.completion("once").await;
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(lab.completions("once", 1).await.len(), 1);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let key = [("idempotency-key", "order-2")];
    let mut body = task("corrected");
    body["content"]["steps"] = json!(0);
    let (status, _, refused) = api.send(Method::POST, "/v1/tasks", &key, Some(&body)).await;
    assert_eq!(
        (status, &refused["violations"][0]["pointer"]),
        (StatusCode::BAD_REQUEST, &json!("/content/steps"))
    );
    let (status, _, task) = api.send(Method::POST, "/v1/tasks", &key, Some(&task("corrected"))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{task}");
}

#[tokio::test]
async fn a_failed_task_is_retried() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(10)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let mut body = task("late");
    body["start_by"] = json!("2026-01-01T00:00:00Z");
    let (_, _, late) = api.send(Method::POST, "/v1/tasks", &[], Some(&body)).await;
    let id = late["id"].as_str().unwrap();
    let _worker = worker(&lab, &runtime).await;
    let expired = until_status(&api, id, "expired").await;
    assert_eq!(expired["error"]["code"], "deadline_passed", "{expired}");
    let (status, retry) = post(&api, &format!("/v1/tasks/{id}/retry")).await;
    assert_eq!((status, &retry["retry_of"]), (StatusCode::ACCEPTED, &json!(id)), "{retry}");
    let done = until_status(&api, retry["id"].as_str().unwrap(), "succeeded").await;
    assert_eq!(done["labels"], json!({ "team": "red" }));
    assert_eq!(get(&api, &format!("/v1/tasks/{id}")).await["retried_as"], retry["id"]);
    let (status, problem) = post(&api, &format!("/v1/tasks/{}/retry", done["id"].as_str().unwrap())).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("not_retryable")));
}

#[tokio::test]
async fn attempts_that_failed_are_listed() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(10)).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::NotJson, 1);
    let api = lab.recording_api(&[&runtime]).await;
    let id = submit(&api, "again").await;
    let _worker = worker(&lab, &runtime).await;
    let task = until_status(&api, &id, "succeeded").await;
    assert_eq!(task["attempts"], 2, "{task}");
    let failed = task["failed_attempts"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{task}");
    assert_eq!((&failed[0]["attempt"], &failed[0]["code"]), (&json!(1), &json!("runtime_bad_answer")));
    let [created, failed, started] =
        [&task["created_at"], &failed[0]["at"], &task["started_at"]].map(|at| at.as_str().unwrap());
    assert!(created < failed && failed < started, "{task}");
}

#[tokio::test]
async fn a_batch_has_a_result_for_each_task() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let mut invalid = task("b");
    invalid["runtime"] = json!("nowhere");
    let body = json!({ "tasks": [task("a"), invalid, task("c")] });
    let (status, _, results) = api.send(Method::POST, "/v1/tasks/batch", &[], Some(&body)).await;
    assert_eq!(status, StatusCode::OK, "{results}");
    let statuses: Vec<u64> =
        results["results"].as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 202], "{results}");
    assert_eq!(results["results"][1]["error"]["violations"][0]["pointer"], "/runtime");
    let (status, _, problem) =
        api.send(Method::POST, "/v1/tasks/batch", &[], Some(&json!({ "tasks": [] }))).await;
    assert_eq!((status, &problem["violations"][0]["pointer"]), (StatusCode::BAD_REQUEST, &json!("/tasks")));
}

#[tokio::test]
async fn unknown_tasks_are_not_found_and_without_a_table_there_is_no_v1() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let (status, _, problem) = api.send(Method::GET, "/v1/tasks/nothing", &[], None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("task_not_found")));
    assert!(problem["request_id"].is_string(), "{problem}");
    let plain = lab.submit_api(&[&runtime]).await;
    for path in ["/v1/tasks", "/v1/tasks/x", "/v1/runtimes"] {
        let (status, _, problem) = plain.send(Method::GET, path, &[], None).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_IMPLEMENTED, &json!("records_disabled")));
    }
    let runtimes = get(&api, "/v1/runtimes").await;
    assert_eq!(runtimes["runtimes"][0]["name"], "sdruntime");
    assert_eq!(runtimes["runtimes"][0]["task_types"][0]["content_schema"]["type"], "object");
}

#[tokio::test]
async fn an_uploaded_file_is_the_input_of_a_task() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(10)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let image = cat();
    let file = json!({ "content_type": "image/png", "bytes": image.len() });
    let (status, _, upload) = api.send(Method::POST, "/v1/uploads", &[], Some(&file)).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let put = async |body: Vec<u8>, content_type: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let put = client.put(upload["url"].as_str().unwrap()).header("content-type", content_type);
        put.body(body).send().await.unwrap().status()
    };
    // Size and type are signed; other emulators check no signatures.
    if lab.aws.embedded.is_some() {
        assert_eq!(put([image.as_slice(), b"x"].concat(), "image/png").await, StatusCode::FORBIDDEN);
        assert_eq!(put(image.clone(), "text/html").await, StatusCode::FORBIDDEN);
    }
    assert_eq!(put(image, "image/png").await, StatusCode::OK);
    let mut body = task("from-upload");
    body["type"] = json!("image-to-image");
    body["content"]["init_images"] = json!([upload["address"]]);
    let (status, _, task) = api.send(Method::POST, "/v1/tasks", &[], Some(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{task}");
    let _worker = worker(&lab, &runtime).await;
    let task = until_status(&api, task["id"].as_str().unwrap(), "succeeded").await;
    assert!(task["seed"].is_number(), "{task}");
}
