//! The addresses of tasks, as paths that work behind a stage or a base path.

use axum::http::Uri;
use serde::Serialize;

/// Makes links that have the same beginning as the path of a request: API Gateway puts its stage there.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    base: String,
}

/// The links of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TaskLinks {
    /// The task.
    #[serde(rename = "self")]
    pub(crate) this: String,
    /// Cancels it.
    pub(crate) cancel: String,
    /// Submits it again.
    pub(crate) retry: String,
}

impl Links {
    /// The links for a request to that address.
    pub(crate) fn of(uri: &Uri) -> Self {
        let path = uri.path();
        let base = path.find("/v1/").map_or("", |at| &path[..at]);
        Self { base: base.to_owned() }
    }

    /// The path of a task.
    pub(crate) fn task(&self, id: &str) -> String {
        format!("{}/v1/tasks/{id}", self.base)
    }

    /// The links of a task.
    pub(crate) fn all(&self, id: &str) -> TaskLinks {
        let this = self.task(id);
        TaskLinks { cancel: format!("{this}/cancel"), retry: format!("{this}/retry"), this }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_stage() {
        let task = |path: &'static str| Links::of(&Uri::from_static(path)).task("x");
        assert_eq!(task("/v1/tasks"), "/v1/tasks/x");
        assert_eq!(task("/prod/v1/tasks/batch"), "/prod/v1/tasks/x");
    }
}
