//! Small real files of formats that the simulation cannot draw.

/// A file that a runtime may produce beside PNG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A grey picture of 8 x 8 pixels.
    Jpeg,
    /// A picture of one pixel.
    Gif,
    /// An animation of 64 x 48 pixels, written by ComfyUI.
    Webp,
    /// A video of 64 x 48 pixels, written by ComfyUI.
    Mp4,
    /// One second of silence, written by ComfyUI.
    Flac,
    /// A scene without objects (glTF 2.0, binary).
    Glb,
}

impl Sample {
    /// The content of the file.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Jpeg => include_bytes!("../samples/still.jpg"),
            Self::Gif => include_bytes!("../samples/still.gif"),
            Self::Webp => include_bytes!("../samples/animated.webp"),
            Self::Mp4 => include_bytes!("../samples/video.mp4"),
            Self::Flac => include_bytes!("../samples/audio.flac"),
            Self::Glb => include_bytes!("../samples/model.glb"),
        }
    }
}
