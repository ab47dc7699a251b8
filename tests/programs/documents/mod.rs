//! The documents: their links lead somewhere, the paths that they name exist, and their commands work.

mod commands;
mod help;
mod links;
mod markdown;
mod run;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use markdown::Document;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The files of the repository, as paths from its root: those in git, and new ones that git does not ignore.
fn files() -> BTreeSet<String> {
    let listed = git(&["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    files.into_iter().filter(|file| Path::new(REPOSITORY).join(file).exists()).collect()
}

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(REPOSITORY).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn read(path: &str) -> Document {
    let text = std::fs::read_to_string(Path::new(REPOSITORY).join(path)).unwrap();
    Document::parse(path, &text)
}

/// The documents whose commands are checked, in reading order: a later page may use what an
/// earlier one made.
fn guides() -> Vec<Document> {
    let first =
        ["README.md", "docs/submitting-tasks.md", "docs/results-and-notifications.md", "CONTRIBUTING.md"];
    let files = files();
    let pages = files.iter().map(String::as_str).filter(|file| {
        file.strip_prefix("docs/").is_some_and(|page| page.ends_with(".md")) && !first.contains(file)
    });
    first.into_iter().chain(pages).map(read).collect()
}

/// Tests that need more than Rust are ignored here, and run by name: a name that matched nothing would pass.
#[test]
fn the_ignored_tests_are_run_by_the_scripts() {
    for (script, source, test) in [
        ("test", include_str!("run.rs"), "the_commands_of_the_documents_work"),
        ("infra/check", include_str!("commands.rs"), "the_operators_commands_of_the_documents_exist"),
    ] {
        let script = std::fs::read_to_string(Path::new(REPOSITORY).join(script)).unwrap();
        assert!(script.contains(&format!("-- --ignored {test}")), "{test} is never run");
        assert!(source.contains(&format!("fn {test}()")), "{test} is run, and is no test");
    }
}
