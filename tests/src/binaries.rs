//! The shipped programs, built from the same workspace.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The executable of that name, built if it is stale.
///
/// Built with the whole workspace: another selection of packages would switch features of the AWS SDKs and build them
/// again. Built in the caller's own profile, so that a benchmark measures the profile that it reports.
pub fn executable(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("--bins"));
    existing(folder().join(name))
}

/// The example of that name, built in the same way.
pub fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build("--examples"));
    existing(folder().join("examples").join(name))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

fn build(kind: &str) {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut build = Command::new(cargo);
    // `cargo test` and `cargo run` describe this package to the programs that they start. Build scripts take
    // that for a change: `ring`, and all that depends on it, would be rebuilt, now and the next time.
    let describes = |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    std::env::vars().map(|(name, _)| name).filter(describes).for_each(|name| {
        build.env_remove(name);
    });
    build.args(["build", "--workspace", kind, "--quiet", "--profile", &profile()]);
    assert!(build.current_dir(workspace).status().unwrap().success(), "the programs do not build");
}

/// The Cargo profile that this program, and what it starts, is built in.
pub fn profile() -> String {
    match folder().file_name().unwrap().to_str().unwrap() {
        // Cargo's one exception.
        "debug" => "dev".to_owned(),
        folder => folder.to_owned(),
    }
}

/// The folder of the executables: this one is in `<target>/<profile>/deps`.
fn folder() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).map(Path::to_path_buf).unwrap()
}
