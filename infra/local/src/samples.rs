//! One sample task per type of runtime, for the demo and for the `curl` line.

use serde_json::{Value, json};

/// A task that yields one image of a known size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// The request body for `/v1alpha2`.
    pub(crate) body: Value,
    /// The width and height of the image that it asks for, in pixels.
    pub(crate) size: (u64, u64),
}

/// The sample for a runtime. `checkpoint` is the model that a workflow loads, if the runtime has one.
pub(crate) fn sample(runtime: &str, runtime_type: &str, id: &str, checkpoint: Option<&str>) -> Sample {
    let (task_type, content, size) = match (runtime_type, checkpoint) {
        ("comfyui", Some(checkpoint)) => ("pipeline", workflow(checkpoint), (768, 512)),
        ("comfyui", None) => ("pipeline", workflow_without_model(), (768, 512)),
        _ => ("text-to-image", text_to_image(), (512, 512)),
    };
    let metadata = json!({ "id": id, "runtime": runtime, "tasktype": task_type, "prefix": "output" });
    Sample { body: json!({ "task": { "metadata": metadata, "content": content } }), size }
}

fn text_to_image() -> Value {
    json!({ "prompt": "a lighthouse at dusk, oil painting", "steps": 16, "width": 512, "height": 512 })
}

fn workflow(checkpoint: &str) -> Value {
    json!({
        "3": { "class_type": "KSampler", "inputs": {
            "seed": 42, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0] } },
        "4": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": checkpoint } },
        "5": { "class_type": "EmptyLatentImage", "inputs": { "width": 768, "height": 512, "batch_size": 1 } },
        "6": { "class_type": "CLIPTextEncode", "inputs": { "text": "a harbour at night", "clip": ["4", 1] } },
        "7": { "class_type": "CLIPTextEncode", "inputs": { "text": "text, watermark", "clip": ["4", 1] } },
        "8": { "class_type": "VAEDecode", "inputs": { "samples": ["3", 0], "vae": ["4", 2] } },
        "9": { "class_type": "SaveImage", "inputs": { "filename_prefix": "demo", "images": ["8", 0] } },
    })
}

fn workflow_without_model() -> Value {
    json!({
        "1": { "class_type": "EmptyImage", "inputs": { "width": 768, "height": 512, "batch_size": 1, "color": 0x20_40_60 } },
        "2": { "class_type": "SaveImage", "inputs": { "filename_prefix": "demo", "images": ["1", 0] } },
    })
}
