//! `darkroom` as its users start it, against the local stack.

mod dead_letters;
mod exit_codes;
mod load;
mod profiles;
mod repeated;
mod tasks;

use std::path::Path;

use integration_tests::process::Process;
use serde_json::Value;

use crate::served::{Folder, KEY, Served};

/// A finished command.
pub(super) struct Finished {
    pub(super) code: i32,
    pub(super) printed: Vec<String>,
    pub(super) notes: String,
}

impl Finished {
    /// What `--json` printed.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.printed.join("\n"))
            .unwrap_or_else(|_| panic!("{:?} {}", self.printed, self.notes))
    }

    /// The error that `--json` printed: the last line, after notes.
    pub(super) fn error(&self) -> Value {
        serde_json::from_str(self.notes.lines().last().unwrap()).unwrap_or_else(|_| panic!("{}", self.notes))
    }
}

/// Starts the program with these variables, and without a profile file unless they name one.
pub(super) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Process::start_with("darkroom", arguments, &variables)
}

pub(super) async fn finished(mut process: Process) -> Finished {
    let code = process.exited().await.code().unwrap();
    Finished { code, printed: process.printed(), notes: process.lines().join("\n") }
}

/// Runs the program against a front door.
pub(super) async fn run_at(url: &str, arguments: &[&str]) -> Finished {
    finished(start(arguments, &[("DARKROOM_ENDPOINT", url), ("DARKROOM_API_KEY", KEY)])).await
}

/// Runs the program against a stack, and returns what `--json` printed. It must succeed.
pub(super) async fn json_of(stack: &Served, arguments: &[&str]) -> Value {
    let finished = run_at(&stack.url, &[arguments, &["--json"]].concat()).await;
    assert_eq!(finished.code, 0, "{arguments:?}: {}", finished.notes);
    finished.json()
}

/// The stored bytes of an output.
pub(super) fn stored(stack: &Served, output: &Value) -> Vec<u8> {
    let (bucket, key) =
        output["s3_uri"].as_str().unwrap().strip_prefix("s3://").unwrap().split_once('/').unwrap();
    std::fs::read(stack.folder.0.join(bucket).join(key)).unwrap()
}

/// The names of the files of a folder.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder that exists.
pub(super) fn folder() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    folder
}
