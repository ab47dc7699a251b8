//! Entry points of the fuzz targets (`fuzz/`) to parsers that are private otherwise. No API.

use bytes::Bytes;
use serde_json::{Map, Value};
use shared_schema::file_kind::image_format;

use crate::inputs::pixels;
use crate::runtimes::Progress;
use crate::runtimes::comfyui::frames::{Event, Reader};

/// The pixels of an image, all frames together, and each size that it states; `None` if it is no image.
pub fn image_extent(image: &[u8]) -> Option<(u64, Vec<(u64, u64)>)> {
    let extent = pixels::of(image_format(image)?.kind, image)?;
    Some((extent.pixels, extent.sizes))
}

/// What was read from frames.
#[derive(Debug)]
pub struct FramesRead {
    /// The share of the work that was done after each frame, where it was known.
    pub shares: Vec<f64>,
    /// The size of all images together.
    pub image_bytes: usize,
}

/// Reads frames of ComfyUI's WebSocket: text if they begin with `{`, else binary.
pub fn comfyui_frames(prompt_id: &str, workflow: &Map<String, Value>, frames: &[&[u8]]) -> FramesRead {
    let progress = Progress::new();
    let mut reader = Reader::new(prompt_id, workflow, progress.clone());
    let mut read = FramesRead { shares: Vec::new(), image_bytes: 0 };
    for frame in frames {
        let event = match std::str::from_utf8(frame) {
            Ok(text) if text.starts_with('{') => reader.text(text),
            _ => reader.binary(&Bytes::copy_from_slice(frame)),
        };
        if let Some(Event::Image(image)) = event {
            read.image_bytes += image.bytes.len();
        }
        read.shares.extend(progress.watch().borrow().share);
    }
    read
}
