//! The recordings of ComfyUI 0.25.

mod lost;
mod odd_json;
mod outcome;
mod results;
mod runs;
mod unrecorded;

mod files;
mod player;
mod scripted_server;

use std::collections::BTreeSet;

use integration_tests::fixtures;
use serde_json::Value;

use crate::OwnTests;

/// Recordings that are more, or less, than a workflow that runs to its end.
pub(crate) const OWN_TESTS: OwnTests = &[
    ("information-endpoints", runs::a_server_that_has_started_is_ready),
    ("interrupted", runs::a_stop_interrupts_the_run_inside_the_runtime),
    ("upload-image", runs::a_renamed_upload_is_in_the_workflow_under_its_new_name),
];

fn recording(name: &str) -> Value {
    fixtures::load(&format!("comfyui/{name}.json"))
}

/// The whole files that recorded views name.
pub(crate) fn whole_files() -> BTreeSet<String> {
    let views = |name: String| recording(&name)["views"].as_array().cloned().unwrap_or_default();
    let views = crate::recordings("comfyui", &[]).into_iter().flat_map(views);
    views.filter_map(|view| files::Place::of(view["path"].as_str().unwrap()).kept()).collect()
}
