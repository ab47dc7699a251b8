//! How much work the nodes of a ComfyUI workflow ask for in plain numbers, against the limits of the runtime.
//!
//! A size that comes through a link is known only when the workflow runs.

use serde_json::{Map, Value};

use super::{class_type, inputs};
use crate::content::limit::{SMALLEST_PICTURE, above, number};
use crate::violation::pointer_segment;
use crate::{Limits, Violation};

/// The pixels of what ComfyUI calls a megapixel (`ImageScaleToTotalPixels`).
const MEGAPIXEL: f64 = 1_048_576.0;

/// What single nodes ask for above the limits.
pub(super) fn violations(nodes: &Map<String, Value>, limits: &Limits) -> Vec<Violation> {
    nodes.iter().flat_map(|(id, node)| excess(id, node, limits)).collect()
}

fn excess(id: &str, node: &Value, limits: &Limits) -> impl Iterator<Item = Violation> {
    let (max_pixels, max_images) = (limits.max_pixels, limits.max_images);
    let other = |input: &str| literal(node.get("inputs")?.get(input)?);
    let is = |part: &str| class_type(node).is_some_and(|class| class.contains(part));

    inputs(node).filter_map(move |(input, value)| {
        let value = || literal(value);
        let (amount, most, what) = match input.as_str() {
            "width" => (value()? * other("height").unwrap_or(1.0), max_pixels, "width times height"),
            "height" if other("width").is_none() => (value()?, max_pixels, "width times height"),
            "length" | "video_frames" | "num_frames" => {
                let pixels = other("width")? * other("height")?;
                let all_pixels = max_pixels.saturating_mul(max_images);
                (pixels * value()?, all_pixels, "width times height times the number of frames")
            }
            "megapixels" => (value()? * MEGAPIXEL, max_pixels, "the size in pixels"),
            "upscale_by" | "scale_by" => {
                let factor = value()?;
                let pixels = factor * factor * SMALLEST_PICTURE;
                (pixels, max_pixels, "a picture of 64 by 64, once scaled,")
            }
            // Those that rebatch divide what they are given into batches of that size.
            "batch_size" if !is("Rebatch") => (value()?, max_images, "batch_size"),
            "amount" if is("Repeat") => (value()?, max_images, "the number of repetitions"),
            "steps" => (value()?, limits.max_steps, "the number of steps"),
            _ => return None,
        };
        above(format_args!("/{}/inputs/{input}", pointer_segment(id)), amount, most, what)
    })
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
