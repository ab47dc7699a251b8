//! The recordings of stable-diffusion.cpp 97d2990, and answers made by hand where its source has more.

mod jobs;
mod refusals;
mod requests;

mod player;

use integration_tests::fixtures;
use serde_json::{Value, json};
use worker::runtimes::{RunHandle, Runtime, sdcpp};

use self::player::Player;
use crate::OwnTests;
use crate::task::options;

pub(crate) const OWN_TESTS: OwnTests = &[
    ("capabilities", requests::names_are_sent_as_the_server_lists_them),
    ("job-cancel-and-errors", jobs::a_job_that_waits_is_taken_out_of_the_queue),
    ("job-lifecycle", jobs::a_recorded_job_becomes_a_file),
    ("unrecorded", refusals::each_refusal_says_whose_fault_it_is),
];

/// The recorded calls, in order.
fn calls(name: &str) -> Vec<Value> {
    fixtures::load(&format!("sdcpp/{name}.json"))["calls"].as_array().unwrap().clone()
}

/// The recorded calls about the job of that id: its submission, looks at it, and what was done to it.
fn calls_about(name: &str, id: &str) -> Vec<Value> {
    let is_about = |call: &Value| {
        let path = call["request"]["path"].as_str().unwrap();
        call["response"]["body"]["id"] == id || path.contains(id)
    };
    calls(name).into_iter().filter(is_about).chain(calls("capabilities")).collect()
}

/// A call made by hand, with that answer.
fn by_hand(method: &str, path: &str, status: u16, body: Value) -> Value {
    let request = json!({ "method": method, "path": format!("/sdcpp/v1/{path}") });
    json!({ "request": request, "response": { "status": status, "body": body } })
}

/// A job made by hand, as the server shows it.
fn job(id: &str, status: &str, result: Value) -> Value {
    json!({
        "id": id, "kind": "img_gen", "status": status, "created": 1, "started": 1, "completed": 1,
        "queue_position": 0, "result": result, "error": null,
    })
}

fn client(player: &Player) -> std::sync::Arc<dyn Runtime> {
    sdcpp::connect(&options(&player.url)).unwrap()
}

fn handle(id: &str) -> RunHandle {
    RunHandle(json!(id))
}

fn small() -> Value {
    json!({ "prompt": "a cat", "width": 64, "height": 64, "seed": 7, "sample_params": { "sample_steps": 2 } })
}
