//! How much work the nodes of a ComfyUI workflow ask for in plain numbers, against the limits of the runtime.
//!
//! A size that comes through a link is known only when the workflow runs.

use serde_json::{Map, Value};

use super::class_type;
use crate::content::limit::{SMALLEST_PICTURE, above, number};
use crate::violation::pointer_segment;
use crate::{Limits, Violation};

/// The pixels of what ComfyUI calls a megapixel (`ImageScaleToTotalPixels`).
const MEGAPIXEL: f64 = 1_048_576.0;

/// The inputs that count the frames of a video.
const FRAMES: [&str; 3] = ["length", "video_frames", "num_frames"];

/// What single nodes ask for above the limits.
pub(super) fn violations(nodes: &Map<String, Value>, limits: &Limits) -> Vec<Violation> {
    nodes.iter().flat_map(|(id, node)| excess(id, node, limits)).collect()
}

fn excess(id: &str, node: &Value, limits: &Limits) -> Vec<Violation> {
    let literal = |input: &str| literal(node.get("inputs")?.get(input)?);
    let checked = |input: &str, value: Option<f64>, most: u64, what: &str| {
        above(&format!("/{}/inputs/{input}", pointer_segment(id)), value?, most, what)
    };
    let (width, height) = (literal("width"), literal("height"));
    let pixels = width.zip(height).map(|(width, height)| width * height);
    let (max_pixels, max_images) = (limits.max_pixels, limits.max_images);
    let all_pixels = max_pixels.saturating_mul(max_images);
    let video = FRAMES.map(|input| {
        let frames = pixels.zip(literal(input)).map(|(pixels, frames)| pixels * frames);
        checked(input, frames, all_pixels, &format!("width times height times {input}"))
    });
    let is = |part: &str| class_type(node).is_some_and(|class| class.contains(part));
    // Those divide what they are given into batches of that size.
    let batch_size = literal("batch_size").filter(|_| !is("Rebatch"));

    let scaled = |factor: f64| factor * factor * SMALLEST_PICTURE;
    [
        checked("width", pixels.or(width), max_pixels, "width times height"),
        checked("height", height.filter(|_| width.is_none()), max_pixels, "width times height"),
        checked(
            "megapixels",
            literal("megapixels").map(|size| size * MEGAPIXEL),
            max_pixels,
            "the size in pixels",
        ),
        checked(
            "upscale_by",
            literal("upscale_by").map(scaled),
            max_pixels,
            "a picture of 64 by 64, once scaled,",
        ),
        checked(
            "scale_by",
            literal("scale_by").map(scaled),
            max_pixels,
            "a picture of 64 by 64, once scaled,",
        ),
        checked("batch_size", batch_size, max_images, "batch_size"),
        checked(
            "amount",
            literal("amount").filter(|_| is("Repeat")),
            max_images,
            "the number of repetitions",
        ),
        checked("steps", literal("steps"), limits.max_steps, "the number of steps"),
    ]
    .into_iter()
    .chain(video)
    .flatten()
    .collect()
}

/// A number as it stands, also within `{"__value__": x}`. What is no number counts as endless, since nothing is below it.
fn literal(value: &Value) -> Option<f64> {
    let value = number(value.get("__value__").unwrap_or(value))?;
    Some(if value.is_nan() { f64::INFINITY } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limited(nodes: &Value) -> Vec<String> {
        let limits = Limits { max_pixels: 1 << 20, max_steps: 30, max_images: 2, max_bytes: None };
        let found = violations(nodes.as_object().unwrap(), &limits);
        found.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn literal_sizes_are_limited_and_linked_ones_are_not() {
        let nodes = json!({
            "1": {"class_type": "EmptyLatentImage", "inputs": {"width": "2048", "height": 1024, "batch_size": 3}},
            "2": {"class_type": "KSampler", "inputs": {"steps": 31}},
            "3": {"class_type": "EmptyLatentImage", "inputs": {"width": ["9", 0], "height": 9999, "batch_size": 2}},
        });
        assert_eq!(limited(&nodes), ["/1/inputs/width", "/1/inputs/batch_size", "/2/inputs/steps"]);
    }

    #[test]
    fn every_way_to_ask_for_too_much_is_seen() {
        for (class, inputs, at) in [
            ("EmptyImage", json!({"width": 1e308, "height": 1e308}), "width"),
            ("EmptyImage", json!({"width": "inf", "height": ["1", 0]}), "width"),
            ("EmptyImage", json!({"width": ["1", 0], "height": 1e9}), "height"),
            ("EmptyImage", json!({"batch_size": {"__value__": 1e5}}), "batch_size"),
            ("EmptyImage", json!({"batch_size": "nan"}), "batch_size"),
            ("EmptyHunyuanLatentVideo", json!({"width": 1024, "height": 1024, "length": 100}), "length"),
            ("WanVideoEmptyEmbeds", json!({"width": 1024, "height": 1024, "num_frames": 3}), "num_frames"),
            ("ImageScaleToTotalPixels", json!({"megapixels": 1.5}), "megapixels"),
            ("UltimateSDUpscale", json!({"upscale_by": "17"}), "upscale_by"),
            ("ImageScaleBy", json!({"scale_by": -1000}), "scale_by"),
            ("RepeatLatentBatch", json!({"amount": 3}), "amount"),
            ("KSampler", json!({"steps": 1e308}), "steps"),
        ] {
            let found = limited(&json!({"1": {"class_type": class, "inputs": inputs}}));
            assert_eq!(found, [format!("/1/inputs/{at}")], "{class}");
        }
    }

    #[test]
    fn what_is_within_the_limits_or_no_size_is_taken() {
        for (class, inputs) in [
            ("EmptyHunyuanLatentVideo", json!({"width": 256, "height": 256, "length": 17})),
            ("ImageScaleToTotalPixels", json!({"megapixels": 1.0})),
            ("ImageScaleBy", json!({"scale_by": 4})),
            ("ImageFromBatch", json!({"length": 4096})),
            ("RebatchImages", json!({"batch_size": 4096})),
            ("Sharpen", json!({"amount": 100})),
        ] {
            assert_eq!(limited(&json!({"1": {"class_type": class, "inputs": inputs}})), [""; 0], "{class}");
        }
    }
}
