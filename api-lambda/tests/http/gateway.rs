//! Events of API Gateway, as Lambda hands them over: REST (v1) and HTTP (v2) APIs, base64 bodies included.

use axum::body::to_bytes;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::door::routes;
use crate::sns::{Mood, Sns};

const REST: &str = include_str!("../events/rest-v1alpha2.json");
const REST_BASE64: &str = include_str!("../events/rest-v1alpha1-base64.json");
const HTTP: &str = include_str!("../events/http-v1alpha2-stage.json");

/// Sends an event through the router, as `lambda_http::run` does.
async fn invoke(event: &str) -> (Sns, u16, Value) {
    let (sns, endpoint) = Sns::start(Mood::Well).await;
    let request = lambda_http::request::from_str(event).unwrap();
    let response = routes(&endpoint, &[]).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (sns, status, serde_json::from_slice(&body).unwrap())
}

fn with(event: &str, key: &str, value: Value) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap();
    event[key] = value;
    event.to_string()
}

#[tokio::test]
async fn a_rest_event_is_served_although_its_stage_stands_before_the_path() {
    let (sns, status, answer) = invoke(REST).await;
    assert_eq!((status, &answer["id"]), (200, &json!("rest-1")), "{answer}");
    assert_eq!(sns.published().attribute(), ("runtime", "String", "sdruntime"));
}

#[tokio::test]
async fn a_base64_body_is_decoded() {
    let (sns, status, answer) = invoke(REST_BASE64).await;
    assert_eq!((status, &answer["id_task"]), (200, &json!("rest-2")), "{answer}");
    assert_eq!(sns.published().message()["content"]["prompt"], "夜の港");
}

#[tokio::test]
async fn an_http_api_event_is_served_below_its_stage() {
    let (_, status, answer) = invoke(HTTP).await;
    assert_eq!((status, &answer["id"]), (200, &json!(2)), "{answer}");
}

#[tokio::test]
async fn an_event_without_a_body_is_answered_as_an_empty_one() {
    for body in [json!(null), json!("")] {
        let (sns, status, problem) = invoke(&with(REST, "body", body)).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_body")), "{problem}");
        assert!(sns.calls().is_empty());
    }
}

#[tokio::test]
async fn an_event_without_headers_is_served() {
    let (_, status, answer) = invoke(&with(REST, "headers", json!(null))).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn an_event_of_another_method_is_answered_405() {
    let (_, status, problem) = invoke(&with(REST, "httpMethod", json!("GET"))).await;
    assert_eq!((status, &problem["code"]), (405, &json!("method_not_allowed")), "{problem}");
}
