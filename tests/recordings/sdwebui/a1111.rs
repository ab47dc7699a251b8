//! The recordings of AUTOMATIC1111 1.10.1, started with `--nowebui`. Long texts in them are cut; where an image is cut, another
//! stands for it.

use integration_tests::fixtures;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::runtimes::sdwebui;

use super::player::Player;
use super::{by_hand, generations};
use crate::task;

const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==";

/// The recorded calls, in order, with whole images.
fn calls(name: &str) -> Vec<Value> {
    let mut calls = fixtures::load(&format!("a1111/{name}.json"))["calls"].as_array().unwrap().clone();
    for call in &mut calls {
        let body = &mut call["response"]["body"];
        for image in body.get_mut("images").and_then(Value::as_array_mut).into_iter().flatten() {
            *image = json!(PIXEL);
        }
        if let Some(info) = body.get_mut("info").filter(|info| is_cut(info)) {
            *info = json!("{}");
        }
    }
    calls
}

/// Whether the recording has the beginning of the text only.
fn is_cut(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.ends_with(" chars)"))
}

/// A list that the recording has the beginning of, and how many there were.
fn uncut(mut call: Value) -> Value {
    if let Some(list) = call["response"]["body"].as_array_mut() {
        list.retain(|item| !item.is_string());
    }
    call
}

fn content(call: &Value) -> &Value {
    &call["request"]["body"]
}

#[tokio::test]
pub(super) async fn every_recorded_error_has_its_error_code() {
    use ErrorCode::{RuntimeFailed, RuntimeRejected};
    let expected = [
        ("txt2img", RuntimeRejected, Some("/content/steps"), "steps: value is not a valid integer"),
        ("txt2img", RuntimeRejected, None, "Expecting property name enclosed in double quotes"),
        ("txt2img", RuntimeRejected, None, "Script 'no such' not found"),
        ("txt2img", RuntimeRejected, None, "Script 'ADetailer' not found"),
        ("txt2img", RuntimeRejected, None, "Cannot have a selectable script"),
        ("txt2img", RuntimeFailed, None, "RuntimeError: Calculated padded input size"),
        ("txt2img", RuntimeFailed, None, "ZeroDivisionError: integer division or modulo by zero"),
        ("img2img", RuntimeRejected, Some("/content/init_images"), "Init image not found"),
        ("img2img", RuntimeFailed, None, "RuntimeError: Expected 3D (unbatched) or 4D (batched) input"),
        ("img2img", RuntimeRejected, None, "Invalid encoded image"),
        ("img2img", RuntimeRejected, None, "Request to local resource not allowed"),
        ("extra-single-image", RuntimeRejected, None, "could not find upscaler named NoSuch"),
    ];
    let endpoint = |call: &Value| call["request"]["path"].as_str().unwrap()["/sdapi/v1/".len()..].to_owned();
    // The others are no tasks' calls, or were answered with success.
    let is_failed_task = |call: &Value| {
        call["response"]["status"] != 200
            && call["request"]["method"] == "POST"
            && !["options", "interrogate"].contains(&endpoint(call).as_str())
    };
    let recorded: Vec<Value> = calls("errors").into_iter().filter(is_failed_task).collect();
    assert_eq!(recorded.len(), expected.len(), "a recorded error has no expected error code");

    for (call, (path, code, field, text)) in recorded.into_iter().zip(expected) {
        assert_eq!(endpoint(&call), path);
        // The worker sends JSON, whatever was sent then.
        let content = if content(&call).is_object() { content(&call).clone() } else { json!({}) };
        let tasktype = generations::task_type(call["request"]["path"].as_str().unwrap());
        let error = generations::run(tasktype, &content, Vec::new(), call).await.0.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (code, field), "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

/// Recorded: it answered with success and its first sampler. It lists the samplers that it has.
#[tokio::test]
async fn a_sampler_that_it_would_replace_is_refused_before_the_run() {
    let replaced =
        calls("errors").into_iter().find(|call| content(call)["sampler_name"] == "NoSuch").unwrap();
    assert_eq!(replaced["response"]["status"], 200);
    let samplers = information("GET", "samplers");
    let player = Player::start(vec![uncut(samplers), replaced.clone()]).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    let job = task::job("text-to-image", content(&replaced), Vec::new());
    let error = runtime.run(job).await.unwrap_err();

    let field = error.field.as_deref();
    assert_eq!((error.code, field), (ErrorCode::RuntimeRejected, Some("/content/sampler_name")));
    assert!(error.message.contains("`NoSuch`") && error.message.contains("`DPM++ 2M`"), "{error}");
    assert_eq!(player.requests("POST", "txt2img").len(), 0);
}

fn information(method: &str, endpoint: &str) -> Value {
    let path = format!("/sdapi/v1/{endpoint}");
    let is_it =
        |call: &Value| call["request"]["method"] == method && call["request"]["path"] == path.as_str();
    calls("information").into_iter().find(is_it).unwrap()
}

#[tokio::test]
pub(super) async fn a_server_without_a_page_is_ready() {
    let pinned = by_hand("POST", "options", 200, Value::Null);
    let played = [calls("information"), vec![pinned]].concat();
    let player = Player::start(played).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(runtime.interrupt_orphans(&[]).await, Ok(true));
    assert_eq!(runtime.pin_settings().await, Ok(()));

    let pinned = player.requests("POST", "options")[0].json();
    assert_eq!((&pinned["samples_format"], &pinned["n_rows"]), (&json!("png"), &json!(-1)));
    // Folders, and what is saved on the server, cannot be overridden by tasks.
    for name in ["samples_filename_pattern", "samples_save", "save_images_replace_action"] {
        assert_eq!(pinned.get(name), None, "{name}");
    }
    assert_eq!(player.unanswered(), Vec::<String>::new());
}

#[tokio::test]
pub(super) async fn its_answers_to_control_calls_are_accepted() {
    let player = Player::start(calls("control")).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    runtime.free_memory().await;

    for command in ["unload-checkpoint", "reload-checkpoint"] {
        assert_eq!(player.requests("POST", command).len(), 1, "{command}");
    }
    assert_eq!(player.unanswered(), Vec::<String>::new());
}

#[tokio::test]
pub(super) async fn every_image_becomes_a_file_in_its_order() {
    for (call, count) in calls("txt2img").into_iter().zip([1, 5]) {
        let content = content(&call).clone();
        let output = generations::run("text-to-image", &content, Vec::new(), call.clone()).await.0.unwrap();
        assert_eq!(output.files.len(), count);
        assert_eq!(output.warnings, []);
        let parameters = &output.report["parameters"];
        assert_eq!(parameters["sampler_name"], call["response"]["body"]["parameters"]["sampler_name"]);
    }
}

#[tokio::test]
pub(super) async fn its_enlargements_become_files() {
    for call in calls("extras").into_iter().filter(|call| call["request"]["path"] != "/sdapi/v1/png-info") {
        let tasktype = generations::task_type(call["request"]["path"].as_str().unwrap());
        let content = content(&call).clone();
        let output = generations::run(tasktype, &content, Vec::new(), call.clone()).await.0.unwrap();
        let images = call["response"]["body"]["images"].as_array().map_or(1, Vec::len);
        assert_eq!(output.files.len(), images);
        assert_eq!(output.report["parameters"]["html_info"], call["response"]["body"]["html_info"]);
    }
}

/// Another client's interrupt: the recorded answer is a success, and `/progress` reports the interrupt until the next run begins.
#[tokio::test]
pub(super) async fn an_interrupted_run_yields_nothing() {
    let mut calls = calls("progress-and-interrupt");
    calls.retain(|call| call["request"]["path"] != "/sdapi/v1/interrupt");
    let run = calls.iter_mut().find(|call| call["request"]["method"] == "POST").unwrap();
    // As the whole text has it.
    run["response"]["body"]["info"] = json!(json!({ "job_timestamp": "20261128001051" }).to_string());
    let content = content(run).clone();
    let (run, mut looks): (Vec<Value>, Vec<Value>) =
        calls.into_iter().partition(|call| call["request"]["method"] == "POST");
    // The answer comes at once here: the last recorded progress is served then.
    let last = looks.pop().unwrap();
    let player = Player::start([run, vec![last]].concat()).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    let error = runtime.run(task::job("text-to-image", &content, Vec::new())).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::Interrupted);
    assert!(error.message.contains("somebody else"), "{error}");
    assert_eq!(player.requests("POST", "interrupt").len(), 0);
}
