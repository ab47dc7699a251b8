//! JPEG: segments up to the first scan, one of which holds the size.

use super::{Extent, Sizes, be16, offset};

/// Fill bytes before a marker are skipped, as libjpeg does. Junk between segments, which decoders skip each in its own
/// way, makes the size untellable.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    let mut sizes = Sizes::default();
    let mut at = 2;
    loop {
        if *image.get(at)? != 0xff {
            return None;
        }
        let fill = image[at..].iter().take_while(|byte| **byte == 0xff).count();
        let marker = *image.get(at + fill)?;
        let segment = at + fill + 1;
        match marker {
            // Start of frame: length, precision, height, width.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                sizes.add(be16(image, segment + 5)?, be16(image, segment + 3)?)?;
            }
            // Start of scan: the picture begins.
            0xda => return sizes.extent(1),
            // These have no length, and no place before the picture.
            0x00 | 0x01 | 0xd0..=0xd9 => return None,
            _ => {}
        }
        at = segment + offset(be16(image, segment)?.max(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    fn frame(width: u16, height: u16) -> Vec<u8> {
        let ([w, x], [h, y]) = (width.to_be_bytes(), height.to_be_bytes());
        vec![0xff, 0xc0, 0, 11, 8, h, y, w, x, 1, 1, 0x11, 0]
    }

    fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
        [vec![0xff, 0xd8], segments.concat(), vec![0xff, 0xda, 0, 8]].concat()
    }

    #[test]
    fn the_size_is_that_of_the_largest_frame_header() {
        let thumbnail = [vec![0xff, 0xe1, 0, 15], frame(9_000, 9_000)].concat();
        assert_eq!(pixels(&jpeg(&[thumbnail, frame(640, 480)])), Some(640 * 480));
        assert_eq!(pixels(&jpeg(&[frame(1, 1), frame(60_000, 60_000)])), Some(3_600_000_000));
    }

    #[test]
    fn fill_bytes_hide_nothing() {
        // Who takes the second fill byte for a marker reads a length of 0xc000, and skips the large header.
        let large = [vec![0xff], frame(60_000, 60_000)].concat();
        assert_eq!(pixels(&jpeg(&[large, vec![0xff, 0xff, 0xff], frame(1, 1)])), Some(3_600_000_000));
    }

    #[test]
    fn what_has_no_segments_is_unknown() {
        assert_eq!(pixels(&jpeg(&[])), None);
        assert_eq!(pixels(&jpeg(&[b"junk".to_vec(), frame(1, 1)])), None);
        assert_eq!(pixels(&jpeg(&[vec![0xff, 0xd8], frame(1, 1)])), None);
        assert_eq!(pixels(&[vec![0xff, 0xd8], frame(1, 1)].concat()), None);
    }
}
