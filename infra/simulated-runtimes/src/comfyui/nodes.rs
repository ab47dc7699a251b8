//! What each node class does.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Comfy,
    files::Folder,
    job::Job,
    output_path::{OutputPath, join},
    view::annotation,
};
use crate::{
    picture::{self, Caption, Picture},
    python,
    samples::Sample,
};

/// A class of nodes that ComfyUI expands into others, which save.
pub(super) const EXPANDING: &str = "SaveByExpansion";

/// More pixels than this in one batch do not fit the memory.
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
}

/// A picture that is not decoded yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Latent {
    width: u32,
    height: u32,
    batch: u32,
    /// What was sampled into it.
    sampled: Option<Sampled>,
}

#[derive(Debug, Clone)]
struct Sampled {
    text: String,
    model: String,
    seed: u64,
}

/// What a node made.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) outputs: Vec<Data>,
    /// What an output node shows, such as `{"images": […]}`.
    pub(super) shown: Option<Value>,
    /// Pictures that go to the client's socket, as PNG.
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
            "SaveVideo" => return self.save_sample("images", "_.mp4", Sample::Mp4, true),
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

    fn sample(&self) -> Latent {
        let mut latent = match self.input("latent_image") {
            Some(Data::Latent(latent)) => latent.clone(),
            _ => Latent::default(),
        };
        let text = match self.input("positive") {
            Some(Data::Conditioning(text)) => text.clone(),
            _ => String::new(),
        };
        let model = match self.input("model") {
            Some(Data::Model(model)) => model.clone(),
            _ => String::new(),
        };
        let seed = match self.input("seed") {
            Some(Data::Value(seed)) => seed.as_u64().unwrap_or_default(),
            _ => 0,
        };
        latent.sampled = Some(Sampled { text, model, seed });
        latent
    }

    fn decode(&self) -> Vec<Arc<Picture>> {
        let Some(Data::Latent(latent)) = self.input("samples") else { return Vec::new() };
        let (width, height) = (latent.width, latent.height);
        let name = &self.comfy.machine.name;
        let (text, model, seed) = match &latent.sampled {
            Some(Sampled { text, model, seed }) => (text.as_str(), model.as_str(), format!("seed {seed}")),
            None => ("", "", "not sampled".to_owned()),
        };
        let draw = |index: u32| {
            let place =
                if latent.batch > 1 { format!("  {}/{}", index + 1, latent.batch) } else { String::new() };
            let caption = Caption {
                heading: if model.is_empty() { name.clone() } else { format!("{name} · {model}") },
                text: text.to_owned(),
                footer: format!("{seed}  {width}x{height}{place}"),
            };
            self.comfy.machine.artist.draw(&caption, &format!("{text}\n{seed}\n{index}"), width, height)
        };
        (0..latent.batch).map(draw).collect()
    }

    fn save_pictures(&self, folder: Folder, filename_prefix: &str) -> Result<Made, Raised> {
        let mut saved = Vec::new();
        for picture in self.pictures("images") {
            let content = self.png(&picture)?;
            saved.push(self.save(folder, filename_prefix, "_.png", content)?);
        }
        Ok(Made { shown: Some(json!({"images": saved})), ..Made::default() })
    }

    /// KJNodes puts the whole prefix, with its folders, behind the folder of the prefix, which is all that it makes.
    fn save_string(&self) -> Result<Made, Raised> {
        let prefix = self.text("filename_prefix");
        let path = OutputPath::parse(&prefix).map_err(|message| Raised::new("Exception", message))?;
        let mut files = self.comfy.files();
        let number = files.next_number(Folder::Output, &path.stem());
        let file = join(&path.subfolder, &format!("{prefix}_{number:05}_.txt"));
        let (folder, _) = file.rsplit_once('/').unwrap_or_default();
        if !folder.is_empty() && !files.has_folder(Folder::Output, folder) {
            let message = format!("[Errno 2] No such file or directory: '/opt/ComfyUI/output/{file}'");
            return Err(Raised::new("FileNotFoundError", message));
        }
        files.put(Folder::Output, &file, self.text("string").into());
        Ok(Made { outputs: vec![Data::Value(json!(file))], ..Made::default() })
    }

    /// How many frames the animation has: each has a graphic control extension of its own.
    fn frames(&self) -> usize {
        let content = named_file(&self.comfy, &self.text("video")).unwrap_or_default();
        content.windows(3).filter(|bytes| *bytes == b"\x21\xf9\x04").count()
    }

    /// VideoHelperSuite works in batches: until the last, the node queues its workflow again, before all others and under
    /// another id.
    fn combine(&self) -> Result<Made, Raised> {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let (batch, frames) = (self.literal("meta_batch"), number(&self.literal("images")));
        let done = match batch.as_array().map(Vec::as_slice) {
            Some([size, requeue]) => number(size) * (number(requeue) + 1),
            _ => frames,
        };
        if done < frames {
            self.queue_again();
            return Ok(Made { shown: Some(json!({"unfinished_batch": [true]})), ..Made::default() });
        }
        let content = Bytes::from_static(Sample::Mp4.bytes());
        let mut saved = self.save(Folder::Output, &self.text("filename_prefix"), ".mp4", content)?;
        saved["format"] = json!("video/h264-mp4");
        saved["frame_rate"] = self.literal("frame_rate");
        Ok(Made { shown: Some(json!({"gifs": [saved]})), ..Made::default() })
    }

    fn queue_again(&self) {
        let mut job = Job::clone(&self.job);
        for node in job.prompt.values_mut().filter(|node| node["class_type"] == "VHS_BatchManager") {
            let requeue = node["inputs"]["requeue"].as_u64().unwrap_or_default() + 1;
            node["inputs"]["requeue"] = json!(requeue);
        }
        let mut queue = self.comfy.queue();
        job.number = json!(-queue.count());
        job.id = Uuid::new_v4().to_string();
        queue.push(job);
        drop(queue);
        self.comfy.queued.notify_one();
    }

    fn save_sample(&self, key: &str, ending: &str, sample: Sample, animated: bool) -> Result<Made, Raised> {
        let content = Bytes::from_static(sample.bytes());
        let saved = self.save(Folder::Output, &self.text("filename_prefix"), ending, content)?;
        let mut shown = Map::from_iter([(key.to_owned(), json!([saved]))]);
        if animated {
            shown.insert("animated".to_owned(), json!([true]));
        }
        Ok(Made { shown: Some(Value::Object(shown)), ..Made::default() })
    }

    fn save(
        &self,
        folder: Folder,
        filename_prefix: &str,
        ending: &str,
        content: Bytes,
    ) -> Result<Value, Raised> {
        let path = OutputPath::parse(filename_prefix).map_err(|message| Raised::new("Exception", message))?;
        let content = self.spoiled.map_or(content, |sample| Bytes::from_static(sample.bytes()));
        let mut files = self.comfy.files();
        let number = files.next_number(folder, &path.stem());
        let filename = format!("{}_{number:05}{ending}", path.prefix);
        files.put(folder, &join(&path.subfolder, &filename), content);
        Ok(json!({"filename": filename, "subfolder": path.subfolder, "type": folder.name()}))
    }

    /// The picture as a file with the workflow inside, as ComfyUI writes it.
    fn png(&self, picture: &Picture) -> Result<Bytes, Raised> {
        let prompt = python::dumps(&Value::Object(self.job.prompt.clone()));
        let extra = self.job.extra_data.get("extra_pnginfo").and_then(Value::as_object);
        let extra: Vec<_> =
            extra.into_iter().flatten().map(|(key, value)| (key, python::dumps(value))).collect();
        let mut texts = vec![("prompt", prompt.as_str())];
        texts.extend(extra.iter().map(|(key, text)| (key.as_str(), text.as_str())));
        let artist = &self.comfy.machine.artist;
        artist.encode(picture, &texts).map_err(|error| Raised::new("ValueError", error.to_string()))
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
