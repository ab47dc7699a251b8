//! How much work stable-diffusion.cpp content asks for, against the limits of the runtime.

use serde_json::{Map, Value};

use crate::content::limit::{above, number};
use crate::violation::quoted;
use crate::{Limits, Violation, ViolationCode};

/// Width and height of an image when the request has none, in pixels (`get_resolved_width`).
const DEFAULT_SIDE: f64 = 512.0;
/// Sampling steps when the request has none (`defaults` of the server's capabilities).
const DEFAULT_STEPS: f64 = 20.0;
/// Factor of the second pass when the request has none.
const DEFAULT_SCALE: f64 = 2.0;
/// The most images that the server makes of one request; it cuts more down to so many.
const MAX_BATCH: f64 = 8.0;

/// Sizes whose product is the number of images in SD WebUI's requests.
const FACTORS: [&str; 2] = ["n_iter", "batch_size"];

/// How many images a content asks for.
pub fn image_count(fields: &Map<String, Value>) -> u64 {
    batch(fields) as u64
}

fn batch(fields: &Map<String, Value>) -> f64 {
    let of = |name: &str| fields.get(name).and_then(number);
    of("batch_count").unwrap_or_else(|| FACTORS.iter().filter_map(|name| of(name)).product()).max(1.0)
}

/// What the content asks for above the limits.
pub(super) fn violations(fields: &Map<String, Value>, limits: &Limits) -> Vec<Violation> {
    let mut found = Vec::new();
    found.extend(pixels(fields, limits.max_pixels));
    found.extend(steps(fields, limits.max_steps));
    found.extend(images(fields, limits.max_images));
    found
}

fn pixels(fields: &Map<String, Value>, most: u64) -> Option<Violation> {
    let side = |name: &str| fields.get(name).and_then(number).unwrap_or(DEFAULT_SIDE);
    let (width, height) = (side("width"), side("height"));
    above("/width", width * height, most, "width times height").or_else(|| {
        let (field, pixels) = second_pass(fields, width, height)?;
        let pointer = format!("/hires/{field}");
        above(pointer, pixels, most, "width times height after the second pass")
    })
}

/// The pixels of the second pass, with the field that asks for them. Of a target with one side the other is the same.
fn second_pass(fields: &Map<String, Value>, width: f64, height: f64) -> Option<(&'static str, f64)> {
    let hires = fields.get("hires").filter(|hires| hires["enabled"] == true)?;
    let side = |name: &str| number(&hires[name]).unwrap_or_default();
    Some(match (side("target_width"), side("target_height")) {
        (0.0, 0.0) => {
            let scale = number(&hires["scale"]).unwrap_or(DEFAULT_SCALE);
            ("scale", width * height * scale * scale)
        }
        (0.0, side) => ("target_height", side * side),
        (side, 0.0) => ("target_width", side * side),
        (width, height) => ("target_width", width * height),
    })
}

/// Own sigmas take the place of the steps: the sampler steps from each to the next.
fn steps(fields: &Map<String, Value>, most: u64) -> Vec<Violation> {
    let first = fields.get("sample_params").unwrap_or(&Value::Null);
    let second = fields.get("hires").filter(|hires| hires["enabled"] == true).unwrap_or(&Value::Null);
    let default = if first["custom_sigmas"].is_array() { 0.0 } else { DEFAULT_STEPS };
    let named = |pass: &Value, name: &str, at: &str, default: f64| {
        above(at, number(&pass[name]).unwrap_or(default), most, "the number of steps (20 when absent)")
    };
    let listed = |pass: &Value, at: &str| {
        let sigmas = pass["custom_sigmas"].as_array().map_or(0, Vec::len);
        above(at, sigmas.saturating_sub(1) as f64, most, "the number of steps")
    };
    [
        named(first, "sample_steps", "/sample_params/sample_steps", default),
        listed(first, "/sample_params/custom_sigmas"),
        named(second, "steps", "/hires/steps", 0.0),
        listed(second, "/hires/custom_sigmas"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The number of images, by the server's own limit and by that of the deployment.
fn images(fields: &Map<String, Value>, most: u64) -> Vec<Violation> {
    let given = |name: &&str| fields.get(*name).is_some_and(|value| !value.is_null());
    let factor = FACTORS.iter().find(|name| given(name));
    if let (true, Some(factor)) = (given(&"batch_count"), factor) {
        let message = format!("{} and `batch_count` say the same: send one of them", quoted(factor));
        return vec![Violation::new(format!("/{factor}"), ViolationCode::NotAllowed, message)];
    }
    let at = format!("/{}", factor.unwrap_or(&"batch_count"));
    let most = (most as f64).min(MAX_BATCH) as u64;
    above(at, batch(fields), most, "the number of images").into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(content: &Value) -> Vec<String> {
        let limits = Limits { max_pixels: 1024 * 1024, max_steps: 60, max_images: 4, max_bytes: None };
        let violations = violations(content.as_object().unwrap(), &limits);
        violations.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn what_lies_at_the_limit_passes() {
        for content in [
            json!({ "width": 1024, "height": 1024, "sample_params": { "sample_steps": 60 }, "batch_count": 4 }),
            json!({ "n_iter": 2, "batch_size": 2 }),
            json!({ "hires": { "enabled": true } }),
            json!({ "hires": { "enabled": false, "target_width": 4096 } }),
        ] {
            assert_eq!(found(&content), [""; 0], "{content}");
        }
    }

    #[test]
    fn each_limit_is_named_where_the_request_breaks_it() {
        let sigmas: Vec<u64> = (0..62).collect();
        for (content, pointer) in [
            (json!({ "width": 1025, "height": 1024 }), "/width"),
            (json!({ "width": 576, "hires": { "enabled": true } }), "/hires/scale"),
            (json!({ "hires": { "enabled": true, "target_height": 1025 } }), "/hires/target_height"),
            (json!({ "sample_params": { "sample_steps": 61 } }), "/sample_params/sample_steps"),
            (json!({ "sample_params": { "custom_sigmas": sigmas } }), "/sample_params/custom_sigmas"),
            (json!({ "hires": { "enabled": true, "steps": 61 } }), "/hires/steps"),
            (json!({ "batch_count": 5 }), "/batch_count"),
            (json!({ "n_iter": 3, "batch_size": 2 }), "/n_iter"),
            (json!({ "batch_size": 5 }), "/batch_size"),
            (json!({ "batch_size": 1, "batch_count": 1 }), "/batch_size"),
        ] {
            assert_eq!(found(&content), [pointer], "{content}");
        }
    }

    #[test]
    fn the_server_makes_eight_images_at_most_whatever_the_deployment_allows() {
        let content = json!({ "n_iter": 3, "batch_size": 3 });
        let fields = content.as_object().unwrap();
        assert_eq!(image_count(fields), 9);
        assert_eq!(violations(fields, &Limits::default())[0].pointer, "/n_iter");
    }
}
