//! The files that recorded runs yielded: whole where they were kept, else of the recorded length and beginning.

use integration_tests::fixtures;
use reqwest::Url;
use serde_json::Value;

/// Where `/view` finds a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) filename: String,
    subfolder: String,
    kind: String,
}

impl Place {
    /// The place that a path with query names.
    pub(super) fn of(path: &str) -> Self {
        let url = Url::parse("http://comfyui").unwrap().join(path).unwrap();
        let parameter = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.unwrap_or_else(|| panic!("{path} has no `{name}`")).1.into_owned()
        };
        Self { filename: parameter("filename"), subfolder: parameter("subfolder"), kind: parameter("type") }
    }

    /// Where the whole file is kept below the fixtures, if it is.
    pub(super) fn kept(&self) -> Option<String> {
        let folder = self.subfolder.rsplit('/').next().unwrap();
        let file = format!("comfyui/files/{folder}_{}", self.filename);
        fixtures::all().contains(&file).then_some(file)
    }
}

/// The bytes of a recorded view. Those that were not kept are made up, different for each file.
pub(super) fn content(view: &Value) -> Vec<u8> {
    let path = view["path"].as_str().unwrap();
    let length = view["body"]["bytes"].as_u64().unwrap() as usize;
    let beginning = from_hex(view["body"]["first_16_hex"].as_str().unwrap());
    let content = match Place::of(path).kept() {
        Some(file) => std::fs::read(fixtures::folder().join(file)).unwrap(),
        None => beginning.iter().copied().chain(path.bytes().cycle()).take(length).collect(),
    };
    assert!(content.starts_with(&beginning) && content.len() == length, "{path} is not what was kept of it");
    content
}

pub(super) fn from_hex(text: &str) -> Vec<u8> {
    let digits = |n: usize| u8::from_str_radix(&text[n..n + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}
