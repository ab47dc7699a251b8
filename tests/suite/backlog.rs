//! `GET /v1/runtimes` shows how many tasks wait.

use integration_tests::aws::skipped_elsewhere;
use integration_tests::lab::{Lab, SubmitApi};
use integration_tests::wait;
use local_stack::provision::Clients;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn backlog(api: &SubmitApi) -> Value {
    let (status, _, body) = api.send(Method::GET, "/v1/runtimes", &[], None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["runtimes"][0]["backlog"].clone()
}

#[tokio::test]
async fn waiting_tasks_and_those_of_workers_are_counted() {
    let lab = Lab::start().await;
    let runtime = lab.runtime("sdruntime", "sdwebui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    let api = lab.recording_api(&[&runtime]).await;
    for _ in 0..2 {
        let task = json!({ "runtime": "sdruntime", "type": "text-to-image", "content": { "prompt": "x" } });
        let (status, _, body) = api.send(Method::POST, "/v1/tasks", &[], Some(&task)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    }
    assert_eq!(backlog(&api).await, json!({ "waiting": 2, "in_flight": 0 }));
    lab.receive(&runtime.queue.url).await;
    // Not at once: a length is used again for some seconds.
    wait::until("one task in flight", async || {
        (backlog(&api).await == json!({ "waiting": 1, "in_flight": 1 })).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_backlog_that_cannot_be_read_is_null() {
    if skipped_elsewhere("denied lengths", "only embedded APIs have roles") {
        return;
    }
    let lab = Lab::start().await;
    let runtime = lab.runtime("sdruntime", "sdwebui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    lab.aws.embedded.as_ref().unwrap().allow_only("front-door", &["sns:Publish"]);
    let clients = Clients::with_access_key(&lab.aws.url, "front-door");
    let denied = lab.recording_api_with(&clients, &[&runtime], 0).await;
    assert_eq!(backlog(&denied).await, Value::Null);

    // Nor of a queue that does not exist.
    let api = lab.recording_api(&[&runtime]).await;
    lab.clients().sqs.delete_queue().queue_url(&runtime.queue.url).send().await.unwrap();
    assert_eq!(backlog(&api).await, Value::Null);
}
