use serde_json::{Map, Value};
use worker::fuzzing;

/// Reads the frames that ComfyUI's WebSocket sends during a job with the id `job`.
pub fn websocket_frames(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let workflow: Map<String, Value> =
        lines.next().and_then(|line| serde_json::from_slice(line).ok()).unwrap_or_default();
    let frames: Vec<&[u8]> = lines.collect();
    let read = fuzzing::comfyui_frames("job", &workflow, &frames);
    assert!(read.shares.iter().all(|share| (0.0..=1.0).contains(share)), "{:?}", read.shares);
    assert!(read.image_bytes <= bytes.len());
}
