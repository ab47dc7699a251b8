//! How many pixels a runtime has to hold for an image, by its bytes and without decoding any.
//!
//! What counts is not the first size in a file but the one that a decoder uses: a second header, a frame that is
//! larger than the canvas, thousands of frames. So each format here is read as Pillow and its libraries read it, which
//! is what the runtimes decode with, and where they could read it in two ways the larger counts. What cannot be determined is
//! no image.

mod avif;
mod bmp;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use shared_schema::file_kind::ImageKind;

/// No real image has more different sizes.
const MAX_SIZES: usize = 64;

/// How large an image is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Width times height, of all frames or pages together.
    pub(crate) pixels: u64,
    /// Each width and height that a decoder could believe, none of them 0.
    pub(crate) sizes: Vec<(u64, u64)>,
}

/// The extent of an image of that kind; `None` if that is unknown.
pub(crate) fn of(kind: ImageKind, image: &[u8]) -> Option<Extent> {
    let extent = match kind {
        ImageKind::Png => png::extent,
        ImageKind::Jpeg => jpeg::extent,
        ImageKind::WebP => webp::extent,
        ImageKind::Gif => gif::extent,
        ImageKind::Bmp => bmp::extent,
        ImageKind::Tiff => tiff::extent,
        ImageKind::Avif => avif::extent,
    };
    extent(image).filter(|extent| extent.pixels > 0)
}

/// The sizes that a file states, each once.
#[derive(Default)]
struct Sizes(Vec<(u64, u64)>);

impl Sizes {
    /// Adds a size unless it is empty; `None` if there are too many.
    fn add(&mut self, width: u64, height: u64) -> Option<()> {
        if width > 0 && height > 0 && !self.0.contains(&(width, height)) {
            self.0.push((width, height));
        }
        (self.0.len() <= MAX_SIZES).then_some(())
    }

    /// So many frames of the largest size; `None` if there is none.
    fn extent(self, frames: u64) -> Option<Extent> {
        let largest = self.0.iter().map(|(width, height)| width.saturating_mul(*height)).max()?;
        Some(Extent { pixels: largest.saturating_mul(frames), sizes: self.0 })
    }
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
