//! Limits: the body before it is parsed, the message before it is sent.

use serde_json::json;

use crate::door::{Door, but, text_to_image};
use crate::sns::Mood;

const PROMPT: &str = "/task/content/prompt";

#[tokio::test]
async fn a_body_over_the_limit_is_refused_unparsed() {
    let door = Door::with(Mood::Well, &[("MAX_BODY_BYTES", "2000")]).await;
    door.post("/v1alpha2", "{".repeat(2001)).await.problem(413, "body_too_large");
    door.post("/v1alpha2", "{".repeat(2000)).await.problem(400, "invalid_body");
}

#[tokio::test]
async fn a_task_fills_the_topics_limit_to_the_last_byte_and_not_beyond() {
    let door = Door::with(Mood::Well, &[("MAX_MESSAGE_BYTES", "5000")]).await;
    let with_prompt = |bytes: usize| but(text_to_image(), PROMPT, Some(json!("x".repeat(bytes)))).to_string();
    door.post("/v1alpha2", with_prompt(0)).await.accepted();
    let published = door.sns.published();
    let (name, data_type, value) = published.attribute();
    let empty = published.form["Message"].len() + name.len() + data_type.len() + value.len();

    door.post("/v1alpha2", with_prompt(5000 - empty)).await.accepted();
    let problem = door.post("/v1alpha2", with_prompt(5000 - empty + 1)).await.problem(413, "task_too_large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("5001") && detail.contains("5000"), "{detail}");
    assert_eq!(door.sns.calls().len(), 2);
}

#[tokio::test]
async fn text_counts_as_utf_8() {
    // 50,000 of them are 150 KB; predecessors wrote 6 bytes each, which broke the limit of 256 KiB.
    let door = Door::open().await;
    let body = but(text_to_image(), PROMPT, Some(json!("猫".repeat(50_000))));
    door.post_json("/v1alpha2", &body).await.accepted();
}
