//! `./test` and `infra/check`: a step that fails does not hide the others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::served::Folder;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn script(path: &Path, lines: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy(name: &str, folder: &Path) {
    fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
    fs::copy(Path::new(REPOSITORY).join(name), folder.join(name)).unwrap();
}

/// Runs a copied script with these stand-ins for the programs that it calls.
fn run(folder: &Path, name: &str, ci: &str) -> (Output, String) {
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let output = Command::new(folder.join(name)).env("PATH", path).env("CI", ci).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

/// The lines after the last heading.
fn summary(text: &str) -> Vec<&str> {
    let lines: Vec<_> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with("=== ") || line.starts_with("--- ")).unwrap();
    lines[last + 1..].to_vec()
}

#[test]
fn all_steps_of_the_tests_run_and_the_end_lists_what_failed() {
    let folder = Folder::new();
    copy("test", &folder.0);
    // No linter, no Python, no database of advisories.
    script(&folder.0.join("bin/cargo"), "[ $1 != clippy ] && [ $2 != fetch ]");
    script(&folder.0.join("bin/python3"), "exit 1");
    for program in ["examples/figures", "examples/chaos", "local-stack"] {
        script(&folder.0.join("target/debug").join(program), "exit 0");
    }
    let missing = [
        "the checks with boto3, the AWS CLI and moto: Python 3 with venv is missing",
        "the checks of the deployment: Python 3.10 with venv is missing",
    ];

    let (output, text) = run(&folder.0, "test", "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("=== dependencies: licences"), "{text}");
    let skipped = missing.map(|reason| format!("skipped: {reason}"));
    let advisories = "skipped: advisories: the RustSec database is out of reach";
    assert_eq!(summary(&text), [&skipped[0], &skipped[1], advisories, "failed: lints"]);

    // Continuous integration has no machine without Python.
    let (output, text) = run(&folder.0, "test", "true");
    assert_eq!(output.status.code(), Some(1));
    let failed = missing.map(|reason| format!("failed: {reason}"));
    assert_eq!(summary(&text), [advisories, "failed: lints", &failed[0], &failed[1]]);

    script(&folder.0.join("bin/cargo"), "exit 0");
    let (output, text) = run(&folder.0, "test", "");
    assert_eq!(output.status.code(), Some(0), "{text}");

    // Tests that start the programs prove nothing about this version if those do not build.
    script(&folder.0.join("bin/cargo"), "[ $1 != build ]");
    let (output, text) = run(&folder.0, "test", "");
    assert_eq!(output.status.code(), Some(1));
    let failed: Vec<_> = summary(&text).into_iter().filter(|line| line.starts_with("failed")).collect();
    let not_run = |name: &str| format!("failed: {name}: not run, since a step that it needs failed");
    let others = ["the benchmark, only to see that it works", "the chaos suite", "the demo"].map(not_run);
    assert_eq!(failed, ["failed: programs", &others[0], &others[1], &others[2]]);
}

#[test]
fn all_checks_of_the_deployment_run_and_the_end_lists_what_failed() {
    let folder = Folder::new();
    copy("infra/check", &folder.0);
    fs::create_dir_all(folder.0.join("infra/cdk")).unwrap();
    let infra = folder.0.join("infra");
    script(
        &infra.join("checks/tools"),
        "infra=$PWD tools=$PWD/tools python=true helm=true
         python_tools() { :; }; node_tools() { :; }; go_tools() { :; }; helm_tool() { :; }",
    );
    script(&infra.join("checks/x/requirements.txt"), "");
    for program in ["bin/cargo", "infra/build-functions", "infra/checks/images/check"] {
        script(&folder.0.join(program), "exit 0");
    }
    script(&folder.0.join("bin/npx"), "[ $1 != tsc ]");
    script(&infra.join("checks/synth"), "exit 3");
    script(&infra.join("checks/emulator/run"), "echo deployed");

    let (output, text) = run(&folder.0, "infra/check", "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("deployed"), "{text}");
    assert_eq!(summary(&text), ["failed: types", "failed: synth"]);

    let (output, text) = run(&folder.0, "infra/check", "true");
    assert_eq!((output.status.code(), summary(&text)), (Some(1), vec!["failed: types", "failed: synth"]));

    script(&folder.0.join("bin/npx"), "exit 0");
    script(&infra.join("checks/synth"), "exit 0");
    let (output, text) = run(&folder.0, "infra/check", "");
    assert_eq!((output.status.code(), summary(&text)), (Some(0), vec!["the deployment is checked"]));
}
