//! A front door on loopback, and requests as clients send them.

use api_lambda::{App, Aws, Config, TaskStore, router};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::sns::{Mood, Sns};

pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:tasks";
const REGISTRY: &str = r#"[
    {"name": "sdruntime", "type": "sdwebui", "models": ["v1-5-pruned-emaonly.safetensors"]},
    {"name": "comfyui", "type": "comfyui"}
]"#;

/// A front door and the stand-in that it publishes to.
pub(crate) struct Door {
    pub(crate) sns: Sns,
    url: String,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) text: String,
}

impl Door {
    /// With a registry of two runtimes.
    pub(crate) async fn open() -> Self {
        Self::with(Mood::Well, &[("RUNTIMES", REGISTRY)]).await
    }

    /// As a predecessor's, which knows no runtimes.
    pub(crate) async fn without_registry() -> Self {
        Self::with(Mood::Well, &[]).await
    }

    /// With these variables beside the required ones.
    pub(crate) async fn with(mood: Mood, vars: &[(&str, &str)]) -> Self {
        let (sns, endpoint) = Sns::start(mood).await;
        Self::publishing_to(sns, &endpoint, vars).await
    }

    /// With another endpoint than the stand-in's own.
    pub(crate) async fn publishing_to(sns: Sns, endpoint: &str, vars: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = routes(endpoint, vars);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { sns, url, client: client() }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.url)).body(body);
        Answer::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post(path, body.to_string()).await
    }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The answer of success.
    pub(crate) fn accepted(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The answer of failure, after its form has been checked: complete, and silent about what is behind it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json");
        let problem = self.json();
        assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        assert!(problem["violations"].is_array(), "{problem}");
        for secret in ["arn:", "123456789012", "role", "expected", "serde", "sns"] {
            assert!(!self.text.contains(secret), "`{secret}` in {}", self.text);
        }
        problem
    }

    /// Pointer and code of every violation of a 400.
    pub(crate) fn violations(&self, code: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let problem = self.problem(400, code);
        let violations = problem["violations"].as_array().unwrap();
        assert!(violations.iter().all(|violation| !text(&violation["message"]).is_empty()), "{problem}");
        violations.iter().map(|violation| (text(&violation["pointer"]), text(&violation["code"]))).collect()
    }
}

/// The router itself, publishing to `endpoint`.
pub(crate) fn routes(endpoint: &str, vars: &[(&str, &str)]) -> Router {
    let required = [("SNS_TOPIC_ARN", TOPIC), ("S3_OUTPUT_BUCKET", "outbucket")];
    let config = Config::from_vars(|name| {
        let value = required.iter().chain(vars).find(|(variable, _)| *variable == name);
        value.map(|(_, value)| (*value).to_owned())
    })
    .unwrap();
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "tests",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard())
        .build();
    let store = TaskStore::new(&sdk, &config);
    router(App::new(config.clone(), Aws::new(&sdk, &config)).with_store(store))
}

/// A v1alpha2 request.
pub(crate) fn text_to_image() -> Value {
    json!({"task": {
        "metadata": {"id": "test-t2i", "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output", "context": ""},
        "content": {"alwayson_scripts": {}, "prompt": "A dog", "steps": 16, "width": 512, "height": 512},
    }})
}

/// A v1alpha1 request.
pub(crate) fn by_model() -> Value {
    json!({
        "alwayson_scripts": {
            "task": "text-to-image",
            "sd_model_checkpoint": "v1-5-pruned-emaonly.safetensors",
            "id_task": "test-t2i",
            "uid": "123",
            "save_dir": "outputs",
        },
        "prompt": "A dog", "steps": 16, "width": 512, "height": 512,
    })
}

/// `value` with what stands at `pointer` replaced, added, or (`None`) removed.
pub(crate) fn but(mut value: Value, pointer: &str, replacement: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match replacement {
        Some(replacement) => parent.insert(key.to_owned(), replacement),
        None => parent.shift_remove(key),
    };
    value
}

fn client() -> reqwest::Client {
    // One provider for the process; that another test was first is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}
