//! Requests of a given size.

use integration_tests::image_server::cat;
use serde_json::{Map, Value, json};

/// A task for the runtime `sdruntime` or `comfyui`, whichever does that type.
pub(crate) fn task(task_type: &str, content: Value) -> Value {
    let runtime = if task_type == "pipeline" { "comfyui" } else { "sdruntime" };
    let metadata = json!({ "id": "bench", "runtime": runtime, "tasktype": task_type, "prefix": "output" });
    json!({ "task": { "metadata": metadata, "content": content } })
}

/// The same for `v1`.
pub(crate) fn v1_text_to_image() -> Value {
    let task = text_to_image();
    json!({ "runtime": "sdruntime", "type": "text-to-image", "content": task["task"]["content"] })
}

/// A prompt with the usual settings, about 1 KB.
pub(crate) fn text_to_image() -> Value {
    let prompt = "a harbour at night, ".repeat(40);
    task(
        "text-to-image",
        json!({ "prompt": prompt, "steps": 20, "width": 512, "height": 512, "cfg_scale": 7 }),
    )
}

/// An image of so many bytes, as base64.
pub(crate) fn image_to_image(bytes: usize) -> Value {
    let image = base64_simd::STANDARD.encode_to_string(image(bytes));
    task("image-to-image", json!({ "init_images": [image], "prompt": "a harbour at night", "steps": 20 }))
}

/// A workflow of so many nodes: a chain of `ImageScale`, about 135 bytes each, that ends in one that saves.
pub(crate) fn pipeline(nodes: usize) -> Value {
    let mut workflow = Map::new();
    let first = json!({ "class_type": "EmptyImage", "inputs": { "width": 512, "height": 512 } });
    workflow.insert("0".to_owned(), first);
    for n in 1..nodes - 1 {
        let inputs = json!({ "image": [(n - 1).to_string(), 0], "upscale_method": "nearest-exact", "width": 512,
                             "height": 512, "crop": "disabled" });
        workflow.insert(n.to_string(), json!({ "class_type": "ImageScale", "inputs": inputs }));
    }
    let last = json!({ "class_type": "SaveImage", "inputs": { "images": [(nodes - 2).to_string(), 0] } });
    workflow.insert((nodes - 1).to_string(), last);
    task("pipeline", Value::Object(workflow))
}

/// A small PNG with zeros behind its end up to that size: readers take it, and nothing about it can be compressed away.
pub(crate) fn image(bytes: usize) -> Vec<u8> {
    let mut image = cat();
    image.resize(bytes, 0);
    image
}
