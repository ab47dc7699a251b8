//! The media type of a file: from its bytes where they define it, else from its name in the runtime. Stored are the image, sound and video
//! types that `infer` finds, and types of these lists; anything else is `application/octet-stream`, which a browser saves.
//!
//! A presigned URL opens in a browser, within the origin of the bucket. What could run there (HTML, SVG, XML, scripts, PDF)
//! is stored as an attachment, and markup and scripts as plain text: S3 answers both to every reader of the URL.

use shared_schema::keys::MAX_EXTENSION_BYTES;

use crate::runtimes::OutputFile;

const UNKNOWN: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

/// How a file is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaType {
    /// Its `Content-Type`.
    pub(super) name: &'static str,
    /// The extension of its key, without the dot.
    pub(super) extension: String,
    /// Whether a browser must save it instead of showing it.
    pub(super) is_attachment: bool,
}

/// How many bytes say whether a file is text.
const TEXT_STARTS_WITH: usize = 512;

/// Types that `infer` finds in the bytes, by its names, and what they are stored as; those that are missing here have the
/// registered name already, or are unknown.
const RENAMED: [(&str, &str); 6] = [
    ("audio/x-flac", "audio/flac"),
    ("audio/opus", "audio/ogg"),
    ("audio/x-wav", "audio/wav"),
    ("audio/m4a", "audio/mp4"),
    ("audio/x-aiff", "audio/aiff"),
    ("video/x-m4v", "video/mp4"),
];

/// Bytes that `infer` does not know: offset, magic, type, extension.
const MAGIC: [(usize, &[u8], &str, &str); 8] = [
    (0, b"glTF", "model/gltf-binary", "glb"),
    (0, b"\x76\x2f\x31\x01", "image/x-exr", "exr"),
    (0, b"#?RADIANCE", "image/vnd.radiance", "hdr"),
    (0, b"#?RGBE", "image/vnd.radiance", "hdr"),
    (0, b"DDS ", "image/vnd-ms.dds", "dds"),
    (0, b"ply\n", "model/ply", "ply"),
    (0, b"ply\r\n", "model/ply", "ply"),
    (0, b"\x93NUMPY", UNKNOWN, "npy"),
];

/// Formats without a magic number, or within a container, by the extension of their name. None of them is a type that a
/// browser runs; images, sound and video are never recognised by their name.
const NAMED: [(&str, &str); 27] = [
    ("txt", TEXT),
    ("log", TEXT),
    ("srt", TEXT),
    ("ass", TEXT),
    ("lrc", TEXT),
    ("yaml", TEXT),
    ("yml", TEXT),
    ("toml", TEXT),
    ("ini", TEXT),
    ("py", TEXT),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("gltf", "model/gltf+json"),
    ("obj", "model/obj"),
    ("mtl", "model/mtl"),
    ("stl", "model/stl"),
    ("3mf", "model/3mf"),
    ("usdz", "model/vnd.usdz+zip"),
    ("ply", UNKNOWN),
    ("splat", UNKNOWN),
    ("ksplat", UNKNOWN),
    ("spz", UNKNOWN),
    ("npz", UNKNOWN),
];

/// Markup and scripts, which browsers run under their own types.
const ACTIVE: [&str; 13] =
    ["html", "htm", "xhtml", "xht", "xml", "xsl", "xslt", "mhtml", "mht", "js", "mjs", "cjs", "swf"];

/// The media type of a file of a run.
pub(super) fn of(file: &OutputFile) -> MediaType {
    let (bytes, named) = (&file.bytes[..], extension(file.name.as_deref()));
    let inert =
        |name, extension: &str| MediaType { name, extension: extension.to_owned(), is_attachment: false };
    let attached = |name, extension: &str| MediaType { is_attachment: true, ..inert(name, extension) };

    if let Some((_, _, name, extension)) = MAGIC.iter().find(|(at, magic, ..)| has(bytes, *at, magic)) {
        return inert(name, extension);
    }
    if is_markup(bytes) {
        return match named.as_deref() {
            Some("svg") if !is_html(bytes) => attached("image/svg+xml", "svg"),
            _ if has(bytes.trim_ascii_start(), 0, b"<svg") => attached("image/svg+xml", "svg"),
            // Text that begins with a bracket: a prompt, subtitles, a table.
            Some(known) if NAMED.iter().any(|(extension, name)| *extension == known && *name != UNKNOWN) => {
                by_name(known)
            }
            _ if is_html(bytes) => attached(TEXT, "html"),
            Some(known) if ACTIVE.contains(&known) => attached(TEXT, known),
            _ => attached(TEXT, "txt"),
        };
    }
    // `infer` goes by as little as two letters: `BM`, `MZ`, `GIF`, `ID3`, which texts begin with, too.
    let inferred = infer::get(bytes).filter(|kind| kind.mime_type() == "application/pdf" || !is_text(bytes));
    match inferred.map(|kind| (kind.mime_type(), kind.extension())) {
        Some(("application/pdf", _)) => attached("application/pdf", "pdf"),
        None if has(bytes, 0, b"\x1a\x45\xdf\xa3") => {
            match bytes.windows(4).take(64).any(|part| part == b"webm") {
                true => inert("video/webm", "webm"),
                false => inert("video/x-matroska", "mkv"),
            }
        }
        // Quick Time's box format has brands without end.
        None if has(bytes, 4, b"ftyp") => match named.as_deref() {
            Some("mov") => inert("video/quicktime", "mov"),
            Some("m4a") => inert("audio/mp4", "m4a"),
            _ => inert("video/mp4", "mp4"),
        },
        Some((kind, extension)) if is_media(kind) => {
            let renamed = RENAMED.iter().find(|(known, _)| *known == kind);
            inert(renamed.map_or(kind, |(_, name)| name), extension)
        }
        // Archives and programs: a name that is more specific about an archive counts.
        Some((kind @ ("application/zip" | "application/gzip"), extension)) => match named.as_deref() {
            Some(known) if known != extension && !ACTIVE.contains(&known) => by_name(known),
            _ => inert(kind, extension),
        },
        Some((_, extension)) => attached(UNKNOWN, named.as_deref().unwrap_or(extension)),
        None => by_name(named.as_deref().unwrap_or("bin")),
    }
}

/// Whether the bytes begin as text in UTF-8, without control characters.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(TEXT_STARTS_WITH)];
    let start = match std::str::from_utf8(start) {
        Ok(start) => start,
        // The last character is cut.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    start.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\x0c'))
}

/// A type by the extension of a name alone.
fn by_name(extension: &str) -> MediaType {
    let is_attachment = ACTIVE.contains(&extension);
    let known = NAMED.iter().find(|(known, _)| *known == extension).map(|(_, name)| *name);
    let name = if is_attachment { TEXT } else { known.unwrap_or(UNKNOWN) };
    MediaType { name, extension: extension.to_owned(), is_attachment }
}

/// The extension of a name, if it is fit for a key.
fn extension(name: Option<&str>) -> Option<String> {
    let (_, ending) = name?.rsplit_once('.')?;
    let is_fit = (1..=MAX_EXTENSION_BYTES).contains(&ending.len())
        && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_fit.then(|| ending.to_ascii_lowercase())
}

fn is_media(kind: &str) -> bool {
    ["image/", "audio/", "video/"].iter().any(|family| kind.starts_with(family)) && kind != "image/svg+xml"
}

fn has(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// Whether a browser that guesses could take it for markup: its first character is `<`, after what parsers skip.
fn is_markup(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().first() == Some(&b'<')
}

/// Whether markup is HTML, by its beginning.
fn is_html(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(1024)].to_ascii_lowercase();
    let tags: [&[u8]; 6] = [b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<iframe"];
    let is_svg = beginning.windows(4).any(|part| part == b"<svg");
    !is_svg && tags.iter().any(|tag| beginning.windows(tag.len()).any(|part| part == *tag))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stored(bytes: &'static [u8], name: &str) -> (&'static str, String, bool) {
        let name = (!name.is_empty()).then(|| name.to_owned());
        let MediaType { name, extension, is_attachment } =
            of(&OutputFile { bytes: Bytes::from_static(bytes), name });
        (name, extension, is_attachment)
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";
    const SVG: &[u8] =
        b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>";

    #[test]
    fn a_text_that_begins_like_another_format_is_a_text() {
        for text in ["BMW parked in the rain", "GIF of a cat", "ID3 tags: none", "MZ, 猫", "%!PS", "FORM 7"]
        {
            assert_eq!(stored(text.as_bytes(), "caption.txt"), (TEXT, "txt".to_owned(), false), "{text}");
        }
        assert_eq!(stored(b"%PDF-1.4 without a comment", "x.txt").0, "application/pdf");
    }

    #[test]
    fn the_bytes_say_the_type_before_the_name_does() {
        for (bytes, name, kind, extension) in [
            (PNG, "x.jpg", "image/png", "png"),
            (PNG, "x.html", "image/png", "png"),
            (b"fLaC\0\0\0\x22", "x.flac", "audio/flac", "flac"),
            (
                b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead",
                "x.opus",
                "audio/ogg",
                "opus",
            ),
            (b"RIFF\x24\0\0\0WAVEfmt ", "x.wav", "audio/wav", "wav"),
            (b"glTF\x02\0\0\0", "x.glb", "model/gltf-binary", "glb"),
            (b"glTF\x02\0\0\0", "", "model/gltf-binary", "glb"),
            (b"\x76\x2f\x31\x01\x02\0\0\0", "x.exr", "image/x-exr", "exr"),
            (b"#?RADIANCE\nFORMAT", "x.hdr", "image/vnd.radiance", "hdr"),
            (b"ply\nformat ascii 1.0", "x.ply", "model/ply", "ply"),
            (b"\x1a\x45\xdf\xa3\x42\x82\x84webm", "x.webm", "video/webm", "webm"),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "x.mov", "video/quicktime", "mov"),
            (b"\0\0\0\x1cftypisom\0\0\x02\0", "x.mp4", "video/mp4", "mp4"),
            (b"\0\0\0\x1cftypzzzz\0\0\x02\0", "x.mp4", "video/mp4", "mp4"),
            (b"\0\0\0\x10ftypavif\0\0\0\0", "x.avif", "image/avif", "avif"),
            (b"\xff\x0a\xfa\x1f", "x.jxl", "image/jxl", "jxl"),
            (b"II*\0\x08\0\0\0\0\0\0\0\0\0\0\0", "x.tif", "image/tiff", "tif"),
            (b"\x1f\x8b\x08\0\0\0\0\0", "x.spz", UNKNOWN, "spz"),
            (b"PK\x03\x04\x14\0\0\0", "x.npz", UNKNOWN, "npz"),
            (b"PK\x03\x04\x14\0\0\0", "x.usdz", "model/vnd.usdz+zip", "usdz"),
            (b"PK\x03\x04\x14\0\0\0", "x.zip", "application/zip", "zip"),
        ] {
            assert_eq!(stored(bytes, name), (kind, extension.to_owned(), false), "{name}");
        }
    }

    #[test]
    fn a_name_decides_the_type_of_what_has_no_magic_number() {
        for (name, kind, extension) in [
            ("notes.md", "text/markdown; charset=utf-8", "md"),
            ("a.TXT", TEXT, "txt"),
            ("a.csv", "text/csv; charset=utf-8", "csv"),
            ("a.json", "application/json", "json"),
            ("a.gltf", "model/gltf+json", "gltf"),
            ("a.obj", "model/obj", "obj"),
            ("a.stl", "model/stl", "stl"),
            ("a.splat", UNKNOWN, "splat"),
            ("a.ksplat", UNKNOWN, "ksplat"),
            ("out_00001_.latent", UNKNOWN, "latent"),
            ("lora.safetensors", UNKNOWN, "safetensors"),
            ("a.png", UNKNOWN, "png"),
            ("a.b/c", UNKNOWN, "bin"),
            ("", UNKNOWN, "bin"),
        ] {
            assert_eq!(stored(b"?", name), (kind, extension.to_owned(), false), "{name}");
        }
    }

    #[test]
    fn what_a_browser_would_run_is_an_attachment_and_no_markup() {
        for (bytes, name, kind, extension) in [
            (HTML, "x.html", TEXT, "html"),
            (HTML, "x.png", TEXT, "html"),
            (HTML, "", TEXT, "html"),
            (HTML, "x.svg", TEXT, "html"),
            (b"\xef\xbb\xbf \n<ScRiPt>alert(1)</script>", "x.png", TEXT, "html"),
            (b"<a onclick=alert(1)>x</a>", "x.bin", TEXT, "txt"),
            (SVG, "x.svg", "image/svg+xml", "svg"),
            (b" <svg onload='alert(1)'/>", "", "image/svg+xml", "svg"),
            (
                b"<?xml version=\"1.0\"?><x:html xmlns:x=\"http://www.w3.org/1999/xhtml\"/>",
                "x.xhtml",
                TEXT,
                "xhtml",
            ),
            (b"<?xml version=\"1.0\"?><a/>", "x.xml", TEXT, "xml"),
            (b"alert(1)", "x.js", TEXT, "js"),
            (b"alert(1)", "x.html", TEXT, "html"),
            (b"PK\x03\x04\x14\0\0\0", "x.html", "application/zip", "zip"),
            (b"%PDF-1.7", "x.pdf", "application/pdf", "pdf"),
        ] {
            let is_attachment = kind != "application/zip";
            assert_eq!(stored(bytes, name), (kind, extension.to_owned(), is_attachment), "{name}");
        }
        // A text stays a text, whatever it begins with.
        assert_eq!(stored(b"<lora:x:1> a cat", "x.txt"), (TEXT, "txt".to_owned(), false));
        assert_eq!(stored(HTML, "x.json"), ("application/json", "json".to_owned(), false));
    }
}
