//! Relative links with their anchors, and paths in backticks.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::markdown::Document;
use super::{files, git, read};

/// Kinds of files that a document names by the last part of their path, too.
const SOURCES: [&str; 4] = [".md", ".rs", ".tpl", ".ts"];

#[test]
fn links_and_paths_of_the_documents_exist() {
    let files = files();
    let documents: Vec<Document> =
        files.iter().filter(|file| file.ends_with(".md")).map(|f| read(f)).collect();
    assert!(documents.len() > 20, "git lists no documents");
    let broken = broken(&documents, &files, |path| !git(&["check-ignore", path]).is_empty());
    assert!(broken.is_empty(), "broken links and paths:\n{}", broken.join("\n"));
}

/// What leads nowhere, one line each. Paths that git ignores are made by programs.
fn broken(documents: &[Document], files: &BTreeSet<String>, ignored: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for document in documents {
        let links = document.links.iter();
        let links = links.filter_map(|(line, link)| Some((line, dead(link, document, documents, files)?)));
        let paths = document.code.iter().filter(|(_, code)| is_missing(code, files, &ignored));
        let paths = paths.map(|(line, code)| (line, format!("`{code}`: there is no such file or folder")));
        broken.extend(links.chain(paths).map(|(line, fault)| format!("{}:{line}: {fault}", document.path)));
    }
    broken
}

/// Why a link of a document leads nowhere.
fn dead(link: &str, from: &Document, documents: &[Document], files: &BTreeSet<String>) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { from.path.clone() } else { resolved(&from.path, path) };
    if !exists(&target, files) {
        return Some(format!("{link}: there is no {target}"));
    }
    let headings =
        documents.iter().find(|document| document.path == target).map(|document| &document.anchors);
    let found = anchor.is_empty() || headings.is_some_and(|known| known.iter().any(|name| name == anchor));
    (!found).then(|| format!("{link}: {target} has no heading for #{anchor}"))
}

/// Whether text in backticks is a path that begins at the root of the repository, or names a source file, and is not there.
fn is_missing(code: &str, files: &BTreeSet<String>, ignored: impl Fn(&str) -> bool) -> bool {
    let (first, rest) = code.split_once('/').unwrap_or_default();
    let from_root = !first.is_empty() && !rest.is_empty() && exists(first, files);
    let source = SOURCES.iter().any(|kind| code.len() > kind.len() && code.ends_with(kind));
    let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !code.starts_with(['.', '/']);
    let ends_a_path = || files.iter().any(|file| Path::new(file).ends_with(code));
    let found = || exists(code, files) || (source && ends_a_path()) || (from_root && ignored(code));
    plain && (from_root || source) && !found()
}

/// Whether there is such a file or folder; the root of the repository is the empty path.
fn exists(path: &str, files: &BTreeSet<String>) -> bool {
    let path = path.trim_end_matches('/');
    let inside = format!("{path}/");
    path.is_empty() || files.contains(path) || files.iter().any(|file| file.starts_with(&inside))
}

/// A path relative to a document, from the root of the repository.
fn resolved(document: &str, path: &str) -> String {
    let mut target = Path::new(document).parent().unwrap().to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir if !target.pop() => return format!("{path} outside of the repository"),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target.to_str().unwrap().to_owned()
}

#[test]
fn broken_links_are_found() {
    let text = "# A title, with `code`\n\
        [good](../src/lib.rs) [itself](#a-title-with-code) [folder](../src) [elsewhere](https://example.com/x#y)\n\
        `src/lib.rs` `lib.rs` `src/made/here` `and/or` `lib.txt`\n\
        [gone](gone.md) [no heading](#nothing) [outside](../../x.md)\n\
        `src/gone.rs` `gone.rs` `src/gone/`\n";
    let files = ["docs/page.md", "src/lib.rs"].map(str::to_owned).into();
    let found = broken(&[Document::parse("docs/page.md", text)], &files, |path| path == "src/made/here");
    let lines: Vec<&str> = found.iter().map(|line| line.rsplit_once(": ").unwrap().0).collect();
    assert_eq!(
        lines,
        [
            "docs/page.md:4: gone.md",
            "docs/page.md:4: #nothing",
            "docs/page.md:4: ../../x.md",
            "docs/page.md:5: `src/gone.rs`",
            "docs/page.md:5: `gone.rs`",
            "docs/page.md:5: `src/gone/`",
        ]
    );
}
