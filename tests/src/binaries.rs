//! The shipped programs, built from the same workspace.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The executable of that name, built if it is stale.
///
/// Built with the whole workspace: another selection of packages would switch features of the AWS SDKs and build them
/// again.
pub fn executable(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut build = Command::new(cargo);
        build.args(["build", "--workspace", "--bins", "--quiet"]).current_dir(workspace);
        assert!(build.status().unwrap().success(), "the programs do not build");
    });
    // The test binary is in <target>/<profile>/deps.
    let tests = std::env::current_exe().unwrap();
    let folder = tests.ancestors().nth(2).unwrap();
    let path = folder.join(name);
    assert!(path.is_file(), "{} is not there", path.display());
    path
}
