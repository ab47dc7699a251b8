//! Scripts that a request may name: those to select, and those that are always on.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde_json::{Map, Value, json};

use super::{Dialect, WebUi, errors::Failure};

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

/// Its preprocessors. The extension for AUTOMATIC1111 has some under other names than its page shows, and accepts both; Forge
/// has one name for each.
pub(super) async fn control_net_modules(
    State(webui): State<Arc<WebUi>>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let is_forge = webui.dialect == Dialect::Forge;
    let has_aliases = query.get("alias_names").is_some_and(|value| value == "true");
    let modules = match (is_forge, has_aliases) {
        (true, _) => ["None", "canny", "depth_midas", "openpose_full"],
        (false, true) => ["none", "canny", "depth_midas", "openpose_full"],
        (false, false) => ["none", "canny", "depth", "openpose_full"],
    };
    Json(json!({ "module_list": modules }))
}

pub(super) async fn list() -> Json<Value> {
    let all: Vec<_> = ALWAYS_ON.iter().chain(SELECTABLE).collect();
    Json(json!({"txt2img": all, "img2img": all}))
}
