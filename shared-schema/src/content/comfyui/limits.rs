//! How much work the nodes of a ComfyUI workflow ask for in plain numbers, against the limits of the runtime.
//!
//! A size that comes through a link is known only when the workflow runs.

use serde_json::{Map, Value};

use crate::content::limit::{above, number};
use crate::violation::pointer_segment;
use crate::{Limits, Violation};

/// What single nodes ask for above the limits.
pub(super) fn violations(nodes: &Map<String, Value>, limits: &Limits) -> Vec<Violation> {
    nodes.iter().flat_map(|(id, node)| excess(id, node, limits)).collect()
}

fn excess(id: &str, node: &Value, limits: &Limits) -> impl Iterator<Item = Violation> {
    let literal = |input: &str| node.get("inputs")?.get(input).and_then(number);
    let at = |input: &str| format!("/{}/inputs/{input}", pointer_segment(id));

    let pixels = literal("width").zip(literal("height")).map(|(width, height)| width * height);
    let pixels = limits
        .max_pixels
        .zip(pixels)
        .and_then(|(most, pixels)| above(&at("width"), pixels, most, "width times height"));
    let images = limits
        .max_images
        .zip(literal("batch_size"))
        .and_then(|(most, images)| above(&at("batch_size"), images, most, "batch_size"));
    let steps = limits
        .max_steps
        .zip(literal("steps"))
        .and_then(|(most, steps)| above(&at("steps"), steps, most, "the number of steps"));
    pixels.into_iter().chain(images).chain(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literal_sizes_are_limited_and_linked_ones_are_not() {
        let limits =
            Limits { max_pixels: Some(1 << 20), max_steps: Some(30), max_images: Some(2), max_bytes: None };
        let nodes = json!({
            "1": {"class_type": "EmptyLatentImage", "inputs": {"width": "2048", "height": 1024, "batch_size": 3}},
            "2": {"class_type": "KSampler", "inputs": {"steps": 31}},
            "3": {"class_type": "EmptyLatentImage", "inputs": {"width": ["9", 0], "height": 9999, "batch_size": 2}},
        });
        let found = violations(nodes.as_object().unwrap(), &limits);
        let pointers: Vec<&str> = found.iter().map(|violation| violation.pointer.as_str()).collect();
        assert_eq!(pointers, ["/1/inputs/width", "/1/inputs/batch_size", "/2/inputs/steps"]);
    }
}
