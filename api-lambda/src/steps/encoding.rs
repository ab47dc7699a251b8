//! The text of a body. JSON between systems is UTF-8 (RFC 8259, section 8.1); what else came is named, so that its
//! sender knows what to change.

use std::str::{self, Utf8Error};

use super::syntax::Place;

/// The byte order marks of other encodings than UTF-8, the longer ones first.
const MARKS: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", "UTF-32 (little-endian)"),
    (b"\0\0\xfe\xff", "UTF-32 (big-endian)"),
    (b"\xff\xfe", "UTF-16 (little-endian)"),
    (b"\xfe\xff", "UTF-16 (big-endian)"),
];

/// The beginnings of bodies that are no text.
const COMPRESSED: [(&[u8], &str); 3] =
    [(b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"PK\x03\x04", "zip")];

/// The text of a body, without a byte order mark. The error says which encoding the body seems to have.
pub(super) fn text(body: &[u8]) -> Result<&str, String> {
    let begins = |(beginning, name): &(&[u8], &'static str)| body.starts_with(beginning).then_some(*name);
    if let Some(name) = COMPRESSED.iter().find_map(begins) {
        return Err(format!("the body is compressed with {name}; send it without compression, as UTF-8"));
    }
    if let Some(name) = MARKS.iter().find_map(begins).or_else(|| by_zeros(body)) {
        return Err(format!("the body is not UTF-8 but {name}; send it as UTF-8"));
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    str::from_utf8(body).map_err(|error| not_utf8(body, error))
}

/// JSON begins with ASCII, whose other bytes are 0 in a wide encoding (RFC 4627, section 3).
fn by_zeros(body: &[u8]) -> Option<&'static str> {
    match body.first_chunk::<4>()?.map(|byte| byte == 0) {
        [true, true, true, false] => Some("UTF-32 (big-endian)"),
        [false, true, true, true] => Some("UTF-32 (little-endian)"),
        [true, false, true, false] => Some("UTF-16 (big-endian)"),
        [false, true, false, true] => Some("UTF-16 (little-endian)"),
        _ => None,
    }
}

fn not_utf8(body: &[u8], error: Utf8Error) -> String {
    let (valid, rest) = body.split_at(error.valid_up_to());
    let place = Place::after(&String::from_utf8_lossy(valid));
    let byte = rest.first().copied().unwrap_or_default();
    let advice = match rest {
        _ if error.error_len().is_none() => "its last character is incomplete; send the whole body",
        // A surrogate, which UTF-8 does not encode: CESU-8, or a string of JavaScript's cut in two.
        [0xed, 0xa0..=0xbf, ..] => "it holds one half of a surrogate pair; send whole characters",
        [0x80..=0x9f, next, ..] if next.is_ascii() => "it looks like Windows-1252; send it as UTF-8",
        [_, next, ..] if next.is_ascii() => "it looks like Latin-1 or Windows-1252; send it as UTF-8",
        _ => "it looks like an older encoding (Latin-1, Windows-1252, Shift_JIS, GBK); send it as UTF-8",
    };
    format!("the body is not UTF-8: byte 0x{byte:02X} at {place}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_other_encoding_is_named() {
        let utf16 =
            |bytes: fn(u16) -> [u8; 2]| "{\"a\": 1}".encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let utf32: Vec<u8> = "{\"a\"".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        for (body, named) in [
            (utf16(u16::to_le_bytes), "UTF-16 (little-endian)"),
            (utf16(u16::to_be_bytes), "UTF-16 (big-endian)"),
            ([b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(), "UTF-16 (little-endian)"),
            ([b"\xfe\xff".to_vec(), utf16(u16::to_be_bytes)].concat(), "UTF-16 (big-endian)"),
            (utf32, "UTF-32 (little-endian)"),
            (b"\xff\xfe\0\0{\0\0\0".to_vec(), "UTF-32 (little-endian)"),
            (b"{\"a\":\n \"S\xe3o Paulo\"}".to_vec(), "0xE3 at line 2 column 4; it looks like Latin-1"),
            (b"{\"a\": \"\x93quoted\x94\"}".to_vec(), "Windows-1252"),
            (b"{\"a\": \"\x83e\x83X\x83g\"}".to_vec(), "Windows-1252"),
            ("{\"a\": \"\u{732b}".as_bytes()[..9].to_vec(), "incomplete"),
            (b"{\"a\": \"\xed\xa0\xbd\"}".to_vec(), "surrogate"),
            (b"\x1f\x8b\x08\0".to_vec(), "gzip"),
        ] {
            let why = text(&body).unwrap_err();
            assert!(why.contains(named), "{named}: {why}");
        }
    }

    #[test]
    fn utf_8_is_taken_with_and_without_its_mark() {
        for body in ["{\"a\": \"São 猫 🎛\"}", "\u{feff}{\"a\": \"São 猫 🎛\"}"] {
            assert_eq!(text(body.as_bytes()), Ok("{\"a\": \"São 猫 🎛\"}"));
        }
        assert_eq!(text(b""), Ok(""));
        assert_eq!(text(b"1"), Ok("1"));
    }
}
