//! The request of `img_gen`, read as the server reads it: what has another type, or a name that it does not know, is left out.

use base64_simd::STANDARD as BASE64;
use serde_json::Value;

/// The most images and steps of one request; more are cut off.
const MAX_BATCH: i64 = 8;
const MAX_STEPS: i64 = 100;

/// Pictures have whole latent pixels.
const LATENT_PIXEL: u32 = 8;

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) steps: u32,
    pub(super) guidance: f64,
    pub(super) sampler: String,
    pub(super) seed: i64,
    pub(super) batch_count: u32,
    pub(super) output_format: String,
    /// The image to start from.
    pub(super) init_image: Option<Vec<u8>>,
}

impl Request {
    /// # Errors
    /// What the server answers with status 400.
    pub(super) fn read(body: &Value) -> Result<Self, String> {
        let sampling = &body["sample_params"];
        let integer = |value: &Value, default: i64| value.as_i64().unwrap_or(default);
        let text = |value: &Value, default: &str| value.as_str().unwrap_or(default).to_owned();
        let output_format = text(&body["output_format"], "png");
        if !["png", "jpeg", "webp"].contains(&output_format.as_str()) {
            return Err("invalid output_format, must be one of [png, jpeg, webp]".to_owned());
        }
        let invalid = || "invalid generation parameters".to_owned();
        let strength = body["strength"].as_f64().unwrap_or(0.75);
        let has_loras = body["lora"].as_array().is_some_and(|loras| !loras.is_empty());
        if !(0.0..=1.0).contains(&strength)
            || has_loras
            || (!body["lora"].is_null() && !body["lora"].is_array())
        {
            return Err(invalid());
        }
        let references = body["ref_images"].as_array().into_iter().flatten();
        let others = [&body["mask_image"], &body["control_image"], &body["ip_adapter_image"]];
        for image in references.chain(others) {
            image_of(image).ok_or_else(invalid)?;
        }
        let (width, height) = (side(&body["width"]), side(&body["height"]));
        let hires = &body["hires"];
        let scale = if hires["enabled"] == true { hires["scale"].as_f64().unwrap_or(2.0) } else { 1.0 };
        let scaled = |side: u32| (f64::from(side) * scale) as u32;
        let seed = integer(&body["seed"], 42);
        Ok(Self {
            prompt: text(&body["prompt"], ""),
            negative_prompt: text(&body["negative_prompt"], ""),
            width: scaled(width),
            height: scaled(height),
            steps: integer(&sampling["sample_steps"], 20).clamp(1, MAX_STEPS) as u32,
            guidance: sampling["guidance"]["txt_cfg"].as_f64().unwrap_or(7.0),
            sampler: text(&sampling["sample_method"], "euler_a"),
            seed: if seed < 0 { i64::from(random()) } else { seed },
            batch_count: integer(&body["batch_count"], 1).clamp(1, MAX_BATCH) as u32,
            output_format,
            init_image: image_of(&body["init_image"]).ok_or_else(invalid)?,
        })
    }

    /// The text in the file of a picture.
    pub(super) fn infotext(&self, seed: i64, model: &str) -> String {
        let Self { prompt, negative_prompt, width, height, steps, guidance, sampler, .. } = self;
        let negative = match negative_prompt.as_str() {
            "" => String::new(),
            negative => format!("Negative prompt: {negative}\n"),
        };
        format!(
            "{prompt}\n{negative}Steps: {steps}, CFG scale: {guidance:.6}, Guidance: 3.500000, Seed: {seed}, \
             Size: {width}x{height}, Model: {model}, RNG: cuda, Sampler: {sampler}, Version: stable-diffusion.cpp"
        )
    }
}

/// A side in pixels. Without one that is above 0, it is 512.
fn side(value: &Value) -> u32 {
    let side = value.as_i64().filter(|side| *side > 0).unwrap_or(512);
    u32::try_from(side).unwrap_or(u32::MAX / 2).next_multiple_of(LATENT_PIXEL)
}

/// The bytes of an image field: `Some(None)` where there is none, `None` where it holds no image.
fn image_of(value: &Value) -> Option<Option<Vec<u8>>> {
    if value.is_null() {
        return Some(None);
    }
    let text = value.as_str()?;
    let encoded = text.split_once(',').map_or(text, |(_, encoded)| encoded);
    let image = BASE64.decode_to_vec(encoded).ok()?;
    imagesize::blob_size(&image).ok()?;
    Some(Some(image))
}

/// A seed as C's `rand` draws it.
fn random() -> u32 {
    uuid::Uuid::new_v4().as_fields().0 & 0x7fff_ffff
}
