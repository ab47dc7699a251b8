//! What a run yielded: files, a report, and what the record of the task has of it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use shared_schema::notification::Warning;

/// What a run yielded.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutput {
    /// The files, in the order of their numbers.
    pub files: Vec<OutputFile>,
    /// The `.out` file, before the notification is added to it.
    pub report: Value,
    /// What the caller should know although the run succeeded.
    pub warnings: Vec<Warning>,
    /// What the record of the task has of the run.
    pub reported: Reported,
}

/// The seed and the parameters that a runtime reported of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Reported {
    /// The seed of the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Value>,
    /// Further parameters, in the runtime's own terms.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

impl Reported {
    /// The fields of these names, as far as they have a value.
    pub(crate) fn parameters_of(source: &Value, names: &[&str]) -> Map<String, Value> {
        let value = |name: &&str| source.get(*name).filter(|value| !value.is_null()).cloned();
        names.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
    }
}

/// One file of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// The file itself.
    pub bytes: Bytes,
    /// Its name in the runtime, if it had one; it decides the type where the bytes do not.
    pub name: Option<String>,
}
