//! What each node class does.

mod batches;
mod sampling;
mod saving;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Comfy, files::Folder, job::Job, view::annotation};
use crate::{
    picture::{self, Picture},
    samples::Sample,
};

use sampling::Latent;

/// A class of nodes that ComfyUI expands into another one, which saves.
pub(super) const EXPANDING: &str = "SaveByExpansion";

/// The maximum number of pixels in one batch; more do not fit the memory.
const MAX_PIXELS: u64 = 64 * 1024 * 1024;

/// A value that flows from one node to another.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Pictures(Vec<Arc<Picture>>),
    Latent(Latent),
    /// A model, or its text encoder or VAE: the file name of the checkpoint.
    Model(String),
    Conditioning(String),
    /// A literal, or a value that no other node looks into (mask, audio, video).
    Value(Value),
    /// `ExecutionBlocker`: whatever has it as an input does not run. The message is for the first of these nodes.
    Blocked(Option<String>),
}

/// What a node made.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) outputs: Vec<Data>,
    /// What an output node shows, such as `{"images": […]}`.
    pub(super) shown: Option<Value>,
    /// Pictures that are sent to the client's socket, as PNG.
    pub(super) frames: Vec<Bytes>,
}

/// The exception that a node raised.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    pub(super) kind: String,
    pub(super) message: String,
}

impl Raised {
    pub(super) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }

    pub(super) fn out_of_memory() -> Self {
        let message = "Allocation on device 0 would exceed allowed memory. (out of memory)\nThis error means you ran out of \
                       memory on your GPU.\n\nTIPS: If the workflow worked before you might have accidentally set the \
                       batch_size to a large number.";
        Self::new("torch.OutOfMemoryError", message)
    }
}

/// One node at work.
pub(super) struct Call {
    pub(super) comfy: Arc<Comfy>,
    pub(super) job: Arc<Job>,
    pub(super) node: String,
    pub(super) inputs: Vec<(String, Data)>,
    /// Files that are saved have this content instead.
    pub(super) spoiled: Option<Sample>,
}

impl Call {
    /// Does the work of the node.
    pub(super) fn run(&self) -> Result<Made, Raised> {
        let outputs = match self.job.class(&self.node) {
            "EmptyImage" => {
                let [_, red, green, blue] = (self.integer("color") as u32).to_be_bytes();
                let (width, height, batch) = self.size()?;
                let picture = Arc::new(Picture::solid(width, height, [red, green, blue]));
                vec![Data::Pictures(vec![picture; batch as usize])]
            }
            "LoadImage" => vec![Data::Pictures(vec![Arc::new(self.load()?)]), Data::Value(json!("mask"))],
            "LoadImageMask" => {
                self.load()?;
                vec![Data::Value(json!("mask"))]
            }
            "ImageScale" => vec![self.each("image", |picture| {
                let (width, height) = (self.integer("width") as u32, self.integer("height") as u32);
                // A side of 0 follows from the other one.
                let follow = |of: u32, by: u32, side: u32| (of * by / side.max(1)).max(1);
                match (width, height) {
                    (0, 0) => picture.clone(),
                    (0, height) => picture.scaled(follow(picture.width, height, picture.height), height),
                    (width, 0) => picture.scaled(width, follow(picture.height, width, picture.width)),
                    (width, height) => picture.scaled(width, height),
                }
            })],
            "ImageScaleBy" => vec![self.each("image", |picture| {
                let scale = |side: u32| ((f64::from(side) * self.number("scale_by")).round() as u32).max(1);
                picture.scaled(scale(picture.width), scale(picture.height))
            })],
            "ImageFromBatch" => {
                let side = |name: &str| usize::try_from(self.integer(name)).unwrap_or_default();
                let pictures = self.pictures("image").into_iter();
                vec![Data::Pictures(pictures.skip(side("batch_index")).take(side("length")).collect())]
            }
            "ImageInvert" => vec![self.each("image", Picture::inverted)],
            "CheckpointLoaderSimple" => vec![Data::Model(self.text("ckpt_name")); 3],
            "CLIPTextEncode" => vec![Data::Conditioning(self.text("text"))],
            "EmptyLatentImage" => {
                let (width, height, batch) = self.size()?;
                vec![Data::Latent(Latent { width, height, batch, sampled: None })]
            }
            "VAEEncode" => {
                let pictures = self.pictures("pixels");
                let (width, height) =
                    pictures.first().map(|first| (first.width, first.height)).unwrap_or_default();
                let batch = u32::try_from(pictures.len()).unwrap_or_default();
                vec![Data::Latent(Latent { width, height, batch, sampled: None })]
            }
            "KSampler" => vec![Data::Latent(self.sample())],
            "VAEDecode" => vec![Data::Pictures(self.decode())],
            "SaveImage" => return self.save_pictures(Folder::Output, &self.text("filename_prefix")),
            "PreviewImage" => {
                let random: String =
                    Uuid::new_v4().simple().to_string().chars().map(letter).take(5).collect();
                return self.save_pictures(Folder::Temp, &format!("ComfyUI_temp_{random}"));
            }
            "SaveImageWebsocket" => {
                let frames = self
                    .pictures("images")
                    .iter()
                    .map(|picture| self.png(picture))
                    .collect::<Result<_, _>>()?;
                return Ok(Made { frames, ..Made::default() });
            }
            "PreviewAny" => {
                let text = self.text("source");
                let shown = Some(json!({"text": [text]}));
                return Ok(Made { outputs: vec![Data::Value(json!(text))], shown, ..Made::default() });
            }
            "SaveAnimatedWEBP" => return self.save_sample("images", "_.webp", Sample::Webp, true),
            "Save3DAdvanced" => return self.save_model(),
            "SaveVideo" => return self.save_sample("images", "_.mp4", Sample::Mp4, true),
            "TestExecutionBlocker" if self.literal("block") == true => {
                let is_verbose = self.literal("verbose") == true;
                vec![Data::Blocked(is_verbose.then(|| "Blocked Execution".to_owned()))]
            }
            "TestExecutionBlocker" => self.input("input").cloned().into_iter().collect(),
            EXPANDING => return self.save_pictures(Folder::Output, "expanded"),
            "SaveStringKJ" => return self.save_string(),
            "VHS_BatchManager" => {
                vec![Data::Value(json!([self.integer("frames_per_batch"), self.integer("requeue")]))]
            }
            "VHS_LoadVideo" => vec![Data::Value(json!(self.frames()))],
            "VHS_VideoCombine" => return self.combine(),
            "SaveAudio" => return self.save_sample("audio", ".flac", Sample::Flac, false),
            // PrimitiveString passes its value on; audio and video are not looked into.
            class => vec![Data::Value(if class == "PrimitiveString" {
                json!(self.text("value"))
            } else {
                json!(class)
            })],
        };
        Ok(Made { outputs, ..Made::default() })
    }

    fn load(&self) -> Result<Picture, Raised> {
        let content = input_file(&self.comfy, &self.job, &self.node).unwrap_or_default();
        let size = imagesize::blob_size(&content).ok();
        let unidentified = || {
            let message = format!("cannot identify image file '/opt/ComfyUI/input/{}'", self.text("image"));
            Raised::new("PIL.UnidentifiedImageError", message)
        };
        // Formats other than PNG are not decoded: a grey picture of the same size stands in.
        picture::decode(&content)
            .or_else(|| Some(Picture::solid(size?.width as u32, size?.height as u32, [128; 3])))
            .ok_or_else(unidentified)
    }

    fn size(&self) -> Result<(u32, u32, u32), Raised> {
        let side = |name: &str| u32::try_from(self.integer(name)).unwrap_or_default();
        let (width, height, batch) = (side("width"), side("height"), side("batch_size"));
        let pixels = u64::from(width) * u64::from(height) * u64::from(batch);
        if pixels > MAX_PIXELS {
            let bytes = pixels * 12;
            let message = format!(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate {bytes} bytes."
            );
            return Err(Raised::new("RuntimeError", message));
        }
        Ok((width, height, batch))
    }

    fn each(&self, input: &str, change: impl Fn(&Picture) -> Picture) -> Data {
        Data::Pictures(self.pictures(input).iter().map(|picture| Arc::new(change(picture))).collect())
    }

    fn input(&self, name: &str) -> Option<&Data> {
        self.inputs.iter().find(|(input, _)| input == name).map(|(_, data)| data)
    }

    fn pictures(&self, name: &str) -> Vec<Arc<Picture>> {
        match self.input(name) {
            Some(Data::Pictures(pictures)) => pictures.clone(),
            _ => Vec::new(),
        }
    }

    fn literal(&self, name: &str) -> Value {
        match self.input(name) {
            Some(Data::Value(value)) => value.clone(),
            _ => Value::Null,
        }
    }

    fn text(&self, name: &str) -> String {
        match self.literal(name) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    fn integer(&self, name: &str) -> i64 {
        self.literal(name).as_i64().unwrap_or_default()
    }

    fn number(&self, name: &str) -> f64 {
        self.literal(name).as_f64().unwrap_or_default()
    }
}

/// A hexadecimal digit as a lower case letter.
fn letter(digit: char) -> char {
    char::from(b'a' + digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default())
}

/// The content of the file that a loader names; none for other nodes and for a missing file.
pub(super) fn input_file(comfy: &Comfy, job: &Job, node: &str) -> Option<Bytes> {
    if !matches!(job.class(node), "LoadImage" | "LoadImageMask") {
        return None;
    }
    named_file(comfy, job.input(node, "image")?.as_str()?)
}

/// The content of `folder/name.png`, or of `name.png [output]` in the output folder.
pub(super) fn named_file(comfy: &Comfy, name: &str) -> Option<Bytes> {
    let (path, folder) = annotation(name);
    Some(comfy.files().get(folder.unwrap_or(Folder::Input), path)?.content.clone())
}
