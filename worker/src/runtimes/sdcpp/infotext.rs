//! The text that the server puts into a PNG: prompts, then parameters as SD WebUI writes them. A response has no other place for the
//! random seed.

/// The keyword of its chunk.
const KEYWORD: &[u8] = b"parameters\0";

/// The longest text that is reported, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The text, if the file is a PNG that has one.
pub(super) fn of_png(file: &[u8]) -> Option<String> {
    let mut rest = file.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    loop {
        // Length, type, data, checksum (PNG, "Chunk layout").
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        match kind {
            b"tEXt" => {
                if let Some(text) = data.strip_prefix(KEYWORD).filter(|text| text.len() <= MAX_BYTES) {
                    return Some(String::from_utf8_lossy(text).into_owned());
                }
            }
            // The server writes texts before the pixels.
            b"IDAT" => return None,
            _ => {}
        }
        rest = after.get(4..)?;
    }
}

/// The seed in such a text. The prompts, which may hold anything, come before it.
pub(super) fn seed(text: &str) -> Option<i64> {
    let (_, after) = text.rsplit_once("Seed: ")?;
    after.split([',', '\n']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
        [&(data.len() as u32).to_be_bytes(), kind, data, &[0; 4]].concat()
    }

    #[test]
    fn the_text_stands_before_the_pixels() {
        let text = chunk(b"tEXt", b"parameters\0a cat, Seed: 1\nSteps: 2, Seed: 7, Size: 64x64");
        let (head, pixels) = (chunk(b"IHDR", &[0; 13]), chunk(b"IDAT", &[0; 8]));
        let png = |chunks: &[&[u8]]| [b"\x89PNG\r\n\x1a\n", chunks.concat().as_slice()].concat();
        let found = of_png(&png(&[&head, &text, &pixels])).unwrap();
        assert!(found.starts_with("a cat"));
        assert_eq!(seed(&found), Some(7));
        assert_eq!(of_png(&png(&[&head, &pixels, &text])), None);
    }

    #[test]
    fn a_file_that_is_cut_or_lies_has_none() {
        let lies = [b"\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXt".as_slice(), KEYWORD].concat();
        for file in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0", &lies] {
            assert_eq!(of_png(file), None);
        }
        assert_eq!((seed("no seed"), seed("Seed: x")), (None, None));
    }
}
