//! Tasks that are too large for a message: stored, and referred to, where the runtime's worker understands that.

use std::time::Instant;

use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use shared_schema::ClaimCheck;

use crate::door::{Door, but, by_model, text_to_image};
use crate::sns::{Mood, Sns};

const REGISTRY: &str = r#"[
    {"name": "sdruntime", "type": "sdwebui", "models": ["v1-5-pruned-emaonly.safetensors"], "claim_check": true},
    {"name": "small", "type": "sdwebui"}
]"#;

async fn door(s3: Mood, more: &[(&str, &str)]) -> Door {
    let (sns, endpoint) = Sns::start_beside(Mood::Well, s3).await;
    let vars: Vec<_> = [("RUNTIMES", REGISTRY)].iter().chain(more).copied().collect();
    Door::publishing_to(sns, &endpoint, &vars).await
}

fn large() -> Value {
    but(text_to_image(), "/task/content/prompt", Some(json!("猫".repeat(100_000))))
}

#[tokio::test]
async fn what_the_topic_does_not_take_is_stored_and_referred_to() {
    let door = door(Mood::Well, &[]).await;
    let by_model = but(by_model(), "/prompt", Some(json!("x".repeat(300_000))));
    for (path, body, prompt) in
        [("/v1alpha2", large(), "猫".repeat(100_000)), ("/v1alpha1", by_model, "x".repeat(300_000))]
    {
        let answer = door.post_json(path, &body).await.accepted();
        let published = door.sns.calls().pop().unwrap();
        assert_eq!(published.attribute(), ("runtime", "String", "sdruntime"));
        let message = published.message();
        assert_eq!(message["metadata"]["submission"], answer["submission"]);
        assert!(message.get("content").is_none());
        let check = ClaimCheck::in_message(&message).unwrap();

        let put = door.sns.s3.puts().pop().unwrap();
        assert_eq!((put.bucket.as_str(), &put.key), ("outbucket", &check.key));
        assert!(check.fits(&put.body));
        assert_eq!(put.headers["x-amz-content-sha256"], check.sha256.as_str());
        assert!(
            put.headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=test/")
        );
        let stored: Value = serde_json::from_slice(&put.body).unwrap();
        assert_eq!(stored["content"]["prompt"], prompt);
        assert_eq!(stored["metadata"], message["metadata"]);
    }
}

#[tokio::test]
async fn the_largest_body_that_lambda_takes_is_a_task() {
    let door = door(Mood::Well, &[]).await;
    let empty = but(text_to_image(), "/task/content/prompt", Some(json!(""))).to_string();
    let body = but(text_to_image(), "/task/content/prompt", Some(json!("x".repeat(6_291_556 - empty.len()))));
    assert_eq!(body.to_string().len(), 6_291_556);
    door.post_json("/v1alpha2", &body).await.accepted();
    let check = ClaimCheck::in_message(&door.sns.published().message()).unwrap();
    assert!(check.bytes > 6_291_000);
}

#[tokio::test]
async fn where_a_reference_would_not_help_the_task_is_too_large() {
    let small_door = door(Mood::Well, &[("MAX_MESSAGE_BYTES", "1024")]).await;
    let context = but(text_to_image(), "/task/metadata/context", Some(json!("x".repeat(1_000))));
    small_door.post_json("/v1alpha2", &context).await.problem(413, "task_too_large");

    let door = door(Mood::Well, &[]).await;
    let other = but(large(), "/task/metadata/runtime", Some(json!("small")));
    door.post_json("/v1alpha2", &other).await.problem(413, "task_too_large");
    for door in [door, small_door] {
        assert!(door.sns.s3.puts().is_empty() && door.sns.calls().is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_an_outage_and_not_published() {
    let denied =
        "User: arn:aws:sts::123456789012:assumed-role/door is not authorized to perform: s3:PutObject";
    for (mood, attempts) in [
        (Mood::Failing(403, "AccessDenied", denied), 1),
        (Mood::Failing(404, "NoSuchBucket", "The specified bucket does not exist"), 1),
        (Mood::Failing(503, "SlowDown", "Please reduce your request rate."), 3),
        (Mood::Failing(500, "InternalError", "x"), 3),
        (Mood::Silent, 1),
    ] {
        let door = door(mood, &[("PUBLISH_TIMEOUT_MS", "1000")]).await;
        let started = Instant::now();
        let answer = door.post_json("/v1alpha2", &large()).await;
        answer.problem(503, "publish_unavailable");
        assert!(answer.header(RETRY_AFTER).parse::<u32>().is_ok_and(|seconds| seconds > 0));
        assert!(started.elapsed().as_secs() < 10, "{mood:?}");
        assert_eq!(door.sns.s3.puts().len(), attempts, "{mood:?}");
        assert!(door.sns.calls().is_empty(), "{mood:?}");
    }
}
