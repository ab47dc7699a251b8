//! What a file is, by its first bytes: the formats of images that are taken, and names for what people send in their
//! place.

use std::str;

/// A kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the formats")]
pub enum ImageKind {
    Png,
    Jpeg,
    WebP,
    Gif,
    Bmp,
    Tiff,
    Avif,
}

/// A format of images that runtimes take.
#[derive(Debug)]
pub struct ImageFormat {
    /// Which one.
    pub kind: ImageKind,
    /// What people call it.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its usual extension, without a dot.
    pub extension: &'static str,
    begins: fn(&[u8]) -> bool,
}

/// All of them. Others that Pillow reads (ICO, PSD, PNM, JPEG 2000, ...) hide images in images, or are hardly ever sent.
pub const IMAGE_FORMATS: [ImageFormat; 7] = [
    ImageFormat {
        kind: ImageKind::Png,
        name: "PNG",
        content_type: "image/png",
        extension: "png",
        begins: |file| file.starts_with(b"\x89PNG\r\n\x1a\n"),
    },
    ImageFormat {
        kind: ImageKind::Jpeg,
        name: "JPEG",
        content_type: "image/jpeg",
        extension: "jpg",
        begins: |file| file.starts_with(b"\xff\xd8\xff"),
    },
    ImageFormat {
        kind: ImageKind::WebP,
        name: "WebP",
        content_type: "image/webp",
        extension: "webp",
        begins: |file| file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP"),
    },
    ImageFormat {
        kind: ImageKind::Gif,
        name: "GIF",
        content_type: "image/gif",
        extension: "gif",
        begins: |file| file.starts_with(b"GIF87a") || file.starts_with(b"GIF89a"),
    },
    ImageFormat {
        kind: ImageKind::Bmp,
        name: "BMP",
        content_type: "image/bmp",
        extension: "bmp",
        begins: |file| file.starts_with(b"BM"),
    },
    ImageFormat {
        kind: ImageKind::Tiff,
        name: "TIFF",
        content_type: "image/tiff",
        extension: "tif",
        begins: |file| file.len() > 4 && [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].contains(&&file[..4]),
    },
    ImageFormat {
        kind: ImageKind::Avif,
        name: "AVIF",
        content_type: "image/avif",
        extension: "avif",
        begins: |file| file.get(4..8) == Some(b"ftyp") && brands(file).any(|brand| brand == b"avif"),
    },
];

/// Beginnings of videos and sounds that ComfyUI's nodes take. Those of ISO media (MP4, QuickTime, HEIC) stand behind a length.
const VIDEOS_AND_SOUNDS: [&[u8]; 11] = [
    b"\x1a\x45\xdf\xa3",
    b"RIFF",
    b"FORM",
    b"OggS",
    b"fLaC",
    b"ID3",
    b"\xff\xfb",
    b"\xff\xf1",
    b"FLV\x01",
    b"\0\0\x01\xba",
    b"\x30\x26\xb2\x75",
];

/// Whether a file seems to be an image, a video or a sound, by its first bytes.
pub fn is_media(head: &[u8]) -> bool {
    let is_iso = |kind: &[u8]| [b"ftyp", b"moov", b"mdat"].iter().any(|known| kind == *known);
    image_format(head).is_some()
        || head.get(4..8).is_some_and(is_iso)
        || VIDEOS_AND_SOUNDS.iter().any(|beginning| head.starts_with(beginning))
}

/// How many bytes of a file are enough to recognise its format.
pub const HEAD_BYTES: usize = 512;

/// The format of an image, by its first bytes.
pub fn image_format(head: &[u8]) -> Option<&'static ImageFormat> {
    IMAGE_FORMATS.iter().find(|format| (format.begins)(head))
}

/// The brands of an ISO media file: the main one and the compatible ones; between them stands a version.
pub fn brands(file: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let length = file.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(file.len());
    let listed = file.get(16..end).unwrap_or_default().as_chunks().0;
    file.get(8..12).and_then(<[u8]>::first_chunk).into_iter().chain(listed)
}

/// What [`described`] calls a web page.
pub const WEB_PAGE: &str = "a web page (HTML)";

/// What [`described`] calls a file that is compressed with gzip.
pub const GZIP: &str = "compressed with gzip";

/// Beginnings of files, and what such a file is.
const BEGINNINGS: [(&[u8], &str); 31] = [
    (b"\x1f\x8b", GZIP),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"fLaC", "a FLAC file"),
    (b"glTF", "a 3D model (glTF)"),
    (b"#EXTM3U", "a playlist"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
    (b"<!doctype html", WEB_PAGE),
    (b"<html", WEB_PAGE),
    (b"<head", WEB_PAGE),
    (b"<body", WEB_PAGE),
    (b"<script", WEB_PAGE),
    (b"<svg", "an SVG drawing"),
    (b"data:", "the text of a data URI"),
    (b"ivborw0kggo", "the base64 text of an image"),
    (b"/9j/", "the base64 text of an image"),
    (b"uklgr", "the base64 text of an image"),
];

/// What a file is that is not what its field takes, as the end of a sentence: "it is …".
pub fn described(file: &[u8]) -> &'static str {
    let head = &file[..file.len().min(HEAD_BYTES)];
    if head.is_empty() {
        return "empty";
    }
    if let Some(format) = image_format(head) {
        return format.content_type;
    }
    let begins = |head: &[u8]| {
        let same = |beginning: &[u8]| {
            head.get(..beginning.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(beginning))
        };
        BEGINNINGS.iter().find(|(beginning, _)| same(beginning)).map(|(_, name)| *name)
    };
    if let Some(name) = begins(head) {
        return name;
    }
    if head.get(4..8) == Some(b"ftyp") {
        let is_heif = brands(head).any(|brand| [b"heic", b"heix", b"mif1", b"msf1"].contains(&brand));
        return if is_heif { "a HEIC image" } else { "an MP4 or QuickTime video" };
    }
    if head.starts_with(b"RIFF") {
        return "a WAV or AVI file";
    }
    of_text(head, begins).unwrap_or("of no type that is known")
}

/// What a text is, white space and prologue aside.
fn of_text(head: &[u8], begins: impl Fn(&[u8]) -> Option<&'static str>) -> Option<&'static str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = match str::from_utf8(head) {
        Ok(text) => text,
        // The end may cut a character in two.
        Err(error) if error.error_len().is_none() => str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let is_binary = |c: char| c.is_control() && !c.is_whitespace();
    if text.is_empty() || text.contains(is_binary) {
        return None;
    }
    let text = text.trim_start();
    if let Some(name) = begins(text.as_bytes()) {
        return Some(name);
    }
    let lower = text.to_ascii_lowercase();
    Some(match text.chars().next() {
        Some('<') if lower.contains("<html") => WEB_PAGE,
        Some('<') if lower.contains("<svg") => "an SVG drawing",
        Some('<') => "XML or HTML",
        Some('{' | '[') => "JSON",
        _ => "text",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_recognised_by_their_first_bytes() {
        for (head, name) in [
            (&b"\x89PNG\r\n\x1a\n\0"[..], Some("PNG")),
            (b"\xff\xd8\xff\xe0", Some("JPEG")),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some("WebP")),
            (b"GIF89a", Some("GIF")),
            (b"II*\0\x08", Some("TIFF")),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Some("AVIF")),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", None),
            (b"RIFF\x24\0\0\0WAVE", None),
            (b"", None),
        ] {
            assert_eq!(image_format(head).map(|format| format.name), name, "{head:?}");
        }
    }

    #[test]
    fn what_people_send_in_place_of_images_has_a_name() {
        for (file, name) in [
            (&b""[..], "empty"),
            (b"\x1f\x8b\x08\0", "compressed with gzip"),
            (b"<!DOCTYPE HTML><html>", "a web page (HTML)"),
            (b"\xef\xbb\xbf\n <html lang=en>", "a web page (HTML)"),
            (b"<!-- saved --><html>", "a web page (HTML)"),
            (b"<?xml version='1.0'?><svg xmlns='x'/>", "an SVG drawing"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML or HTML"),
            (b" {\"error\": 1}", "JSON"),
            (b"hello \xe7\x8c", "text"),
            (b"iVBORw0KGgoAAAA", "the base64 text of an image"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, not the file itself"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image"),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "an MP4 or QuickTime video"),
            (b"\xb2\xda\xe2\x9e", "of no type that is known"),
            (b"GIF89a", "image/gif"),
        ] {
            assert_eq!(described(file), name, "{file:?}");
        }
    }
}
