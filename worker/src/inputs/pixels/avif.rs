//! AVIF: boxes within boxes, some of which state sizes.

use shared_schema::file_kind::brands;

use super::{Extent, Sizes, be32};

/// The largest size that any box states, wherever it stands: which one counts is defined by other boxes, and those can be
/// laid out to mislead. Sequences state the number of their frames elsewhere, so theirs is unknown.
///
/// A picture may be coded larger than it is stated; libavif itself decodes none above 2^28 pixels.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    if brands(image).any(|brand| brand == b"avis") {
        return None;
    }
    let stated = image.windows(5).enumerate().filter(|(_, window)| *window == b"ispe\0");
    let stated = stated.filter_map(|(at, _)| {
        let is_box = (20..=0xff).contains(&be32(image, at.checked_sub(4)?)?);
        is_box.then_some((be32(image, at + 8)?, be32(image, at + 12)?))
    });
    let mut sizes = Sizes::default();
    for (width, height) in stated {
        sizes.add(width, height)?;
    }
    sizes.extent(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    fn avif(brands: &[u8], sizes: &[(u32, u32)]) -> Vec<u8> {
        let length = u32::try_from(16 + brands.len()).unwrap().to_be_bytes();
        let mut file = [&length[..], b"ftypavif\0\0\0\0", brands].concat();
        for (width, height) in sizes {
            file.extend(
                [&[0, 0, 0, 20], &b"ispe\0\0\0\0"[..], &width.to_be_bytes(), &height.to_be_bytes()].concat(),
            );
        }
        file
    }

    #[test]
    fn the_largest_stated_size_counts() {
        let file = avif(b"mif1miaf", &[(64, 64), (640, 480), (1, 1)]);
        assert_eq!(pixels(&file), Some(640 * 480));
        assert_eq!(pixels(&avif(b"", &[(u32::MAX, u32::MAX)])), Some((1 << 32) * ((1 << 32) - 2) + 1));
    }

    #[test]
    fn sequences_and_files_without_a_size_are_unknown() {
        assert_eq!(pixels(&avif(b"avis", &[(64, 64)])), None);
        assert_eq!(pixels(&avif(b"", &[])), None);
    }
}
