//! Who owns a task.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The owner of tasks: the id of the API key that submitted them. Other owners cannot see or change them.
///
/// It is also the `MessageGroupId` of the task's message, by which SQS fair queues separate tenants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The most characters: those of a `MessageGroupId` (SQS API reference, `SendMessage`).
    const MAX_LENGTH: usize = 128;

    /// The owner of requests without an API key, as on an API that does not require one.
    pub fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// The owner with that id. Characters that a `MessageGroupId` cannot have are replaced by `-`.
    pub fn new(id: &str) -> Self {
        let is_kept = |c: char| c.is_ascii_alphanumeric() || "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".contains(c);
        let id: String =
            id.chars().take(Self::MAX_LENGTH).map(|c| if is_kept(c) { c } else { '-' }).collect();
        if id.is_empty() { Self::anonymous() } else { Self(id) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_valid_message_group_id() {
        assert_eq!(Owner::new("a1b2c3").as_str(), "a1b2c3");
        assert_eq!(Owner::new("a key\n猫").as_str(), "a-key--");
        assert_eq!(Owner::new("").as_str(), "anonymous");
        assert_eq!(Owner::new(&"x".repeat(200)).as_str().len(), 128);
    }
}
