//! Nodes of ComfyUI that open what a caller names: where a workflow takes in files, and which values may stand there.
//!
//! A loader takes an address, a data URI or the base64 of an image, which the worker turns into an uploaded file, or the
//! plain name of a file that the runtime has. Values of other inputs are bounded by what they say: see `values`.

use serde_json::{Map, Value};

use super::class_type;
use super::file_names::{self, is_plain, is_plain_folder, is_too_long};
use super::links::linked_node;
use super::openers::{self, IMAGE, Opens, Takes, VIDEO};
use crate::content::MediaField;
use crate::content::asset::is_reference;
use crate::file_kind::is_media;
use crate::image_source::{ImageSource, head, is_base64};
use crate::violation::pointer_segment;
use crate::{Violation, ViolationCode};

/// Where paths from the runtime's start lead to its inputs.
const INPUTS: &str = "input/";

/// How the editor names what its user draws, masks or views there, and its annotation for the folder. No job has files of
/// such names.
const DRAWN: [(&str, &str); 3] =
    [("threed/", " [temp]"), ("clipspace/clipspace-", " [input]"), ("painter-", " [input]")];

/// Whether the worker has to name an uploaded file by its path from where the runtime was started.
pub fn is_path_from_start(class: &str, input: &str) -> bool {
    matches!(openers::takes(class, input), Some(Takes::Path(_)))
}

/// The least characters of a file in base64, some fewer than those of a GIF of one pixel. Shorter texts may be names.
const SHORTEST_FILE: usize = 32;

/// The inputs that hold an address or an image.
pub(super) fn media_fields(nodes: &Map<String, Value>) -> Vec<MediaField> {
    let media_field = |opened: Opened<'_>| match (opened.takes, opened.value.as_str()) {
        (Takes::Media(media) | Takes::Path(media), Some(text)) if is_source(text) => {
            Some(MediaField { pointer: opened.pointer, value: text.to_owned(), media })
        }
        _ => None,
    };
    opened(nodes).filter_map(media_field).collect()
}

/// The inputs that hold the plain name of an image, a video or a sound.
pub(super) fn named_media(nodes: &Map<String, Value>) -> Vec<MediaField> {
    let named = |opened: Opened<'_>| match (opened.takes, opened.value.as_str()) {
        (Takes::Media(media), Some(text)) if !is_source(text) && is_plain(text) => {
            Some(MediaField { pointer: opened.pointer, value: text.to_owned(), media })
        }
        _ => None,
    };
    opened(nodes).filter_map(named).collect()
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
    if let (Takes::Media(media) | Takes::Path(media), true) = (takes, is_source(text)) {
        let why = ImageSource::check(text, media).err()?;
        return Some((ViolationCode::InvalidImage, why.to_string()));
    }
    let from_start = |fits: fn(&str) -> bool| text.strip_prefix(INPUTS).is_some_and(fits);
    let (may_be, fits) = match takes {
        Takes::Media(_) | Takes::Views => (
            "a URL, an `s3://` address, a data URI, or the plain name of a file in the runtime's input folder",
            is_plain(text) || is_drawn(text),
        ),
        Takes::Path(_) => (
            "a URL, an `s3://` address, a data URI, or `input/` and the plain name of a file there",
            from_start(is_plain) || text.is_empty(),
        ),
        Takes::Name | Takes::Place | Takes::Target => {
            ("the plain name of a file that the runtime has", is_plain(text))
        }
        Takes::Folder => ("the plain name of a folder within the runtime's", is_plain_folder(text)),
        Takes::FolderPath => {
            ("`input/` and the plain name of a folder there", from_start(is_plain_folder) || text.is_empty())
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
    nodes.iter().flat_map(|(id, node)| {
        let class = class_type(node).unwrap_or_default();
        let of_class = openers::of(class).iter().filter(|opens| !opens.takes.is_of_extension());
        let of_node = of_class.filter_map(|opens| Some((opens, node.get("inputs")?.get(opens.input)?)));
        let mut found = Vec::new();
        for (&Opens { input, takes, .. }, value) in of_node {
            let pointer = format!("/{}/inputs/{}", pointer_segment(id), pointer_segment(input));
            if linked_node(value).is_some() {
                found.push(Opened { pointer, value, takes });
            } else {
                values_in(pointer, value, takes, &mut found);
            }
        }
        found
    })
}

/// The values in lists, objects and `{"__value__": x}`, which ComfyUI takes for x.
fn values_in<'a>(pointer: String, value: &'a Value, takes: Takes, found: &mut Vec<Opened<'a>>) {
    match value {
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                values_in(format!("{pointer}/{n}"), value, takes, found);
            }
        }
        // The worker replaces it, whatever it contains.
        value if is_reference(value) => found.push(Opened { pointer, value, takes }),
        Value::Object(fields) => {
            for (key, value) in fields {
                let takes = match takes {
                    Takes::Views if key == "recording" => VIDEO,
                    Takes::Views if key != "__value__" => IMAGE,
                    other => other,
                };
                values_in(format!("{pointer}/{}", pointer_segment(key)), value, takes, found);
            }
        }
        value => found.push(Opened { pointer, value, takes }),
    }
}

/// Whether an export names what the editor drew: `threed/scene_1.png [temp]`.
fn is_drawn(text: &str) -> bool {
    DRAWN.iter().any(|(beginning, annotation)| {
        let name = text.strip_suffix(annotation).and_then(|name| name.strip_prefix(beginning));
        name.is_some_and(|name| !name.contains(['/', '[']) && is_plain(name))
    })
}

/// Whether a text is an address or a file, not the name of a file.
fn is_source(text: &str) -> bool {
    let is_data_uri = text.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let may_be_file = || is_media(&head(text)) || is_too_long(text);
    is_data_uri || (text.len() >= SHORTEST_FILE && may_be_file() && is_base64(text)) || text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Media;
    use base64_simd::STANDARD as BASE64;
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
        for value in ["https://a/b.png", "s3://bucket/b.png", "data:image/png;base64,iVBORw0KGgo=", &bare] {
            let fields = media_fields(&load_image(value));
            assert_eq!(fields[0].pointer, "/a~1b/inputs/image");
            assert_eq!((fields[0].value.as_str(), fields[0].media), (value, Media::Image));
            assert!(violations(&load_image(value)).is_empty());
        }
    }

    #[test]
    fn files_of_all_kinds_are_media_without_a_data_uri() {
        let file = |head: &[u8]| BASE64.encode_to_string([head, &[0; 64]].concat());
        let broken_up = format!("{}\r\n{}", &file(b"GIF87a")[..20], &file(b"GIF87a")[20..]);
        for (class, input, value) in [
            ("LoadImage", "image", broken_up),
            ("LoadImage", "image", file(b"BM")),
            ("LoadImage", "image", file(b"II*\0\x08")),
            ("LoadImage", "image", file(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif")),
            ("LoadImage", "image", "R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=".to_owned()),
            ("LoadVideo", "file", file(b"\0\0\0\x18ftypisom\0\0\0\0isommp41")),
            ("LoadVideo", "file", file(b"\x1a\x45\xdf\xa3")),
            ("LoadAudio", "audio", file(b"RIFF\x24\0\0\0WAVEfmt ")),
            ("LoadAudio", "audio", file(b"ID3\x04")),
            ("VHS_LoadVideoPath", "video", file(b"GIF89a")),
        ] {
            let nodes = node(class, input, json!(value));
            assert_eq!(media_fields(&nodes).len(), 1, "{class} {value}");
            assert_eq!(violations(&nodes), [], "{class} {value}");
        }
    }

    #[test]
    fn what_is_base64_of_no_medium_is_named_where_it_cannot_be_a_name() {
        let zip = BASE64.encode_to_string([&b"PK\x03\x04"[..], &[0; 300]].concat());
        let found = violations(&load_image(&zip));
        assert_eq!(found[0].code, ViolationCode::InvalidImage);
        assert!(found[0].message.contains("a zip archive"), "{}", found[0].message);
        let video = BASE64.encode_to_string([&b"\0\0\0\x18ftypisom"[..], &[0; 64]].concat());
        assert!(violations(&load_image(&video))[0].message.contains("an MP4 or QuickTime video"));
        for (class, input) in
            [("LoadImage", "image"), ("LoadLatent", "latent"), ("VHS_LoadImages", "directory")]
        {
            let found = violations(&node(class, input, json!(format!("{}.png", "x".repeat(300)))));
            assert_eq!(found[0].code, ViolationCode::NotAllowed, "{class}");
            assert!(found[0].message.contains("255 bytes"), "{}", found[0].message);
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
        let hash = "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de";
        for value in ["example.png", "clips/猫 1.png", "iVBORw0KGgo=", "a..b.png", hash] {
            assert!(media_fields(&load_image(value)).is_empty(), "{value}");
            assert!(violations(&load_image(value)).is_empty(), "{value}");
            assert_eq!(named_media(&load_image(value))[0].value, value);
        }
        for nodes in [load_image("https://a/b.png"), node("LoadLatent", "latent", json!("a.latent"))] {
            assert!(named_media(&nodes).is_empty(), "{nodes:?}");
        }
    }

    #[test]
    fn what_reaches_other_files_is_refused_in_every_node_that_opens_files() {
        for Opens { class, input, takes } in &openers::KNOWN {
            for name in ["x.png [output]", "../x.png", "/etc/x.png", "darkroom/x"] {
                let value = match takes {
                    Takes::Views => json!({"image": name}),
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
    fn folders_are_those_within_the_inputs() {
        let takes =
            |class: &str, input: &str, value: &str| violations(&node(class, input, json!(value))).is_empty();
        assert!(takes("LoadVideoDataSetFromFolder", "folder", "set/1"));
        assert!(takes("VHS_LoadImagesPath", "directory", "input/set"));
        for folder in ["", ".", "./", "darkroom", "https://a/b"] {
            assert!(!takes("LoadVideoDataSetFromFolder", "folder", folder), "{folder:?}");
            assert!(!takes("VHS_LoadImagesPath", "directory", &format!("input/{folder}")), "{folder:?}");
        }
    }

    #[test]
    fn paths_stay_among_the_inputs_or_are_fetched() {
        let nodes = |value: &str| node("VHS_LoadVideoPath", "video", json!(value));
        for value in ["input/x.mp4", "input/a/x.mp4", "input/", "https://a/x.mp4"] {
            assert!(violations(&nodes(value)).is_empty(), "{value}");
        }
        for value in ["x.mp4", "output/x.mp4", "input/../output/x.mp4", "input/darkroom/x", "file:///x.mp4"] {
            assert!(!violations(&nodes(value)).is_empty(), "{value}");
        }
        assert_eq!(media_fields(&nodes("https://a/x.mp4"))[0].media, Media::Video);
        assert!(is_path_from_start("VHS_LoadVideoPath", "video"));
        assert!(!is_path_from_start("VHS_LoadVideo", "video"));
    }

    #[test]
    fn only_media_are_fetched() {
        for (class, input) in
            [("LoadLatent", "latent"), ("VHS_LoadImages", "directory"), ("GeminiInputFiles", "file")]
        {
            let nodes = node(class, input, json!("https://a/b"));
            assert!(media_fields(&nodes).is_empty());
            assert_eq!(violations(&nodes)[0].code, ViolationCode::NotAllowed);
        }
    }

    #[test]
    fn the_views_of_a_scene_are_media_unless_the_editor_drew_them() {
        let drawn = json!({
            "image": "threed/scene_1764201600000.png [temp]",
            "mask": "https://a/b.png",
            "recording": "https://a/b.mp4",
            "camera_info": {"cameraType": "perspective", "position": {"x": 1}},
        });
        let nodes = node("Load3D", "image", drawn);
        assert_eq!(violations(&nodes), []);
        let media: Vec<_> =
            media_fields(&nodes).into_iter().map(|field| (field.pointer, field.media)).collect();
        let expected = [("mask", Media::Image), ("recording", Media::Video)];
        assert_eq!(media, expected.map(|(view, media)| (format!("/a~1b/inputs/image/{view}"), media)));

        for others in ["ComfyUI_temp_a_1.png [temp]", "threed/../x.png [temp]", "threed/a/b.png [temp]"] {
            assert_eq!(violations(&node("Load3D", "image", json!({"image": others}))).len(), 1, "{others}");
        }
    }

    #[test]
    fn what_the_editor_wrote_into_an_export_is_taken() {
        for (class, input, drawn) in [
            ("Painter", "mask", "painter-81-1793022443249.png [input]"),
            ("LoadImage", "image", "clipspace/clipspace-mask-1754.5.png [input]"),
        ] {
            assert_eq!(violations(&node(class, input, json!(drawn))), [], "{drawn}");
        }
        for others in
            ["x.png [input]", "painter-/../x.png [input]", "painter-1.png [output]", "clipspace/x.png [temp]"]
        {
            assert_eq!(violations(&load_image(others)).len(), 1, "{others}");
        }
    }

    #[test]
    fn a_list_of_files_is_judged_file_by_file() {
        let nodes = node("LoadImageSetNode", "images", json!({"__value__": ["a.png", "https://a/b", "/x"]}));
        assert_eq!(media_fields(&nodes)[0].pointer, "/a~1b/inputs/images/__value__/1");
        assert_eq!(violations(&nodes)[0].pointer, "/a~1b/inputs/images/__value__/2");
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
