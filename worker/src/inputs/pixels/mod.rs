//! How many pixels an image makes a runtime hold, told from its bytes without decoding any.
//!
//! What decides is not what a file says first but what a decoder believes in the end: a second header, a frame that is
//! larger than the canvas, thousands of frames. So each format here is read as Pillow and its libraries read it, which
//! is what the runtimes decode with, and where they could read it in two ways the larger counts. What cannot be told is
//! no image.

mod avif;
mod bmp;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

/// A format of images that runtimes take.
#[derive(Debug)]
pub(super) struct Format {
    /// What people call it.
    pub(super) name: &'static str,
    /// Its media type.
    pub(super) content_type: &'static str,
    /// Its usual extension, without a dot.
    pub(super) extension: &'static str,
    begins: fn(&[u8]) -> bool,
    pixels: fn(&[u8]) -> Option<u64>,
}

impl Format {
    /// Width times height, of all frames together; `None` if that cannot be told.
    pub(super) fn pixels(&self, image: &[u8]) -> Option<u64> {
        (self.pixels)(image).filter(|pixels| *pixels > 0)
    }
}

/// All of them. Others that Pillow reads (ICO, PSD, PNM, JPEG 2000, ...) hide images in images, or are hardly ever sent.
pub(super) const FORMATS: [Format; 7] = [
    Format {
        name: "PNG",
        content_type: "image/png",
        extension: "png",
        begins: |image| image.starts_with(b"\x89PNG\r\n\x1a\n"),
        pixels: png::pixels,
    },
    Format {
        name: "JPEG",
        content_type: "image/jpeg",
        extension: "jpg",
        begins: |image| image.starts_with(b"\xff\xd8\xff"),
        pixels: jpeg::pixels,
    },
    Format {
        name: "WebP",
        content_type: "image/webp",
        extension: "webp",
        begins: |image| image.starts_with(b"RIFF") && image.get(8..12) == Some(b"WEBP"),
        pixels: webp::pixels,
    },
    Format {
        name: "GIF",
        content_type: "image/gif",
        extension: "gif",
        begins: |image| image.starts_with(b"GIF87a") || image.starts_with(b"GIF89a"),
        pixels: gif::pixels,
    },
    Format {
        name: "BMP",
        content_type: "image/bmp",
        extension: "bmp",
        begins: |image| image.starts_with(b"BM"),
        pixels: bmp::pixels,
    },
    Format {
        name: "TIFF",
        content_type: "image/tiff",
        extension: "tif",
        begins: tiff::begins,
        pixels: tiff::pixels,
    },
    Format {
        name: "AVIF",
        content_type: "image/avif",
        extension: "avif",
        begins: avif::begins,
        pixels: avif::pixels,
    },
];

/// The format that an image has by its first bytes.
pub(super) fn format_of(image: &[u8]) -> Option<&'static Format> {
    FORMATS.iter().find(|format| (format.begins)(image))
}

/// The `N` bytes at that place.
fn bytes<const N: usize>(image: &[u8], at: usize) -> Option<[u8; N]> {
    image.get(at..)?.first_chunk().copied()
}

fn le16(image: &[u8], at: usize) -> Option<u64> {
    bytes(image, at).map(|bytes| u16::from_le_bytes(bytes).into())
}

fn le32(image: &[u8], at: usize) -> Option<u64> {
    bytes(image, at).map(|bytes| u32::from_le_bytes(bytes).into())
}

fn be16(image: &[u8], at: usize) -> Option<u64> {
    bytes(image, at).map(|bytes| u16::from_be_bytes(bytes).into())
}

fn be32(image: &[u8], at: usize) -> Option<u64> {
    bytes(image, at).map(|bytes| u32::from_be_bytes(bytes).into())
}

/// A length out of a file, as an offset; what does not fit lies beyond any file.
fn offset(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
