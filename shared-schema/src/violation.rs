//! What is wrong with a task: where, by which rule, and what to do about it.

use serde::{Deserialize, Serialize};

/// The rules a task can break. The code is stable: clients may branch on it; the message may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationCode {
    /// The body is not UTF-8, is not JSON, or nests deeper than is read.
    NotJson,
    /// A required field is absent.
    Missing,
    /// The value has another JSON type than the field takes.
    WrongType,
    /// The value is not one of those allowed; the message lists them.
    NotAllowed,
    /// A text has another form than the field takes.
    WrongForm,
    /// A number, or a count of things, is below its minimum.
    TooSmall,
    /// A number, or a count of things, is above its maximum.
    TooLarge,
    /// The text would not make a safe S3 key.
    UnsafeKey,
    /// No runtime of that name is deployed.
    UnknownRuntime,
    /// No runtime serves that model.
    UnknownModel,
    /// The runtime does not take tasks of that type.
    UnsupportedTaskType,
    /// An image field holds neither a URL, nor an `s3://` address, nor a data URI, nor base64 of an image.
    InvalidImage,
    /// A workflow in the editor's format came; the API format is needed.
    EditorFormat,
    /// A workflow uses a node class that the runtime does not have.
    UnknownNode,
    /// A link of a workflow names a node or an output that does not exist.
    BadLink,
    /// The links of a workflow form a cycle.
    Cycle,
    /// A workflow has no node that yields an output.
    NoOutput,
}

impl ViolationCode {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::Missing => "missing",
            Self::WrongType => "wrong_type",
            Self::NotAllowed => "not_allowed",
            Self::WrongForm => "wrong_form",
            Self::TooSmall => "too_small",
            Self::TooLarge => "too_large",
            Self::UnsafeKey => "unsafe_key",
            Self::UnknownRuntime => "unknown_runtime",
            Self::UnknownModel => "unknown_model",
            Self::UnsupportedTaskType => "unsupported_task_type",
            Self::InvalidImage => "invalid_image",
            Self::EditorFormat => "editor_format",
            Self::UnknownNode => "unknown_node",
            Self::BadLink => "bad_link",
            Self::Cycle => "cycle",
            Self::NoOutput => "no_output",
        }
    }
}

/// One thing that is wrong with a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// JSON Pointer (RFC 6901) into the request body.
    pub pointer: String,
    /// The rule that is broken.
    pub code: ViolationCode,
    /// What was sent and what a person should do. Of the value itself, which may be long or secret, its first characters
    /// at most.
    pub message: String,
}

impl Violation {
    /// A violation at `pointer`.
    pub fn new(pointer: impl Into<String>, code: ViolationCode, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, message: message.into() }
    }

    /// The same violation seen from further up: `prefix` is put before the pointer.
    pub fn below(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

/// One segment of a JSON Pointer, with `~` and `/` escaped (RFC 6901, section 3).
pub fn pointer_segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A short rendering of a caller's text for a message: control characters escaped, at most 60 characters.
pub fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// `a`, `b` or `c`: the allowed values of a field for a message; long lists are cut after 20.
pub fn listed<'a>(allowed: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let all: Vec<String> = allowed.into_iter().map(quoted).collect();
    match all.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        many if many.len() > MOST => format!("{} and {} more", many[..MOST].join(", "), many.len() - MOST),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_and_as_str_agree_on_the_code() {
        let json = serde_json::to_value(ViolationCode::UnsupportedTaskType).unwrap();
        assert_eq!(json, ViolationCode::UnsupportedTaskType.as_str());
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..25).map(|n| n.to_string()).collect();
        let text = listed(names.iter().map(String::as_str));
        assert!(text.ends_with("`19` and 5 more"), "{text}");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
