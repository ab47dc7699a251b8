//! `POST /img2img`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    Dialect, WebUi,
    answer::answer,
    errors::Failure,
    fields::{self, Field, Kind},
    generation::{Generation, HEAD, TAIL},
    images, run, samplers, scripts,
};
use crate::connection::Cutter;

/// The fields that only `img2img` has.
const FIELDS: &[Field] = &[
    ("init_images", Kind::ListOrNull, "null"),
    ("resize_mode", Kind::Integer, "0"),
    ("image_cfg_scale", Kind::NumberOrNull, "null"),
    ("mask", Kind::TextOrNull, "null"),
    ("mask_blur_x", Kind::Integer, "4"),
    ("mask_blur_y", Kind::Integer, "4"),
    ("mask_blur", Kind::IntegerOrNull, "null"),
    ("mask_round", Kind::Boolean, "true"),
    ("inpainting_fill", Kind::Integer, "0"),
    ("inpaint_full_res", Kind::Boolean, "true"),
    ("inpaint_full_res_padding", Kind::Integer, "0"),
    ("inpainting_mask_invert", Kind::Integer, "0"),
    ("initial_noise_multiplier", Kind::NumberOrNull, "null"),
    ("latent_mask", Kind::TextOrNull, "null"),
    ("force_task_id", Kind::TextOrNull, "null"),
    ("hr_distilled_cfg", Kind::Number, "3.5"),
    ("sampler_index", Kind::Text, r#""Euler""#),
    ("include_init_images", Kind::Boolean, "false"),
];

const DENOISING: &[Field] = &[("denoising_strength", Kind::Number, "0.75")];

pub(super) async fn img2img(
    State(webui): State<Arc<WebUi>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Result<Response, Failure> {
    let (before, after) = HEAD;
    let mut parameters = fields::validate(webui.dialect, &body, &[before, DENOISING, after, FIELDS, TAIL])?;
    let Some(Value::Array(init_images)) = parameters.get("init_images").cloned() else {
        return Err(Failure::http(StatusCode::NOT_FOUND, "Init image not found"));
    };
    if let Some(mask) = parameters.get("mask").and_then(Value::as_str) {
        images::load(&webui, mask)?;
    }
    scripts::check(webui.dialect, &parameters)?;
    samplers::check(webui.dialect, &parameters)?;
    let mut sources = Vec::new();
    for image in &init_images {
        sources.push(images::load(&webui, image.as_str().unwrap_or_default())?);
    }
    let Some(first) = sources.first() else {
        return Err(match webui.dialect {
            Dialect::Automatic1111 => Failure::exception(
                "RuntimeError",
                "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [0]",
            ),
            Dialect::Forge | Dialect::SdNext => Failure::exception("IndexError", "list index out of range"),
        });
    };
    let source = images::size(first);
    if !parameters.get("include_init_images").and_then(Value::as_bool).unwrap_or_default() {
        parameters.insert("init_images".to_owned(), json!(null));
        parameters.insert("mask".to_owned(), json!(null));
    }
    let mut generation = Generation::new("scripts_img2img", parameters);
    generation.source = source;
    answer(&webui, cutter, run::generate(Arc::clone(&webui), generation)).await
}
