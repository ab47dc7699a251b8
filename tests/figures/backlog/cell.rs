//! The cells of the table: kinds of tasks × durations of a run × latencies of AWS; and ways of reporting progress × durations.

use std::time::Duration;

use integration_tests::lab::{Lab, Runtime};
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, ComfyUiOptions, DEFAULT_MODEL, ProgressReports, SdWebUiOptions};

use super::predecessor::{self, Predecessor};

/// What each call to AWS takes longer, in milliseconds.
const AWS_MS: [u32; 2] = [0, 50];

/// A kind of task.
#[derive(Debug, PartialEq)]
pub(super) struct Kind {
    runtime_type: &'static str,
    pub(super) task_type: &'static str,
    /// Width and height of the image, in pixels.
    pub(super) side: u32,
    /// The size of the image that the task names by URL.
    pub(super) input_bytes: Option<usize>,
    /// How long a run takes, in milliseconds.
    gpu_ms: &'static [u32],
    /// What each call to AWS takes longer, in milliseconds.
    aws_ms: &'static [u32],
    /// How the runtime reports progress, if that is what the cells are about. They are measured with the pipeline only.
    pub(super) progress: Option<ProgressReports>,
    /// What the predecessor needed, for each latency of AWS.
    predecessor: Option<&'static [Predecessor; AWS_MS.len()]>,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        runtime_type: "sdwebui",
        task_type: "text-to-image",
        side: 512,
        input_bytes: None,
        gpu_ms: &[0, 500, 2000],
        aws_ms: &AWS_MS,
        progress: None,
        predecessor: Some(&predecessor::TEXT_TO_IMAGE_512),
    },
    Kind {
        runtime_type: "sdwebui",
        task_type: "text-to-image",
        side: 1024,
        input_bytes: None,
        gpu_ms: &[0, 500, 2000],
        aws_ms: &AWS_MS,
        progress: None,
        predecessor: Some(&predecessor::TEXT_TO_IMAGE_1024),
    },
    Kind {
        runtime_type: "sdwebui",
        task_type: "image-to-image",
        side: 512,
        input_bytes: Some(1_000_000),
        gpu_ms: &[0, 500, 2000],
        aws_ms: &AWS_MS,
        progress: None,
        predecessor: Some(&predecessor::IMAGE_TO_IMAGE_512),
    },
    Kind {
        runtime_type: "sdwebui",
        task_type: "image-to-image",
        side: 1024,
        input_bytes: Some(3_000_000),
        gpu_ms: &[0, 500, 2000],
        aws_ms: &AWS_MS,
        progress: None,
        predecessor: Some(&predecessor::IMAGE_TO_IMAGE_1024),
    },
    Kind {
        runtime_type: "comfyui",
        task_type: "pipeline",
        side: 1024,
        input_bytes: None,
        gpu_ms: &[500, 2000],
        aws_ms: &AWS_MS,
        progress: None,
        predecessor: None,
    },
    ahead("sdwebui", "text-to-image", ProgressReports::Stepped),
    ahead("sdwebui", "text-to-image", ProgressReports::Flat),
    ahead("sdwebui", "text-to-image", ProgressReports::Late),
    ahead("sdwebui", "text-to-image", ProgressReports::Missing),
    ahead("comfyui", "pipeline", ProgressReports::Stepped),
    ahead("comfyui", "pipeline", ProgressReports::Flat),
    ahead("comfyui", "pipeline", ProgressReports::Late),
    ahead("comfyui", "pipeline", ProgressReports::Missing),
];

/// Whether the next job is submitted ahead of time, with runs of many lengths and that kind of progress.
const fn ahead(runtime_type: &'static str, task_type: &'static str, progress: ProgressReports) -> Kind {
    Kind {
        runtime_type,
        task_type,
        side: 1024,
        input_bytes: None,
        gpu_ms: &[500, 1300, 2000, 3000, 5000, 8000],
        aws_ms: &[50],
        progress: Some(progress),
        predecessor: None,
    }
}

/// A kind of task, with a duration of its run and a latency of AWS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(super) kind: &'static Kind,
    pub(super) gpu_ms: u32,
    pub(super) aws_ms: u32,
}

impl Kind {
    /// All cells of this kind.
    pub(super) fn cells(&'static self) -> impl Iterator<Item = Cell> {
        let of_duration = move |gpu_ms: &u32| {
            let gpu_ms = *gpu_ms;
            self.aws_ms.iter().map(move |aws_ms| Cell { kind: self, gpu_ms, aws_ms: *aws_ms })
        };
        self.gpu_ms.iter().flat_map(of_duration)
    }

    /// What the tables call it.
    pub(super) fn title(&self) -> String {
        let product = if self.runtime_type == "sdwebui" { "SD WebUI" } else { "ComfyUI" };
        let input = self.input_bytes.map_or_else(String::new, |bytes| {
            format!(", {} MB by URL from a server that takes 200 ms", bytes / 1_000_000)
        });
        let progress = self.progress.map_or("", |progress| match progress {
            ProgressReports::Stepped => ", progress in steps",
            ProgressReports::Flat => ", no progress in the first half of a run",
            ProgressReports::Late => ", no progress before the last fifth of a run",
            ProgressReports::Missing => ", no progress",
        });
        format!("{product}, {} {}²{input}{progress}", self.task_type, self.side)
    }

    /// The content of a task, which differs from all others in its seed.
    pub(super) fn content(&self, seed: usize, image_url: &str) -> Value {
        let (side, prompt) = (self.side, "a harbour at night");
        match self.task_type {
            "pipeline" => workflow(side, prompt, seed),
            "text-to-image" => {
                json!({ "prompt": prompt, "width": side, "height": side, "steps": 20, "seed": seed })
            }
            _ => json!({ "prompt": prompt, "width": side, "height": side, "steps": 20, "seed": seed,
                         "init_images": [image_url] }),
        }
    }

    /// The bytes of a task as files, and once more as base64 where the runtime uses it: what a worker has to hold.
    pub(super) fn bytes(&self, image_bytes: usize) -> usize {
        let base64 = |bytes: usize| bytes.div_ceil(3) * 4;
        let decoded = image_bytes + self.input_bytes.unwrap_or_default();
        match self.runtime_type {
            "sdwebui" => decoded + base64(decoded),
            _ => decoded,
        }
    }
}

impl Cell {
    /// The name by which it is selected.
    pub(super) fn name(&self) -> String {
        let Self { kind, gpu_ms, aws_ms } = self;
        let progress = kind.progress.map_or("", |progress| match progress {
            ProgressReports::Stepped => " progress-stepped",
            ProgressReports::Flat => " progress-flat",
            ProgressReports::Late => " progress-late",
            ProgressReports::Missing => " progress-missing",
        });
        format!("{} {} {} gpu-{gpu_ms} aws-{aws_ms}{progress}", kind.runtime_type, kind.task_type, kind.side)
    }

    /// A simulated runtime that takes so long for a run, and no time for anything else.
    pub(super) async fn runtime(&self, lab: &Lab) -> Runtime {
        let latency = Duration::from_millis(self.gpu_ms.into());
        let progress = self.kind.progress.unwrap_or_default();
        let behaviour = Behaviour { latency, predrawn: true, progress, ..Behaviour::default() };
        match self.kind.runtime_type {
            "sdwebui" => lab.sdwebui(SdWebUiOptions { behaviour, ..SdWebUiOptions::default() }).await,
            _ => lab.comfyui(ComfyUiOptions { behaviour, ..ComfyUiOptions::default() }).await,
        }
    }

    /// The share of the time that the GPU should be busy at least; there is no aim for one that takes no time.
    pub(super) fn min_busy(&self) -> Option<f64> {
        match self.gpu_ms {
            // The end of the first run of a kind cannot be estimated, and these cells have few runs.
            _ if self.kind.progress.is_some() => None,
            0 => None,
            500 => Some(0.98),
            _ => Some(0.995),
        }
    }

    /// How long the GPU may be free between two jobs, as a rule, in milliseconds: less than any round trip to it.
    pub(super) fn max_gap_ms(&self) -> Option<f64> {
        (self.gpu_ms > 0).then_some(2.0)
    }

    /// The CPU time that a task may take, in milliseconds; the aim is for images of 1024².
    pub(super) fn max_cpu_ms(&self) -> Option<f64> {
        (self.kind.side == 1024).then_some(10.0)
    }

    /// What the predecessor needed for the same, if it was measured: its busy share and tasks per second for this duration.
    pub(super) fn predecessor(&self) -> Option<(&'static Predecessor, predecessor::Throughput)> {
        let row = &self.kind.predecessor?[AWS_MS.iter().position(|ms| *ms == self.aws_ms)?];
        let column = self.kind.gpu_ms.iter().position(|ms| *ms == self.gpu_ms)?;
        Some((row, row.paces[column]))
    }
}

/// ComfyUI's text-to-image workflow.
fn workflow(side: u32, prompt: &str, seed: usize) -> Value {
    json!({
        "3": { "class_type": "KSampler", "inputs": {
            "seed": seed, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0] } },
        "4": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": DEFAULT_MODEL } },
        "5": { "class_type": "EmptyLatentImage", "inputs": { "width": side, "height": side, "batch_size": 1 } },
        "6": { "class_type": "CLIPTextEncode", "inputs": { "text": prompt, "clip": ["4", 1] } },
        "7": { "class_type": "CLIPTextEncode", "inputs": { "text": "text, watermark", "clip": ["4", 1] } },
        "8": { "class_type": "VAEDecode", "inputs": { "samples": ["3", 0], "vae": ["4", 2] } },
        "9": { "class_type": "SaveImage", "inputs": { "filename_prefix": "figures", "images": ["8", 0] } },
    })
}
