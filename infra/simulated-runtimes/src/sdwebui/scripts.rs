//! Scripts that a request may name: those to select, and those that are always on.

use axum::{Json, http::StatusCode};
use serde_json::{Map, Value, json};

use super::{Dialect, errors::Failure};

const SELECTABLE: &[&str] =
    &["prompt matrix", "prompts from file or textbox", "x/y/z plot", "sd upscale", "loopback"];
const ALWAYS_ON: &[&str] =
    &["controlnet", "seed", "refiner", "sampler", "soft inpainting", "dynamic thresholding"];

/// Refuses scripts that are not installed.
pub(super) fn check(dialect: Dialect, parameters: &Map<String, Value>) -> Result<(), Failure> {
    let refuse = |detail: &str| Err(Failure::http(StatusCode::UNPROCESSABLE_ENTITY, detail));
    if let Some(name) = parameters.get("script_name").and_then(Value::as_str).filter(|name| !name.is_empty())
        && !SELECTABLE.contains(&name.to_lowercase().as_str())
        && dialect != Dialect::SdNext
    {
        return refuse(&format!("Script '{name}' not found"));
    }
    for name in parameters
        .get("alwayson_scripts")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
    {
        let lower = name.to_lowercase();
        if SELECTABLE.contains(&lower.as_str()) {
            return refuse("Cannot have a selectable script in the always on scripts params");
        }
        if !ALWAYS_ON.contains(&lower.as_str()) {
            return refuse(&format!("Script '{name}' not found"));
        }
    }
    Ok(())
}

/// Of the ControlNet extension, and of Forge.
pub(super) async fn control_nets() -> Json<Value> {
    Json(json!({"model_list": ["None", "control_v11p_sd15_canny [d14c016b]"]}))
}

pub(super) async fn list() -> Json<Value> {
    let all: Vec<_> = ALWAYS_ON.iter().chain(SELECTABLE).collect();
    Json(json!({"txt2img": all, "img2img": all}))
}
