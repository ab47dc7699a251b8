//! The front door as Lambda runs it: its `bootstrap` as a process, invoked with API Gateway events.

use std::collections::HashMap;

use integration_tests::lab::Lab;
use integration_tests::process::Process;
use integration_tests::runtime_api::{Outcome, RuntimeApi, lambda_variables};
use serde_json::{Value, json};

/// A REST API's event: a v1alpha2 task for `sdruntime`.
const REST: &str = include_str!("../../api-lambda/tests/events/rest-v1alpha2.json");

/// A running function.
pub(crate) struct Function {
    /// Its process.
    pub(crate) process: Process,
    api: RuntimeApi,
}

impl Function {
    /// Starts one that publishes to the lab's topic with that registry of runtimes (null: none).
    pub(crate) async fn start(lab: &Lab, registry: &Value) -> Self {
        Self::start_with(lab, registry, &[]).await
    }

    /// The same with further variables.
    pub(crate) async fn start_with(lab: &Lab, registry: &Value, more: &[(&'static str, &str)]) -> Self {
        let api = RuntimeApi::start().await;
        let mut variables = lambda_variables("front-door", &api.address.to_string());
        variables.insert("AWS_ENDPOINT_URL", lab.aws.url.clone());
        variables.insert("SNS_TOPIC_ARN", lab.shared.tasks_topic_arn.clone());
        variables.insert("S3_OUTPUT_BUCKET", lab.shared.bucket.clone());
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if !registry.is_null() {
            variables.insert("RUNTIMES", registry.to_string());
        }
        Self { process: bootstrap(&variables), api }
    }

    /// Invokes it with an event.
    pub(crate) async fn invoke(&self, event: Value) -> Outcome {
        self.api.invoke(event).await
    }

    /// Invokes it with an event that it must answer: status, headers with lower-case names, body.
    pub(crate) async fn answer(&self, event: Value) -> Answer {
        Answer::of(&self.invoke(event).await.unwrap())
    }
}

/// What API Gateway sends its client for a function's outcome.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u64,
    /// The headers, by lower-case name.
    pub(crate) headers: HashMap<String, String>,
    /// The body, which is always JSON.
    pub(crate) body: Value,
}

impl Answer {
    fn of(outcome: &Value) -> Self {
        assert_eq!(outcome["isBase64Encoded"], false, "{outcome}");
        let single = outcome["headers"].as_object().into_iter().flatten();
        let single = single.map(|(name, value)| (name, value.as_str().unwrap()));
        let multiple = outcome["multiValueHeaders"].as_object().into_iter().flatten();
        let multiple = multiple.map(|(name, values)| (name, values[0].as_str().unwrap()));
        Self {
            status: outcome["statusCode"].as_u64().unwrap(),
            headers: single
                .chain(multiple)
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: serde_json::from_str(outcome["body"].as_str().unwrap()).unwrap(),
        }
    }
}

/// Starts the `bootstrap`.
pub(crate) fn bootstrap(variables: &HashMap<&'static str, String>) -> Process {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Process::start("api-lambda", &variables)
}

/// A REST API's event with another method and path.
pub(crate) fn rest(method: &str, path: &str) -> Value {
    let mut event: Value = serde_json::from_str(REST).unwrap();
    event["httpMethod"] = json!(method);
    event["requestContext"]["httpMethod"] = json!(method);
    event["path"] = json!(path);
    event["resource"] = json!(path);
    event["requestContext"]["resourcePath"] = json!(path);
    event["requestContext"]["path"] = json!(format!("/prod{path}"));
    event
}

/// A REST API's event that POSTs a body.
pub(crate) fn rest_post(path: &str, body: &Value) -> Value {
    let mut event = rest("POST", path);
    event["body"] = json!(body.to_string());
    event
}
