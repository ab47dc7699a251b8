//! Nodes of ComfyUI that open what a caller names: where a workflow takes in files, and which values may stand there.
//!
//! A loader takes an address, a data URI or the base64 of an image, which the worker turns into an uploaded file, or the
//! plain name of a file that the runtime has. What other extensions open is theirs to bound: see the lists of allowed
//! and denied nodes.

use serde_json::{Map, Value};

use super::class_type;
use super::file_names::{self, is_plain};
use crate::content::{Media, MediaField};
use crate::image_source::{ImageSource, decode_base64};
use crate::violation::pointer_segment;
use crate::{Violation, ViolationCode};

/// What an input of a node takes.
#[derive(Clone, Copy)]
enum Takes {
    /// A file of the runtime's input folder, which the worker can put there.
    Media(Media),
    /// A file or folder of the runtime's.
    Name,
    /// An object of such names.
    Names,
    /// A path from where the runtime was started, or even an address that the runtime fetches itself.
    Path,
}

/// An input of a node class that names something to open.
struct Opens {
    class: &'static str,
    input: &'static str,
    takes: Takes,
}

const fn opens(class: &'static str, input: &'static str, takes: Takes) -> Opens {
    Opens { class, input, takes }
}

const IMAGE: Takes = Takes::Media(Media::Image);
const VIDEO: Takes = Takes::Media(Media::Video);
const AUDIO: Takes = Takes::Media(Media::Audio);

/// Those of ComfyUI itself and of VideoHelperSuite (`VHS_`).
const OPENS: [Opens; 23] = [
    opens("LoadImage", "image", IMAGE),
    opens("LoadImageMask", "image", IMAGE),
    opens("LoadImageOutput", "image", IMAGE),
    opens("WebcamCapture", "image", IMAGE),
    opens("LoadVideo", "file", VIDEO),
    opens("LoadAudio", "audio", AUDIO),
    opens("LoadLatent", "latent", Takes::Name),
    opens("Load3D", "model_file", Takes::Name),
    opens("Load3D", "image", Takes::Names),
    opens("LoadImageDataSetFromFolder", "folder", Takes::Name),
    opens("LoadImageTextDataSetFromFolder", "folder", Takes::Name),
    opens("LoadTrainingDataset", "folder_name", Takes::Name),
    opens("SaveImageDataSetToFolder", "folder_name", Takes::Name),
    opens("SaveImageTextDataSetToFolder", "folder_name", Takes::Name),
    opens("SaveTrainingDataset", "folder_name", Takes::Name),
    opens("VHS_LoadVideo", "video", VIDEO),
    opens("VHS_LoadVideoFFmpeg", "video", VIDEO),
    opens("VHS_LoadAudioUpload", "audio", AUDIO),
    opens("VHS_LoadImages", "directory", Takes::Name),
    opens("VHS_LoadVideoPath", "video", Takes::Path),
    opens("VHS_LoadVideoFFmpegPath", "video", Takes::Path),
    opens("VHS_LoadImagesPath", "directory", Takes::Path),
    opens("VHS_LoadAudio", "audio_file", Takes::Path),
];

/// The beginnings of PNG, JPEG, GIF and WebP files in base64. Short texts with them may be names of files.
const IMAGES_IN_BASE64: [&str; 4] = ["iVBORw0KGgo", "/9j/", "R0lGODl", "UklGR"];
const SHORTEST_IMAGE: usize = 64;

/// The inputs that hold an address or an image.
pub(in crate::content) fn media_fields(nodes: &Map<String, Value>) -> Vec<MediaField> {
    let media_field = |opened: Opened<'_>| match (opened.takes, opened.value.as_str()) {
        (Takes::Media(media), Some(text)) if is_source(text) => {
            Some(MediaField { pointer: opened.pointer, value: text.to_owned(), media })
        }
        _ => None,
    };
    opened(nodes).filter_map(media_field).collect()
}

/// Inputs that hold neither what they take nor what stays within bounds.
pub(super) fn violations(nodes: &Map<String, Value>) -> Vec<Violation> {
    opened(nodes)
        .filter_map(|opened| {
            let (code, message) = wrong(opened.takes, opened.value)?;
            Some(Violation::new(opened.pointer, code, message))
        })
        .collect()
}

/// What is wrong with a value that names something to open.
fn wrong(takes: Takes, value: &Value) -> Option<(ViolationCode, String)> {
    let text = match value {
        Value::String(text) => text,
        // What comes through a link is seen by nobody before the node opens it.
        Value::Array(_) => {
            return Some((ViolationCode::NotAllowed, "must be written here, not linked".to_owned()));
        }
        // The runtime refuses these itself.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let (may_be, fits) = match takes {
        Takes::Media(_) if is_source(text) => {
            return bad_source(text).map(|message| (ViolationCode::InvalidImage, message));
        }
        Takes::Media(_) => (
            "a URL, an `s3://` address, a data URI, or the plain name of a file in the runtime's input folder",
            is_plain(text),
        ),
        Takes::Name | Takes::Names => ("a plain name", is_plain(text) && !text.contains("://")),
        Takes::Path => {
            let inside = text.strip_prefix("input/").is_some_and(is_plain);
            ("`input/` and the plain name of what is there", inside || text.is_empty())
        }
    };
    (!fits).then(|| (ViolationCode::NotAllowed, format!("must be {may_be}: {}", file_names::PLAIN)))
}

/// A value that names something to open.
struct Opened<'a> {
    pointer: String,
    value: &'a Value,
    takes: Takes,
}

fn opened(nodes: &Map<String, Value>) -> impl Iterator<Item = Opened<'_>> {
    nodes
        .iter()
        .flat_map(|(id, node)| {
            let class = class_type(node).unwrap_or_default();
            let of_class = OPENS.iter().filter(move |opens| opens.class == class);
            of_class.filter_map(move |opens| Some((id, opens, node.get("inputs")?.get(opens.input)?)))
        })
        .flat_map(|(id, opens, value)| {
            let pointer = format!("/{}/inputs/{}", pointer_segment(id), opens.input);
            let (pointer, value) = unwrapped(pointer, value);
            let takes = opens.takes;
            match (takes, value) {
                (Takes::Names, Value::Object(names)) => names
                    .iter()
                    .map(|(key, value)| Opened {
                        pointer: format!("{pointer}/{}", pointer_segment(key)),
                        value,
                        takes,
                    })
                    .collect(),
                _ => vec![Opened { pointer, value, takes }],
            }
        })
}

/// ComfyUI takes `{"__value__": x}` for x, so that a list can be told from a link.
fn unwrapped(pointer: String, value: &Value) -> (String, &Value) {
    match value.get("__value__") {
        Some(inner) => (format!("{pointer}/__value__"), inner),
        None => (pointer, value),
    }
}

/// Whether a text is an address or an image, not the name of a file.
fn is_source(text: &str) -> bool {
    let is_data_uri = text.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let is_image = text.len() >= SHORTEST_IMAGE
        && IMAGES_IN_BASE64.iter().any(|image| text.starts_with(image))
        && decode_base64(text).is_some();
    is_data_uri || is_image || text.contains("://")
}

fn bad_source(text: &str) -> Option<String> {
    match ImageSource::parse(text) {
        Ok(ImageSource::Base64(data)) if decode_base64(data).is_none() => {
            Some("is not valid base64".to_owned())
        }
        Ok(_) => None,
        Err(why) => Some(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(class: &str, input: &str, value: Value) -> Map<String, Value> {
        let node = json!({"a/b": {"class_type": class, "inputs": {input: value}}});
        node.as_object().cloned().unwrap()
    }

    fn load_image(value: &str) -> Map<String, Value> {
        node("LoadImage", "image", json!(value))
    }

    #[test]
    fn addresses_and_images_in_loaders_are_media() {
        let bare = format!("iVBORw0KGgo{}", "A".repeat(61));
        for value in ["https://a/b.png", "s3://bucket/b.png", "data:image/png;base64,AAAA", &bare] {
            let fields = media_fields(&load_image(value));
            assert_eq!(fields[0].pointer, "/a~1b/inputs/image");
            assert_eq!((fields[0].value.as_str(), fields[0].media), (value, Media::Image));
            assert!(violations(&load_image(value)).is_empty());
        }
    }

    #[test]
    fn a_wrapped_value_is_a_value() {
        let fields = media_fields(&node("LoadVideo", "file", json!({"__value__": "https://a/b.mp4"})));
        assert_eq!(fields[0].pointer, "/a~1b/inputs/file/__value__");
        let found = violations(&node("LoadImage", "image", json!({"__value__": "x.png [output]"})));
        assert_eq!(found[0].pointer, "/a~1b/inputs/image/__value__");
    }

    #[test]
    fn plain_file_names_are_left_to_the_runtime() {
        for value in ["example.png", "clips/猫 1.png", "iVBORw0KGgo=", "a..b.png"] {
            assert!(media_fields(&load_image(value)).is_empty(), "{value}");
            assert!(violations(&load_image(value)).is_empty(), "{value}");
        }
    }

    #[test]
    fn what_reaches_other_files_is_refused_in_every_node_that_opens_files() {
        for Opens { class, input, takes } in &OPENS {
            for name in ["x.png [output]", "../x.png", "/etc/x.png", "darkroom/x"] {
                let value = match takes {
                    Takes::Names => json!({"image": name}),
                    _ => json!(name),
                };
                let found = violations(&node(class, input, value));
                assert_eq!(found[0].code, ViolationCode::NotAllowed, "{class} {input} {name}");
            }
            let linked = violations(&node(class, input, json!(["2", 0])));
            assert_eq!(linked[0].code, ViolationCode::NotAllowed, "{class} {input}");
        }
    }

    #[test]
    fn paths_stay_among_the_inputs() {
        let path = |value: &str| violations(&node("VHS_LoadVideoPath", "video", json!(value))).is_empty();
        assert!(path("input/x.mp4") && path("input/a/x.mp4") && path("input/"));
        for value in ["x.mp4", "output/x.mp4", "input/../output/x.mp4", "input/darkroom/x", "https://a/x.mp4"]
        {
            assert!(!path(value), "{value}");
        }
    }

    #[test]
    fn only_media_are_fetched() {
        for (class, input) in
            [("LoadLatent", "latent"), ("VHS_LoadImages", "directory"), ("VHS_LoadAudio", "audio_file")]
        {
            let nodes = node(class, input, json!("https://a/b"));
            assert!(media_fields(&nodes).is_empty());
            assert_eq!(violations(&nodes)[0].code, ViolationCode::NotAllowed);
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
        let nodes = node("CLIPTextEncode", "text", json!("https://a/b.png"));
        assert!(media_fields(&nodes).is_empty() && violations(&nodes).is_empty());
    }
}
