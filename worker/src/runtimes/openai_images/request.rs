//! From a task to the call: JSON, or a form with the images.

use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value};
use shared_schema::{Task, TaskType};

use crate::inputs::Input;

/// Asks for the images themselves, and not for their addresses.
const FORMAT: (&str, &str) = ("response_format", "b64_json");

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Its path below `/v1/`.
    pub(super) endpoint: &'static str,
    /// The content, without null and without images.
    fields: Map<String, Value>,
    /// The images to edit, and the mask, in the order of the content.
    inputs: Vec<Input>,
}

impl Request {
    /// The call for a task whose inputs have been fetched: their addresses go nowhere.
    pub(super) fn new(task: &Task, inputs: &[Input]) -> Self {
        let is_edit = task.metadata.tasktype == TaskType::ImageToImage;
        let is_sent = |(key, value): &(&String, &Value)| {
            let is_image = is_edit && matches!(key.as_str(), "image" | "mask");
            let is_replaced = matches!(key.as_str(), "stream" | "response_format");
            !value.is_null() && !is_image && !is_replaced
        };
        let fields = task.content.iter().filter(is_sent);
        let fields = fields.map(|(key, value)| (key.clone(), value.clone())).collect();
        let endpoint = if is_edit { "images/edits" } else { "images/generations" };
        Self { endpoint, fields, inputs: inputs.to_vec() }
    }

    /// How many images it asks for.
    pub(super) fn images(&self) -> usize {
        self.fields.get("n").and_then(Value::as_u64).map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// Puts the body into the call.
    pub(super) fn body(&self, call: RequestBuilder, with_format: bool) -> RequestBuilder {
        let mut fields = self.fields.clone();
        if with_format {
            fields.insert(FORMAT.0.to_owned(), FORMAT.1.into());
        }
        match self.endpoint {
            "images/edits" => call.multipart(self.form(fields)),
            _ => call.json(&fields),
        }
    }

    /// Servers read `image`, and where there are several, some read `image[]` only (OpenAI's own name for a list).
    fn form(&self, fields: Map<String, Value>) -> Form {
        let images = self.inputs.iter().filter(|input| input.pointer != "/mask").count();
        let image = if images > 1 { "image[]" } else { "image" };
        let form = fields.into_iter().fold(Form::new(), |form, (key, value)| match value {
            Value::String(text) => form.text(key, text),
            other => form.text(key, other.to_string()),
        });
        self.inputs.iter().fold(form, |form, input| {
            let name = if input.pointer == "/mask" { "mask" } else { image };
            form.part(name, file(name.trim_end_matches("[]"), input))
        })
    }
}

fn file(name: &str, input: &Input) -> Part {
    let part = || {
        let part = Part::stream_with_length(input.bytes.clone(), input.bytes.len() as u64);
        part.file_name(format!("{name}.{}", input.extension))
    };
    // Media types come from a list of the worker's own.
    part().mime_str(input.content_type).unwrap_or_else(|_| part())
}
