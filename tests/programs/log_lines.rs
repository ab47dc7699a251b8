//! Log lines are lowercase, without a full stop: checked in the sources, where they are written.

use std::path::{Path, PathBuf};

const LEVELS: [&str; 5] =
    ["tracing::trace!(", "tracing::debug!(", "tracing::info!(", "tracing::warn!(", "tracing::error!("];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The message of a log macro: its last string.
fn message(call: &str) -> Option<&str> {
    let end = call.find(");")?;
    call[..end].rsplit('"').nth(1)
}

#[test]
fn messages_are_lowercase_without_a_full_stop() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["api-lambda/src", "worker/src", "infra/local/src", "infra/simulated-runtimes/src"] {
        sources(&workspace.join(folder), &mut files);
    }
    let mut seen = 0;
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let calls = LEVELS.iter().flat_map(|level| source.match_indices(level));
        for message in calls.filter_map(|(at, level)| message(&source[at + level.len()..])) {
            seen += 1;
            let starts_well = message.chars().next().is_some_and(|first| !first.is_uppercase());
            assert!(starts_well && !message.ends_with('.'), "{}: {message}", file.display());
        }
    }
    assert!(seen > 30, "only {seen} log lines were found");
}
