//! BMP: a file header of 14 bytes, then one of several headers with the size.

use super::{Extent, Sizes, bytes, le16, le32};

/// A negative height means that rows come from the top.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    let mut sizes = Sizes::default();
    match le32(image, 14)? {
        12 => sizes.add(le16(image, 18)?, le16(image, 20)?)?,
        40 | 52 | 56 | 64 | 108 | 124 => sizes.add(side(image, 18)?, side(image, 22)?)?,
        _ => return None,
    }
    sizes.extent(1)
}

fn side(image: &[u8], at: usize) -> Option<u64> {
    bytes(image, at).map(|bytes| i32::from_le_bytes(bytes).unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    fn bmp(header: u32, sides: &[u8]) -> Vec<u8> {
        [b"BM", &[0; 12][..], &header.to_le_bytes(), sides, &[0; 32]].concat()
    }

    #[test]
    fn every_header_is_read_and_rows_may_come_from_the_top() {
        let sides = |width: i32, height: i32| [width.to_le_bytes(), height.to_le_bytes()].concat();
        assert_eq!(pixels(&bmp(12, &[64, 0, 48, 0, 1, 0, 24, 0])), Some(64 * 48));
        assert_eq!(pixels(&bmp(40, &sides(64, 48))), Some(64 * 48));
        assert_eq!(pixels(&bmp(124, &sides(64, -48))), Some(64 * 48));
        assert_eq!(pixels(&bmp(108, &sides(i32::MIN, i32::MIN))), Some(1 << 62));
    }

    #[test]
    fn an_unknown_header_has_no_size() {
        assert_eq!(pixels(&bmp(13, &[1; 8])), None);
        assert_eq!(pixels(b"BM"), None);
    }
}
