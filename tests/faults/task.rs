//! The tasks of the cases, as small as they can be.

use integration_tests::comfy_api::inverting;
use integration_tests::fixtures;
use serde_json::{Value, json};
use simulated_runtimes::DEFAULT_MODEL;

use crate::scenario::Environment;

/// The prompt of all tasks.
pub(crate) const PROMPT: &str = "a lighthouse";

/// The name of the asset of a task.
pub(crate) const ASSET: &str = "photos/cat.png";

/// A task for the worker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// SD WebUI: two images.
    Images,
    /// SD WebUI: an image made from two others, at `first.png` and `second.png` of the server of images.
    FromImages,
    /// SD WebUI: an image made from an object of the bucket.
    FromBucket,
    /// SD WebUI: too large for a message.
    TooLarge,
    /// SD WebUI: an image by the second of its checkpoints, or by one that it does not have.
    ByModel(&'static str),
    /// No task at all: a message that cannot be parsed.
    Unreadable,
    /// ComfyUI: three images.
    Workflow,
    /// ComfyUI: an image made from another one.
    WorkflowFromImage,
    /// ComfyUI: an image made from an asset, which is named.
    WorkflowFromAsset,
    /// ComfyUI: an image in many steps, between which the run can be interrupted.
    Sampling,
    /// ComfyUI: three images and a text, saved by a node that creates no folders.
    OwnSaver,
    /// ComfyUI: an image that is sent over the WebSocket only.
    OverSocket,
}

impl Task {
    /// Its id.
    pub(crate) fn id(self) -> &'static str {
        "task"
    }

    /// Whether it is for ComfyUI.
    pub(crate) fn is_workflow(self) -> bool {
        matches!(
            self,
            Self::Workflow
                | Self::WorkflowFromImage
                | Self::WorkflowFromAsset
                | Self::Sampling
                | Self::OwnSaver
                | Self::OverSocket
        )
    }

    /// Whether it names a checkpoint.
    pub(crate) fn names_model(self) -> bool {
        matches!(self, Self::ByModel(_))
    }

    /// The checkpoints of its runtime.
    pub(crate) fn models(self) -> Vec<String> {
        match self {
            Self::ByModel(_) => vec!["first.safetensors".to_owned(), "second.safetensors".to_owned()],
            Self::Sampling => vec!["sd15_random_full.safetensors".to_owned()],
            _ => vec![DEFAULT_MODEL.to_owned()],
        }
    }

    /// Its type and content, if it is one.
    pub(crate) fn content(self, environment: &Environment) -> Option<(&'static str, Value)> {
        let (images, bucket) = (&environment.images, &environment.lab.shared.bucket);
        let small = |more: Value| {
            let mut content = json!({ "prompt": PROMPT, "width": 64, "height": 64, "steps": 2 });
            content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            content
        };
        Some(match self {
            Self::Images => ("text-to-image", small(json!({ "batch_size": 2 }))),
            Self::FromImages => {
                let [first, second] = ["first.png", "second.png"].map(|path| images.url(path));
                ("image-to-image", small(json!({ "init_images": [first], "mask": second })))
            }
            Self::FromBucket => {
                ("image-to-image", small(json!({ "init_images": [format!("s3://{bucket}/in/cat.png")] })))
            }
            Self::TooLarge => {
                ("text-to-image", small(json!({ "negative_prompt": "blurry ".repeat(50_000) })))
            }
            Self::ByModel(name) => {
                ("text-to-image", small(json!({ "alwayson_scripts": { "sd_model_checkpoint": name } })))
            }
            Self::Unreadable => return None,
            Self::Workflow => ("pipeline", recorded("images-batch-of-3")),
            Self::WorkflowFromImage => {
                let mut workflow = recorded("load-scale-invert-save-and-preview");
                workflow["1"]["inputs"]["image"] = Value::from(images.url("first.png"));
                ("pipeline", workflow)
            }
            Self::WorkflowFromAsset => ("pipeline", inverting(&Value::from(ASSET))),
            Self::Sampling => ("pipeline", recorded("interrupted")),
            Self::OwnSaver => {
                let mut workflow = recorded("images-batch-of-3");
                let text =
                    json!({ "string": ["9", 0], "filename_prefix": "text", "output_folder": "output" });
                workflow["8"] = json!({ "class_type": "SaveStringKJ", "inputs": text });
                workflow["9"] = json!({ "class_type": "PrimitiveString", "inputs": { "value": "x" } });
                ("pipeline", workflow)
            }
            Self::OverSocket => {
                let mut workflow = recorded("images-batch-of-3");
                workflow["2"] =
                    json!({ "class_type": "SaveImageWebsocket", "inputs": { "images": ["1", 0] } });
                ("pipeline", workflow)
            }
        })
    }
}

/// The workflow of a recording.
fn recorded(name: &str) -> Value {
    fixtures::load(&format!("comfyui/{name}.json"))["request"]["body"]["prompt"].clone()
}
