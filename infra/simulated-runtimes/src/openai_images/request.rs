//! The two calls: `images/generations` takes JSON, `images/edits` a form.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{ConnectInfo, Multipart, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Map, Value};

use super::{ImageServer, Server, failure::Failure, run};
use crate::connection::Cutter;

/// What is to be drawn.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) prompt: String,
    pub(super) n: u32,
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    pub(super) steps: u32,
    pub(super) seed: i64,
}

/// Sampling steps of a request that names none.
const DEFAULT_STEPS: u64 = 20;

/// The most images of one request (vLLM-Omni).
const MOST_IMAGES: u64 = 10;

pub(super) async fn generations(
    State(server): State<Arc<Server>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Response {
    let kind = server.kind;
    let request = match serde_json::from_slice::<Map<String, Value>>(&body) {
        Ok(fields) => read(kind, &fields, None),
        Err(error) => Err(Failure::exception(error.to_string())),
    };
    match request {
        Ok(request) => run::answer(server, cutter, request).await,
        Err(failure) => failure.answer(kind),
    }
}

pub(super) async fn edits(
    State(server): State<Arc<Server>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    form: Multipart,
) -> Response {
    let kind = server.kind;
    let request = match form_fields(form).await {
        Some((fields, images)) => edit(kind, &fields, &images),
        None => Err(Failure::new(StatusCode::BAD_REQUEST, "the form cannot be read")),
    };
    match request {
        Ok(request) => run::answer(server, cutter, request).await,
        Err(failure) => failure.answer(kind),
    }
}

fn edit(kind: ImageServer, fields: &Map<String, Value>, images: &[Bytes]) -> Result<Request, Failure> {
    let missing = match kind {
        ImageServer::VllmOmni => "Field 'image' or 'url' is required",
        ImageServer::SdServer => "at least one image[] required",
    };
    let first = images.first().ok_or_else(|| Failure::refused(missing, "image"))?;
    let size =
        imagesize::blob_size(first).map_err(|_| Failure::refused("cannot identify image file", "image"))?;
    read(kind, fields, Some((size.width as u32, size.height as u32)))
}

/// The texts of a form, and its images without the mask.
async fn form_fields(mut form: Multipart) -> Option<(Map<String, Value>, Vec<Bytes>)> {
    let (mut fields, mut images) = (Map::new(), Vec::new());
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name()?.to_owned();
        if matches!(name.as_str(), "image" | "image[]") {
            images.push(field.bytes().await.ok()?);
        } else if name == "mask" {
            field.bytes().await.ok()?;
        } else {
            fields.insert(name, field.text().await.ok()?.into());
        }
    }
    Some((fields, images))
}

fn read(
    kind: ImageServer,
    fields: &Map<String, Value>,
    source: Option<(u32, u32)>,
) -> Result<Request, Failure> {
    let mut prompt = fields.get("prompt").and_then(Value::as_str).unwrap_or_default().to_owned();
    if prompt.is_empty() {
        let message = match kind {
            ImageServer::VllmOmni => "Field required",
            ImageServer::SdServer => "prompt required",
        };
        return Err(Failure::refused(message, "prompt"));
    }
    let n = number(fields, "n").unwrap_or(1).max(1);
    let mut steps = number(fields, "num_inference_steps");
    let mut seed = number(fields, "seed");
    match kind {
        ImageServer::VllmOmni if n > MOST_IMAGES => {
            return Err(Failure::refused("Input should be less than or equal to 10", "n"));
        }
        ImageServer::VllmOmni => {}
        ImageServer::SdServer => {
            let extra = take_extra_arguments(&mut prompt)?;
            steps = extra["sample_params"]["sample_steps"].as_u64();
            seed = extra["seed"].as_u64();
        }
    }
    let size = fields.get("size").and_then(Value::as_str).and_then(sides).or(source);
    Ok(Request {
        prompt,
        n: u32::try_from(n).unwrap_or(u32::MAX),
        size: size.unwrap_or(match kind {
            ImageServer::VllmOmni => (1024, 1024),
            ImageServer::SdServer => (512, 512),
        }),
        steps: u32::try_from(steps.unwrap_or(DEFAULT_STEPS)).unwrap_or(u32::MAX),
        seed: seed.and_then(|seed| i64::try_from(seed).ok()).unwrap_or(42),
    })
}

/// A number, also as text: a form has nothing else.
fn number(fields: &Map<String, Value>, key: &str) -> Option<u64> {
    let field = fields.get(key)?;
    field.as_u64().or_else(|| field.as_str()?.parse().ok())
}

fn sides(size: &str) -> Option<(u32, u32)> {
    let (width, height) = size.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// What `sd-server` reads out of a prompt, and takes away from it.
fn take_extra_arguments(prompt: &mut String) -> Result<Value, Failure> {
    const TAGS: (&str, &str) = ("<sd_cpp_extra_args>", "</sd_cpp_extra_args>");
    let Some((before, rest)) = prompt.split_once(TAGS.0) else { return Ok(Value::Null) };
    let Some((json, after)) = rest.split_once(TAGS.1) else { return Ok(Value::Null) };
    let extra =
        serde_json::from_str(json).map_err(|_| Failure::refused("invalid sd_cpp_extra_args", "prompt"))?;
    *prompt = format!("{before}{after}");
    Ok(extra)
}
