//! What an input is: its bytes say so, not its name and not its server.

use bytes::Bytes;
use shared_schema::ErrorCode;
use shared_schema::content::{Media, MediaField};
use shared_schema::file_kind::{GZIP, IMAGE_FORMATS, WEB_PAGE, described, image_format};

use super::errors::not_media;
use super::{Input, pages, pixels};
use crate::error::TaskError;

/// So many bytes of text at its beginning make a file no medium.
const TEXT: usize = 8;

/// The input of a field, if it is what the field takes and no bomb: an image of at most `max_pixels`, all frames
/// together, or a video or sound file where the field takes one.
pub(super) fn check(field: &MediaField, bytes: Bytes, max_pixels: u64) -> Result<Input, TaskError> {
    let input = |bytes, content_type, extension| Input {
        pointer: field.pointer.clone(),
        bytes,
        content_type,
        extension,
    };
    if let Some(format) = image_format(&bytes).filter(|format| field.media.takes(format.content_type)) {
        let unreadable = || not_media(&format!("is a {} that is damaged or incomplete", format.name));
        let pixels = pixels::of(format.kind, &bytes).ok_or_else(unreadable)?.pixels;
        if pixels > max_pixels {
            let message = format!("the input has {pixels} pixels, more than {max_pixels}");
            return Err(TaskError::new(ErrorCode::InputTooLarge, message));
        }
        return Ok(input(bytes, format.content_type, format.extension));
    }
    let kind = infer::get(&bytes).filter(|kind| {
        let content_type = kind.mime_type();
        !content_type.starts_with("image/") && field.media.takes(content_type) && !is_text(&bytes)
    });
    match kind {
        Some(kind) => Ok(input(bytes, kind.mime_type(), kind.extension())),
        None => {
            let is = described(&bytes);
            let (must_be, advice) = (must_be(field.media), advice(field, is));
            Err(not_media(&format!("is {is}, but must be {must_be}{advice}")))
        }
    }
}

fn must_be(media: Media) -> String {
    match media {
        Media::Image => {
            format!("an image of one of these types: {}", IMAGE_FORMATS.map(|format| format.name).join(", "))
        }
        _ => media.to_string(),
    }
}

/// What to do about a file that is often sent in place of a medium, by what it is.
fn advice(field: &MediaField, is: &str) -> String {
    match is {
        WEB_PAGE => format!("; {}", pages::advice(&field.value)),
        GZIP => "; store it as it is, or with `Content-Encoding: gzip`".to_owned(),
        _ => String::new(),
    }
}

/// Playlists are text, and make players open the addresses and paths in them, whatever else they look like.
fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().take(TEXT).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(media: Media, bytes: &'static [u8]) -> Result<&'static str, ErrorCode> {
        let field = MediaField { pointer: "/x".to_owned(), value: String::new(), media };
        let input = check(&field, Bytes::from_static(bytes), 100).map_err(|error| error.code)?;
        Ok(input.content_type)
    }

    const BMP: &[u8] = b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0\x0a\0\0\0\x0a\0\0\0\x01\0";
    const MP4: &[u8] = b"\0\0\0\x18ftypisom\0\0\0\0isommp41";
    const WAV: &[u8] = b"RIFF\x24\0\0\0WAVEfmt ";

    #[test]
    fn a_field_gets_what_it_takes_and_nothing_else() {
        assert_eq!(checked(Media::Image, BMP), Ok("image/bmp"));
        assert_eq!(checked(Media::Video, BMP), Ok("image/bmp"));
        assert_eq!(checked(Media::Video, MP4), Ok("video/mp4"));
        assert_eq!(checked(Media::Audio, MP4), Ok("video/mp4"));
        assert_eq!(checked(Media::Audio, WAV), Ok("audio/x-wav"));
        for (media, bytes) in [
            (Media::Image, MP4),
            (Media::Image, WAV),
            (Media::Image, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            (Media::Image, b""),
            (Media::Image, b"\x1f\x8b\x08\0gzip"),
            (Media::Image, b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\x08\0\x03"),
            (Media::Image, b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0"),
            (Media::Video, WAV),
            (Media::Audio, BMP),
            // A playlist that one who looks at offset 12 takes for a film.
            (Media::Video, b"#EXTM3U\n#ABCmdat\nfile:///etc/passwd"),
            (Media::Audio, b"#EXTM3U\n#ABCmdat\nfile:///etc/passwd"),
        ] {
            assert_eq!(checked(media, bytes), Err(ErrorCode::InputNotMedia), "{media:?} {bytes:?}");
        }
    }

    #[test]
    fn what_is_often_sent_in_place_of_a_medium_comes_with_advice() {
        let field = MediaField { pointer: "/x".to_owned(), value: String::new(), media: Media::Image };
        for (bytes, advice) in [
            (&b"<!DOCTYPE html><html>"[..], Some("; link to the file itself")),
            (b"\x1f\x8b\x08\0", Some("; store it as it is")),
            (b"8BPS\0\x01", None),
        ] {
            let error = check(&field, Bytes::from_static(bytes), 100).unwrap_err();
            match advice {
                Some(advice) => assert!(error.message.contains(advice), "{}", error.message),
                None => assert!(!error.message.contains(';'), "{}", error.message),
            }
        }
    }

    #[test]
    fn pixels_are_bounded_and_must_be_known() {
        const LARGE: &[u8] = b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0\x0b\0\0\0\x0a\0\0\0\x01\0";
        const NONE: &[u8] = b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0\x0a\0\0\0\x01\0";
        assert_eq!(checked(Media::Image, LARGE), Err(ErrorCode::InputTooLarge));
        assert_eq!(checked(Media::Video, LARGE), Err(ErrorCode::InputTooLarge));
        assert_eq!(checked(Media::Image, NONE), Err(ErrorCode::InputNotMedia));
        assert_eq!(checked(Media::Image, b"BM"), Err(ErrorCode::InputNotMedia));
    }
}
