//! The kinds of work. Which types of runtimes handle one: [`crate::runtimes`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of work that a caller can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskType {
    /// Pictures from a prompt.
    TextToImage,
    /// Pictures from a picture and a prompt.
    ImageToImage,
    /// One picture enlarged or restored.
    ExtraSingleImage,
    /// Several pictures enlarged or restored.
    ExtraBatchImages,
    /// A workflow, run as it is.
    Pipeline,
}

impl TaskType {
    /// All of them, in the order of the documents.
    pub const ALL: [TaskType; 5] = [
        Self::TextToImage,
        Self::ImageToImage,
        Self::ExtraSingleImage,
        Self::ExtraBatchImages,
        Self::Pipeline,
    ];

    /// The name in `metadata.tasktype`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TextToImage => "text-to-image",
            Self::ImageToImage => "image-to-image",
            Self::ExtraSingleImage => "extra-single-image",
            Self::ExtraBatchImages => "extra-batch-images",
            Self::Pipeline => "pipeline",
        }
    }

    /// The task type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
