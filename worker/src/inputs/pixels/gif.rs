//! GIF: every frame is drawn on a canvas that grows with frames which stand out of it.

use super::{Extent, Sizes, le16, offset};

/// The length of the header with the logical screen, before its colours.
const HEADER: usize = 13;

/// Walks over the blocks as Pillow does: unknown bytes are skipped, and the end of the file is an end like any other.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    let (mut right, mut bottom) = (le16(image, 6)?, le16(image, 8)?);
    let mut frames = 0;
    let mut at = HEADER + colours(*image.get(10)?);
    loop {
        match image.get(at) {
            // An extension: its label, then blocks.
            Some(b'!') => at = after_blocks(image, at + 2),
            // A frame: its place and size, its colours, a byte that belongs to its compression, then blocks.
            Some(b',') if image.len() > at + 9 => {
                frames += 1;
                right = right.max(le16(image, at + 1)? + le16(image, at + 5)?);
                bottom = bottom.max(le16(image, at + 3)? + le16(image, at + 7)?);
                at = after_blocks(image, at + 11 + colours(image[at + 9]));
            }
            None | Some(b';' | b',') => break,
            Some(_) => at += 1,
        }
    }
    let mut sizes = Sizes::default();
    sizes.add(right, bottom)?;
    sizes.extent(frames)
}

/// How many bytes a table of colours takes, by the flags that announce it.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Where a row of blocks ends: each begins with its length, an empty one is the last.
fn after_blocks(image: &[u8], mut at: usize) -> usize {
    while let Some(length) = image.get(at) {
        at += 1 + offset((*length).into());
        if *length == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    fn screen(width: u16, height: u16) -> Vec<u8> {
        [&b"GIF89a"[..], &width.to_le_bytes(), &height.to_le_bytes(), &[0x80, 0, 0], &[0; 6]].concat()
    }

    fn frame(x: u16, y: u16, width: u16, height: u16) -> Vec<u8> {
        let place = [x, y, width, height].map(u16::to_le_bytes).concat();
        [b",", &place[..], &[0x81], &[0; 12], &[2, 3, b',', b';', b'!', 0]].concat()
    }

    const EXTENSION: &[u8] = &[b'!', 0xf9, 4, 0, 0, 0, 0, 0];

    fn gif(blocks: &[Vec<u8>]) -> Vec<u8> {
        [blocks.concat(), b";".to_vec()].concat()
    }

    #[test]
    fn frames_count_and_colours_and_data_are_no_blocks() {
        let still = gif(&[screen(64, 48), EXTENSION.to_vec(), frame(0, 0, 64, 48)]);
        assert_eq!(pixels(&still), Some(64 * 48));
        let animated = [EXTENSION.to_vec(), frame(10, 10, 5, 5)].concat();
        assert_eq!(pixels(&gif(&[screen(100, 100), animated.repeat(300)])), Some(3_000_000));
    }

    #[test]
    fn a_frame_that_stands_out_enlarges_the_canvas() {
        let bomb = gif(&[screen(1, 1), frame(0, 0, 1, 1), frame(10, 0, 50_000, 50_000)]);
        assert_eq!(pixels(&bomb), Some(2 * 50_010 * 50_000));
    }

    #[test]
    fn junk_hides_no_frame_and_a_cut_file_ends() {
        let junk = gif(&[screen(1, 1), vec![0, 7], frame(0, 0, 50_000, 50_000)]);
        assert_eq!(pixels(&junk), Some(2_500_000_000));
        let whole = gif(&[screen(64, 48), frame(0, 0, 64, 48)]);
        for length in HEADER..whole.len() {
            assert!(pixels(&whole[..length]).unwrap() <= 64 * 48, "{length}");
        }
        assert_eq!(pixels(b"GIF89a"), None);
    }
}
