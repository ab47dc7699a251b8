//! Results in the formats of many custom nodes, as reported by users or by the nodes' source code.

use integration_tests::fixtures;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::error_code::Retry;
use shared_schema::notification::WarningCode;
use worker::error::TaskError;
use worker::runtimes::{RunOutput, comfyui};

use super::scripted_server::{FURTHER, Frame, Script, ScriptedServer};
use crate::task;

/// Runs that content against that server. Returns the server and the result.
pub(super) async fn run(script: Script, content: &Value) -> (ScriptedServer, Result<RunOutput, TaskError>) {
    let server = ScriptedServer::start(script).await;
    let runtime = comfyui::connect(&task::options(&server.url)).unwrap();
    let result = runtime.run(task::job("pipeline", content, Vec::new())).await;
    (server, result)
}

/// The output of a task whose nodes report these outputs; the files' contents are their names.
async fn shown(outputs: Value, files: &[&str]) -> RunOutput {
    let content = json!({
        "1": { "class_type": "EmptyImage", "inputs": {} },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "o" } },
    });
    let script = files.iter().fold(Script::succeeds_with(&outputs), |script, file| script.with_file(file));
    run(script, &content).await.1.unwrap_or_else(|error| panic!("{outputs}: {error}"))
}

pub(super) fn stored(output: &RunOutput) -> Vec<String> {
    output.files.iter().map(|file| String::from_utf8(file.bytes.to_vec()).unwrap()).collect()
}

pub(super) fn codes(output: &RunOutput) -> Vec<WarningCode> {
    output.warnings.iter().map(|warning| warning.code).collect()
}

fn views(server: &ScriptedServer) -> Vec<String> {
    server.requests().lines().into_iter().filter(|line| line.starts_with("GET /view")).collect()
}

#[tokio::test]
async fn a_model_that_is_named_by_its_path_is_a_result() {
    let content = fixtures::load("cases/06-3d-output-as-path/request.json");
    let script = Script::case("06-3d-output-as-path/runtime-history.json")
        .with_file("output/{{FOLDER}}/crate_00001_.glb")
        .with_file("temp//ComfyUI_temp_abcde_00001_.png");
    let output = run(script, &content).await.1.unwrap();

    assert_eq!(stored(&output), ["output/{{FOLDER}}/crate_00001_.glb"]);
    let named = json!({ "file": 1, "filename": "crate_00001_.glb", "type": "output" });
    assert_eq!(output.report["outputs"], json!({ "9": { "result": [named] } }));
    assert_eq!(codes(&output), [WarningCode::FilesOmitted]);
    assert!(output.warnings[0].message.contains("`ComfyUI_temp_abcde_00001_.png` (node 2)"), "{output:?}");
}

#[tokio::test]
async fn a_path_in_the_callers_text_is_not_fetched_and_no_result() {
    let content = fixtures::load("cases/06-3d-output-as-path/request-preview3d.json");
    let script = Script::succeeds_with(&json!({ "1": { "result": ["3d/other.glb", null, null] } }))
        .with_file("output/3d/other.glb");
    let (server, result) = run(script, &content).await;

    assert_eq!(result.unwrap_err().code, ErrorCode::NoOutput);
    assert_eq!(views(&server), Vec::<String>::new());
}

#[tokio::test]
async fn files_are_found_under_any_key_and_name() {
    let preview3d = "preview3d_0b5a2f3512ab4c599f526d1f8a1c3b7e.glb";
    for (shown_by_node, file) in [
        (json!({ "result": [preview3d, null] }), format!("output//{preview3d}")),
        (json!({ "result": [preview3d, null] }), format!("temp//{preview3d}")),
        (json!({ "mesh": ["x.ply"] }), "output/{{FOLDER}}/x.ply".to_owned()),
        (json!({ "splat": "/opt/ComfyUI/output/{{FOLDER}}/x.spz" }), "output/{{FOLDER}}/x.spz".to_owned()),
        (json!({ "any": [{ "model_file": "{{FOLDER}}/x.obj" }] }), "output/{{FOLDER}}/x.obj".to_owned()),
        (json!({ "result": [r"{{FOLDER}}\sub\x.stl", {}] }), "output/{{FOLDER}}/sub/x.stl".to_owned()),
        (
            json!({ "a_images": [{ "filename": "a.avif", "subfolder": "2026-11-28/{{FOLDER}}", "type": "output" }] }),
            "output/2026-11-28/{{FOLDER}}/a.avif".to_owned(),
        ),
        (
            json!({ "text": ["# Title"], "files": [{ "filename": "o_00001.md", "subfolder": "{{FOLDER}}", "type": "output" }] }),
            "output/{{FOLDER}}/o_00001.md".to_owned(),
        ),
    ] {
        let output = shown(json!({ "2": shown_by_node }), &[&file]).await;
        assert_eq!(stored(&output), [file.as_str()], "{shown_by_node}");
        assert_eq!(output.warnings, [], "{shown_by_node}");
    }
}

#[tokio::test]
async fn a_video_is_a_result_in_any_folder() {
    // As VHS_VideoCombine writes it with `save_output` off.
    let video = json!({ "filename": "clip_00001.mp4", "subfolder": "{{FOLDER}}", "type": "temp",
        "format": "video/h264-mp4", "frame_rate": 8.0, "workflow": "clip_00001.png", "fullpath": "/opt/ComfyUI/temp/x/clip_00001.mp4" });
    let still = json!({ "filename": "first_00001_.png", "subfolder": "{{FOLDER}}", "type": "output" });
    let files = ["temp/{{FOLDER}}/clip_00001.mp4", "output/{{FOLDER}}/first_00001_.png"];
    let output = shown(json!({ "1": { "gifs": [video] }, "2": { "images": [still] } }), &files).await;

    assert_eq!(stored(&output), files);
    assert_eq!(output.warnings, []);
}

#[tokio::test]
async fn a_run_whose_only_files_are_previews_has_a_warning() {
    let preview = json!({ "filename": "ComfyUI_temp_a_00001_.png", "subfolder": "", "type": "temp" });
    let output = shown(json!({ "2": { "images": [preview] } }), &["temp//ComfyUI_temp_a_00001_.png"]).await;
    assert_eq!((output.files.len(), codes(&output)), (1, vec![WarningCode::OnlyPreviews]));
}

#[tokio::test]
async fn the_pictures_of_a_loop_are_in_its_order() {
    let content = fixtures::load("cases/26-loops-and-expanded-nodes/request.json");
    let names: Vec<String> = (1..=12).map(|n| format!("output/{{{{FOLDER}}}}/loop_{n:05}_.png")).collect();
    let case = Script::case("26-loops-and-expanded-nodes/runtime-history.json");
    let script = names.iter().fold(case, |script, name| script.with_file(name));

    assert_eq!(stored(&run(script, &content).await.1.unwrap()), names);
}

#[tokio::test]
async fn a_file_outside_of_the_output_folder_fails_the_task_without_a_retry() {
    let content = fixtures::load("cases/33-saved-outside-the-output-folder/request.json");
    let case = Script::case("33-saved-outside-the-output-folder/runtime-history.json");
    let (server, result) = run(case, &content).await;

    let error = result.unwrap_err();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeFailed, Some("2")));
    assert_eq!(error.code.retry(), Retry::Never);
    for part in ["x.png", "outside of the output folder", "filename_prefix"] {
        assert!(error.message.contains(part), "{error}");
    }
    assert!(!error.message.contains("/mnt"), "{error}");
    assert_eq!(views(&server).len(), 1);

    // With other results it is only named in a warning.
    let outside = json!({ "filename": "x.png", "subfolder": "../../mnt", "type": "output" });
    let inside = json!({ "filename": "y.png", "subfolder": "shared", "type": "output" });
    let output = shown(json!({ "2": { "images": [outside, inside] } }), &["output/shared/y.png"]).await;
    assert_eq!(
        (stored(&output), codes(&output)),
        (vec!["output/shared/y.png".to_owned()], vec![WarningCode::FilesOmitted])
    );
}

fn executing(node: &str) -> Frame {
    Frame::Text(format!(r#"{{"type": "executing", "data": {{"node": {node}, "prompt_id": "{{{{ID}}}}"}}}}"#))
}

fn image(format: u8, bytes: &[u8]) -> Frame {
    Frame::Binary([&[0, 0, 0, 1, 0, 0, 0, format], bytes].concat())
}

/// As `ETN_SendImageWebSocket` of comfyui-tooling-nodes.
#[tokio::test]
async fn images_of_any_node_that_sends_over_the_socket_are_collected() {
    let content = fixtures::load("cases/09-other-websocket-output/request.json");
    let entry = json!({ "source": "websocket", "content-type": "image/png", "type": "output" });
    let frames = [
        executing(r#""1""#),
        image(1, b"preview"),
        executing(r#""2""#),
        image(2, b"first"),
        image(1, b"second"),
        executing("null"),
    ];
    let script = Script::succeeds_with(&json!({ "2": { "images": [entry, entry] } })).with_frames(frames);
    let (server, result) = run(script, &content).await;

    let output = result.unwrap();
    assert_eq!(
        (stored(&output), output.warnings),
        (vec!["first".to_owned(), "second".to_owned()], Vec::new())
    );
    // The same workflow must run again: the images in ComfyUI's cache were sent to the first job only.
    let posted = server.requests().of("POST /prompt")[0].json();
    assert!(
        posted["prompt"]["2"]["inputs"].as_object().unwrap().len()
            > content["2"]["inputs"].as_object().unwrap().len()
    );
}

/// As `ETN_SaveImageCache`.
#[tokio::test]
async fn images_in_the_cache_of_an_extension_are_collected() {
    let content = json!({ "2": { "class_type": "ETN_SaveImageCache", "inputs": { "images": ["1", 0], "format": "PNG" } } });
    let cached =
        |id: &str| json!({ "source": "http", "id": id, "content-type": "image/png", "type": "output" });
    let outputs = json!({ "2": { "images": [cached("0b5a2f3512ab"), cached("../../history")] } });
    let script = Script::succeeds_with(&outputs).with_file("/api/etn/image/0b5a2f3512ab");
    let output = run(script, &content).await.1.unwrap();

    assert_eq!(stored(&output), ["/api/etn/image/0b5a2f3512ab"]);
    assert_eq!(output.report["outputs"]["2"]["images"], json!([{ "file": 1, "type": "http" }]));
}

/// ComfyUI 0.33 at a dependency cycle that arises while the workflow runs.
#[tokio::test]
async fn a_run_that_failed_in_part_is_a_failure() {
    let failure = json!({ "node_id": "7", "node_type": "TestDynamicDependencyCycle", "traceback": [],
        "exception_type": "comfy_execution.graph.DependencyCycleError", "exception_message": "Dependency cycle detected" });
    let image = json!({ "filename": "o_00001_.png", "subfolder": "{{FOLDER}}", "type": "output" });
    let script = Script::ends_with(json!({
        "outputs": { "2": { "images": [image] } },
        "status": { "status_str": "success", "completed": true, "messages": [["execution_start", {}], ["execution_error", failure]] },
    }));
    let content = fixtures::load("cases/26-loops-and-expanded-nodes/request.json");
    let error = run(script, &content).await.1.unwrap_err();

    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeFailed, Some("7")));
    assert!(error.message.contains("Dependency cycle detected"), "{error}");
}

/// The message of an `ExecutionBlocker` is sent over the socket only.
#[tokio::test]
async fn a_blocked_node_is_a_warning_of_the_run_and_the_reason_of_an_empty_one() {
    let blocked = Frame::Text(format!(
        r#"{{"type": "execution_error", "data": {{"prompt_id": "{{{{ID}}}}", "node_id": "9", "node_type": "SaveImage", "executed": [],
            "exception_message": "Execution Blocked: no face in /srv/a.png {}", "exception_type": "ExecutionBlocked",
            "traceback": [], "current_inputs": [], "current_outputs": []}}}}"#,
        "x".repeat(5_000)
    ));
    let content = fixtures::load("cases/26-loops-and-expanded-nodes/request.json");
    let image = json!({ "filename": "o_00001_.png", "subfolder": "{{FOLDER}}", "type": "output" });
    let script =
        |outputs: Value| Script::succeeds_with(&outputs).with_frames([blocked.clone(), executing("null")]);
    let saved = script(json!({ "2": { "images": [image] } })).with_file("output/{{FOLDER}}/o_00001_.png");
    let output = run(saved, &content).await.1.unwrap();

    let [warning] = output.warnings.as_slice() else { panic!("{output:?}") };
    assert_eq!((warning.code, warning.node_id.as_deref()), (WarningCode::OutputBlocked, Some("9")));
    assert!(
        warning.message.starts_with("node 9 (SaveImage) did not run: Execution Blocked: no face in …"),
        "{warning:?}"
    );
    assert!(warning.message.len() < 700, "{warning:?}");

    let error = run(script(json!({})), &content).await.1.unwrap_err();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::NoOutput, Some("9")));
    assert!(error.message.contains("no face in"), "{error}");
}

/// Late frames of the first job neither end the wait for the second one nor hide its frames.
#[tokio::test]
async fn an_image_of_a_job_that_was_queued_again_is_collected_despite_late_frames_of_the_job_before() {
    let content = json!({
        "1": { "class_type": "EmptyImage", "inputs": {} },
        "2": { "class_type": "SaveImageWebsocket", "inputs": { "images": ["1", 0] } },
    });
    let further = |kind: &str, node: &str| {
        Frame::Text(format!(r#"{{"type": "{kind}", "data": {{"node": {node}, "prompt_id": "{FURTHER}"}}}}"#))
    };
    let success = r#"{"type": "execution_success", "data": {"prompt_id": "{{ID}}"}}"#;
    let frames = [
        Frame::Text(success.to_owned()),
        Frame::Looked(1),
        executing("null"),
        further("execution_start", "null"),
        Frame::Looked(2),
        further("executing", r#""2""#),
        image(2, b"late"),
        further("executing", "null"),
    ];
    let script = Script::succeeds_with(&json!({}));
    let script = Script {
        further: Some(script.entry.clone()),
        queue: format!(
            r#"{{"queue_running": [[1, "{FURTHER}", {{}}, {{"client_id": "{{{{CLIENT}}}}"}}, ["2"]]], "queue_pending": []}}"#
        ),
        ..script.with_frames(frames)
    };
    let output = run(script, &content).await.1.unwrap();
    assert_eq!(stored(&output), ["late"]);
}

#[tokio::test]
async fn a_run_without_results_is_repeated_only_for_a_cached_output_that_was_not_blocked() {
    let content = json!({
        "1": { "class_type": "EmptyImage", "inputs": {} },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "o" } },
    });
    let blocked = r#"{"type": "execution_error", "data": {"prompt_id": "{{ID}}", "node_id": "2", "node_type": "SaveImage",
        "exception_message": "no face found", "exception_type": "ExecutionBlocked"}}"#;
    for (cached, is_blocked, posts) in [("1", false, 1), ("2", false, 2), ("2", true, 1)] {
        let messages = json!([["execution_start", {}], ["execution_cached", { "nodes": [cached] }]]);
        let status = json!({ "status_str": "success", "completed": true, "messages": messages });
        let block = is_blocked.then(|| Frame::Text(blocked.to_owned()));
        let script = Script::ends_with(json!({ "outputs": {}, "status": status }))
            .with_frames(block.into_iter().chain([executing("null")]));
        let (server, result) = run(script, &content).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::NoOutput);
        assert_eq!(server.requests().of("POST /prompt").len(), posts, "{cached} {is_blocked}");
    }
}

#[tokio::test]
async fn the_whole_history_is_requested_for_a_run_that_may_queue_further_jobs() {
    let content = fixtures::load("cases/26-loops-and-expanded-nodes/request.json");
    let image = json!({ "filename": "o_00001_.png", "subfolder": "{{FOLDER}}", "type": "output" });
    let begun =
        Frame::Text(format!(r#"{{"type": "execution_start", "data": {{"prompt_id": "{FURTHER}"}}}}"#));
    let script = Script::succeeds_with(&json!({ "2": { "images": [image] } }))
        .with_file("output/{{FOLDER}}/o_00001_.png")
        .with_frames([begun]);
    let goes_on = Script { further: Some(script.entry.clone()), ..script };
    let (server, result) = run(goes_on, &content).await;
    assert_eq!(result.unwrap().files.len(), 1);
    assert!(server.requests().lines().iter().any(|line| line.starts_with("GET /history?")));
}
