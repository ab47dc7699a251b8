//! What an image field of a task may hold: an address to fetch the image from, or the image itself.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as runtimes take it: the standard alphabet, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The value of an image field, told apart by its beginning.
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

/// Why a text is no image source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImageSource {
    /// A URL of another scheme.
    #[error("the scheme of the URL must be `https`, `http` or `s3`")]
    Scheme,
    /// `s3://` without a bucket and a key.
    #[error("an S3 address must have the form `s3://bucket/key`")]
    S3Form,
    /// A data URI that is not base64.
    #[error("a data URI must have the form `data:<media type>;base64,<data>`")]
    DataUri,
    /// Neither an address nor base64.
    #[error("must be an `https`, `http` or `s3` URL, a data URI or base64")]
    Neither,
}

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
    /// Tells what a text is, without decoding it.
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
                    _ => Err(NotAnImageSource::S3Form),
                }
            }
            Some("data") => match text.split_once(',') {
                Some((head, data)) if head.to_ascii_lowercase().ends_with(";base64") => {
                    Ok(Self::Base64(data))
                }
                _ => Err(NotAnImageSource::DataUri),
            },
            Some(_) => Err(NotAnImageSource::Scheme),
            None if text.is_empty() => Err(NotAnImageSource::Neither),
            None => Ok(Self::Base64(text)),
        }
    }
}

/// Decodes base64 as runtimes do: line breaks are allowed, padding may be missing. `None` if it is not base64.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    // Nearly all of it is well-formed: the quick way is tried first, and line breaks are looked for last.
    base64_simd::STANDARD.decode_to_vec(text).ok().or_else(|| LENIENT.decode(text).ok()).or_else(|| {
        let packed: String = text.split_ascii_whitespace().collect();
        LENIENT.decode(packed).ok()
    })
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
        assert_eq!(ImageSource::parse("file:///etc/passwd"), Err(NotAnImageSource::Scheme));
        assert_eq!(ImageSource::parse("s3://b"), Err(NotAnImageSource::S3Form));
        assert_eq!(ImageSource::parse("data:text/plain,hello"), Err(NotAnImageSource::DataUri));
        assert_eq!(ImageSource::parse(" "), Err(NotAnImageSource::Neither));
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
}
