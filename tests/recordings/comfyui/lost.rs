//! Results that could be lost silently: of nodes from the cache, of nodes that save and report nothing, and of nodes that name files
//! which do not exist.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::error_code::Retry;
use shared_schema::notification::WarningCode;

use super::results::{codes, run, stored};
use super::scripted_server::{Script, ScriptedServer};

fn image(name: &str) -> Value {
    json!({ "images": [{ "filename": name, "subfolder": "{{FOLDER}}", "type": "output" }] })
}

/// The entry of a run that succeeded with these nodes from the cache.
fn entry(cached: &Value, outputs: &Value) -> Value {
    let messages = json!([["execution_start", {}], ["execution_cached", { "nodes": cached }]]);
    json!({ "outputs": outputs, "status": { "status_str": "success", "completed": true, "messages": messages } })
}

/// How many workflows were posted, and how many inputs a node of the last one has.
fn posted(server: &ScriptedServer, node: &str) -> (usize, usize) {
    let posts = server.requests().of("POST /prompt");
    let last = posts.last().unwrap().json();
    (posts.len(), last["prompt"][node]["inputs"].as_object().unwrap().len())
}

/// ComfyUI-Easy-Use: `easy forLoopEnd` is expanded into all iterations but the first one, unless it comes from the cache.
#[tokio::test]
async fn a_repeated_loop_has_the_results_of_all_its_iterations() {
    let in_the_loop = json!({
        "1": { "class_type": "EmptyImage", "inputs": { "width": 64, "height": 64, "batch_size": 1, "color": 0 } },
        "5": { "class_type": "easy forLoopStart", "inputs": { "total": 3 } },
        "6": { "class_type": "ImageFromBatch", "inputs": { "image": ["1", 0], "batch_index": ["5", 1], "length": 1 } },
        "7": { "class_type": "SaveImage", "inputs": { "images": ["6", 0], "filename_prefix": "turn" } },
        "8": { "class_type": "easy forLoopEnd", "inputs": { "flow": ["5", 0], "initial_value1": ["6", 0] } },
        "9": { "class_type": "SaveImage", "inputs": { "images": ["8", 0], "filename_prefix": "last" } },
    });
    let first = entry(
        &json!(["1", "5", "6", "8"]),
        &json!({ "7": image("turn_00001_.png"), "9": image("last_00001_.png") }),
    );
    let whole = json!({
        "8.0.0.8.0.0.7": image("turn_00004_.png"), "7": image("turn_00002_.png"),
        "8.0.0.7": image("turn_00003_.png"), "9": image("last_00002_.png"),
    });
    let names = ["turn_00001_", "turn_00002_", "turn_00003_", "turn_00004_", "last_00001_", "last_00002_"];
    let script = names.iter().fold(Script::ends_with(&first), |script, name| {
        script.with_file(&format!("output/{{{{FOLDER}}}}/{name}.png"))
    });
    let script = Script { second: Some(entry(&json!(["1"]), &whole).to_string()), ..script };
    let (server, result) = run(script.clone(), &in_the_loop).await;

    let expected = ["turn_00002_", "turn_00003_", "turn_00004_", "last_00002_"];
    let output = result.unwrap();
    assert_eq!(stored(&output), expected.map(|name| format!("output/{{{{FOLDER}}}}/{name}.png")));
    assert_eq!(output.warnings, []);
    // Start and end of the loop differ from those in the cache; what is made before the loop does not.
    for (node, inputs) in [("5", 2), ("8", 3), ("1", 4)] {
        assert_eq!(posted(&server, node), (2, inputs), "{node}");
    }

    // Nothing is hidden where all is saved behind the loop.
    let mut behind = in_the_loop;
    behind["7"]["inputs"]["images"] = json!(["8", 0]);
    let (server, result) = run(script, &behind).await;
    assert_eq!((result.unwrap().files.len(), posted(&server, "8")), (2, (1, 2)));
}

#[tokio::test]
async fn nodes_that_save_and_report_nothing_are_named() {
    let mut content = json!({
        "1": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": "x.safetensors" } },
        "2": { "class_type": "VAESave", "inputs": { "vae": ["1", 2], "filename_prefix": "vae/x" } },
        "3": { "class_type": "SaveLoRA", "inputs": { "lora": ["1", 0], "prefix": "loras/x" } },
    });
    let (server, result) = run(Script::succeeds_with(&json!({})), &content).await;
    let error = result.unwrap_err();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::NoOutput, Some("2")));
    assert!(error.message.ends_with("do not say what they save: 2 (VAESave), 3 (SaveLoRA)"), "{error}");
    let prompt = &server.requests().of("POST /prompt")[0].json()["prompt"];
    let folder = prompt["2"]["inputs"]["filename_prefix"].as_str().unwrap().strip_suffix("/x").unwrap();
    assert_eq!(prompt["3"]["inputs"]["prefix"], format!("{folder}/x"));

    content["4"] =
        json!({ "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "o" } });
    let script = Script::succeeds_with(&json!({ "4": image("o_00001_.png") }));
    let output = run(script.with_file("output/{{FOLDER}}/o_00001_.png"), &content).await.1.unwrap();
    assert_eq!((output.files.len(), codes(&output)), (1, vec![WarningCode::FilesOmitted]));
    assert!(output.warnings[0].message.contains("2 (VAESave), 3 (SaveLoRA)"), "{output:?}");
}

/// A missing file is a reason for another run only where its name came from the cache.
#[tokio::test]
async fn a_missing_file_of_a_node_that_ran_is_no_reason_to_run_again() {
    let content = json!({
        "1": { "class_type": "EmptyImage", "inputs": {} },
        "2": { "class_type": "SaveImage", "inputs": { "images": ["1", 0], "filename_prefix": "o" } },
        "3": { "class_type": "PlotGraph", "inputs": { "images": ["1", 0] } },
    });
    let plot = json!({ "images": [{ "filename": "plot.png", "subfolder": "", "type": "output" }] });
    let with_plot = json!({ "2": image("o_00001_.png"), "3": plot });
    for cached in [json!(["1"]), json!(["1", "2"])] {
        let script =
            Script::ends_with(entry(&cached, &with_plot)).with_file("output/{{FOLDER}}/o_00001_.png");
        let output = run(script, &content).await.1.unwrap();
        assert_eq!((output.files.len(), codes(&output)), (1, vec![WarningCode::FilesOmitted]), "{cached}");
        assert!(output.warnings[0].message.contains("`plot.png` (node 3)"), "{output:?}");
    }

    let alone = json!({ "3": plot });
    let error = run(Script::ends_with(entry(&json!([]), &alone)), &content).await.1.unwrap_err();
    assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeFailed, Some("3")));
    assert_eq!(error.code.retry(), Retry::Never);
    assert!(error.message.contains("not found where the node says"), "{error}");

    for outputs in [&alone, &with_plot] {
        let script = Script::ends_with(entry(&json!(["3"]), outputs));
        let (server, result) = run(script.with_file("output/{{FOLDER}}/o_00001_.png"), &content).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::RuntimeBadAnswer);
        assert_eq!(server.requests().of("POST /free").len(), 1);
    }
}

/// WAS Node Suite's "Image Save" puts the prefix with its folders into the name, names each file a second time by its path, and can
/// show the history of all that it saved.
#[tokio::test]
async fn a_file_is_stored_once_wherever_its_folders_stand_and_none_of_another_job() {
    let content = json!({
        "1": { "class_type": "EmptyImage", "inputs": {} },
        "2": { "class_type": "Image Save", "inputs": { "images": ["1", 0], "filename_prefix": "a" } },
    });
    let other = "darkroom/53a5516f-29c3-4168-a6d2-70030438aef2";
    let named = |filename: &str, subfolder: &str| json!({ "filename": filename, "subfolder": subfolder, "type": "output" });
    let outputs = json!({ "2": {
        "images": [
            named("{{FOLDER}}/a_0001.png", "{{FOLDER}}"), named("{{FOLDER}}/a_0002.png", ""),
            named("theirs.png", other), named(&format!("{other}/theirs.png"), ""),
        ],
        "files": ["/opt/ComfyUI/output/{{FOLDER}}/a_0001.png", "/opt/ComfyUI/output/{{FOLDER}}/a_0002.png"],
    } });
    let files = ["output/{{FOLDER}}/a_0001.png", "output/{{FOLDER}}/a_0002.png"];
    let script = files.iter().fold(Script::succeeds_with(&outputs), |script, file| script.with_file(file));
    let (server, result) = run(script.with_file(&format!("output/{other}/theirs.png")), &content).await;

    let output = result.unwrap();
    assert_eq!((stored(&output).as_slice(), output.warnings.len()), (files.map(str::to_owned).as_slice(), 0));
    assert_eq!(output.report["outputs"]["2"]["images"][0]["filename"], "a_0001.png");
    assert_eq!(server.requests().lines().iter().filter(|line| line.starts_with("GET /view")).count(), 2);
}
