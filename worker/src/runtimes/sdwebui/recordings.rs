//! Recorded traffic of a real server, for tests.

use std::path::Path;

use serde_json::Value;

/// The calls of a recording of Forge, in order.
pub(super) fn calls(name: &str) -> Vec<Value> {
    calls_of(&format!("sdwebui/{name}"))
}

/// The calls of a recording, in order.
pub(super) fn calls_of(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let recording: Value = serde_json::from_str(&text).unwrap();
    recording["calls"].as_array().unwrap().clone()
}

/// The body of the answer to the last recorded call of that endpoint.
pub(super) fn answer_to(name: &str, method: &str, endpoint: &str) -> Value {
    let path = format!("/sdapi/v1/{endpoint}");
    let is_it =
        |call: &Value| call["request"]["method"] == method && call["request"]["path"] == path.as_str();
    calls(name).into_iter().rfind(is_it).unwrap()["response"]["body"].take()
}
