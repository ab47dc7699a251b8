//! Nodes of VideoHelperSuite, which work in batches and queue their workflow again.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Made, Raised, named_file};
use crate::comfyui::files::Folder;
use crate::comfyui::job::Job;
use crate::samples::Sample;

impl Call {
    /// How many frames the animation has: each has a graphic control extension of its own.
    pub(super) fn frames(&self) -> usize {
        let content = named_file(&self.comfy, &self.text("video")).unwrap_or_default();
        content.windows(3).filter(|bytes| *bytes == b"\x21\xf9\x04").count()
    }

    /// VideoHelperSuite works in batches: until the last, the node queues its workflow again, before all others and under
    /// another id.
    pub(super) fn combine(&self) -> Result<Made, Raised> {
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
        let folder = if self.literal("save_output") == false { Folder::Temp } else { Folder::Output };
        let mut saved = self.save(folder, &self.text("filename_prefix"), ".mp4", content)?;
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
}
