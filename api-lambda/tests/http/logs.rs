//! What is logged about a request, and what is never logged.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use api_lambda::logs;
use lambda_http::{Context, RequestExt};
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing::Level;

use crate::door::routes;
use crate::sns::{Mood, Sns};

const EVENT: &str = include_str!("../events/rest-v1alpha2.json");

/// Everything that is logged by the tests of this process. A subscriber of one test alone would miss lines, since tracing
/// remembers across threads who listens to a line.
static LOG: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing::subscriber::set_global_default(logs::subscriber(Level::TRACE, move || writer.clone())).unwrap();
    lines
});

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends the event to a front door whose SNS is in that mood, at the most talkative level; returns what was logged of
/// the request of that id.
async fn logged(mood: Mood, request_id: &str) -> Vec<Value> {
    let (_sns, endpoint) = Sns::start(mood).await;
    let log = &*LOG;
    let mut context = Context::default();
    context.request_id = request_id.to_owned();
    let request = lambda_http::request::from_str(EVENT).unwrap().with_lambda_context(context);
    routes(&endpoint, &[]).oneshot(request).await.unwrap();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<Value> =
        lines.into_iter().filter(|line| line["span"]["request_id"] == request_id).collect();
    for secret in ["A dog", "a-key-that-is-never-logged", "curl", "arn:", "123456789012"] {
        assert!(!json!(lines).to_string().contains(secret), "`{secret}` in {lines:?}");
    }
    lines
}

#[tokio::test]
async fn a_request_is_one_line_with_its_identities() {
    let lines = logged(Mood::Well, "req-well").await;
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let span = &line["span"];
    assert_eq!((&line["level"], &line["status"]), (&json!("INFO"), &json!(200)));
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    assert_eq!((&span["method"], &span["path"]), (&json!("POST"), &json!("/prod/v1alpha2")));
    assert_eq!((&span["task.id"], &span["runtime"]), (&json!("rest-1"), &json!("sdruntime")));
    assert_eq!(span["submission"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn an_outage_is_logged_with_its_code_only() {
    let text = "User: arn:aws:sts::123456789012:assumed-role/door is not authorized";
    let lines = logged(Mood::Failing(403, "AuthorizationError", text), "req-refused").await;
    let [cause, answer] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&cause["level"], &cause["error.code"]), (&json!("ERROR"), &json!("AuthorizationError")));
    assert_eq!((&answer["status"], &answer["code"]), (&json!(503), &json!("publish_unavailable")));
}
