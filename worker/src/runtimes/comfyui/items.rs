//! Which files the values name that a node shows, in whatever form.
//!
//! ComfyUI's own nodes and VideoHelperSuite write `{"filename", "subfolder", "type"}` under keys of their own choice; 3D nodes write
//! bare texts (`result: ["darkroom/…/x.glb", {camera}, null]`), some of them names without a folder; comfyui-tooling-nodes' cache
//! writes `{"source": "http", "id"}`.

use serde_json::Value;
use shared_schema::runtimes::comfyui::JOBS_FOLDER;
use uuid::Uuid;

/// A file of ComfyUI, as its history and `/view` name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileRef {
    pub(super) filename: String,
    pub(super) subfolder: String,
    /// `output`, `temp` or `input`.
    pub(super) kind: String,
}

/// Where the bytes of a result may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// At `/view`, as reported by the node.
    Stored(FileRef),
    /// At `/view`, at the first of these that exists, if the text is the name of a file at all.
    Named(Vec<FileRef>),
    /// In the cache of comfyui-tooling-nodes, under that id.
    Cached(String),
}

/// A place that a value names, and whether that is but a preview of what another node saves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) is_preview: bool,
}

/// What belongs to one job.
#[derive(Clone, Copy)]
pub(super) struct Owned<'a> {
    /// The folder below ComfyUI's output folder that the job saves to, which cannot be guessed; empty when it is not known.
    pub(super) folder: &'a str,
    /// The folder below ComfyUI's input folder that has its inputs; empty when it is not known.
    pub(super) inputs: &'a str,
    /// Whether the caller's workflow holds that text.
    pub(super) typed: &'a dyn Fn(&str) -> bool,
}

impl Place {
    /// What is the same for whatever names the same place.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Stored(file) => vec![file.path()],
            Self::Named(files) => files.iter().map(FileRef::path).collect(),
            Self::Cached(id) => vec![format!("http:{id}")],
        }
    }
}

impl FileRef {
    fn new(kind: &str, subfolder: &str, filename: &str) -> Self {
        Self { filename: filename.to_owned(), subfolder: subfolder.to_owned(), kind: kind.to_owned() }
    }

    /// Kind, subfolder and name in one, the same for every spelling: Windows writes `\` in a subfolder.
    pub(super) fn path(&self) -> String {
        let subfolder = self.subfolder.replace('\\', "/");
        format!("{}:{}/{}", self.kind, subfolder.trim_matches('/'), self.filename)
    }
}

impl Owned<'_> {
    /// Whether the file lies in the job's own folder, so that no earlier job can have saved it.
    pub(super) fn holds(&self, place: &Place) -> bool {
        match place {
            Place::Stored(file) => self.own_subfolder(&file.subfolder.replace('\\', "/")).is_some(),
            Place::Named(_) | Place::Cached(_) => false,
        }
    }

    /// The place that one value names, if it names one.
    pub(super) fn item(&self, value: &Value) -> Option<Item> {
        match value {
            Value::String(text) => Some(Item { place: Place::Named(self.named(text)?), is_preview: false }),
            Value::Object(_) if value["source"] == "http" => {
                let id = value["id"].as_str().filter(|id| is_cache_id(id))?;
                Some(Item { place: Place::Cached(id.to_owned()), is_preview: false })
            }
            Value::Object(_) => {
                let text = |key: &str, default: &str| value[key].as_str().unwrap_or(default).to_owned();
                let filename = value["filename"].as_str().filter(|name| !name.is_empty())?;
                let file = self.file(&text("type", "output"), &text("subfolder", ""), filename);
                if self.is_echo(&file) || self.is_of_another_job(&file) {
                    return None;
                }
                let is_preview =
                    file.kind == "input" || file.kind == "temp" && is_still(value, &file.filename);
                Some(Item { place: Place::Stored(file), is_preview })
            }
            _ => None,
        }
    }

    /// The file of that name. Some nodes put the folders of their prefix, or all of the path, into the name, whether or not the
    /// subfolder has them, too.
    fn file(&self, kind: &str, subfolder: &str, filename: &str) -> FileRef {
        let path = filename.replace('\\', "/");
        let Some((parent, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
            return FileRef::new(kind, subfolder, filename);
        };
        let folder = subfolder.replace('\\', "/");
        let folder = folder.trim_end_matches('/');
        let joined = if folder.is_empty() || is_absolute(parent) {
            parent.to_owned()
        } else if folder == parent || folder.ends_with(&format!("/{parent}")) {
            folder.to_owned()
        } else {
            format!("{folder}/{parent}")
        };
        let own = self.own_subfolder(&joined).map(|(_, subfolder)| subfolder);
        FileRef::new(kind, &own.unwrap_or(joined), name)
    }

    /// Where the file of that name may be: in the job's own folder, or under an unguessable name (`Preview3D` saves
    /// as `preview3d_<UUID>.glb`). Any other text may be a path that the caller typed, to the file of another job.
    fn named(&self, text: &str) -> Option<Vec<FileRef>> {
        let (path, annotated) = annotation(text.trim());
        let path = path.replace('\\', "/");
        if !is_file_path(&path) || annotated == Some("input") {
            return None;
        }
        let (parent, filename) = path.rsplit_once('/').unwrap_or(("", &path));
        if parent.is_empty() && path == filename {
            let own = (!self.folder.is_empty()).then(|| FileRef::new("output", self.folder, filename));
            let unguessable = ["output", "temp"].map(|kind| FileRef::new(kind, "", filename));
            let unguessable = unguessable.into_iter().filter(|file| {
                holds_uuid(filename) && !(self.typed)(text) && annotated.is_none_or(|kind| kind == file.kind)
            });
            return Some(own.into_iter().chain(unguessable).collect())
                .filter(|files: &Vec<_>| !files.is_empty());
        }
        let (kind, subfolder) = self.own_subfolder(parent)?;
        Some(vec![FileRef::new(annotated.unwrap_or(kind), &subfolder, filename)])
    }

    /// The kind and the subfolder of a path that leads through the job's folder; the path may begin anywhere.
    fn own_subfolder(&self, parent: &str) -> Option<(&'static str, String)> {
        let segments: Vec<&str> = parent.split('/').collect();
        let own: Vec<&str> = self.folder.split('/').collect();
        if self.folder.is_empty() || segments.contains(&"..") {
            return None;
        }
        let at = segments.windows(own.len()).position(|window| window == own)?;
        let root = segments[..at].iter().rposition(|segment| ["output", "temp"].contains(segment));
        let kind = if root.is_some_and(|root| segments[root] == "temp") { "temp" } else { "output" };
        let start = root.map_or(if is_absolute(parent) { at } else { 0 }, |root| root + 1);
        Some((kind, segments[start..].join("/")))
    }

    /// Whether the file is none of the job's, and the caller's workflow names it: a viewer shows what it was given.
    fn is_echo(&self, file: &FileRef) -> bool {
        let folder = file.subfolder.replace('\\', "/");
        let path = format!("{}/{}", folder.trim_matches('/'), file.filename);
        let is_own = self.own_subfolder(&folder).is_some();
        !is_own && !folder.is_empty() && (self.typed)(&path)
            || file.kind == "input" && (self.typed)(&file.filename)
    }

    /// Whether the file lies in the folder of another job: some nodes show a history of all that they saved.
    fn is_of_another_job(&self, file: &FileRef) -> bool {
        let folder = file.subfolder.replace('\\', "/");
        let segments: Vec<&str> = folder.split('/').collect();
        let is_jobs =
            |pair: &&[&str]| pair[0].eq_ignore_ascii_case(JOBS_FOLDER) && Uuid::try_parse(pair[1]).is_ok();
        let is_ours = |pair: &[&str]| [self.folder, self.inputs].contains(&pair.join("/").as_str());
        !self.folder.is_empty() && segments.windows(2).filter(is_jobs).any(|pair| !is_ours(pair))
    }
}

/// Of Unix or of Windows.
fn is_absolute(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    first.is_empty() || first.ends_with(':')
}

/// `name [temp]`: how loader nodes name a folder.
fn annotation(text: &str) -> (&str, Option<&str>) {
    let split = text.strip_suffix(']').and_then(|text| text.rsplit_once(" ["));
    match split.filter(|(_, kind)| ["input", "output", "temp"].contains(kind)) {
        Some((name, kind)) => (name, Some(kind)),
        None => (text, None),
    }
}

/// Whether a text is nothing but a path that ends in a name with an extension.
fn is_file_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_extension = |extension: &str| {
        (1..=10).contains(&extension.len())
            && extension.chars().all(|c| c.is_ascii_alphanumeric())
            && extension.chars().any(|c| c.is_ascii_alphabetic())
    };
    path.len() <= 1_024
        && !path.chars().any(char::is_control)
        && !name.contains("..")
        && name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && is_extension(extension))
}

/// Whether a name holds 32 hexadecimal digits in a row, dashes aside: a UUID.
fn holds_uuid(name: &str) -> bool {
    let digits = |digits: usize, c: char| match c {
        '-' => digits,
        c if c.is_ascii_hexdigit() => digits + 1,
        _ => 0,
    };
    let counted = name.chars().scan(0, |count, c| {
        *count = digits(*count, c);
        Some(*count)
    });
    counted.max() >= Some(32)
}

fn is_cache_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// Whether a temporary file is a still image. A video, a sound, an animation or a model that a node muxed or
/// exported is a result, wherever it lies.
fn is_still(item: &Value, filename: &str) -> bool {
    const STILL: &[&str] = &["png", "jpg", "jpeg", "webp", "avif", "bmp", "tif", "tiff"];
    let extension = filename.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    STILL.contains(&extension.as_str()) && item.get("frame_rate").is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FOLDER: &str = "darkroom/0b5a2f35-12ab-4c59-9f52-6d1f8a1c3b7e";
    const INPUTS: &str = "darkroom/7c1d9e70-3a52-4f0e-8a6b-4b8f4d2c9a11";
    const RANDOM: &str = "preview3d_0b5a2f3512ab4c599f526d1f8a1c3b7e.glb";

    fn item(value: &Value, typed: &str) -> Option<Item> {
        Owned { folder: FOLDER, inputs: INPUTS, typed: &|text| text == typed }.item(value)
    }

    fn named(text: &str) -> Vec<String> {
        match item(&json!(text), "").map(|item| item.place) {
            Some(Place::Named(files)) => files.iter().map(FileRef::path).collect(),
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_names_a_file_in_the_jobs_own_folder() {
        let own = format!("output:{FOLDER}/x.glb");
        for text in [
            format!("{FOLDER}/x.glb"),
            format!("output/{FOLDER}/x.glb"),
            format!("/opt/ComfyUI/output/{FOLDER}/x.glb"),
            format!("/data/{FOLDER}/x.glb"),
            format!("{FOLDER}/x.glb [output]"),
            format!(r"C:\Comfy\output\{}\x.glb", FOLDER.replace('/', r"\")),
            "x.glb".to_owned(),
        ] {
            assert_eq!(named(&text), [own.as_str()], "{text}");
        }
        assert_eq!(named(&format!("{FOLDER}/a/b.ply")), [format!("output:{FOLDER}/a/b.ply")]);
        assert_eq!(
            named(&format!("2026-11-28/{FOLDER}/b.ply")),
            [format!("output:2026-11-28/{FOLDER}/b.ply")]
        );
        assert_eq!(named(&format!("/x/temp/{FOLDER}/b.ply")), [format!("temp:{FOLDER}/b.ply")]);
        assert_eq!(named(&format!("{FOLDER}/b.ply [temp]")), [format!("temp:{FOLDER}/b.ply")]);
        let random =
            [format!("output:{FOLDER}/{RANDOM}"), format!("output:/{RANDOM}"), format!("temp:/{RANDOM}")];
        assert_eq!(named(RANDOM), random);
    }

    #[test]
    fn no_text_names_the_file_of_another_job() {
        for text in [
            "3d/other.glb".to_owned(),
            "/etc/passwd.txt".to_owned(),
            format!("{FOLDER}/../other/x.glb"),
            format!("{FOLDER}/x.glb [input]"),
            format!("{FOLDER}2/x.glb"),
            "darkroom/53a5516f-29c3-4168-a6d2-70030438aef2/x.glb".to_owned(),
            FOLDER.to_owned(),
            "version 1.5".to_owned(),
            "two\nlines.png".to_owned(),
            "..".to_owned(),
            ".glb".to_owned(),
        ] {
            assert_eq!(named(&text), Vec::<String>::new(), "{text}");
        }
        let typed = item(&json!(RANDOM), RANDOM).unwrap().place;
        assert_eq!(typed, Place::Named(vec![FileRef::new("output", FOLDER, RANDOM)]));
        let echo = json!({"filename": "other.glb", "subfolder": "3d", "type": "output"});
        assert_eq!(item(&echo, "3d/other.glb"), None);
        assert!(item(&echo, "3d/another.glb").is_some());
    }

    #[test]
    fn the_folders_of_a_file_may_stand_in_its_name() {
        let own = format!("output:{FOLDER}/x.png");
        for (subfolder, filename) in [
            ("", format!("{FOLDER}/x.png")),
            (FOLDER, format!("{FOLDER}/x.png")),
            (FOLDER, "x.png".to_owned()),
            ("", format!("/opt/ComfyUI/output/{FOLDER}/x.png")),
            ("any", format!(r"C:\Comfy\output\{}\x.png", FOLDER.replace('/', r"\"))),
        ] {
            let shown = json!({"filename": filename, "subfolder": subfolder, "type": "output"});
            let place = item(&shown, "").map(|item| item.place.names());
            assert_eq!(place, Some(vec![own.clone()]), "{shown}");
        }
        for (subfolder, filename, path) in [
            ("a", "b/x.png", "output:a/b/x.png"),
            ("a/b", "b/x.png", "output:a/b/x.png"),
            ("ab", "b/x.png", "output:ab/b/x.png"),
            ("a", "b/", "output:a/b/"),
            ("../a", "x.png", "output:../a/x.png"),
        ] {
            let shown = json!({"filename": filename, "subfolder": subfolder});
            assert_eq!(
                item(&shown, "").map(|item| item.place.names()),
                Some(vec![path.to_owned()]),
                "{shown}"
            );
        }
    }

    #[test]
    fn no_file_of_another_job_is_a_result() {
        let other = "darkroom/53a5516f-29c3-4168-a6d2-70030438aef2";
        for (folder, is_result) in [
            (other.to_owned(), false),
            (format!("2026-11-28/{other}"), false),
            (other.replace('/', r"\"), false),
            (format!("{FOLDER}/{other}"), false),
            (format!("{FOLDER}/{FOLDER}"), true),
            (INPUTS.to_owned(), true),
            ("darkroom/pictures".to_owned(), true),
        ] {
            let shown = json!({"filename": "x.png", "subfolder": folder, "type": "output"});
            assert_eq!(item(&shown, "").is_some(), is_result, "{shown}");
            let in_the_name = json!({"filename": format!("{folder}/x.png"), "type": "output"});
            assert_eq!(item(&in_the_name, "").is_some(), is_result, "{in_the_name}");
        }
    }

    #[test]
    fn only_stills_that_are_temporary_are_previews() {
        for (value, is_preview) in [
            (json!({"filename": "a.png", "type": "temp"}), true),
            (json!({"filename": "a.PNG", "type": "input"}), true),
            (json!({"filename": "a.png", "type": "output"}), false),
            (json!({"filename": "a.png"}), false),
            (
                json!({"filename": "a.mp4", "type": "temp", "format": "video/h264-mp4", "frame_rate": 8.0}),
                false,
            ),
            (json!({"filename": "a.webp", "type": "temp", "format": "image/webp", "frame_rate": 8.0}), false),
            (json!({"filename": "a.flac", "type": "temp"}), false),
            (json!({"filename": "a.glb", "type": "temp"}), false),
        ] {
            assert_eq!(item(&value, "").map(|item| item.is_preview), Some(is_preview), "{value}");
        }
    }

    #[test]
    fn the_cache_is_asked_for_plain_ids_only() {
        assert_eq!(
            item(&json!({"source": "http", "id": "0b5a"}), "").unwrap().place,
            Place::Cached("0b5a".to_owned())
        );
        for id in [json!("../history"), json!("a?b"), json!(""), json!(7)] {
            assert_eq!(item(&json!({"source": "http", "id": id}), ""), None);
        }
        assert_eq!(item(&json!({"source": "websocket", "type": "output"}), ""), None);
    }
}
