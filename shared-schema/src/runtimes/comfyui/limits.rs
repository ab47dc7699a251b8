//! How much work the nodes of a ComfyUI workflow ask for in plain numbers, against the limits of the runtime.
//!
//! A size that comes through a link is known only when the workflow runs.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde_json::{Map, Value};

use super::{class_type, inputs};
use crate::content::limit::{SMALLEST_PICTURE, SMALLEST_SIDE, above, number};
use crate::violation::pointer_segment;
use crate::{Limits, Violation};

/// The pixels of what ComfyUI calls a megapixel (`ImageScaleToTotalPixels`).
const MEGAPIXEL: f64 = 1_048_576.0;

/// What nodes that pad a picture add at each side.
const SIDES: [&str; 4] = ["left", "top", "right", "bottom"];

/// What single nodes ask for above the limits.
pub(super) fn violations(nodes: &Map<String, Value>, limits: &Limits) -> Vec<Violation> {
    nodes.iter().flat_map(|(id, node)| excess(id, node, limits)).collect()
}

fn excess(id: &str, node: &Value, limits: &Limits) -> impl Iterator<Item = Violation> {
    let (max_pixels, max_images) = (limits.max_pixels, limits.max_images);
    let is = |part: &str| class_type(node).is_some_and(|class| class.contains(part));

    inputs(node).filter_map(move |(input, value)| {
        let name = field_of_choice(input);
        let other = |other: &str| literal(node.get("inputs")?.get(&*beside(input, name, other))?);
        let value = || literal(value);
        let (amount, most, what) = match name {
            "width" => (value()? * other("height").unwrap_or(1.0), max_pixels, "width times height"),
            "height" if other("width").is_none() => (value()?, max_pixels, "width times height"),
            "target_width" => {
                (value()? * other("target_height").unwrap_or(1.0), max_pixels, "width times height")
            }
            "target_height" if other("target_width").is_none() => {
                (value()?, max_pixels, "width times height")
            }
            "largest_size" | "longer_size" | "shorter_size" => {
                let side = value()?;
                (side * side, max_pixels, "a square of that side")
            }
            // What is added is named once, at the first side.
            "left" | "top" | "right" | "bottom"
                if is("Pad") && SIDES.into_iter().find(|side| other(side).is_some()) == Some(name) =>
            {
                let padded = |before, after| {
                    [before, after]
                        .into_iter()
                        .filter_map(other)
                        .fold(SMALLEST_SIDE, |sum, side| sum + side.max(0.0))
                };
                let pixels = padded("left", "right") * padded("top", "bottom");
                (pixels, max_pixels, "a picture of 64 by 64, once padded,")
            }
            "length" | "video_frames" | "num_frames" => {
                let pixels = other("width")? * other("height")?;
                let all_pixels = max_pixels.saturating_mul(max_images);
                (pixels * value()?, all_pixels, "width times height times the number of frames")
            }
            "megapixels" => (value()? * MEGAPIXEL, max_pixels, "the size in pixels"),
            "upscale_by" | "scale_by" | "multiplier" if name != "multiplier" || is("Resize") => {
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
        above(Pointer(id, input), amount, most, what)
    })
}

/// The field of a dynamic choice bears the name of the choice, too: `resize_type.width`.
fn field_of_choice(input: &str) -> &str {
    input.rsplit_once('.').map_or(input, |(_, field)| field)
}

/// Another field of the same choice, by its whole name.
fn beside<'a>(input: &str, field: &str, other: &'a str) -> Cow<'a, str> {
    match input.strip_suffix(field) {
        None | Some("") => Cow::Borrowed(other),
        Some(choice) => Cow::Owned(format!("{choice}{other}")),
    }
}

/// The pointer of an input, written for a violation only.
struct Pointer<'a>(&'a str, &'a str);

impl Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/inputs/{}", pointer_segment(self.0), pointer_segment(self.1))
    }
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
            ("ImageScaleToMaxDimension", json!({"largest_size": 1025}), "largest_size"),
            ("ResizeAndPadImage", json!({"target_width": 1025, "target_height": 1024}), "target_width"),
            ("ResizeAndPadImage", json!({"target_width": ["1", 0], "target_height": 1e9}), "target_height"),
            ("ImagePadForOutpaint", json!({"left": 960, "top": 960, "right": 1, "bottom": 0}), "left"),
            ("ImagePadForOutpaint", json!({"left": ["1", 0], "top": 0, "bottom": 1e7}), "top"),
            ("ImagePadForOutpaint", json!({"left": -1e9, "right": 1e5, "bottom": "nan"}), "left"),
            ("RepeatLatentBatch", json!({"amount": 3}), "amount"),
            ("KSampler", json!({"steps": 1e308}), "steps"),
        ] {
            let found = limited(&json!({"1": {"class_type": class, "inputs": inputs}}));
            assert_eq!(found, [format!("/1/inputs/{at}")], "{class}");
        }
    }

    #[test]
    fn the_fields_of_a_dynamic_choice_are_limited_like_others() {
        for (fields, at) in [
            (json!({"resize_type.width": 1025, "resize_type.height": 1024}), Some("resize_type.width")),
            (json!({"resize_type.width": 1024, "resize_type.height": 1024}), None),
            // Another choice's height is none of this one's.
            (json!({"resize_type.width": 1024, "other.height": 2048, "height": 1}), None),
            (json!({"resize_type.height": 1_048_577}), Some("resize_type.height")),
            (json!({"resize_type.longer_size": 1025}), Some("resize_type.longer_size")),
            (json!({"resize_type.shorter_size": "1025"}), Some("resize_type.shorter_size")),
            (json!({"resize_type.megapixels": 1.01}), Some("resize_type.megapixels")),
            (json!({"resize_type.multiplier": 17}), Some("resize_type.multiplier")),
            (json!({"a/b.c.batch_size": 3}), Some("a~1b.c.batch_size")),
        ] {
            let found = limited(&json!({"1": {"class_type": "ResizeImageMaskNode", "inputs": fields}}));
            let expected: Vec<_> = at.iter().map(|at| format!("/1/inputs/{at}")).collect();
            assert_eq!(found, expected, "{fields}");
        }
    }

    #[test]
    fn what_is_within_the_limits_or_no_size_is_taken() {
        for (class, inputs) in [
            ("EmptyHunyuanLatentVideo", json!({"width": 256, "height": 256, "length": 17})),
            ("ImageScaleToTotalPixels", json!({"megapixels": 1.0})),
            ("ImageScaleBy", json!({"scale_by": 4})),
            ("ImageScaleToMaxDimension", json!({"largest_size": 1024})),
            ("ImagePadForOutpaint", json!({"left": 480, "top": 480, "right": 480, "bottom": 480})),
            ("ImagePadForOutpaint", json!({"left": 16_000, "top": 0, "right": 0, "bottom": 0})),
            ("CropByBounds", json!({"left": 16_000, "top": 16_000, "right": 32_000, "bottom": 32_000})),
            ("RIFE VFI", json!({"multiplier": 100})),
            ("ImageFromBatch", json!({"length": 4096})),
            ("RebatchImages", json!({"batch_size": 4096})),
            ("Sharpen", json!({"amount": 100})),
        ] {
            assert_eq!(limited(&json!({"1": {"class_type": class, "inputs": inputs}})), [""; 0], "{class}");
        }
    }
}
