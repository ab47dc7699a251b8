//! Every file of the corpora, through the function that the fuzzer runs.

#![allow(clippy::unwrap_used, reason = "a failed step of a test ends it")]

use std::path::Path;

fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let passed = std::panic::catch_unwind(|| target(&bytes));
        assert!(passed.is_ok(), "{}", file.display());
    }
}

#[test]
fn messages_are_read() {
    run("message", fuzz_targets::message);
}

#[test]
fn image_headers_are_read() {
    run("image_header", fuzz_targets::image_header);
}

#[test]
fn websocket_frames_are_read() {
    run("websocket_frames", fuzz_targets::websocket_frames);
}

#[test]
fn requests_are_answered() {
    run("front_door", fuzz_targets::front_door);
}
