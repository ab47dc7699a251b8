//! Switching models, between recorded calls.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::error::TaskError;
use worker::runtimes::{RunOutput, RuntimeOptions, sdwebui};

use super::player::Player;
use super::{by_hand, call, calls, options};
use crate::task;

/// Runs the recorded generation with a task that names a model, in the part `selection` of its content. The
/// worker may switch models.
async fn run(player: &Player, selection: &Value) -> Result<RunOutput, TaskError> {
    let may_switch = RuntimeOptions { dynamic_model: true, ..task::options(&player.url) };
    let runtime = sdwebui::connect(&may_switch).unwrap();
    let mut content = call("model-switch", "POST", "txt2img")["request"]["body"].clone();
    content.as_object_mut().unwrap().extend(selection.as_object().unwrap().clone());
    let result = runtime.run(task::job("text-to-image", &content, Vec::new())).await;
    assert_eq!(player.unanswered(), Vec::<String>::new());
    result
}

fn switched_to(model: &str) -> Value {
    json!({ "alwayson_scripts": { "sd_model_checkpoint": model } })
}

fn overridden_by(model: &str) -> Value {
    json!({ "override_settings": { "sd_model_checkpoint": model } })
}

fn model_list() -> Value {
    call("models-and-options", "GET", "sd-models")
}

/// The settings of a server that has the other model loaded. By hand: the recording began with the wanted one.
fn other_model_loaded() -> Value {
    by_hand("GET", "options", 200, json!({ "sd_model_checkpoint": "sd15_random_full.safetensors" }))
}

#[tokio::test]
pub(super) async fn a_model_is_switched_before_the_run() {
    // Requested twice: again when the server is idle.
    let mut played = vec![other_model_loaded(), other_model_loaded(), model_list()];
    played.extend(calls("model-switch"));
    let player = Player::start(played).await;

    let output = run(&player, &switched_to("sd15_b")).await.unwrap();

    // By its title, a name that every server accepts.
    let switches = player.requests("POST", "options");
    let [switch] = switches.as_slice() else { panic!("{} switches", switches.len()) };
    let title = &model_list()["response"]["body"][0]["title"];
    assert_eq!(switch.json(), json!({ "sd_model_checkpoint": title }));
    assert_eq!(output.report["generation"]["model"], "sd15_b");
    // The worker interprets the name; the server does not get it.
    assert_eq!(player.requests("POST", "txt2img")[0].json()["alwayson_scripts"], json!({}));
}

#[tokio::test]
async fn a_model_that_is_loaded_is_not_loaded_again() {
    for name in ["sd15_b", "sd15_b.safetensors", "sd15_b.safetensors [a18cfea7eb]"] {
        let player = Player::start(calls("model-switch")).await;

        let output = run(&player, &switched_to(name)).await.unwrap();

        assert_eq!(player.requests("POST", "options").len(), 0, "{name}");
        assert_eq!(output.files.len(), 1);
    }
}

#[tokio::test]
pub(super) async fn a_model_that_the_runtime_does_not_have_is_refused_before_the_run() {
    for (asking, field) in [
        (switched_to("nope.safetensors"), "/content/alwayson_scripts/sd_model_checkpoint"),
        (overridden_by("nope.safetensors"), "/content/override_settings/sd_model_checkpoint"),
    ] {
        let rescan = call("model-switch", "POST", "refresh-checkpoints");
        let mut played = vec![options(), model_list(), rescan];
        played.extend(calls("model-switch-unknown"));
        let player = Player::start(played).await;

        let error = run(&player, &asking).await.unwrap_err();

        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::ModelNotFound, Some(field)));
        assert!(error.message.contains("nope.safetensors"), "{error}");
        // New files are seen only after a rescan, and the recorded refusals were not provoked.
        assert_eq!(player.requests("POST", "refresh-checkpoints").len(), 1);
        assert_eq!(player.requests("POST", "options").len() + player.requests("POST", "txt2img").len(), 0);
    }
}

#[tokio::test]
async fn a_run_with_another_model_than_the_wanted_one_is_no_success() {
    // The recorded answer to an override that the server dropped silently.
    let played = vec![options(), model_list(), call("model-switch-unknown", "POST", "txt2img")];
    let player = Player::start(played).await;

    let error = run(&player, &overridden_by("sd15_random_full")).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::ModelMismatch);
    assert!(error.message.contains("sd15_random_full") && error.message.contains("sd15_b"), "{error}");
}

#[tokio::test]
async fn a_switch_that_the_server_refuses_fails_the_attempt() {
    let refusal = call("model-switch-unknown", "POST", "options");
    let reason = refusal["response"]["body"].clone();
    let player = Player::start(vec![options(), model_list(), refusal]).await;

    let error = run(&player, &switched_to("sd15_random_full")).await.unwrap_err();

    assert_eq!((error.code, error.reason), (ErrorCode::ModelMismatch, Some(reason)));
    assert_eq!(player.requests("POST", "txt2img").len(), 0);
}
