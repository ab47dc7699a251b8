use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use api_lambda::steps::publish::{Message, PublishError};
use api_lambda::{App, Config, Publisher, router};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use shared_schema::ClaimCheck;
use tokio::runtime::{self, Runtime};
use tower::ServiceExt as _;

use crate::message::is_accepted;

/// The front door, and the messages that it published.
struct Door {
    router: Router,
    published: Published,
    runtime: Runtime,
}

/// Keeps what is published, and refuses nothing.
#[derive(Clone, Default)]
struct Published(Arc<Mutex<Vec<String>>>);

impl Published {
    fn keep(&self, body: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(body);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Publisher for Published {
    async fn store(&self, _: &ClaimCheck, task: String) -> Result<(), PublishError> {
        self.keep(task);
        Ok(())
    }

    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.keep(message.body);
        Ok(())
    }
}

static DOOR: LazyLock<Option<Door>> = LazyLock::new(|| {
    let var = |name: &str| match name {
        "SNS_TOPIC_ARN" => Some("arn:aws:sns:us-east-1:123456789012:tasks".to_owned()),
        "S3_OUTPUT_BUCKET" => Some("output".to_owned()),
        _ => None,
    };
    let published = Published::default();
    Some(Door {
        router: router(App::new(Config::from_vars(var).ok()?, published.clone())),
        published,
        runtime: runtime::Builder::new_current_thread().build().ok()?,
    })
});

/// Posts a body to both versions of the API.
pub fn front_door(bytes: &[u8]) {
    let Some(door) = DOOR.as_ref() else { unreachable!("the configuration is complete") };
    for path in ["/v1alpha1", "/v1alpha2"] {
        let (status, answer) = door.runtime.block_on(door.post(path, bytes.to_vec()));
        let published = door.published.take();
        let text = String::from_utf8_lossy(&answer);
        if status == StatusCode::OK {
            assert_eq!(published.len(), 1, "{text}");
            assert!(published.iter().all(|message| is_accepted(message)), "{published:?}");
        } else {
            assert!(status.is_client_error() && published.is_empty(), "{status} {text}");
            let problem: Value = serde_json::from_slice(&answer).unwrap_or_default();
            assert!(problem["code"].is_string(), "{text}");
        }
    }
}

impl Door {
    async fn post(&self, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::post(path).body(Body::from(body)).unwrap_or_default();
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let body = response.into_body().collect().await.map(|body| body.to_bytes().to_vec());
        (status, body.unwrap_or_default())
    }
}
