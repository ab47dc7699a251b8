//! What an image field of a task may hold: an address to fetch the image from, or the image itself.

mod mistaken;

use std::fmt;

use crate::content::Media;
use crate::file_kind::{HEAD_BYTES, image_format};

/// The value of an image field, recognised by its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ImageSource<'a> {
    /// `http://` or `https://`: fetched by the worker.
    Url(&'a str),
    /// `s3://bucket/key`: read by the worker.
    S3 {
        /// The bucket.
        bucket: &'a str,
        /// The key, not empty.
        key: &'a str,
    },
    /// Base64, bare or out of a data URI.
    Base64(&'a str),
}

/// Why a text is no image source: what it seems to be, and what to send instead. The text itself, which may be long or
/// secret, is repeated by its first characters at most.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {}", INSTEAD)]
pub struct NotAnImageSource {
    what: String,
}

/// What to send.
const INSTEAD: &str = "send an `https`, `http` or `s3` URL, a data URI, or the file in base64";

/// Only its kind: addresses hold secrets, and images are long.
impl fmt::Debug for ImageSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "Url",
            Self::S3 { .. } => "S3",
            Self::Base64(_) => "Base64",
        })
    }
}

impl<'a> ImageSource<'a> {
    /// Classifies a text without decoding it.
    pub fn parse(text: &'a str) -> Result<Self, NotAnImageSource> {
        let text = text.trim();
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => Ok(Self::Url(text)),
            Some("s3") => {
                match text["s3:".len()..].strip_prefix("//").and_then(|rest| rest.split_once('/')) {
                    Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                        Ok(Self::S3 { bucket, key })
                    }
                    _ => Err(NotAnImageSource::new("is an S3 address that is not `s3://bucket/key`")),
                }
            }
            Some("data") => match text.split_once(',') {
                Some((head, data)) if head.to_ascii_lowercase().ends_with(";base64") => {
                    Ok(Self::Base64(data))
                }
                _ => {
                    Err(NotAnImageSource::new("is a data URI that is not `data:<media type>;base64,<data>`"))
                }
            },
            Some(_) => Err(NotAnImageSource::new(mistaken::what(text))),
            None if text.is_empty() => Err(NotAnImageSource::new("is empty")),
            None => Ok(Self::Base64(text)),
        }
    }

    /// The same, with a look at base64: whether it is, and for an image field whether its first bytes are an image's.
    /// No more than these are decoded, so that a large image costs next to nothing.
    pub fn check(text: &'a str, media: Media) -> Result<Self, NotAnImageSource> {
        let source = Self::parse(text)?;
        if let Self::Base64(data) = source {
            let is_image = || image_format(&head(data)).is_some();
            if !is_base64(data) || (media == Media::Image && !is_image()) {
                return Err(NotAnImageSource::new(mistaken::what(text)));
            }
        }
        Ok(source)
    }
}

impl NotAnImageSource {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// Decodes base64 as runtimes do: line breaks are allowed, padding may be missing. `None` if it is not base64.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    // Nearly all of it is well-formed: the quick way is tried first.
    let strict = || base64_simd::STANDARD.decode_to_vec(text).ok();
    strict().or_else(|| is_base64(text).then(|| lenient(text.as_bytes())).flatten())
}

/// Whether [`decode_base64`] can decode a text, at a fraction of the cost, and without memory for it.
pub fn is_base64(text: &str) -> bool {
    let text = text.trim();
    if base64_simd::STANDARD.check(text.as_bytes()).is_ok() {
        return true;
    }
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            _ if padding == 0 && is_digit(byte) => digits += 1,
            _ => return false,
        }
    }
    match digits % 4 {
        0 => padding == 0,
        1 => false,
        rest => padding <= 4 - rest,
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// The first bytes of what a text is the base64 of; none where it is not base64.
pub(crate) fn head(text: &str) -> Vec<u8> {
    let digits = text.trim().bytes().filter(|byte| !byte.is_ascii_whitespace());
    let head: Vec<u8> = digits.take(HEAD_BYTES / 3 * 4).collect();
    lenient(&head).unwrap_or_default()
}

/// Decodes base64 with whitespace in it, with too little padding, or with bits left over.
fn lenient(text: &[u8]) -> Option<Vec<u8>> {
    let is_filling = |byte: &&u8| **byte == b'=' || byte.is_ascii_whitespace();
    let filling = text.iter().rev().take_while(is_filling).count();
    base64_simd::forgiving_decode_to_vec(&text[..text.len() - filling]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        assert_eq!(ImageSource::parse("https://a/b.png"), Ok(ImageSource::Url("https://a/b.png")));
        assert_eq!(ImageSource::parse("HTTP://a/b.png"), Ok(ImageSource::Url("HTTP://a/b.png")));
        assert_eq!(ImageSource::parse("s3://b/k/l.png"), Ok(ImageSource::S3 { bucket: "b", key: "k/l.png" }));
        assert_eq!(ImageSource::parse("data:image/png;base64,AAAA"), Ok(ImageSource::Base64("AAAA")));
        assert_eq!(ImageSource::parse("iVBORw0KGgo="), Ok(ImageSource::Base64("iVBORw0KGgo=")));
        for text in ["file:///etc/passwd", "s3://b", "data:text/plain,hello", " "] {
            assert!(ImageSource::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base64_is_an_image_by_its_first_bytes() {
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
        let large = format!("{png}{}", "A".repeat(1 << 20));
        let broken = format!("{}\n{}", &png[..5], &png[5..]);
        for text in [png, &format!("data:image/png;base64,{png}"), &large, &broken, "/9j/4AAQ", "R0lGODdh"] {
            assert!(ImageSource::check(text, Media::Image).is_ok(), "{text}");
        }
        for text in ["string", "AAAA", "data:image/png;base64,string", &format!("{large}!"), "PGh0bWw+"] {
            assert!(ImageSource::check(text, Media::Image).is_err(), "{text}");
        }
        assert!(ImageSource::check("data:video/mp4;base64,AAAA", Media::Video).is_ok());
        assert!(ImageSource::check("data:video/mp4;base64,AA!A", Media::Video).is_err());
    }

    #[test]
    fn base64_is_decoded_as_runtimes_do() {
        assert_eq!(decode_base64("aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode_base64("aGVs\nbG8").as_deref(), Some(&b"hello"[..]));
        for unpadded in ["aGVsbG8h", "aGVsbG8hIQ", "aGVsbG8hIQ=", "aGVsbG8hIR=="] {
            assert!(decode_base64(unpadded).is_some_and(|bytes| bytes.starts_with(b"hello!")), "{unpadded}");
        }
        assert_eq!(decode_base64("not base64!"), None);
    }

    #[test]
    fn what_counts_as_base64_can_be_decoded_and_nothing_else() {
        let alphabet = ['A', 'R', '/', '=', '\n', '!', '-'];
        for length in 0..=6 {
            for n in 0..alphabet.len().pow(length) {
                let text: String = (0..length)
                    .map(|place| alphabet[n / alphabet.len().pow(place) % alphabet.len()])
                    .collect();
                assert_eq!(is_base64(&text), decode_base64(&text).is_some(), "{text:?}");
            }
        }
    }
}
