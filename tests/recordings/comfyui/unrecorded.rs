//! Answers that could not be recorded. They are made by hand: of ComfyUI's documented behaviour and source.

use integration_tests::fixtures;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::error::TaskError;
use worker::runtimes::comfyui;

use super::player::Player;
use super::recording;
use crate::task;

/// Runs the recorded batch against a server that answers `POST /prompt` with this.
async fn answered_with(response: Value) -> (Player, TaskError) {
    answered("images-batch-of-3", response).await
}

/// The same with another recording.
async fn answered(name: &str, response: Value) -> (Player, TaskError) {
    let mut recording = recording(name);
    let prompt = recording["request"]["body"]["prompt"].clone();
    recording["response"] = response;
    let player = Player::start(recording, &[]).await;
    let runtime = comfyui::connect(&task::options(&player.url)).unwrap();
    let result = runtime.run(task::job("pipeline", &prompt, Vec::new())).await;
    (player, result.unwrap_err())
}

/// ComfyUI 0.3.64 has another type for it, and a list where there is nothing to list.
#[tokio::test]
async fn an_older_servers_rejection_is_explained() {
    let message = "Cannot execute because node NoSuchNode does not exist.";
    let error =
        json!({ "type": "invalid_prompt", "message": message, "details": "Node ID '#1'", "extra_info": {} });
    let (_, error) =
        answered_with(json!({ "status": 400, "body": { "error": error, "node_errors": [] } })).await;

    assert_eq!(error.code, ErrorCode::RuntimeRejected);
    let expected = "the runtime rejected the workflow: Cannot execute because node NoSuchNode does not exist.: Node ID '#1'";
    assert_eq!(error.message, expected);
}

/// Older servers ignore the caller's id and generate one: the job is found by its client. Such servers interrupt whatever runs, so
/// that the worker calls them only while the job runs.
#[tokio::test]
async fn a_job_under_another_id_is_cancelled() {
    let other = "0b5a2f35-12ab-4c59-9f52-6d1f8a1c3b7e";
    let body = json!({ "prompt_id": other, "number": 0, "node_errors": {} });
    let (player, error) = answered("interrupted", json!({ "status": 200, "body": body })).await;

    assert_eq!(error.code, ErrorCode::RuntimeBadAnswer);
    let requests = player.requests();
    assert!(requests.of("POST /queue").is_empty());
    let interruptions = requests.of("POST /interrupt");
    assert!(!interruptions.is_empty());
    assert!(interruptions.iter().all(|call| call.json() == json!({ "prompt_id": other })));
    let looked_up = requests.lines().iter().position(|line| line == "GET /queue");
    assert!(looked_up < requests.lines().iter().position(|line| line == "POST /interrupt"));
}

#[tokio::test]
async fn a_proxys_error_page_is_not_the_workflows_fault() {
    let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
    let (_, error) = answered_with(json!({ "status": 502, "content_type": "text/html", "body": page })).await;

    assert_eq!(error.code, ErrorCode::RuntimeUnavailable);
    assert!(!error.message.contains("html"), "{error}");
}

/// The title of a node does not identify the missing class.
#[tokio::test]
async fn a_missing_node_is_named_by_its_class_and_id() {
    let content = fixtures::load("cases/20-odd-but-legal-nodes/request.json");
    let (id, node) = content.as_object().unwrap().iter().next().unwrap();
    let (class, title) = (node["class_type"].as_str().unwrap(), node["_meta"]["title"].as_str().unwrap());
    let message = format!("Node '{title}' not found. The custom node may not be installed.");
    let extra = json!({ "node_id": id, "class_type": class, "node_title": title });
    let error = json!({ "type": "missing_node_type", "message": message, "details": format!("Node ID '#{id}'"), "extra_info": extra });
    let (_, error) =
        answered_with(json!({ "status": 400, "body": { "error": error, "node_errors": {} } })).await;

    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeRejected, Some(id.as_str())));
    assert!(
        error.message.contains(class) && error.message.contains(id) && !error.message.contains(title),
        "{error}"
    );
}

/// Newer servers reject an id that is in use: the job has been accepted, and is followed.
#[tokio::test]
async fn a_job_that_the_server_has_already_accepted_is_followed() {
    let mut recording = recording("images-batch-of-3");
    let prompt = recording["request"]["body"]["prompt"].clone();
    let error = json!({ "type": "duplicate_prompt_id", "message": "prompt_id is already in use" });
    recording["response"] = json!({ "status": 409, "body": { "error": error, "node_errors": {} } });
    let player = Player::start(recording, &[]).await;
    let runtime = comfyui::connect(&task::options(&player.url)).unwrap();
    let output = runtime.run(task::job("pipeline", &prompt, Vec::new())).await.unwrap();

    assert_eq!(output.files.len(), 3);
    assert_eq!(player.requests().of("POST /prompt").len(), 1);
}
