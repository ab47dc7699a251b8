//! The recordings of SD WebUI Forge, and of AUTOMATIC1111, whose interface it has.

mod a1111;
mod control;
mod generations;
mod left_out;
mod models;
mod names;
mod partial;
mod refusals;
mod together;

mod player;

use integration_tests::fixtures;
use serde_json::{Value, json};

use crate::OwnTests;

/// Recordings that are more, or other, than one call that yields images.
pub(crate) const OWN_TESTS: OwnTests = &[
    ("errors", refusals::every_recorded_error_has_its_error_code),
    ("idle-controls", control::any_success_status_of_a_control_call_is_accepted),
    ("model-switch", models::a_model_is_switched_before_the_run),
    ("model-switch-unknown", models::a_model_that_the_runtime_does_not_have_is_refused_before_the_run),
    ("models-and-options", control::a_server_with_a_model_is_ready_and_its_settings_are_pinned),
    ("png-info", generations::the_generation_parameters_in_a_picture_are_kept),
    ("progress-and-interrupt", control::an_interrupted_run_yields_nothing_and_the_next_one_runs),
];

/// The recordings of AUTOMATIC1111: a new one fails until a test replays it.
pub(crate) const A1111_TESTS: OwnTests = &[
    ("control", a1111::its_answers_to_control_calls_are_accepted),
    ("errors", a1111::every_recorded_error_has_its_error_code),
    ("extras", a1111::its_enlargements_become_files),
    ("information", a1111::a_server_without_a_page_is_ready),
    ("progress-and-interrupt", a1111::an_interrupted_run_yields_nothing),
    ("txt2img", a1111::every_image_becomes_a_file_in_its_order),
];

/// The recorded calls, in order.
fn calls(name: &str) -> Vec<Value> {
    fixtures::load(&format!("sdwebui/{name}.json"))["calls"].as_array().unwrap().clone()
}

/// The recorded call to that endpoint.
fn call(name: &str, method: &str, endpoint: &str) -> Value {
    let path = format!("/sdapi/v1/{endpoint}");
    let mut calls = calls(name).into_iter();
    let found =
        calls.find(|call| call["request"]["method"] == method && call["request"]["path"] == path.as_str());
    found.unwrap_or_else(|| panic!("{name} has no {method} {endpoint}"))
}

/// A call made by hand, with that answer.
fn by_hand(method: &str, endpoint: &str, status: u16, body: Value) -> Value {
    let request = json!({ "method": method, "path": format!("/sdapi/v1/{endpoint}") });
    json!({ "request": request, "response": { "status": status, "body": body } })
}

/// The recorded settings, without the remark that more of them were left out.
fn options() -> Value {
    let mut call = call("models-and-options", "GET", "options");
    call["response"]["body"].as_object_mut().unwrap().shift_remove("…");
    call
}
