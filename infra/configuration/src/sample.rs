//! Small tasks for a first submission: of each runtime the first sample of its type that it accepts.

use base64_simd::STANDARD as BASE64;
use serde_json::{Value, json};
use shared_schema::runtimes::{Sample, SampleFields};
use shared_schema::{Contract, Registry, Violation};

/// The factors by which width and height are divided until a runtime's limits allow the image.
const REDUCTIONS: [u32; 4] = [1, 2, 4, 8];

/// Width and height of the input image of tasks that need one, in pixels.
const INPUT_SIDE: u32 = 64;

/// Width and height in pixels.
type Size = (u32, u32);

/// The fields of a sample that its user sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleOptions {
    /// The task's id.
    pub id: String,
    /// The prefix of its results.
    pub prefix: String,
    /// What to draw.
    pub prompt: Option<String>,
    /// The checkpoint, where a task names one; without it only samples that name none are used.
    pub model: Option<String>,
}

/// A task that yields one image of a known size.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleTask {
    /// The request body for `/v1alpha2`.
    pub body: Value,
    /// The size of the image.
    pub size: Size,
}

/// Why there is no sample for a runtime.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The configuration has no runtime of that name.
    #[error("there is no runtime {0}")]
    UnknownRuntime(String),
    /// The samples of the runtime's type cannot be read.
    #[error("the samples of the type {runtime_type} cannot be read: {error}")]
    Unreadable {
        /// The type.
        runtime_type: String,
        /// The reason.
        error: serde_json::Error,
    },
    /// The runtime's limits, task types or node rules allow no sample.
    #[error("{runtime} accepts none of the samples: {refusal}")]
    Refused {
        /// The runtime.
        runtime: String,
        /// What is wrong with the last of them.
        refusal: String,
    },
}

/// The sample for a runtime of the registry.
///
/// # Errors
///
/// When the runtime accepts none: see [`SampleError`].
pub fn sample(
    registry: &Registry,
    runtime: &str,
    options: &SampleOptions,
) -> Result<SampleTask, SampleError> {
    let unknown = || SampleError::UnknownRuntime(runtime.to_owned());
    let entry = registry.by_name(runtime).ok_or_else(unknown)?;
    let samples = entry.contract().map_or("[]", |contract| contract.files().samples);
    let samples: Vec<Sample> = serde_json::from_str(samples)
        .map_err(|error| SampleError::Unreadable { runtime_type: entry.runtime_type.clone(), error })?;
    let max_steps = entry.limits.max_steps;
    let contract = Contract::new(registry.clone());
    let mut refusal = "its type has none".to_owned();
    for sample in samples.into_iter().filter(|sample| entry.takes(sample.task_type)) {
        if !sample.fields.model.is_empty() && options.model.is_none() {
            continue;
        }
        for size in sizes(&sample) {
            let content = content(&sample, size, max_steps, options);
            let SampleOptions { id, prefix, .. } = options;
            let metadata =
                json!({ "id": id, "runtime": runtime, "tasktype": sample.task_type, "prefix": prefix });
            let body = json!({ "task": { "metadata": metadata, "content": content } });
            match contract.v1alpha2(body.clone()) {
                Ok(_) => return Ok(SampleTask { body, size }),
                Err(violations) => refusal = listed(violations),
            }
        }
    }
    Err(SampleError::Refused { runtime: runtime.to_owned(), refusal })
}

fn listed(violations: Vec<Violation>) -> String {
    violations.into_iter().map(|violation| violation.message).collect::<Vec<_>>().join("; ")
}

/// The sizes that a sample can have, the largest first.
fn sizes(sample: &Sample) -> Vec<Size> {
    let (width, height) = sample.size;
    if sample.fields.width.is_empty() {
        return vec![sample.size];
    }
    REDUCTIONS.map(|by| (width / by, height / by)).to_vec()
}

fn content(sample: &Sample, (width, height): Size, max_steps: u64, options: &SampleOptions) -> Value {
    let SampleFields { width: widths, height: heights, steps, prompt, model, image } = &sample.fields;
    let mut content = sample.content.clone();
    let mut set = |pointers: &[String], value: Value| {
        for pointer in pointers {
            if let Some(field) = content.pointer_mut(pointer) {
                *field = value.clone();
            }
        }
    };
    set(widths, width.into());
    set(heights, height.into());
    set(image, picture().into());
    if let Some(text) = &options.prompt {
        set(prompt, text.as_str().into());
    }
    if let Some(name) = &options.model {
        set(model, name.as_str().into());
    }
    for pointer in steps {
        let field = content.pointer_mut(pointer);
        if let Some((field, count)) = field.and_then(|field| field.as_u64().map(|count| (field, count))) {
            *field = count.min(max_steps).into();
        }
    }
    content
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
    fn chosen(settings: Value) -> Result<(Value, Size), SampleError> {
        let mut entry = json!({ "name": "r", "type": "sdwebui" });
        entry.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let registry = serde_json::from_value(json!([entry])).unwrap();
        let options = SampleOptions {
            id: "id".to_owned(),
            model: Some("m.safetensors".to_owned()),
            ..SampleOptions::default()
        };
        let sample = sample(&registry, "r", &options)?;
        Ok((sample.body["task"]["metadata"]["tasktype"].clone(), sample.size))
    }

    #[test]
    fn a_sample_fits_what_the_runtime_accepts() {
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
    fn a_runtime_that_accepts_no_sample_is_an_error_with_the_reason() {
        let settings = json!({ "type": "comfyui", "allowed_nodes": ["Exotic"] });
        let error = chosen(settings).unwrap_err().to_string();
        assert!(
            error.starts_with("r accepts none of the samples: ") && error.contains("SaveImage"),
            "{error}"
        );
    }
}
