//! Values that Python's `json` module writes and that are not JSON: those of one job never hide the data of another.

use integration_tests::fixtures;
use serde_json::json;
use worker::runtimes::comfyui;

use super::scripted_server::{Frame, Script, ScriptedServer};
use crate::task;

const SAVED: &str = "output/{{FOLDER}}/o_00001_.png";

#[tokio::test]
async fn a_result_is_stored_whatever_else_its_history_entry_contains() {
    let content = fixtures::load("cases/11-nan-in-runtime-json/request.json");
    let case = Script::case("11-nan-in-runtime-json/runtime-history.txt").with_file(SAVED);
    let deep = format!("{}NaN{}", "[".repeat(5_000), "]".repeat(5_000));
    let odd = ["NaN", "-Infinity", "1e999", r#""\ud800 \udfff""#, r#"{"1": 1, "1": 2}"#, &deep];
    let odd = odd.map(|odd| {
        let outputs = r#"{"4": {"images": [{"filename": "o_00001_.png", "subfolder": "{{FOLDER}}", "type": "output"}],"#;
        Script::ends_with(format!(
            r#"{{"prompt": {odd}, "outputs": {outputs} "value": [{odd}]}}}},
                "status": {{"status_str": "success", "completed": true, "messages": [["x", {odd}]]}}, "meta": {odd}}}"#
        ))
        .with_file(SAVED)
    });
    for script in odd.into_iter().chain([case]) {
        let entry = script.entry.clone();
        let server = ScriptedServer::start(script).await;
        let runtime = comfyui::connect(&task::options(&server.url)).unwrap();
        let output = runtime.run(task::job("pipeline", &content, Vec::new())).await;

        let output = output.unwrap_or_else(|error| panic!("{entry:.300}: {error}"));
        assert_eq!(output.files.len(), 1, "{entry:.300}");
        let image = json!({ "file": 1, "filename": "o_00001_.png", "type": "output" });
        assert_eq!(output.report["outputs"]["4"]["images"][0], image, "{entry:.300}");
        assert_eq!(server.requests().of("POST /prompt").len(), 1);
    }
}

#[tokio::test]
async fn odd_values_of_another_job_hide_no_job_in_the_queue() {
    let content = fixtures::load("cases/11-nan-in-runtime-json/request-neighbour.json");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for odd in ["NaN", "Infinity", "1e999", r#""\ud800""#, &deep] {
        let theirs =
            format!(r#"[0, "theirs", {{"3": {{"inputs": {{"x": {odd}}}}}}}, {{"client_id": {odd}}}, ["3"]]"#);
        let ours = r#"[1, "{{ID}}", {}, {"client_id": "darkroom-x"}, ["2"], {}]"#;
        let image = json!({ "filename": "o_00001_.png", "subfolder": "{{FOLDER}}", "type": "output" });
        let script = Script {
            queue: format!(r#"{{"queue_running": [{theirs}], "queue_pending": [{theirs}, {ours}]}}"#),
            looks: 3,
            ..Script::succeeds_with(&json!({ "2": { "images": [image] } })).with_file(SAVED)
        };
        let server = ScriptedServer::start(script).await;
        let runtime = comfyui::connect(&task::options(&server.url)).unwrap();
        let output = runtime.run(task::job("pipeline", &content, Vec::new())).await;

        assert_eq!(output.map(|output| output.files.len()), Ok(1), "{odd:.20}");
    }
}

/// Older servers accept extra data of any type, unless they must add a client id to it.
#[tokio::test]
async fn extra_data_of_any_type_of_another_job_hides_no_job_in_the_queue() {
    let content = fixtures::load("cases/11-nan-in-runtime-json/request-neighbour.json");
    for odd in [r#""x""#, r#"["x", [0.5]]"#, "[]", "-7", "null", "true"] {
        let image = json!({ "filename": "o_00001_.png", "subfolder": "{{FOLDER}}", "type": "output" });
        let script = Script {
            queue: format!(
                r#"{{"queue_running": [[0, "theirs", {{}}, {odd}, ["3"]]], "queue_pending": [[1, "left", {{}}, {{"client_id": "darkroom-x"}}, []]]}}"#
            ),
            ..Script::succeeds_with(&json!({ "2": { "images": [image] } })).with_file(SAVED)
        };
        let server = ScriptedServer::start(script).await;
        let runtime = comfyui::connect(&task::options(&server.url)).unwrap();
        let output = runtime.run(task::job("pipeline", &content, Vec::new())).await;
        assert_eq!(output.map(|output| output.files.len()), Ok(1), "{odd}");

        // The orphan of a former process, after that job, is found.
        assert_eq!(runtime.interrupt_orphans(&[]).await, Ok(false), "{odd}");
        let deletions = server.requests().of("POST /queue");
        assert_eq!(deletions[0].json(), json!({ "delete": ["left"] }), "{odd}");
    }
}

#[tokio::test]
async fn an_event_is_processed_whatever_values_it_has() {
    let content = json!({
        "1": { "class_type": "EmptyImage", "inputs": {} },
        "2": { "class_type": "SaveImageWebsocket", "inputs": { "images": ["1", 0] } },
    });
    let text = |kind: &str, node: &str| {
        Frame::Text(format!(
            r#"{{"type": "{kind}", "data": {{"node": {node}, "prompt_id": "{{{{ID}}}}", "x": [NaN, "\ud800"]}}}}"#
        ))
    };
    let image = [&[0, 0, 0, 1, 0, 0, 0, 2], b"\x89PNG".as_slice()].concat();
    let frames = [text("executing", r#""2""#), Frame::Binary(image), text("executing", "null")];
    let server = ScriptedServer::start(Script::succeeds_with(&json!({})).with_frames(frames)).await;
    let runtime = comfyui::connect(&task::options(&server.url)).unwrap();

    let output = runtime.run(task::job("pipeline", &content, Vec::new())).await;
    assert_eq!(output.unwrap().files[0].bytes, b"\x89PNG".as_slice());
}
