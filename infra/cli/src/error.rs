//! Why a command failed, and its exit code.

use serde_json::{Value, json};

use crate::{api, content, dead_letters, fetch, profile, upload};

/// A command that failed. The README of this crate holds the table of exit codes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error(transparent)]
    Content(#[from] content::Error),
    #[error(transparent)]
    Upload(#[from] upload::Error),
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    #[error(transparent)]
    Api(#[from] api::Error),
    #[error(transparent)]
    DeadLetters(#[from] dead_letters::Error),
    /// The arguments do not fit together, or not the deployment.
    #[error("{0}")]
    Usage(String),
    /// The task has finished without success. The command has printed it.
    #[error("the task {id} {}", described(.status))]
    Unsuccessful { id: String, status: String },
    /// Some of several tasks failed. The command has printed how many.
    #[error("{0}")]
    SomeFailed(String),
    /// The time of a wait is over.
    #[error("the task {id} has not finished in time; it continues: `darkroom wait {id}`")]
    WaitTimeout { id: String },
    /// Ctrl-C during a wait.
    #[error("the task {id} continues; `darkroom wait {id}` waits again, `darkroom cancel {id}` cancels it")]
    StoppedWaiting { id: String },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Standard output cannot be written, for example since its reader has gone.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// 1: a task failed. 2: usage, profile or local files. 3: no response of success. 4: not found. 5: refused. 6: timeout of a
    /// wait. 130: Ctrl-C, as shells report it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unsuccessful { .. } | Self::SomeFailed(_) => 1,
            Self::Usage(_) | Self::Profile(_) | Self::Content(_) | Self::Output(_) => 2,
            Self::Upload(error) => error.exit_code(),
            Self::Fetch(error) => error.exit_code(),
            Self::Api(error) => error.exit_code(),
            Self::DeadLetters(_) => 3,
            Self::WaitTimeout { .. } => 6,
            Self::StoppedWaiting { .. } | Self::Interrupted => 130,
        }
    }

    /// The error as `--json` prints it. `code` is the code of the front door for what it refused.
    pub(crate) fn json(&self) -> Value {
        let mut error = json!({ "code": self.code(), "message": self.to_string() });
        if let Some(api::Error::Refused(refusal)) = self.api() {
            error["status"] = json!(refusal.status);
            error["violations"] = json!(refusal.violations);
            error["request_id"] = json!(refusal.request_id);
        }
        json!({ "error": error, "exit_code": self.exit_code() })
    }

    fn api(&self) -> Option<&api::Error> {
        match self {
            Self::Api(error) | Self::Upload(upload::Error::Api(error)) => Some(error),
            _ => None,
        }
    }

    fn code(&self) -> &str {
        match (self.api(), self.exit_code()) {
            (Some(api::Error::Refused(refusal)), _) => &refusal.code,
            (_, 1) => "task_failed",
            (_, 3) => "unreachable",
            (_, 6) => "wait_timeout",
            (_, 130) => "interrupted",
            _ => "usage",
        }
    }
}

fn described(status: &str) -> &str {
    match status {
        "canceled" => "was canceled",
        "expired" => "has expired",
        _ => "has failed",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_readme_lists_the_exit_codes() {
        let id = || "i".to_owned();
        let refused =
            |status| Error::Api(api::Error::Refused(api::Refusal { status, ..api::Refusal::default() }));
        let errors = [
            Error::SomeFailed(String::new()),
            Error::Usage(String::new()),
            refused(503),
            refused(404),
            refused(400),
            Error::WaitTimeout { id: id() },
            Error::StoppedWaiting { id: id() },
        ];
        let codes: BTreeSet<u8> = errors.iter().map(Error::exit_code).chain([0]).collect();
        let readme = include_str!("../README.md");
        let rows = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(' ')?.0.parse().ok());
        assert_eq!(rows.collect::<BTreeSet<u8>>(), codes);
    }
}
