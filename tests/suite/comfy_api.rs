//! Comfy API v2: jobs are submitted, polled, canceled and listed as the official SDKs do it.

use std::time::Duration;

use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::process::Process;
use integration_tests::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulated_runtimes::{ComfyUiOptions, Fault};

const JOBS: &str = "/api/v2/jobs";

/// The fields without which the Python SDK refuses a job.
const REQUIRED: [&str; 11] = [
    "id",
    "status",
    "created_at",
    "started_at",
    "completed_at",
    "expires_at",
    "queue_position",
    "progress",
    "outputs",
    "error",
    "urls",
];

async fn runtime(lab: &Lab, latency: Duration) -> Runtime {
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = latency;
    lab.comfyui(options).await
}

async fn worker(lab: &Lab, runtime: &Runtime) -> Process {
    lab.worker(runtime, &[("RECORD_TABLE", lab.shared.record_table.as_str())]).await
}

/// Saves a picture of that colour.
fn workflow(color: u32) -> Value {
    let image = json!({ "width": 32, "height": 32, "batch_size": 1, "color": color });
    json!({
        "1": { "class_type": "EmptyImage", "inputs": image },
        "9": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "v2/image" } },
    })
}

async fn post(api: &SubmitApi, path: &str, key: Option<&str>, body: &Value) -> (StatusCode, Value) {
    let headers: Vec<(&'static str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
    let (status, _, body) = api.send(Method::POST, path, &headers, Some(body)).await;
    (status, body)
}

async fn get(api: &SubmitApi, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = api.send(Method::GET, path, &[], None).await;
    (status, body)
}

async fn submit(api: &SubmitApi, body: &Value) -> String {
    let (status, job) = post(api, JOBS, None, body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn job(api: &SubmitApi, id: &str) -> Value {
    let (status, job) = get(api, &format!("{JOBS}/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{job}");
    for field in REQUIRED {
        assert!(job.get(field).is_some(), "no {field} in {job}");
    }
    job
}

async fn until(api: &SubmitApi, id: &str, status: &str) -> Value {
    wait::until(&format!("{id} to be {status}"), async || {
        let job = job(api, id).await;
        (job["status"] == status).then_some(job)
    })
    .await
}

/// Status and code of an error, which must have the envelope.
fn error((status, body): (StatusCode, Value)) -> (u16, String) {
    let error = &body["error"];
    assert!(error["message"].is_string() && error.get("details").is_some(), "{body}");
    (status.as_u16(), error["code"].as_str().unwrap().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_job_is_polled_and_its_files_and_texts_are_outputs() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_millis(50)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let mut graph = workflow(7);
    graph["3"] = json!({ "class_type": "PreviewAny", "inputs": { "source": "hello 75" } });
    let id = submit(&api, &json!({ "workflow": graph, "metadata": { "team": "red" } })).await;
    // The first poll comes at once.
    assert_eq!(job(&api, &id).await["status"], "queued");

    let _worker = worker(&lab, &runtime).await;
    let done = until(&api, &id, "succeeded").await;
    let outputs = done["outputs"].as_array().unwrap();
    let named: Vec<_> = outputs.iter().map(|output| (&output["node_id"], &output["type"])).collect();
    assert_eq!(named, [(&json!("9"), &json!("image")), (&json!("3"), &json!("text"))], "{done}");
    assert_eq!(outputs[0]["name"], "image_00001_.png");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = client.get(outputs[0]["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.bytes().await.unwrap().len() as u64, outputs[0]["size_bytes"].as_u64().unwrap());
    assert_eq!(job(&api, &id).await["outputs"][1]["id"], outputs[1]["id"], "ids are the same at each poll");
    assert!(done["metrics"]["execution_ms"].is_u64() && done["metadata"]["team"] == "red", "{done}");

    let (_, shown) = get(&api, &format!("{JOBS}/{id}/workflow")).await;
    assert_eq!(shown, json!({ "workflow": graph, "format": "api" }));
    let (_, task) = get(&api, &format!("/v1/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["labels"]), (&json!("succeeded"), &json!({ "team": "red" })));
}

#[tokio::test]
async fn a_task_of_v1_is_a_job_of_its_runtime() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let task = json!({ "runtime": "comfyui", "type": "pipeline", "content": workflow(1) });
    let (_, _, task) = api.send(Method::POST, "/v1/tasks", &[], Some(&task)).await;
    let id = task["id"].as_str().unwrap();
    assert_eq!(job(&api, id).await["status"], "queued");
    let (_, list) = get(&api, JOBS).await;
    assert_eq!((&list["jobs"][0]["id"], &list["jobs"][0]["deployment_id"]), (&json!(id), &json!("comfyui")));
    // Its content is not stored, since it fitted into the message.
    assert_eq!(error(get(&api, &format!("{JOBS}/{id}/workflow")).await), is(404, "not_found"));
}

#[tokio::test]
async fn links_keep_the_stage_and_the_runtime() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let base = "/prod/runtimes/comfyui/api/v2/jobs";
    let (status, job) = post(&api, base, None, &json!({ "workflow": workflow(1) })).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let this = format!("{base}/{}", job["id"].as_str().unwrap());
    assert_eq!(job["urls"]["self"], this);
    let (status, again) = get(&api, &this).await;
    assert_eq!((status, &again["id"]), (StatusCode::OK, &job["id"]));
    let other = post(&api, "/runtimes/other/api/v2/jobs", None, &json!({ "workflow": workflow(1) })).await;
    assert_eq!(error(other), is(404, "not_found"));
}

#[tokio::test]
async fn a_canceled_job_ends_canceled_whether_it_waits_or_runs() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::from_secs(600)).await;
    let api = lab.recording_api(&[&runtime]).await;
    let waiting = submit(&api, &json!({ "workflow": workflow(1) })).await;
    let cancel = async |id: &str| post(&api, &format!("{JOBS}/{id}/cancel"), None, &json!({})).await;
    let (status, canceled) = cancel(&waiting).await;
    assert_eq!((status, &canceled["status"]), (StatusCode::OK, &json!("canceled")));

    let running = submit(&api, &json!({ "workflow": workflow(2) })).await;
    let _worker = worker(&lab, &runtime).await;
    until(&api, &running, "running").await;
    let (status, canceling) = cancel(&running).await;
    assert_eq!((status, &canceling["status"]), (StatusCode::OK, &json!("canceling")));
    let canceled = until(&api, &running, "canceled").await;
    assert_eq!((&canceled["error"], &canceled["outputs"]), (&Value::Null, &json!([])));
    let (status, again) = cancel(&running).await;
    assert_eq!((status, &again["status"]), (StatusCode::OK, &json!("canceled")));
}

#[tokio::test]
async fn a_failed_node_is_named_by_the_error() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let (kind, message) = ("ValueError".to_owned(), "no such thing".to_owned());
    let fault = Fault::Exception { kind, message, node: Some("9".to_owned()) };
    runtime.simulation.as_ref().unwrap().faults().plan(fault, 100);
    let api = lab.recording_api(&[&runtime]).await;
    let id = submit(&api, &json!({ "workflow": workflow(1) })).await;
    let _worker = worker(&lab, &runtime).await;
    let error = until(&api, &id, "failed").await["error"].take();
    let named = ["code", "node_id", "class_type"].map(|field| error[field].as_str().unwrap());
    assert_eq!(named, ["node_execution_error", "9", "SaveImage"]);
    assert!(error["message"].as_str().unwrap().contains("no such thing"), "{error}");
}

#[tokio::test]
async fn a_key_is_used_once_and_a_refused_request_leaves_it_free() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let body = json!({ "workflow": workflow(1) });
    let refused = post(&api, JOBS, Some("k"), &json!({ "workflow": {} })).await;
    assert_eq!(error(refused), is(422, "invalid_workflow"));
    let (status, job) = post(&api, JOBS, Some("k"), &body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    for body in [&body, &json!({ "workflow": workflow(2) })] {
        assert_eq!(error(post(&api, JOBS, Some("k"), body).await), is(422, "idempotency_key_reuse"));
    }
    // A key of `v1` is another one.
    let task = json!({ "runtime": "comfyui", "type": "pipeline", "content": workflow(1) });
    let (status, task) = post(&api, "/v1/tasks", Some("k"), &task).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{task}");
    assert_eq!(error(post(&api, JOBS, Some(""), &body).await), is(400, "invalid_request"));
}

#[tokio::test]
async fn a_list_has_pages_and_filters_by_metadata() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let metadata = json!({ "team": "red", "n": n.to_string() });
        ids.push(submit(&api, &json!({ "workflow": workflow(n), "metadata": metadata })).await);
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = get(&api, &format!("{JOBS}?limit=2&metadata%5Bteam%5D=red{cursor}")).await;
        let jobs = page["jobs"].as_array().unwrap();
        assert!(jobs.iter().all(|job| job["create_time"].is_string() && job["update_time"].is_string()));
        listed.extend(jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    listed.sort();
    ids.sort();
    assert_eq!(listed, ids);
    for (query, count) in
        [("metadata[n]=3", 1), ("metadata[n]=3&metadata[team]=blue", 0), ("status=queued", 5), ("later=1", 5)]
    {
        let (_, page) = get(&api, &format!("{JOBS}?{query}")).await;
        assert_eq!(page["jobs"].as_array().unwrap().len(), count, "{query}: {page}");
    }
    for (query, status, code) in [
        ("metadata[]=3", 400, "invalid_metadata_filter"),
        ("metadata[a]=1&metadata[b]=1&metadata[c]=1&metadata[d]=1", 400, "invalid_metadata_filter"),
        ("cursor=x", 400, "invalid_cursor"),
        ("limit=101", 400, "invalid_request"),
        ("status=done", 400, "invalid_request"),
    ] {
        assert_eq!(error(get(&api, &format!("{JOBS}?{query}")).await), is(status, code), "{query}");
    }
}

#[tokio::test]
async fn an_invalid_submission_is_refused_with_the_code_of_the_contract() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    let with = |field: &str, value: Value| json!({ "workflow": workflow(1), field: value });
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    for (body, status, code) in [
        (json!({}), 422, "invalid_workflow"),
        (json!([]), 400, "invalid_request"),
        (json!({ "workflow": "text" }), 422, "invalid_workflow"),
        (json!({ "workflow": { "nodes": [], "links": [], "last_node_id": 1 } }), 422, "workflow_format_ui"),
        (with("webhook_url", json!("https://x")), 422, "invalid_workflow"),
        (with("inputs", json!({})), 422, "invalid_workflow"),
        (with("extra_data", json!({ "x": 1 })), 400, "invalid_request"),
        (with("extra_data", json!({ "api_key_comfy_org": "k" })), 422, "invalid_workflow"),
        (with("metadata", json!("x")), 422, "metadata_invalid"),
        (with("metadata", json!({ "a": 1 })), 422, "metadata_invalid"),
        (with("metadata", json!({ "a": "\u{202e}x" })), 422, "metadata_invalid"),
        (with("metadata", Value::Object(many)), 422, "metadata_invalid"),
    ] {
        assert_eq!(error(post(&api, JOBS, None, &body).await), is(status, code), "{body}");
    }
    let mut graph = workflow(1);
    graph["9"]["inputs"]["images"] = json!(["8", 0]);
    let (_, body) = post(&api, JOBS, None, &json!({ "workflow": graph })).await;
    let faults = &body["error"]["details"]["node_errors"]["9"];
    assert_eq!((&faults[0]["field"], &faults[0]["reason"]), (&json!("images"), &json!("bad_link")), "{body}");
}

#[tokio::test]
async fn each_error_has_the_envelope_and_events_are_not_implemented() {
    let lab = Lab::start().await;
    let runtime = runtime(&lab, Duration::ZERO).await;
    let api = lab.recording_api(&[&runtime]).await;
    assert_eq!(error(get(&api, &format!("{JOBS}/x/events")).await), is(501, "not_implemented"));
    for path in [format!("{JOBS}/no-such"), format!("{JOBS}/x/workflow"), "/api/v2/nothing".to_owned()] {
        assert_eq!(error(get(&api, &path).await), is(404, "not_found"), "{path}");
    }
    assert_eq!(error(post(&api, &format!("{JOBS}/x/cancel"), None, &json!({})).await), is(404, "not_found"));
    let (status, headers, body) = api.send(Method::PUT, JOBS, &[], None).await;
    assert_eq!(error((status, body)), is(405, "method_not_allowed"));
    assert_eq!(headers["x-comfy-request-id"], headers["x-request-id"]);

    let plain = lab.submit_api(&[&runtime]).await;
    assert_eq!(error(get(&plain, JOBS).await), is(501, "not_implemented"));
}
