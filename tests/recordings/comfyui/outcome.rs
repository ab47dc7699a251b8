//! The expected result of each recorded workflow.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::error::TaskError;
use worker::runtimes::RunOutput;

use super::files;

/// The result of a task.
pub(super) enum Outcome {
    /// Files of one node, in order.
    Files { node: &'static str, key: &'static str, kind: &'static str, names: Vec<String> },
    /// No file, but this under `outputs` of the report.
    Texts(Value),
    /// A failure whose message contains this text.
    Failure {
        code: ErrorCode,
        node: Option<&'static str>,
        field: Option<&'static str>,
        contains: &'static str,
    },
}

/// The expected result of the recording of that name.
pub(super) fn of(name: &str) -> Outcome {
    use ErrorCode::{RuntimeFailed, RuntimeRejected};
    match name {
        "images-batch-of-3" | "cached-repeat" => {
            saved("2", "images", &["out_00001_.png", "out_00002_.png", "out_00003_.png"])
        }
        // Its preview is no result if there is a saved picture.
        "load-scale-invert-save-and-preview" => saved("4", "images", &["out_00001_.png"]),
        "checkpoint-sampler-progress" => saved("7", "images", &["out_00001_.png"]),
        // The previews that came over the socket are no results.
        "partly-cached-with-previews" => saved("7", "images", &["out_00002_.png"]),
        "animated-webp" => saved("2", "images", &["out_00001_.webp"]),
        "video-mp4" => saved("3", "images", &["out_00001_.mp4"]),
        "audio-flac" => saved("2", "audio", &["out_00001.flac"]),
        "text-output" => Outcome::Texts(json!({ "2": { "text": ["hello text"] } })),
        "preview-only" => {
            let names = (1..=5).map(|n| format!("ComfyUI_temp_ipfbv_0000{n}_.png")).collect();
            Outcome::Files { node: "2", key: "images", kind: "temp", names }
        }
        "error-missing-input" => {
            let field = Some("/content/1/inputs/width");
            failed(RuntimeRejected, Some("1"), field, "node 1 (EmptyImage): Required input is missing: width")
        }
        "error-missing-model" => {
            let field = Some("/content/1/inputs/ckpt_name");
            let contains =
                "node 1 (CheckpointLoaderSimple): Value not in list: ckpt_name: 'not-there.safetensors'";
            failed(RuntimeRejected, Some("1"), field, contains)
        }
        "error-no-outputs" => failed(RuntimeRejected, None, None, "Prompt has no outputs"),
        "error-unknown-node" => failed(
            RuntimeRejected,
            Some("1"),
            None,
            "node 1 is of the class NoSuchNode, which the runtime does not have",
        ),
        "error-ui-format" => failed(RuntimeRejected, None, None, "it is not in API format"),
        // It ran to success, without one of its outputs.
        "partial-node-errors-with-200" => failed(
            RuntimeRejected,
            Some("98"),
            None,
            "node 98 (SaveImage): Exception when validating node: '97'",
        ),
        "execution-error" => {
            let contains = "SaveImage failed: Exception: **** ERROR: Saving image outside the output folder is not allowed.";
            failed(RuntimeFailed, Some("2"), None, contains)
        }
        other => panic!("the test has no expected result for `{other}`"),
    }
}

fn saved(node: &'static str, key: &'static str, names: &[&str]) -> Outcome {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Outcome::Files { node, key, kind: "output", names }
}

fn failed(
    code: ErrorCode,
    node: Option<&'static str>,
    field: Option<&'static str>,
    contains: &'static str,
) -> Outcome {
    Outcome::Failure { code, node, field, contains }
}

/// Asserts that the task has that result.
pub(super) fn assert_result(
    recording: &Value,
    id: &Value,
    expected: Outcome,
    result: Result<RunOutput, TaskError>,
) {
    let name = &recording["name"];
    match expected {
        Outcome::Files { node, key, kind, names } => {
            let output = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            let entries: Vec<Value> = (1..)
                .zip(&names)
                .map(|(n, filename)| json!({ "file": n, "filename": filename, "type": kind }))
                .collect();
            let outputs = json!({ node: { key: entries } });
            assert_eq!(output.report, json!({ "code": 200, "prompt_id": id, "outputs": outputs }), "{name}");
            let found: Vec<_> = output.files.iter().map(|file| file.name.clone().unwrap()).collect();
            assert_eq!(found, names, "{name}");
            for file in &output.files {
                assert!(
                    file.bytes == recorded_file(recording, file.name.as_deref()),
                    "{name} {:?}",
                    file.name
                );
            }
        }
        Outcome::Texts(outputs) => {
            let output = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(output.report, json!({ "code": 200, "prompt_id": id, "outputs": outputs }), "{name}");
            assert_eq!(output.files, [], "{name}");
        }
        Outcome::Failure { code, node, field, contains } => {
            let error = result.map(|output| panic!("{name} succeeded: {output:?}")).unwrap_err();
            assert_eq!(
                (error.code, error.node_id.as_deref(), error.field.as_deref()),
                (code, node, field),
                "{name}: {error}"
            );
            assert!(error.message.contains(contains), "{name}: {error}");
            let text = format!("{error} {:?}", error.reason);
            for secret in ["/opt", "traceback", "tensor(", "Traceback", "sd15_random"] {
                assert!(!text.contains(secret), "{name} discloses `{secret}`: {text}");
            }
        }
    }
}

fn recorded_file(recording: &Value, filename: Option<&str>) -> Vec<u8> {
    let mut views = recording["views"].as_array().unwrap().iter();
    let view = views
        .find(|view| Some(files::Place::of(view["path"].as_str().unwrap()).filename.as_str()) == filename);
    files::content(view.unwrap())
}
