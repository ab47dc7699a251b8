//! TIFF and BigTIFF: a chain of pages, each a directory of tags.

use super::{Extent, Sizes, bytes, offset};

const WIDTH: u64 = 256;
const HEIGHT: u64 = 257;

/// All pages together. Of a tag that is there twice, Pillow believes the last one: here the larger counts.
///
/// Directories that take more bytes than the file has are read more than once: pages that follow themselves.
pub(super) fn extent(image: &[u8]) -> Option<Extent> {
    let file = File { image, is_little: image.starts_with(b"II"), is_big: image[..4].contains(&b'+') };
    let mut next = if file.is_big { file.number(8, 8)? } else { file.number(4, 4)? };
    let (mut sizes, mut pixels, mut bytes_left) = (Sizes::default(), 0_u64, image.len());
    while next != 0 {
        let page = file.page(offset(next))?;
        bytes_left = bytes_left.checked_sub(page.bytes)?;
        sizes.add(page.width, page.height)?;
        pixels = pixels.saturating_add(page.width.saturating_mul(page.height));
        next = page.next;
    }
    sizes.extent(1).map(|largest| Extent { pixels, ..largest })
}

struct File<'a> {
    image: &'a [u8],
    is_little: bool,
    is_big: bool,
}

struct Page {
    width: u64,
    height: u64,
    /// What the directory takes of the file.
    bytes: usize,
    /// Where the next page is; 0 after the last one.
    next: u64,
}

impl File<'_> {
    fn page(&self, at: usize) -> Option<Page> {
        let (count_bytes, entry_bytes, value_at, next_bytes) =
            if self.is_big { (8, 20, 12, 8) } else { (2, 12, 8, 4) };
        let count = offset(self.number(at, count_bytes)?);
        let entries = at.checked_add(count_bytes)?;
        let end = count.checked_mul(entry_bytes)?.checked_add(entries)?;
        let (mut width, mut height) = (None, None);
        for entry in self.image.get(entries..end).map(|_| (entries..end).step_by(entry_bytes))? {
            let side = match self.number(entry, 2)? {
                WIDTH => &mut width,
                HEIGHT => &mut height,
                _ => continue,
            };
            // One number of 16, 32 or 64 bits. No encoder writes a side in any other type.
            let value_bytes = match self.number(entry + 2, 2)? {
                3 => 2,
                4 => 4,
                16 if self.is_big => 8,
                _ => return None,
            };
            *side = (*side).max(Some(self.number(entry + value_at, value_bytes)?));
        }
        Some(Page { width: width?, height: height?, bytes: end - at, next: self.number(end, next_bytes)? })
    }

    /// The number of so many bytes at that place.
    fn number(&self, at: usize, length: usize) -> Option<u64> {
        match (length, self.is_little) {
            (2, true) => bytes(self.image, at).map(|bytes| u16::from_le_bytes(bytes).into()),
            (2, false) => bytes(self.image, at).map(|bytes| u16::from_be_bytes(bytes).into()),
            (4, true) => bytes(self.image, at).map(|bytes| u32::from_le_bytes(bytes).into()),
            (4, false) => bytes(self.image, at).map(|bytes| u32::from_be_bytes(bytes).into()),
            (_, true) => bytes(self.image, at).map(u64::from_le_bytes),
            (_, false) => bytes(self.image, at).map(u64::from_be_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(image: &[u8]) -> Option<u64> {
        extent(image).map(|extent| extent.pixels)
    }

    /// A small-endian file of these pages, each a list of tag, type and value.
    fn tiff(pages: &[&[(u16, u16, u32)]]) -> Vec<u8> {
        let mut file = b"II*\0\x08\0\0\0".to_vec();
        for (n, tags) in pages.iter().enumerate() {
            file.extend(u16::try_from(tags.len()).unwrap().to_le_bytes());
            for (tag, kind, value) in *tags {
                file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
                file.extend([1u32.to_le_bytes(), value.to_le_bytes()].concat());
            }
            let after = u32::try_from(file.len() + 4).unwrap();
            let next = if n + 1 == pages.len() { 0 } else { after };
            file.extend(next.to_le_bytes());
        }
        file
    }

    #[test]
    fn all_pages_count() {
        let page: &[(u16, u16, u32)] = &[(256, 3, 640), (257, 4, 480), (258, 3, 8)];
        assert_eq!(pixels(&tiff(&[page])), Some(640 * 480));
        assert_eq!(pixels(&tiff(&[page; 100])), Some(100 * 640 * 480));
    }

    #[test]
    fn of_a_tag_that_is_there_twice_the_larger_counts() {
        let twice = [(256, 3, 1), (257, 3, 1), (256, 4, 60_000), (257, 4, 60_000)];
        assert_eq!(pixels(&tiff(&[&twice])), Some(3_600_000_000));
    }

    #[test]
    fn other_orders_of_bytes_and_larger_files_are_read() {
        let old = b"MM\0*\0\0\0\x08\0\x02\x01\0\0\x03\0\0\0\x01\0\x40\0\0\x01\x01\0\x04\0\0\0\x01\0\0\0\x30\0\0\0\0";
        assert_eq!(pixels(old), Some(64 * 48));
        let mut big = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        for (tag, value) in [(256u16, 64u64), (257, 48)] {
            big.extend(
                [&tag.to_le_bytes()[..], &[16, 0], &1u64.to_le_bytes(), &value.to_le_bytes()].concat(),
            );
        }
        big.extend([0; 8]);
        assert_eq!(pixels(&big), Some(64 * 48));
    }

    #[test]
    fn loops_and_odd_types_have_no_size() {
        let mut looped = tiff(&[&[(256, 3, 1), (257, 3, 1)]]);
        let end = looped.len() - 4;
        looped[end] = 8;
        assert_eq!(pixels(&looped), None);
        assert_eq!(pixels(&tiff(&[&[(256, 12, 1), (257, 3, 1)]])), None);
        assert_eq!(pixels(&tiff(&[&[(256, 3, 1)]])), None);
        assert_eq!(pixels(b"II*\0\xff\xff\xff\xff"), None);
    }
}
