//! How a broken runtime is noticed, for its metric.

/// How a runtime was found broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenSign {
    /// By its error text.
    Words,
    /// By a check with the known-good task.
    Check,
}

impl BrokenSign {
    /// All of them.
    pub(super) const ALL: [Self; 2] = [Self::Words, Self::Check];

    /// The value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Check => "check",
        }
    }
}
