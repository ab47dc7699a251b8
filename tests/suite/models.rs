//! Which checkpoint draws the picture.

use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use simulated_runtimes::{Fault, SdWebUiOptions};

fn with_model(model: &str) -> Value {
    json!({ "alwayson_scripts": { "sd_model_checkpoint": model }, "prompt": "x", "width": 64, "height": 64 })
}

async fn model_that_ran(lab: &Lab, id: &str) -> Value {
    let ended = lab.ended(id).await;
    assert!(ended.result, "{id}: {:?}", ended.error);
    lab.json(&ended.output_url).await["generation"]["model"].clone()
}

fn two_models() -> SdWebUiOptions {
    SdWebUiOptions {
        models: vec!["first.safetensors".to_owned(), "second.safetensors".to_owned()],
        ..SdWebUiOptions::default()
    }
}

#[tokio::test]
async fn the_model_that_a_task_names_is_loaded_and_no_other_task_keeps_it() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(two_models()).await;
    let door = lab.front_door(&[]).await;
    let _worker = lab.worker(&runtime, &[("DYNAMIC_SD_MODEL", "true")]).await;

    door.submit("sdruntime", "text-to-image", "named", with_model("second")).await;
    assert_eq!(model_that_ran(&lab, "named").await, "second");
    door.submit("sdruntime", "text-to-image", "unnamed", json!({ "prompt": "x", "width": 64, "height": 64 }))
        .await;
    assert_eq!(model_that_ran(&lab, "unnamed").await, "first");

    door.submit("sdruntime", "text-to-image", "unknown", with_model("third")).await;
    let error = lab.ended("unknown").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error:?}");
}

#[tokio::test]
async fn a_switch_that_does_not_happen_is_noticed() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(two_models()).await;
    let door = lab.front_door(&[]).await;
    let _worker = lab.worker(&runtime, &[("DYNAMIC_SD_MODEL", "true"), ("MAX_ATTEMPTS", "1")]).await;
    runtime.simulation.as_ref().unwrap().faults().plan(Fault::IgnoreModelSwitch, 5);
    door.submit("sdruntime", "text-to-image", "ignored", with_model("second")).await;
    let error = lab.ended("ignored").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::ModelMismatch, "{error:?}");
}

#[tokio::test]
async fn an_overridden_model_must_exist_and_settings_do_not_outlive_their_request() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(two_models()).await;
    let door = lab.front_door(&[]).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let small =
        |settings: Value| json!({ "prompt": "x", "width": 64, "height": 64, "override_settings": settings });

    door.submit("sdruntime", "text-to-image", "nope", small(json!({ "sd_model_checkpoint": "nope" }))).await;
    let error = lab.ended("nope").await.error.unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error:?}");

    let before = options(&runtime.url).await;
    door.submit("sdruntime", "text-to-image", "clip", small(json!({ "CLIP_stop_at_last_layers": 2 }))).await;
    assert!(lab.ended("clip").await.result);
    assert_eq!(options(&runtime.url).await["CLIP_stop_at_last_layers"], before["CLIP_stop_at_last_layers"]);
}

async fn options(url: &str) -> Value {
    reqwest::get(format!("{url}/sdapi/v1/options")).await.unwrap().json().await.unwrap()
}
