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

use shared_schema::file_kind::ImageKind;

/// Width times height of an image of that kind, of all frames together; `None` if that is unknown.
pub(super) fn of(kind: ImageKind, image: &[u8]) -> Option<u64> {
    let pixels = match kind {
        ImageKind::Png => png::pixels,
        ImageKind::Jpeg => jpeg::pixels,
        ImageKind::WebP => webp::pixels,
        ImageKind::Gif => gif::pixels,
        ImageKind::Bmp => bmp::pixels,
        ImageKind::Tiff => tiff::pixels,
        ImageKind::Avif => avif::pixels,
    };
    pixels(image).filter(|pixels| *pixels > 0)
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
