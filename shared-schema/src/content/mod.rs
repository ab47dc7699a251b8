//! What contents of all types of runtimes have in common: media fields, models, nodes, limits.

pub mod asset;
pub(crate) mod depth;
pub(crate) mod limit;
mod media;

use crate::Limits;

pub use depth::MAX_CONTENT_DEPTH;
pub use media::{Media, MediaField};

/// A checkpoint that a content asks for: the JSON Pointer of the field that names it, and the name as written there.
pub type NamedModel = (String, String);

/// What a deployment lets the callers of a runtime ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance<'a> {
    /// Settings of extensions that a content may override ([`crate::RuntimeEntry::allowed_settings`]).
    pub settings: &'a [String],
    /// Scripts that a content may select although they run with parameters of their own ([`crate::RuntimeEntry::allowed_scripts`]).
    pub scripts: &'a [String],
    /// The amount of work.
    pub limits: &'a Limits,
}

/// How a task enlarges the pictures that it brings along.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Enlargement {
    /// Both sides by that factor.
    By(f64),
    /// Both sides by one factor, the least by which the picture covers that many pixels by that many.
    To {
        /// In pixels.
        width: f64,
        /// In pixels.
        height: f64,
    },
}

impl Enlargement {
    /// The pixels of an enlarged picture that has `width` times `height` of them, none of these 0.
    pub fn pixels(self, width: u64, height: u64) -> f64 {
        let (from_width, from_height) = (width as f64, height as f64);
        let factor = match self {
            Self::By(factor) => factor,
            Self::To { width, height } => (width / from_width).max(height / from_height),
        };
        from_width * from_height * factor * factor
    }
}

/// Which classes of nodes a deployment lets its callers use, by their exact names. Nodes of extensions can open files,
/// addresses and processes; nobody but the deployment knows which of those that it has installed do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeRules {
    /// Only these, unless empty.
    pub allowed: Vec<String>,
    /// None of these, allowed or not.
    pub denied: Vec<String>,
}

impl NodeRules {
    /// Whether nodes of that class may be used.
    pub fn let_through(&self, class: &str) -> bool {
        let lists = |names: &[String]| names.iter().any(|name| name == class);
        (self.allowed.is_empty() || lists(&self.allowed)) && !lists(&self.denied)
    }
}
