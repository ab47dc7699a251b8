//! Servers that have a part of the interface only. stable-diffusion.cpp's has no progress, no interrupt, no options to set
//! and no enlargements.

use serde_json::{Value, json};
use shared_schema::ErrorCode;
use worker::runtimes::sdwebui;

use super::player::Player;
use super::{by_hand, call};
use crate::task;

/// What stable-diffusion.cpp answers, and nothing else. By hand, of its recorded answers.
fn lean_server() -> Vec<Value> {
    let options = json!({ "samples_format": "png", "sd_model_checkpoint": "v1-5-pruned-emaonly" });
    let models = json!([{
        "config": null, "filename": "v1-5-pruned-emaonly.safetensors", "hash": "8888888888",
        "model_name": "v1-5-pruned-emaonly", "sha256": "8".repeat(64), "title": "v1-5-pruned-emaonly",
    }]);
    vec![
        by_hand("GET", "options", 200, options),
        by_hand("GET", "sd-models", 200, models),
        call("txt2img", "POST", "txt2img"),
    ]
}

#[tokio::test]
async fn a_server_without_progress_works() {
    let player = Player::start(lean_server()).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(runtime.interrupt_orphans(&[]).await, Ok(true));
    assert_eq!(runtime.pin_settings().await, Ok(()));
    let job = task::job("text-to-image", &json!({ "prompt": "a dog" }), Vec::new());
    assert_eq!(runtime.run(job).await.unwrap().files.len(), 1);
}

/// One image for two batches: the caller gets a warning.
#[tokio::test]
async fn fewer_images_than_requested_are_a_warning() {
    let player = Player::start(lean_server()).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let job = task::job("text-to-image", &json!({ "prompt": "a dog", "n_iter": 2 }), Vec::new());

    let output = runtime.run(job).await.unwrap();

    assert_eq!(output.files.len(), 1);
    assert_eq!(output.warnings[0].field.as_deref(), Some("/content/n_iter"));
}

#[tokio::test]
async fn a_task_whose_endpoint_is_missing_fails_at_once_and_names_it() {
    let player = Player::start(lean_server()).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let job = task::job("extra-single-image", &json!({ "image": "x" }), Vec::new());

    let error = runtime.run(job).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::UnsupportedTaskType);
    assert!(
        error.message.contains("`POST /sdapi/v1/extra-single-image`") && !error.is_retryable(),
        "{error}"
    );
}

#[tokio::test]
async fn the_error_of_a_server_without_its_interface_names_the_missing_endpoints() {
    let player = Player::start(Vec::new()).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();

    let error = runtime.ready().await.unwrap_err();

    assert_eq!(error.code, ErrorCode::RuntimeUnavailable);
    assert!(error.message.contains("`GET /sdapi/v1/options`") && error.message.contains("--api"), "{error}");
}

/// SD.Next's rate limit.
#[tokio::test]
async fn a_request_that_exceeds_the_rate_limit_is_retried() {
    let mut busy = by_hand("POST", "txt2img", 429, json!({ "detail": "too many requests" }));
    busy["response"]["headers"] = json!({ "Retry-After": "0" });
    let player = Player::start([vec![busy.clone(), busy], lean_server()].concat()).await;
    let runtime = sdwebui::connect(&task::options(&player.url)).unwrap();
    let job = task::job("text-to-image", &json!({ "prompt": "a dog" }), Vec::new());

    assert_eq!(runtime.run(job).await.unwrap().files.len(), 1);
    assert_eq!(player.requests("POST", "txt2img").len(), 3);
}
