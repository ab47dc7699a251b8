//! `POST /extra-single-image` and `/extra-batch-images`: upscaling.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, State},
    response::Response,
};
use base64_simd::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::{
    WebUi,
    answer::{answer, transport},
    errors::Failure,
    fields::{self, Field, Kind},
    images,
};
use crate::{
    connection::Cutter,
    faults::Fault,
    picture::{self, Caption},
};

/// Longest side of an upscaled picture, in pixels: more would not fit the memory.
const MAX_SIDE: f64 = 16_384.0;

/// The upscalers that are installed.
const UPSCALERS: &[&str] = &[
    "None",
    "Lanczos",
    "Nearest",
    "DAT x2",
    "DAT x3",
    "DAT x4",
    "ESRGAN_4x",
    "LDSR",
    "R-ESRGAN 4x+",
    "R-ESRGAN 4x+ Anime6B",
    "ScuNET GAN",
    "ScuNET PSNR",
    "SwinIR 4x",
];

const FIELDS: &[Field] = &[
    ("resize_mode", Kind::Integer, "0"),
    ("show_extras_results", Kind::Boolean, "true"),
    ("gfpgan_visibility", Kind::Number, "0"),
    ("codeformer_visibility", Kind::Number, "0"),
    ("codeformer_weight", Kind::Number, "0"),
    ("upscaling_resize", Kind::Number, "2.0"),
    ("upscaling_resize_w", Kind::Integer, "512"),
    ("upscaling_resize_h", Kind::Integer, "512"),
    ("upscaling_crop", Kind::Boolean, "true"),
    ("upscaler_1", Kind::Text, r#""None""#),
    ("upscaler_2", Kind::Text, r#""None""#),
    ("extras_upscaler_2_visibility", Kind::Number, "0"),
    ("upscale_first", Kind::Boolean, "false"),
];
const ONE_IMAGE: &[Field] = &[("image", Kind::Text, r#""""#)];
const IMAGE_LIST: &[Field] = &[("imageList", Kind::RequiredList, "[]")];

pub(super) async fn single_image(
    State(webui): State<Arc<WebUi>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = fields::validate(webui.dialect, &body, &[FIELDS, ONE_IMAGE])?;
    let image = images::load(&webui, fields.get("image").and_then(Value::as_str).unwrap_or_default())?;
    let work = upscale(Arc::clone(&webui), "extra-single-image", fields, vec![image]);
    answer(&webui, cutter, work).await
}

pub(super) async fn batch_images(
    State(webui): State<Arc<WebUi>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    body: Bytes,
) -> Result<Response, Failure> {
    let fields = fields::validate(webui.dialect, &body, &[FIELDS, IMAGE_LIST])?;
    let list = fields.get("imageList").and_then(Value::as_array).into_iter().flatten();
    let images =
        list.map(|image| images::load(&webui, image.get("data").and_then(Value::as_str).unwrap_or_default()));
    let images = images.collect::<Result<_, _>>()?;
    let work = upscale(Arc::clone(&webui), "extra-batch-images", fields, images);
    answer(&webui, cutter, work).await
}

pub(super) async fn upscalers() -> Json<Value> {
    let describe = |name: &&str| json!({"name": name, "model_name": null, "model_path": null, "model_url": null, "scale": 4.0});
    Json(UPSCALERS.iter().map(describe).collect())
}

pub(super) async fn latent_upscale_modes() -> Json<Value> {
    let names = ["Latent", "Latent (antialiased)", "Latent (bicubic)", "Latent (nearest)"];
    Json(names.iter().map(|name| json!({ "name": name })).collect())
}

/// Upscales `images` one after the other. A single image is answered in `image`, several in `images`.
async fn upscale(
    webui: Arc<WebUi>,
    label: &'static str,
    fields: Map<String, Value>,
    images: Vec<Vec<u8>>,
) -> Result<Json<Value>, Failure> {
    let (job, fault) = webui.take_turn("extras", label).await?;
    let count = u32::try_from(images.len()).unwrap_or(u32::MAX);
    webui.progress().begin("extras", count, 0);
    let upscaler = fields.get("upscaler_1").and_then(Value::as_str).unwrap_or_default();
    let target = Target::new(&fields).filter(|_| upscaler != "None");
    let html_info = match &target {
        Some(target) => format!("<p>{}, Postprocess upscaler: {upscaler}</p>", target.describe()),
        None => "<p></p>".to_owned(),
    };
    let mut timer = webui.machine.step_timer(count.into());
    let mut upscaled = Vec::new();
    for image in images {
        webui.progress().next_job();
        webui.progress().begin_batch();
        if webui.progress().interrupted() {
            break;
        }
        // An exception here leaves `/progress` as it is until the next run begins, as SD WebUI does.
        if !UPSCALERS.contains(&upscaler) {
            return Err(Failure::exception(
                "AssertionError",
                &format!("could not find upscaler named {upscaler}"),
            ));
        }
        if target.is_some() {
            timer.step(1.0).await;
        }
        if webui.progress().skipped() {
            continue;
        }
        let (webui, target) = (Arc::clone(&webui), target.clone());
        let file = tokio::task::spawn_blocking(move || resize(&webui, &image, target.as_ref())).await;
        upscaled.push(file.map_err(|error| Failure::exception("RuntimeError", &error.to_string()))??);
    }
    webui.progress().finish(webui.dialect);
    drop(job);
    let is_single = label == "extra-single-image";
    if is_single && upscaled.is_empty() {
        return Err(Failure::exception("IndexError", "list index out of range"));
    }
    if fault == Some(Fault::NoImages) {
        upscaled.clear();
    }
    let in_base64 = |file: bytes::Bytes| {
        let base64 = transport(BASE64.encode_to_string(file).into(), fault.as_ref());
        String::from_utf8_lossy(&base64).into_owned()
    };
    let mut images: Vec<String> = upscaled.into_iter().map(in_base64).collect();
    Ok(Json(match is_single {
        true => json!({"html_info": html_info, "image": images.pop().unwrap_or_default()}),
        false => json!({"html_info": html_info, "images": images}),
    }))
}

/// The target size of a picture.
#[derive(Clone)]
enum Target {
    Times(f64),
    Size(i64, i64),
}

impl Target {
    fn new(fields: &Map<String, Value>) -> Option<Self> {
        match fields.get("resize_mode")?.as_i64()? {
            0 => Some(Self::Times(fields.get("upscaling_resize")?.as_f64()?)),
            _ => Some(Self::Size(
                fields.get("upscaling_resize_w")?.as_i64()?,
                fields.get("upscaling_resize_h")?.as_i64()?,
            )),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Times(times) => format!("Postprocess upscale by: {times:?}"),
            Self::Size(width, height) => format!("Postprocess upscale to: {width}x{height}"),
        }
    }

    fn apply(&self, width: u32, height: u32) -> (u32, u32) {
        let (width, height) = match self {
            Self::Times(times) => (f64::from(width) * times, f64::from(height) * times),
            Self::Size(width, height) => (*width as f64, *height as f64),
        };
        (width.clamp(1.0, MAX_SIDE) as u32, height.clamp(1.0, MAX_SIDE) as u32)
    }
}

/// The image as a PNG in its new size. A format that cannot be read here is replaced by a picture with a note.
fn resize(webui: &WebUi, image: &[u8], target: Option<&Target>) -> Result<bytes::Bytes, Failure> {
    let (width, height) = images::size(image).unwrap_or((1, 1));
    let (width, height) = target.map_or((width, height), |target| target.apply(width, height));
    let artist = &webui.machine.artist;
    let picture = match picture::decode(image) {
        Some(picture) => Arc::new(picture.scaled(width, height)),
        None => {
            let caption = Caption {
                heading: webui.machine.name.clone(),
                text: "upscaled".to_owned(),
                footer: format!("{width}x{height}"),
            };
            artist.draw(&caption, "upscaled", width, height)
        }
    };
    artist.encode(&picture, &[]).map_err(|error| Failure::exception("ValueError", &error.to_string()))
}
