//! Comfy API v2 answers recorded requests as the recorded server did (`tests/fixtures/comfy-api-v2`): with the same status, the
//! same code of an error, and at least the same fields.

use std::collections::HashMap;
use std::time::Duration;

use integration_tests::fixtures;
use integration_tests::image_server::cat;
use integration_tests::lab::{Lab, SubmitApi};
use integration_tests::wait;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use simulated_runtimes::ComfyUiOptions;

/// A field of the recorded server that the contract does not have.
const OWN_FIELD: &str = "outputs_reused";

/// Calls that get another answer here, by their places, and why.
const DIFFERENT: [(&str, &[usize], &str); 5] = [
    ("idempotency", &[3, 4], "without the runtime's node list an unknown class is found when the job runs"),
    ("validation-errors", &[0, 1, 2, 3, 5], "so are other faults that only the runtime knows"),
    ("extra-data", &[0], "keys of partner nodes are refused"),
    ("unknown-ids", &[4], "events are not implemented, whatever the job"),
    (
        "upload-dedup-from-hash",
        &[1, 2],
        "another name is another asset, as in later versions of the contract",
    ),
];

/// Sends the requests of a recording, with the ids and hashes of this server in place of the recorded ones.
struct Replay<'a> {
    api: &'a SubmitApi,
    client: Client,
    /// What stands for recorded ids and hashes.
    ours: HashMap<String, String>,
}

impl Replay<'_> {
    async fn call(&mut self, recorded: &Value, place: &str) {
        let (request, wanted) = (&recorded["request"], &recorded["response"]);
        let answer = self.send(request).await;
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let of_status = &wanted["body"]["status"];
        let body = if request["method"] == "GET" && wanted["status"] == 200 && of_status.is_string() {
            self.until(request, of_status, body).await
        } else {
            body
        };
        assert_eq!(status.as_u16(), wanted["status"], "{place}: {body}");
        assert_eq!(body["error"]["code"], wanted["body"]["error"]["code"], "{place}: {body}");
        let fields = wanted["body"].as_object().into_iter().flatten().map(|(name, _)| name);
        for field in fields.filter(|field| *field != OWN_FIELD) {
            assert!(body.get(field).is_some(), "{place}: no {field} in {body}");
        }
        self.learn(&wanted["body"], &body);
    }

    /// Recorded polls show states that may be over: the last one is waited for, others are only looked at.
    async fn until(&self, request: &Value, status: &Value, first: Value) -> Value {
        if ["queued", "running"].contains(&status.as_str().unwrap()) {
            return first;
        }
        wait::until(&format!("a job that is {status}"), async || {
            let body: Value = self.send(request).await.json().await.unwrap();
            (body["status"] == *status).then_some(body)
        })
        .await
    }

    async fn send(&self, recorded: &Value) -> Response {
        let method: Method = recorded["method"].as_str().unwrap().parse().unwrap();
        let path = self.translated(recorded["path"].as_str().unwrap());
        let mut request = self.client.request(method, format!("{}{path}", self.api.url));
        for name in ["idempotency-key", "range"] {
            if let Some(value) = recorded["headers"][name].as_str() {
                request = request.header(name, value);
            }
        }
        request = match &recorded["body"] {
            Value::Null => request,
            Value::String(text) => request.body(text.clone()),
            body => match body["multipart"].as_array() {
                Some(parts) => request.multipart(self.form(parts)),
                None => request.body(self.translated(&body.to_string())),
            },
        };
        request.send().await.unwrap()
    }

    fn form(&self, parts: &[Value]) -> Form {
        parts.iter().fold(Form::new(), |form, part| {
            let headers = part["headers"].as_str().unwrap();
            let name = headers.split("name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            match part["value"].as_str().unwrap() {
                _ if name == "file" => form.part(name, Part::bytes(cat()).file_name("x")),
                value => form.text(name, self.translated(value)),
            }
        })
    }

    fn translated(&self, text: &str) -> String {
        self.ours.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
    }

    /// Ids stand at the same places in both.
    fn learn(&mut self, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                for (name, value) in recorded {
                    match (value.as_str(), ours.get(name).and_then(Value::as_str)) {
                        (Some(recorded), Some(ours)) if name == "id" => {
                            self.ours.insert(recorded.to_owned(), ours.to_owned());
                        }
                        _ => self.learn(value, ours.get(name).unwrap_or(&Value::Null)),
                    }
                }
            }
            (Value::Array(recorded), Value::Array(ours)) => {
                recorded.iter().zip(ours).for_each(|(recorded, ours)| self.learn(recorded, ours));
            }
            _ => {}
        }
    }
}

async fn replay(scenarios: &[&str]) {
    let lab = Lab::start().await;
    let mut options = ComfyUiOptions::default();
    options.behaviour.latency = Duration::from_millis(20);
    let runtime = lab.comfyui(options).await;
    let api = lab.recording_api(&[&runtime]).await;
    let _worker = lab.worker(&runtime, &[("RECORD_TABLE", lab.shared.record_table.as_str())]).await;
    let client = Client::builder().no_proxy();
    let mut replay = Replay { api: &api, client: client.build().unwrap(), ours: HashMap::new() };
    for scenario in scenarios {
        let recording = fixtures::load(&format!("comfy-api-v2/{scenario}.json"));
        let different =
            DIFFERENT.iter().find(|(name, ..)| name == scenario).map_or(&[][..], |(_, calls, _)| *calls);
        for (n, call) in recording["calls"].as_array().unwrap().iter().enumerate() {
            // The bytes of uploads were not recorded: those of one picture stand for all.
            for part in
                call.pointer("/request/body/multipart").and_then(Value::as_array).into_iter().flatten()
            {
                let value = part["value"].as_str().unwrap();
                if value.starts_with("blake3:") && !value.contains("0000000000") {
                    let digits = blake3::hash(&cat()).to_hex().to_string();
                    replay.ours.insert(value["blake3:".len()..].to_owned(), digits);
                }
            }
            if !different.contains(&n) {
                replay.call(call, &format!("{scenario}, call {n}")).await;
            }
        }
    }
}

#[tokio::test]
async fn jobs_are_submitted_polled_and_downloaded() {
    replay(&["submit-poll-download", "idempotency"]).await;
}

#[tokio::test]
async fn files_are_uploaded_deduplicated_and_deleted() {
    replay(&["upload-and-reference", "upload-dedup-from-hash", "upload-delete", "upload-errors"]).await;
}

#[tokio::test]
async fn files_of_the_typescript_sdk_are_uploaded() {
    replay(&["ts-upload-reference-run"]).await;
}

#[tokio::test]
async fn requests_are_refused() {
    replay(&["validation-errors", "missing-asset", "unknown-ids", "extra-data"]).await;
}
