//! Loader nodes of ComfyUI: where a workflow takes in files, and which values may stand there.
//!
//! A loader takes an address or a data URI, which the worker turns into an uploaded file, or the plain name of a file
//! that the runtime has. Bare base64 looks like a file name and is taken for one.

use serde_json::{Map, Value};

use super::class_type;
use crate::content::{Media, MediaField};
use crate::image_source::{ImageSource, decode_base64};
use crate::violation::pointer_segment;
use crate::{Violation, ViolationCode};

/// An input of a node class that names a file in the runtime's input folder.
struct Loader {
    class: &'static str,
    input: &'static str,
    media: Media,
}

const fn loader(class: &'static str, input: &'static str, media: Media) -> Loader {
    Loader { class, input, media }
}

/// The loaders of ComfyUI itself and of VideoHelperSuite (`VHS_`).
const LOADERS: [Loader; 8] = [
    loader("LoadImage", "image", Media::Image),
    loader("LoadImageMask", "image", Media::Image),
    loader("LoadImageOutput", "image", Media::Image),
    loader("LoadVideo", "file", Media::Video),
    loader("LoadAudio", "audio", Media::Audio),
    loader("VHS_LoadVideo", "video", Media::Video),
    loader("VHS_LoadVideoFFmpeg", "video", Media::Video),
    loader("VHS_LoadAudioUpload", "audio", Media::Audio),
];

/// The loader inputs that hold an address or a data URI.
pub(in crate::content) fn media_fields(nodes: &Map<String, Value>) -> Vec<MediaField> {
    loaded(nodes)
        .filter(|field| is_address(field.value))
        .map(|field| MediaField {
            pointer: field.pointer(),
            value: field.value.to_owned(),
            media: field.media,
        })
        .collect()
}

/// Loader inputs that hold neither a good address nor a plain file name.
pub(super) fn violations(nodes: &Map<String, Value>) -> Vec<Violation> {
    let wrong = |field: Loaded<'_>| {
        if is_address(field.value) {
            let message = bad_address(field.value)?;
            return Some(Violation::new(field.pointer(), ViolationCode::InvalidImage, message));
        }
        let message = "must be a URL, an `s3://` address, a data URI, or the plain name of a file in the runtime's input \
                       folder: no `..`, no `\\`, no leading `/`, no ` [output]`";
        let refused = reaches_beyond_inputs(field.value);
        refused.then(|| Violation::new(field.pointer(), ViolationCode::NotAllowed, message))
    };
    loaded(nodes).filter_map(wrong).collect()
}

/// A text in a loader input.
struct Loaded<'a> {
    id: &'a str,
    input: &'static str,
    value: &'a str,
    media: Media,
}

impl Loaded<'_> {
    fn pointer(&self) -> String {
        format!("/{}/inputs/{}", pointer_segment(self.id), self.input)
    }
}

fn loaded(nodes: &Map<String, Value>) -> impl Iterator<Item = Loaded<'_>> {
    nodes.iter().filter_map(|(id, node)| {
        let class = class_type(node)?;
        let loader = LOADERS.iter().find(|loader| loader.class == class)?;
        let value = node.get("inputs")?.get(loader.input)?.as_str()?;
        Some(Loaded { id, input: loader.input, value, media: loader.media })
    })
}

fn is_address(value: &str) -> bool {
    let is_data_uri = value.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    is_data_uri || value.contains("://")
}

fn bad_address(value: &str) -> Option<String> {
    match ImageSource::parse(value) {
        Ok(ImageSource::Base64(data)) if decode_base64(data).is_none() => {
            Some("is not valid base64".to_owned())
        }
        Ok(_) => None,
        Err(why) => Some(why.to_string()),
    }
}

/// Whether a file name could reach files of other tasks or of the machine: ComfyUI takes ` [output]`, ` [temp]` and
/// ` [input]` at the end for the folder to look in.
fn reaches_beyond_inputs(name: &str) -> bool {
    let trimmed = name.trim();
    let annotated = ["[output]", "[temp]", "[input]"].iter().any(|folder| trimmed.ends_with(folder));
    let drive = trimmed.as_bytes().get(1) == Some(&b':');
    annotated
        || drive
        || trimmed.starts_with('/')
        || name.contains('\\')
        || name.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn load_image(value: &str) -> Map<String, Value> {
        let node = json!({"a/b": {"class_type": "LoadImage", "inputs": {"image": value}}});
        node.as_object().cloned().unwrap()
    }

    #[test]
    fn addresses_and_data_uris_in_loaders_are_media() {
        for value in ["https://a/b.png", "s3://bucket/b.png", "data:image/png;base64,AAAA"] {
            let fields = media_fields(&load_image(value));
            assert_eq!(fields[0].pointer, "/a~1b/inputs/image");
            assert_eq!((fields[0].value.as_str(), fields[0].media), (value, Media::Image));
            assert!(violations(&load_image(value)).is_empty());
        }
    }

    #[test]
    fn plain_file_names_are_left_to_the_runtime() {
        for value in ["example.png", "clips/猫 1.png", "iVBORw0KGgo=", "a..b.png"] {
            assert!(media_fields(&load_image(value)).is_empty(), "{value}");
            assert!(violations(&load_image(value)).is_empty(), "{value}");
        }
    }

    #[test]
    fn names_that_reach_other_files_are_refused() {
        for value in [
            "x.png [output]",
            "x.png[temp]",
            "x.png [input] ",
            "../x.png",
            "a/../x.png",
            "/etc/x",
            "C:/x",
            "a\\x.png",
        ] {
            let found = violations(&load_image(value));
            assert_eq!(found[0].code, ViolationCode::NotAllowed, "{value}");
        }
    }

    #[test]
    fn other_schemes_and_broken_data_are_no_media() {
        for value in
            ["file:///etc/passwd", "ftp://a/b", "s3://bucket", "data:text/plain,x", "data:image/png;base64,!"]
        {
            let found = violations(&load_image(value));
            assert_eq!(found[0].code, ViolationCode::InvalidImage, "{value}");
        }
    }

    #[test]
    fn addresses_outside_loaders_are_plain_text() {
        let nodes = json!({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "https://a/b.png"}}});
        assert!(media_fields(nodes.as_object().unwrap()).is_empty());
    }
}
