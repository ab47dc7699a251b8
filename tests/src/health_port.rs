//! A worker's health port, as probes use it.

use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::wait;

/// How long an answer may take: a kubelet's timeout, with room for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The port of a worker that listens.
pub struct HealthPort {
    address: String,
    client: reqwest::Client,
}

impl HealthPort {
    /// The port of that worker, as soon as it has logged the address.
    pub async fn of(worker: &mut Process) -> Self {
        let line = worker.logged("listening").await;
        Self::at(line["address"].as_str().unwrap())
    }

    /// The port at that address.
    pub fn at(address: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
        Self { address: address.to_owned(), client }
    }

    /// Requests a path. Fails when nothing listens.
    pub async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.get(format!("http://{}{path}", self.address)).send().await
    }

    /// Whether a probe succeeds: `Err` holds the reason for a failure.
    pub async fn probe(&self, path: &str) -> Result<(), String> {
        let response = self.get(path).await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["ok"], status == 200, "{body}");
        match status {
            200 => Ok(()),
            503 => Err(body["reason"].as_str().unwrap().to_owned()),
            other => panic!("a probe of {path} is answered with {other}"),
        }
    }

    /// Waits until a probe has that result.
    pub async fn until(&self, path: &str, answer: Result<(), &str>) {
        let answer = answer.map_err(str::to_owned);
        wait::until(&format!("{answer:?} from {path}"), async || {
            (self.probe(path).await == answer).then_some(())
        })
        .await;
    }
}
