//! Sample tasks, for the demo and for the `curl` line: of each runtime the first that it takes.

use anyhow::{Context, anyhow};
use base64_simd::STANDARD as BASE64;
use serde_json::{Value, json};
use shared_schema::{Contract, Registry, TaskType, Violation};

/// By how much images are made smaller, in each direction, until a runtime's limits let them through.
const REDUCTIONS: [u32; 4] = [1, 2, 4, 8];

/// The side of the image that tasks begin with which need one, in pixels.
const INPUT_SIDE: u32 = 64;

/// The enlarged image of a task that enlarges, in pixels.
const ENLARGED: Size = (2 * INPUT_SIDE, 2 * INPUT_SIDE);

/// Width and height in pixels.
type Size = (u32, u32);

/// A task that yields one image of a known size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// The request body for `/v1alpha2`.
    pub(crate) body: Value,
    /// The size of the image that it asks for.
    pub(crate) size: Size,
}

/// The sample for a runtime of the registry. `checkpoint` is the model that a workflow loads, if the runtime has one.
///
/// # Errors
///
/// When the runtime's limits, task types or node rules let none through: why the last of them is refused.
pub(crate) fn sample(
    registry: &Registry,
    runtime: &str,
    id: &str,
    checkpoint: Option<&str>,
) -> anyhow::Result<Sample> {
    let entry = registry.by_name(runtime).with_context(|| format!("there is no runtime {runtime}"))?;
    let contract = Contract::new(registry.clone());
    let most_steps = entry.limits.max_steps;
    let mut refusal = String::new();
    for task_type in entry.accepted_task_types() {
        for (content, size) in contents(task_type, most_steps, checkpoint) {
            let metadata = json!({ "id": id, "runtime": runtime, "tasktype": task_type, "prefix": "output" });
            let body = json!({ "task": { "metadata": metadata, "content": content } });
            match contract.v1alpha2(body.clone()) {
                Ok(_) => return Ok(Sample { body, size }),
                Err(violations) => refusal = listed(violations),
            }
        }
    }
    Err(anyhow!("{runtime} takes none of the samples: {refusal}"))
}

fn listed(violations: Vec<Violation>) -> String {
    violations.into_iter().map(|violation| violation.message).collect::<Vec<_>>().join("; ")
}

/// The contents of a task type's samples, those that show most first.
fn contents(task_type: TaskType, most_steps: u64, checkpoint: Option<&str>) -> Vec<(Value, Size)> {
    let sized = |(width, height): Size, content: &dyn Fn(Size) -> Value| {
        let reduced = REDUCTIONS.map(|by| (width / by, height / by));
        reduced.into_iter().map(|size| (content(size), size)).collect::<Vec<_>>()
    };
    match task_type {
        TaskType::TextToImage => sized((512, 512), &|size| text_to_image(size, most_steps)),
        TaskType::ImageToImage => sized((512, 512), &|size| image_to_image(size, most_steps)),
        TaskType::ExtraSingleImage => {
            vec![(json!({ "image": picture(), "upscaling_resize": 2, "upscaler_1": "Lanczos" }), ENLARGED)]
        }
        TaskType::ExtraBatchImages => {
            let images = json!([{ "data": picture(), "name": "square.png" }]);
            vec![(json!({ "imageList": images, "upscaling_resize": 2, "upscaler_1": "Lanczos" }), ENLARGED)]
        }
        TaskType::Pipeline => {
            let mut found = Vec::new();
            if let Some(checkpoint) = checkpoint {
                found = sized((768, 512), &|size| workflow(size, most_steps, checkpoint));
            }
            found.extend(sized((768, 512), &workflow_without_model));
            found
        }
    }
}

fn text_to_image((width, height): Size, most_steps: u64) -> Value {
    let prompt = "a lighthouse at dusk, oil painting";
    json!({ "prompt": prompt, "steps": most_steps.min(16), "width": width, "height": height })
}

fn image_to_image(size: Size, most_steps: u64) -> Value {
    let mut content = text_to_image(size, most_steps);
    content["init_images"] = json!([picture()]);
    content
}

fn workflow((width, height): Size, most_steps: u64, checkpoint: &str) -> Value {
    json!({
        "3": { "class_type": "KSampler", "inputs": {
            "seed": 42, "steps": most_steps.min(20), "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0] } },
        "4": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": checkpoint } },
        "5": { "class_type": "EmptyLatentImage", "inputs": { "width": width, "height": height, "batch_size": 1 } },
        "6": { "class_type": "CLIPTextEncode", "inputs": { "text": "a harbour at night", "clip": ["4", 1] } },
        "7": { "class_type": "CLIPTextEncode", "inputs": { "text": "text, watermark", "clip": ["4", 1] } },
        "8": { "class_type": "VAEDecode", "inputs": { "samples": ["3", 0], "vae": ["4", 2] } },
        "9": { "class_type": "SaveImage", "inputs": { "filename_prefix": "demo", "images": ["8", 0] } },
    })
}

fn workflow_without_model((width, height): Size) -> Value {
    let inputs = json!({ "width": width, "height": height, "batch_size": 1, "color": 0x20_40_60 });
    json!({
        "1": { "class_type": "EmptyImage", "inputs": inputs },
        "2": { "class_type": "SaveImage", "inputs": { "filename_prefix": "demo", "images": ["1", 0] } },
    })
}

/// A grey square as base64, for tasks that begin with an image.
fn picture() -> String {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, INPUT_SIDE, INPUT_SIDE);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels = [0x80; (INPUT_SIDE * INPUT_SIDE) as usize];
    // Writing to memory fails only for a wrong number of pixels, and then the task is refused as one without an image.
    if encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).is_err() {
        file.clear();
    }
    BASE64.encode_to_string(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The task type and size of the sample for a runtime with these settings.
    fn chosen(settings: Value) -> anyhow::Result<(Value, Size)> {
        let mut entry = json!({ "name": "r", "type": "sdwebui" });
        entry.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let registry = serde_json::from_value(json!([entry]))?;
        let sample = sample(&registry, "r", "id", Some("m.safetensors"))?;
        Ok((sample.body["task"]["metadata"]["tasktype"].clone(), sample.size))
    }

    #[test]
    fn a_sample_fits_what_the_runtime_takes() {
        for (settings, task_type, size) in [
            (json!({}), "text-to-image", (512, 512)),
            (json!({ "limits": { "max_pixels": 70_000, "max_steps": 1 } }), "text-to-image", (256, 256)),
            (json!({ "task_types": ["image-to-image"] }), "image-to-image", (512, 512)),
            (json!({ "task_types": ["extra-single-image"] }), "extra-single-image", (128, 128)),
            (json!({ "task_types": ["extra-batch-images"] }), "extra-batch-images", (128, 128)),
            (json!({ "type": "comfyui" }), "pipeline", (768, 512)),
            (json!({ "type": "comfyui", "denied_nodes": ["KSampler"] }), "pipeline", (768, 512)),
            (json!({ "type": "comfyui", "limits": { "max_pixels": 6144 } }), "pipeline", (96, 64)),
        ] {
            assert_eq!(chosen(settings.clone()).unwrap(), (json!(task_type), size), "{settings}");
        }
    }

    #[test]
    fn a_runtime_that_takes_none_says_why() {
        let settings = json!({ "type": "comfyui", "allowed_nodes": ["Exotic"] });
        let error = chosen(settings).unwrap_err().to_string();
        assert!(error.starts_with("r takes none of the samples: ") && error.contains("SaveImage"), "{error}");
    }
}
