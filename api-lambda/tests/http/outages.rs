//! What is answered when SNS does not take a message: an outage of ours, whatever its cause, and silent about it.

use reqwest::header::RETRY_AFTER;
use tokio::net::TcpListener;

use crate::door::{Answer, Door, text_to_image};
use crate::sns::{Mood, Sns};

fn outage(answer: &Answer) {
    let problem = answer.problem(503, "publish_unavailable");
    assert_eq!(problem["violations"].as_array().unwrap().len(), 0);
    assert!(answer.header(RETRY_AFTER).parse::<u32>().is_ok_and(|seconds| seconds > 0));
}

#[tokio::test]
async fn throttling_and_server_errors_are_retried_and_then_told() {
    for mood in [
        Mood::Failing(400, "Throttling", "Rate exceeded"),
        Mood::Failing(500, "InternalFailure", "x"),
        Mood::Failing(503, "ServiceUnavailable", "arn:aws:sns:us-east-1:123456789012:tasks"),
    ] {
        let door = Door::with(mood, &[]).await;
        outage(&door.post_json("/v1alpha2", &text_to_image()).await);
        let submissions: Vec<_> =
            door.sns.calls().iter().map(|call| call.message()["metadata"]["submission"].clone()).collect();
        assert_eq!(submissions.len(), 3, "{mood:?}");
        assert!(submissions.iter().all(|submission| *submission == submissions[0]), "{submissions:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_names_nobody() {
    let denied =
        "User: arn:aws:sts::123456789012:assumed-role/door is not authorized to perform: SNS:Publish";
    for mood in [
        Mood::Failing(403, "AuthorizationError", denied),
        Mood::Failing(404, "NotFound", "Topic does not exist"),
        Mood::Failing(400, "InvalidParameter", "Invalid parameter: Message too long"),
        Mood::Failing(403, "InvalidClientTokenId", "The security token included in the request is invalid"),
    ] {
        let door = Door::with(mood, &[]).await;
        outage(&door.post_json("/v1alpha2", &text_to_image()).await);
        assert_eq!(door.sns.calls().len(), 1, "{mood:?}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_timeout() {
    let door = Door::with(Mood::Silent, &[("PUBLISH_TIMEOUT_MS", "300")]).await;
    let started = std::time::Instant::now();
    outage(&door.post_json("/v1alpha2", &text_to_image()).await);
    let took = started.elapsed().as_millis();
    assert!((150..5_000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_refused_connection_is_an_outage() {
    let (sns, _) = Sns::start(Mood::Well).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let door = Door::publishing_to(sns, &format!("http://{free}"), &[]).await;
    outage(&door.post_json("/v1alpha2", &text_to_image()).await);
}

#[tokio::test]
async fn a_dropped_connection_is_an_outage() {
    let (sns, _) = Sns::start(Mood::Well).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let door = Door::publishing_to(sns, &url, &[]).await;
    outage(&door.post_json("/v1alpha2", &text_to_image()).await);
}
