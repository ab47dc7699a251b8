//! Which checkpoint draws the picture.

use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{Fault, SdWebUiOptions};

fn with_model(model: &str) -> Value {
    json!({ "alwayson_scripts": { "sd_model_checkpoint": model }, "prompt": "x", "width": 64, "height": 64 })
}

async fn model_that_ran(lab: &Lab, id: &str) -> Value {
    let completion = lab.completion(id).await;
    assert!(completion.result, "{id}: {:?}", completion.error);
    lab.json(&completion.output_url).await["generation"]["model"].clone()
}

fn two_models() -> SdWebUiOptions {
    SdWebUiOptions {
        models: vec!["first.safetensors".to_owned(), "second.safetensors".to_owned()],
        ..SdWebUiOptions::default()
    }
}

#[tokio::test]
async fn the_model_that_a_task_names_is_loaded_for_this_task_only() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(two_models()).await;
    let api = lab.submit_api(&[]).await;
    let _worker = lab.worker(&runtime, &[("DYNAMIC_SD_MODEL", "true")]).await;

    api.submit("sdruntime", "text-to-image", "named", with_model("second")).await;
    assert_eq!(model_that_ran(&lab, "named").await, "second");
    api.submit("sdruntime", "text-to-image", "unnamed", json!({ "prompt": "x", "width": 64, "height": 64 }))
        .await;
    assert_eq!(model_that_ran(&lab, "unnamed").await, "first");

    api.submit("sdruntime", "text-to-image", "unknown", with_model("third")).await;
    let error = lab.completion("unknown").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error:?}");
}

#[tokio::test]
async fn a_model_switch_that_does_not_take_effect_is_an_error() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(two_models()).await;
    let api = lab.submit_api(&[]).await;
    let _worker = lab.worker(&runtime, &[("DYNAMIC_SD_MODEL", "true"), ("MAX_ATTEMPTS", "1")]).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::IgnoreModelSwitch, 5);
    api.submit("sdruntime", "text-to-image", "ignored", with_model("second")).await;
    let error = lab.completion("ignored").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::ModelMismatch, "{error:?}");
}

#[tokio::test]
async fn an_overridden_model_must_exist_and_settings_do_not_outlive_their_request() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(two_models()).await;
    let api = lab.submit_api(&[]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let small =
        |settings: Value| json!({ "prompt": "x", "width": 64, "height": 64, "override_settings": settings });

    api.submit("sdruntime", "text-to-image", "nope", small(json!({ "sd_model_checkpoint": "nope" }))).await;
    let error = lab.completion("nope").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error:?}");

    let before = options(&runtime.url).await;
    api.submit("sdruntime", "text-to-image", "clip", small(json!({ "CLIP_stop_at_last_layers": 2 }))).await;
    assert!(lab.completion("clip").await.result);
    assert_eq!(options(&runtime.url).await["CLIP_stop_at_last_layers"], before["CLIP_stop_at_last_layers"]);
}

async fn options(url: &str) -> Value {
    reqwest::get(format!("{url}/sdapi/v1/options")).await.unwrap().json().await.unwrap()
}
