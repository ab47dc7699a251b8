//! The content of a task: a prompt, a file with JSON or a workflow, and fields that options set.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value, json};

/// The largest file of content, in bytes: more than a front door accepts.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The largest index of a list that a field can name: the list is filled up to it.
const MAX_INDEX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{file} cannot be read: {cause}")]
    Unreadable { file: String, cause: io::Error },
    #[error("{file} is not JSON: {cause}")]
    NotJson { file: String, cause: serde_json::Error },
    #[error("{0} has no JSON object")]
    NoObject(String),
    #[error("the field {0} is inside of a value that is neither an object nor a list")]
    NoPlace(String),
    #[error("there is no prompt, no --content and no --workflow")]
    Nothing,
}

/// `FIELD=VALUE`: a path into the content, with `/` between its parts, and what belongs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) path: String,
    pub(crate) value: String,
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("must be FIELD=VALUE, for example steps=20")?;
        if path.trim_matches('/').is_empty() {
            return Err("must begin with the name of a field, for example steps=20".to_owned());
        }
        Ok(Self { path: path.to_owned(), value: value.to_owned() })
    }
}

/// Where content comes from.
#[derive(Debug, Default)]
pub(crate) struct Source<'a> {
    pub(crate) prompt: Option<&'a str>,
    /// A file with JSON; `-` is standard input.
    pub(crate) file: Option<&'a PathBuf>,
    pub(crate) fields: &'a [Field],
}

impl Source<'_> {
    /// The content.
    pub(crate) fn read(&self) -> Result<Value, Error> {
        let mut content = match (self.file, self.prompt) {
            (Some(file), _) => from_file(file)?,
            (None, Some(_)) => json!({}),
            (None, None) => return Err(Error::Nothing),
        };
        if let Some(prompt) = self.prompt {
            content["prompt"] = json!(prompt);
        }
        for Field { path, value } in self.fields {
            // Text needs no quotation marks: what is not JSON is text.
            set(&mut content, path, serde_json::from_str(value).unwrap_or_else(|_| json!(value)))?;
        }
        Ok(content)
    }
}

fn from_file(file: &PathBuf) -> Result<Value, Error> {
    let name = || file.display().to_string();
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        io::stdin().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|opened| opened.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|cause| Error::Unreadable { file: name(), cause })?;
    let content: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|cause| Error::NotJson { file: name(), cause })?;
    if content.is_object() { Ok(content) } else { Err(Error::NoObject(name())) }
}

/// The type of a task with that content, where no option says it.
pub(crate) fn task_type(content: &Value) -> &'static str {
    let is_node = |value: &Value| value["class_type"].is_string();
    match content.as_object() {
        Some(nodes) if !nodes.is_empty() && nodes.values().all(is_node) => "pipeline",
        Some(fields) if fields.contains_key("init_images") => "image-to-image",
        Some(fields) if fields.contains_key("imageList") => "extra-batch-images",
        Some(fields) if fields.contains_key("image") => "extra-single-image",
        _ => "text-to-image",
    }
}

/// Sets a field. Objects and lists on its path are created: a list where the part is a number and nothing is there yet.
pub(crate) fn set(content: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    let no_place = || Error::NoPlace(path.to_owned());
    let mut place = content;
    for part in path.trim_start_matches('/').split('/') {
        let part = part.replace("~1", "/").replace("~0", "~");
        let index = part.parse::<usize>().ok().filter(|index| *index <= MAX_INDEX);
        if place.is_null() {
            *place = if index.is_some() { json!([]) } else { Value::Object(Map::new()) };
        }
        place = match place {
            Value::Object(fields) => fields.entry(part).or_insert(Value::Null),
            Value::Array(items) => {
                let index = index.ok_or_else(no_place)?;
                if items.len() <= index {
                    items.resize(index + 1, Value::Null);
                }
                items.get_mut(index).ok_or_else(no_place)?
            }
            _ => return Err(no_place()),
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(prompt: Option<&str>, fields: &[&str]) -> Result<Value, Error> {
        let fields: Vec<Field> = fields.iter().map(|field| field.parse().unwrap()).collect();
        Source { prompt, file: None, fields: &fields }.read()
    }

    #[test]
    fn fields_are_set_by_their_paths() {
        let fields =
            ["steps=16", "init_images/0=s3://b/k", "/a/b=true", "sampler_name=Euler a", "seed=\"7\""];
        let expected = json!({ "prompt": "x", "steps": 16, "init_images": ["s3://b/k"], "a": { "b": true },
            "sampler_name": "Euler a", "seed": "7" });
        assert_eq!(content(Some("x"), &fields).unwrap(), expected);
        let mut workflow = json!({ "6": { "class_type": "CLIPTextEncode", "inputs": { "text": "a" } } });
        set(&mut workflow, "6/inputs/text", json!("b")).unwrap();
        assert_eq!(workflow["6"]["inputs"]["text"], "b");
    }

    #[test]
    fn fields_without_a_place_are_refused() {
        for field in ["prompt/deep=1", "list/x=1"] {
            let fields = ["list=[1]", field];
            assert!(content(Some("x"), &fields).is_err(), "{field}");
        }
        assert!(content(Some("x"), &["list=[]", "list/99999999999=1"]).is_err());
        assert!(content(None, &["a=b"]).is_err());
        assert!("steps".parse::<Field>().is_err() && "/=1".parse::<Field>().is_err());
    }

    #[test]
    fn the_type_follows_from_the_fields() {
        for (content, expected) in [
            (json!({ "prompt": "x" }), "text-to-image"),
            (json!({ "prompt": "x", "init_images": [] }), "image-to-image"),
            (json!({ "image": "x", "upscaler_1": "Lanczos" }), "extra-single-image"),
            (json!({ "imageList": [] }), "extra-batch-images"),
            (json!({ "1": { "class_type": "EmptyImage", "inputs": {} } }), "pipeline"),
        ] {
            assert_eq!(task_type(&content), expected);
        }
    }
}
