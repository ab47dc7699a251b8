//! `POST /txt2img`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    response::Response,
};

use super::{
    WebUi,
    answer::answer,
    errors::Failure,
    fields::{self, Field, Kind},
    generation::{Generation, HEAD, TAIL},
    run, samplers, scripts,
};
use crate::connection::Cutter;

/// The fields that only `txt2img` has.
const FIELDS: &[Field] = &[
    ("enable_hr", Kind::Boolean, "false"),
    ("firstphase_width", Kind::Integer, "0"),
    ("firstphase_height", Kind::Integer, "0"),
    ("hr_scale", Kind::Number, "2.0"),
    ("hr_upscaler", Kind::TextOrNull, "null"),
    ("hr_second_pass_steps", Kind::Integer, "0"),
    ("hr_resize_x", Kind::Integer, "0"),
    ("hr_resize_y", Kind::Integer, "0"),
    ("hr_checkpoint_name", Kind::TextOrNull, "null"),
    ("hr_additional_modules", Kind::ListOrNull, "null"),
    ("hr_sampler_name", Kind::TextOrNull, "null"),
    ("hr_scheduler", Kind::TextOrNull, "null"),
    ("hr_prompt", Kind::Text, r#""""#),
    ("hr_negative_prompt", Kind::Text, r#""""#),
    ("hr_cfg", Kind::Number, "1.0"),
    ("hr_distilled_cfg", Kind::Number, "3.5"),
    ("force_task_id", Kind::TextOrNull, "null"),
    ("sampler_index", Kind::Text, r#""Euler""#),
];

/// The denoising strength has no default here: it matters to the second pass only.
const DENOISING: &[Field] = &[("denoising_strength", Kind::NumberOrNull, "null")];

pub(super) async fn txt2img(
    State(webui): State<Arc<WebUi>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Result<Response, Failure> {
    let (before, after) = HEAD;
    let parameters = fields::validate(webui.dialect, &body, &[before, DENOISING, after, FIELDS, TAIL])?;
    scripts::check(webui.dialect, &parameters)?;
    samplers::check(webui.dialect, &parameters)?;
    let generation = Generation::new("scripts_txt2img", parameters);
    answer(&webui, cutter, run::generate(Arc::clone(&webui), generation)).await
}
