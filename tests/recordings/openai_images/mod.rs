//! The recording of stable-diffusion.cpp's `sd-server`, and answers of other servers with OpenAI's Images API, made by hand.

use std::future::pending;

use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use integration_tests::fixtures;
use integration_tests::image_server::cat;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::WarningCode;
use task_traces::{Parent, TraceContext, Traces};
use worker::error::TaskError;
use worker::runtimes::{Job, RunOutput, openai_images};
use worker::spans;

use self::player::Player;
use crate::{OwnTests, server, task};

mod player;

pub(crate) const OWN_TESTS: OwnTests = &[
    ("sd-server", images_that_sd_server_answers_become_files),
    ("vllm-omni", fewer_images_than_asked_for_are_a_warning),
    ("sglang", an_image_by_its_address_on_the_server_is_fetched),
    ("localai", an_address_on_another_server_is_not_fetched),
];

const GENERATIONS: &str = "POST /v1/images/generations";

/// The recorded calls, in order.
fn calls(name: &str) -> Vec<Value> {
    fixtures::load(&format!("openai-images/{name}.json"))["calls"].as_array().unwrap().clone()
}

/// Those calls of a recording that are answered with that status.
fn answered(name: &str, status: u16) -> Vec<Value> {
    calls(name).into_iter().filter(|call| call["response"]["status"] == status).collect()
}

fn generation(content: &Value) -> Job {
    task::job("text-to-image", content, Vec::new())
}

async fn run(player: &Player, job: Job) -> Result<RunOutput, TaskError> {
    openai_images::connect(&task::options(&player.url)).unwrap().run(job).await
}

#[tokio::test]
async fn images_that_sd_server_answers_become_files() {
    let player = Player::start(calls("sd-server")).await;
    let runtime = openai_images::connect(&task::options(&player.url)).unwrap();
    assert_eq!(runtime.ready().await, Ok(()));
    assert_eq!(player.lines(), ["GET /health", "GET /v1/models"]);

    let content = calls("sd-server")[1]["request"]["body"].clone();
    let output = runtime.run(generation(&content)).await.unwrap();
    assert_eq!(output.files.len(), 1);
    assert_eq!(output.files[0].bytes, cat());
    assert_eq!(output.report["output_format"], "png");
    assert_eq!(output.warnings, []);

    // The recorded refusal is next.
    let error = runtime.run(generation(&json!({}))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::RuntimeRejected);
    assert!(error.message.ends_with("prompt required") && !error.is_retryable(), "{error}");

    let inputs = vec![task::png("/image/0", cat()), task::png("/image/1", cat()), task::png("/mask", cat())];
    let content = json!({ "prompt": "a dog", "n": 1, "lora": { "name": "x" }, "mask": "https://a/mask.png",
                          "image": ["https://a/b.png", "https://a/c.png"] });
    let output = runtime.run(task::job("image-to-image", &content, inputs)).await.unwrap();
    assert_eq!(output.files.len(), 1);

    let form = player.requests().pop().unwrap();
    let text = String::from_utf8_lossy(&form.body);
    assert_eq!(text.matches("name=\"image[]\"; filename=\"image.png\"").count(), 2, "{form:?}");
    assert_eq!(text.matches("name=\"mask\"; filename=\"mask.png\"").count(), 1);
    assert_eq!(text.matches("Content-Type: image/png").count(), 3);
    for part in ["name=\"prompt\"\r\n\r\na dog\r\n", "name=\"lora\"\r\n\r\n{\"name\":\"x\"}\r\n"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(text.contains("name=\"response_format\"\r\n\r\nb64_json") && !text.contains("https://"));
}

#[tokio::test]
async fn fewer_images_than_asked_for_are_a_warning() {
    let player = Player::start(answered("vllm-omni", 200)).await;
    let content = json!({ "prompt": "a cat", "n": 3, "negative_prompt": null, "response_format": "url", "user": "u-1" });

    let output = run(&player, generation(&content)).await.unwrap();

    assert_eq!(output.files.len(), 2);
    let [warning] = output.warnings.as_slice() else { panic!("{:?}", output.warnings) };
    assert_eq!((warning.code, warning.field.as_deref()), (WarningCode::ValueReplaced, Some("/content/n")));
    assert_eq!(output.report["data"][0]["revised_prompt"], "a cat, oil painting");
    let heard = player.requests().pop().unwrap();
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(body, json!({ "prompt": "a cat", "n": 3, "user": "u-1", "response_format": "b64_json" }));
}

#[tokio::test]
async fn every_refusal_says_whose_fault_it_is() {
    for (status, code, field, is_retryable) in [
        (404, ErrorCode::ModelNotFound, Some("/content/model"), false),
        (400, ErrorCode::RuntimeRejected, None, false),
        (422, ErrorCode::RuntimeRejected, Some("/content/num_inference_steps"), false),
        (503, ErrorCode::RuntimeUnavailable, None, true),
        (500, ErrorCode::OutOfMemory, None, true),
    ] {
        let player = Player::start(answered("vllm-omni", status)).await;
        let error = run(&player, generation(&json!({ "prompt": "a cat" }))).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (code, field), "{error}");
        assert_eq!(error.is_retryable(), is_retryable, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_up_yet_is_not_ready() {
    let mut calls = answered("vllm-omni", 503);
    calls[0]["request"] = json!({ "method": "GET", "path": "/health" });
    let player = Player::start(calls).await;
    let error = openai_images::connect(&task::options(&player.url)).unwrap().ready().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::RuntimeUnavailable);
}

#[tokio::test]
async fn an_image_by_its_address_on_the_server_is_fetched() {
    let player = Player::start(calls("sglang")).await;

    let output = run(&player, generation(&json!({ "prompt": "a cat" }))).await.unwrap();

    assert_eq!(output.files[0].bytes, cat());
    assert_eq!(player.lines(), [GENERATIONS, "GET /v1/images/img-1/content"]);
    assert!(!output.report.to_string().contains("/srv"), "{}", output.report);
}

#[tokio::test]
async fn an_address_on_another_server_is_not_fetched() {
    // The server refuses to be asked for a format first.
    let player = Player::start(calls("localai")).await;

    let error = run(&player, generation(&json!({ "prompt": "a cat" }))).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::RuntimeBadAnswer);
    assert!(error.message.contains("another server") && !error.message.contains("example.com"), "{error}");
    assert_eq!(player.lines(), [GENERATIONS, GENERATIONS]);
    let formats = player
        .requests()
        .into_iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap()["response_format"].clone());
    assert_eq!(formats.collect::<Vec<_>>(), [json!("b64_json"), json!(null)]);
}

/// A server whose only image is at `/image`, answered by `image`.
async fn server_with_image<F: Future<Output = Response> + Send>(
    image: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> String {
    let generations = || async { Json(json!({ "data": [{ "url": "/image" }] })) };
    let router = Router::new().route("/v1/images/generations", post(generations));
    server::serve(router.route("/image", get(image))).await
}

#[tokio::test]
async fn a_redirect_from_the_address_of_an_image_is_not_followed() {
    let elsewhere = Player::start([]).await;
    let target = format!("{}/image", elsewhere.url);
    let url = server_with_image(move || {
        let target = target.clone();
        async move { Redirect::temporary(&target).into_response() }
    })
    .await;

    let runtime = openai_images::connect(&task::options(&url)).unwrap();
    let error = runtime.run(generation(&json!({ "prompt": "a cat" }))).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::RuntimeBadAnswer);
    assert!(error.message.contains("307"), "{error}");
    assert_eq!(elsewhere.lines(), [""; 0]);
}

#[tokio::test]
async fn a_run_is_interrupted_while_its_image_is_fetched() {
    let job = generation(&json!({ "prompt": "a cat" }));
    let stop = job.stop.clone();
    let url = server_with_image(move || {
        stop.cancel();
        pending()
    })
    .await;

    let runtime = openai_images::connect(&task::options(&url)).unwrap();
    let error = runtime.run(job).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::Interrupted);
    let probed = runtime.interrupt_orphans(&[]).await;
    assert_eq!(probed, Ok(true), "the server works on nothing");
}

#[tokio::test]
async fn an_endpoint_that_the_server_does_not_have_is_named() {
    let models = answered("sd-server", 200).into_iter().take(1);
    let player = Player::start(models).await;
    let job = task::job("image-to-image", &json!({ "prompt": "a dog", "image": "x" }), Vec::new());

    let error = run(&player, job).await.unwrap_err();

    assert_eq!(error.code, ErrorCode::UnsupportedTaskType);
    assert!(error.message.contains("`POST /v1/images/edits`") && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn the_callers_trace_is_continued() {
    let player = Player::start(answered("vllm-omni", 200)).await;
    let header = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";
    let caller = TraceContext::from_xray(header);
    let span = Traces::off().start(&spans::PROCESS, Parent::Remote(caller.as_ref()), None);

    span.within(run(&player, generation(&json!({ "prompt": "a cat" })))).await.unwrap();

    let sent = player.requests().pop().unwrap().headers;
    assert_eq!(sent["traceparent"], "00-67891233abcdef012345678912345678-53995c3f42cd8ad8-01");
}

#[test]
fn every_recording_has_a_test() {
    assert_eq!(crate::recordings("openai-images", OWN_TESTS), [""; 0]);
}
