//! The recordings of stable-diffusion.cpp 97d2990.

use std::collections::HashMap;

use serde_json::{Value, json};
use simulated_runtimes::{SdCppOptions, Simulation};

use crate::{
    any_port, client,
    compare::{Tolerance, assert_same},
    recording,
};

const TOLERATED: &[Tolerance] = &[
    ("id", "of a job, by time and number"),
    ("poll_url", "contains the id"),
    ("created", "the time of the job"),
    ("started", "as above"),
    ("completed", "as above"),
    ("b64_json", "another picture"),
    ("message", "the words of another JSON parser"),
];

/// A server, and what it calls the recorded jobs.
struct Stage {
    simulation: Simulation,
    ids: HashMap<String, String>,
}

impl Stage {
    async fn start() -> Self {
        let simulation = Simulation::start_sdcpp(any_port(), SdCppOptions::default()).await.unwrap();
        Self { simulation, ids: HashMap::new() }
    }

    /// Sends the recorded request, and compares the answer.
    async fn replay(&mut self, call: &Value) {
        let (status, body) = self.send(call).await;
        let path = call["request"]["path"].as_str().unwrap();
        assert_eq!(call["response"]["status"], status, "{path}");
        let mut expected = call["response"]["body"].clone();
        if let (Some(recorded), Some(id)) = (expected["id"].as_str(), body["id"].as_str()) {
            self.ids.entry(recorded.to_owned()).or_insert_with(|| id.to_owned());
        }
        if status == 202 {
            // The recorded worker had begun, or not, before the answer was written.
            expected["status"] = json!("queued");
        }
        assert_same(path, &expected, &body, TOLERATED);
    }

    async fn send(&self, call: &Value) -> (u16, Value) {
        let recorded = call["request"]["path"].as_str().unwrap();
        let path =
            self.ids.iter().fold(recorded.to_owned(), |path, (theirs, ours)| path.replace(theirs, ours));
        let url = format!("{}{path}", self.simulation.url());
        let request = match (call["request"]["method"].as_str().unwrap(), &call["request"]["body"]) {
            ("GET", _) => client().get(url),
            (_, Value::Null) => client().post(url),
            (_, Value::String(_)) => client().post(url).body("{bad"),
            (_, body) => client().post(url).body(body.to_string()),
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

fn calls(name: &str) -> Vec<Value> {
    recording(&format!("sdcpp/{name}"))["calls"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_goes_through_the_recorded_states() {
    let mut stage = Stage::start().await;
    let hold = stage.simulation.hold().await;
    let calls = calls("job-lifecycle");
    stage.replay(&calls[0]).await;
    crate::until(async || stage.simulation.running().is_some()).await;
    stage.replay(&calls[1]).await;
    drop(hold);
    crate::until(async || stage.send(&calls[2]).await.1["status"] == "completed").await;
    stage.replay(&calls[2]).await;
}

#[tokio::test]
async fn only_what_waits_is_cancelled_and_requests_are_refused_as_recorded() {
    let mut stage = Stage::start().await;
    let _hold = stage.simulation.hold().await;
    for (n, call) in calls("job-cancel-and-errors").iter().enumerate() {
        if n == 1 {
            crate::until(async || stage.simulation.running().is_some()).await;
        }
        stage.replay(call).await;
    }
}

#[tokio::test]
async fn the_server_lists_what_it_has_as_recorded() {
    let mut stage = Stage::start().await;
    for call in calls("capabilities") {
        stage.replay(&call).await;
    }
}
