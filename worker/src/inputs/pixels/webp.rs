//! WebP: a still image in one chunk, or a canvas on which every frame of an animation is drawn.

use super::{Extent, Sizes, bytes, le16, le32, offset};

/// Behind the 12 bytes of the RIFF header stand chunks: type, length, data, and a byte of padding after odd lengths.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    let (mut sizes, mut frames) = (Sizes::default(), 0);
    let mut at = 12;
    while let (Some(kind), Some(length)) = (bytes(image, at), le32(image, at + 4)) {
        let data = at + 8;
        match &kind {
            b"VP8X" => sizes.add(le24(image, data + 4)? + 1, le24(image, data + 7)? + 1)?,
            // A key frame's header; the two highest bits of each side are a scale that decoders leave to others.
            b"VP8 " => sizes.add(le16(image, data + 6)? & 0x3fff, le16(image, data + 8)? & 0x3fff)?,
            b"VP8L" => {
                let sides = le32(image, data + 1)?;
                sizes.add((sides & 0x3fff) + 1, (sides >> 14 & 0x3fff) + 1)?;
            }
            b"ANMF" => frames += 1,
            _ => {}
        }
        at = data.saturating_add(offset(length + length % 2));
    }
    sizes.extent(frames.max(1))
}

fn le24(image: &[u8], at: usize) -> Option<u64> {
    bytes(image, at).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&kind[..], &length, data, &vec![0; data.len() % 2]].concat()
    }

    fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP".to_vec(), chunks.concat()].concat()
    }

    fn canvas(width: u32, height: u32) -> Vec<u8> {
        let (width, height) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
        chunk(b"VP8X", &[&[0x12, 0, 0, 0], &width[..3], &height[..3]].concat())
    }

    #[test]
    fn each_kind_of_still_image_is_read() {
        let lossy = chunk(b"VP8 ", &[0x30, 1, 0, 0x9d, 1, 0x2a, 0x80, 2, 0xe0, 1]);
        let lossless = chunk(b"VP8L", &[0x2f, 0x7f, 0xc2, 0x77, 0x00, 7]);
        assert_eq!(pixels(&webp(std::slice::from_ref(&lossy))), Some(640 * 480));
        assert_eq!(pixels(&webp(std::slice::from_ref(&lossless))), Some(640 * 480));
        assert_eq!(pixels(&webp(&[canvas(16_000, 10_000), lossy])), Some(160_000_000));
        assert_eq!(pixels(&webp(&[canvas(1, 1), lossless])), Some(640 * 480));
    }

    #[test]
    fn every_frame_takes_the_whole_canvas() {
        let frames = vec![chunk(b"ANMF", &[0; 17]); 500];
        assert_eq!(pixels(&webp(&[canvas(1_000, 1_000), frames.concat()])), Some(500_000_000));
    }

    #[test]
    fn what_has_no_size_is_unknown() {
        assert_eq!(pixels(&webp(&[])), None);
        assert_eq!(pixels(&webp(&[chunk(b"EXIF", b"x")])), None);
        assert_eq!(pixels(&webp(&[chunk(b"VP8X", b"")])), None);
    }
}
