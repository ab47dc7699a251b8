//! Recorded traffic of real runtimes, replayed to the worker's clients.
//!
//! Every recording under `tests/fixtures` is replayed by a small server on loopback, byte for byte, and the worker's own
//! client runs the recorded task against it. (The tests of the simulated runtimes compare them with the same recordings.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod comfyui;
mod openai_images;
mod sdcpp;
mod sdwebui;

mod server;
mod task;

use integration_tests::fixtures;

/// Recordings that a test of their own replays, each with that test. All others of the folder are replayed by the test
/// that iterates over it, so that a new one is replayed, too, or fails.
type OwnTests = &'static [(&'static str, fn())];

/// The folders of recordings, one line each.
const FOLDERS: &[(&str, OwnTests)] = &[
    ("comfyui", comfyui::OWN_TESTS),
    ("sdwebui", sdwebui::OWN_TESTS),
    ("a1111", sdwebui::A1111_TESTS),
    ("openai-images", openai_images::OWN_TESTS),
    ("sdcpp", sdcpp::OWN_TESTS),
];

/// The names of the recordings in a folder that have no test of their own.
fn recordings(folder: &str, own_tests: OwnTests) -> Vec<String> {
    let files = fixtures::all().into_iter();
    let names = files.filter_map(|file| Some(recording_in(folder, &file)?.to_owned()));
    names.filter(|name| own_tests.iter().all(|(other, _)| other != name)).collect()
}

fn recording_in<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".json")
}

#[test]
fn every_fixture_is_used() {
    let whole_files = comfyui::whole_files();
    for file in fixtures::all() {
        let used = FOLDERS.iter().any(|(folder, _)| recording_in(folder, &file).is_some())
            || whole_files.contains(&file)
            // Read by the tests of the shipped programs.
            || file.starts_with("predecessors/")
            // Replayed to the front door by the suite.
            || file.starts_with("comfy-api-v2/")
            // Read by the tests of the behaviour that they were reported for.
            || file.starts_with("cases/")
            || file == "README.md";
        assert!(used, "no test uses tests/fixtures/{file}");
    }
}

#[test]
fn every_test_of_its_own_has_a_recording() {
    let all = fixtures::all();
    for (folder, own_tests) in FOLDERS {
        for (name, _) in *own_tests {
            let file = format!("{folder}/{name}.json");
            assert!(all.contains(&file), "tests/fixtures/{file} is gone, but has a test");
        }
    }
}
