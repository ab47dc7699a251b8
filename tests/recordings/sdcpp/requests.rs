//! What the server is sent: names and numbers compared with its recorded capabilities, images as base64.

use base64_simd::STANDARD as BASE64;
use integration_tests::image_server::cat;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::notification::WarningCode;
use worker::inputs::Input;
use worker::runtimes::RunOutput;

use super::{Player, by_hand, calls, client};
use crate::task;

/// The result of a task with that content, beside the recorded server, and the request that it was sent.
async fn sent(kind: &str, content: Value, inputs: Vec<Input>) -> (RunOutput, Value) {
    let player = Player::start([calls("job-lifecycle"), calls("capabilities")].concat()).await;
    let output = client(&player).run(task::job(kind, &content, inputs)).await.unwrap();
    (output, player.requests("POST", "img_gen").remove(0).json())
}

#[tokio::test]
pub(super) async fn names_are_sent_as_the_server_lists_them() {
    for (sampler, scheduler, expected) in [
        ("Euler a", "Karras", ("euler_a", "karras")),
        ("DPM++ 2M", "SGM Uniform", ("dpm++2m", "sgm_uniform")),
        ("dpm++2mv2", "default", ("dpm++2mv2", "default")),
    ] {
        let content = json!({
            "prompt": "a cat",
            "sample_params": { "sample_method": sampler, "scheduler": scheduler },
            "hires": { "enabled": true, "upscaler": "latent (Nearest-Exact)" },
        });
        let (_, sent) = sent("text-to-image", content, Vec::new()).await;
        assert_eq!(sent["sample_params"]["sample_method"], expected.0);
        assert_eq!(sent["sample_params"]["scheduler"], expected.1);
        assert_eq!(sent["hires"]["upscaler"], "Latent (nearest-exact)");
    }
}

#[tokio::test]
async fn what_the_server_does_not_have_is_refused_before_the_run() {
    for (content, field) in [
        (json!({ "sample_params": { "sample_method": "NoSuch" } }), "/content/sample_params/sample_method"),
        (json!({ "sample_params": { "scheduler": "NoSuch" } }), "/content/sample_params/scheduler"),
        (json!({ "hires": { "enabled": true, "upscaler": "NoSuch" } }), "/content/hires/upscaler"),
        (json!({ "lora": [{ "path": "../../etc/passwd" }] }), "/content/lora/0/path"),
        (json!({ "width": 32 }), "/content/width"),
        (json!({ "height": 8192 }), "/content/height"),
        (json!({ "n_iter": 3, "batch_size": 3 }), "/content/batch_count"),
    ] {
        let player = Player::start(calls("capabilities")).await;
        let job = task::job("text-to-image", &content, Vec::new());
        let error = client(&player).run(job).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::RuntimeRejected, "{error}");
        assert_eq!(error.field.as_deref(), Some(field), "{error}");
        assert_eq!(player.requests("POST", "img_gen").len(), 0);
    }
}

#[tokio::test]
async fn images_are_sent_as_base64_and_left_out_of_the_report() {
    let content = json!({
        "prompt": "a cat", "init_image": "https://example.com/a.png", "ref_images": ["s3://bucket/b.png"], "seed": null,
    });
    let inputs = vec![task::png("/init_image", cat()), task::png("/ref_images/0", cat())];
    let (output, sent) = sent("image-to-image", content, inputs).await;
    let image = BASE64.encode_to_string(cat());
    assert_eq!(sent, json!({ "prompt": "a cat", "init_image": image, "ref_images": [image] }));
    assert_eq!(output.report["parameters"]["init_image"], "");
    assert_eq!(output.report["parameters"]["ref_images"], json!([""]));
}

#[tokio::test]
async fn fewer_images_than_were_asked_for_are_a_warning() {
    let (output, sent) = sent("text-to-image", json!({ "prompt": "a cat", "n_iter": 2 }), Vec::new()).await;
    assert_eq!(sent, json!({ "prompt": "a cat", "batch_count": 2 }));
    let [warning] = output.warnings.as_slice() else { panic!("{:?}", output.warnings) };
    assert_eq!(
        (warning.code, warning.field.as_deref()),
        (WarningCode::ValueReplaced, Some("/content/n_iter"))
    );
}

#[tokio::test]
async fn a_server_whose_model_makes_videos_only_is_not_ready() {
    let player = Player::start(calls("capabilities")).await;
    assert_eq!(client(&player).ready().await, Ok(()));
    let video = by_hand("GET", "capabilities", 200, json!({ "supported_modes": ["vid_gen"] }));
    let player = Player::start(vec![video]).await;
    assert_eq!(client(&player).ready().await.unwrap_err().code, ErrorCode::RuntimeUnavailable);
}
