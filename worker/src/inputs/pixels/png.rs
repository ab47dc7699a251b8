//! PNG, with the extension for animations: every frame is drawn on the whole canvas.

use super::{Extent, Sizes, be32, bytes, offset};

/// Behind the signature stand chunks: length, type, data, checksum. Pillow reads them up to the first picture data, and
/// believes the last header. A picture whose data is cut off it refuses when it decodes it.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    let (mut sizes, mut frames) = (Sizes::default(), 1);
    let mut at = 8;
    loop {
        let length = be32(image, at)?;
        let data = at + 8;
        match &bytes(image, at + 4)? {
            b"IHDR" => sizes.add(be32(image, data)?, be32(image, data + 4)?)?,
            b"acTL" => frames = frames.max(be32(image, data)?),
            b"IDAT" if is_cut_off(image, at) => return None,
            b"IDAT" => return sizes.extent(frames),
            _ => {}
        }
        at = data.saturating_add(offset(length)).saturating_add(4);
    }
}

/// Whether the file ends within a chunk of picture data, from the first such chunk on. What stands behind the last one
/// may be missing: Pillow does not look.
fn is_cut_off(image: &[u8], mut at: usize) -> bool {
    while let (Some(length), Some(kind)) = (be32(image, at), bytes(image, at + 4)) {
        let end = (at + 8).saturating_add(offset(length));
        if &kind != b"IDAT" {
            return false;
        }
        if end > image.len() {
            return true;
        }
        at = end.saturating_add(4);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], kind, data, &[0; 4]].concat()
    }

    fn header(width: u32, height: u32) -> Vec<u8> {
        chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat())
    }

    fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat(), chunk(b"IDAT", b"x")].concat()
    }

    #[test]
    fn the_largest_header_and_all_frames_count() {
        assert_eq!(pixels(&png(&[header(64, 48)])), Some(64 * 48));
        assert_eq!(
            pixels(&png(&[header(1, 1), chunk(b"tEXt", b"a\0b"), header(50_000, 50_000)])),
            Some(2_500_000_000)
        );
        let animated = png(&[header(100, 100), chunk(b"acTL", &[0, 0, 3, 232, 0, 0, 0, 0])]);
        assert_eq!(pixels(&animated), Some(10_000_000));
        assert_eq!(pixels(&png(&[header(u32::MAX, u32::MAX), chunk(b"acTL", &[255; 8])])), Some(u64::MAX));
    }

    #[test]
    fn the_size_of_a_truncated_image_is_unknown() {
        let whole = png(&[header(64, 48), chunk(b"IDAT", b"0123456789")]);
        let end = chunk(b"IEND", b"");
        assert_eq!(pixels(&[&whole[..], &end].concat()), Some(64 * 48));
        assert_eq!(pixels(&whole[..whole.len() - 4]), Some(64 * 48));
        for missing in [5, 20] {
            assert_eq!(pixels(&whole[..whole.len() - missing]), None, "{missing}");
        }
    }

    #[test]
    fn what_has_no_header_or_no_image_has_no_size() {
        assert_eq!(pixels(&png(&[])), None);
        assert_eq!(pixels(&[b"\x89PNG\r\n\x1a\n".to_vec(), header(1, 1)].concat()), None);
        assert_eq!(pixels(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR"), None);
    }
}
