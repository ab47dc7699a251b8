//! Messages that died, listed with their causes and sent back.

use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};
use integration_tests::lab::{Lab, Runtime};
use serde_json::{Value, json};

use super::{Finished, finished, start};

/// Two queues without workers, each with a dead letter: one with a journal, one without.
async fn dead(lab: &Lab) -> (Runtime, Runtime) {
    let queue =
        async |name: &str| lab.runtime(name, "sdwebui", "http://127.0.0.1:9".to_owned(), None, &[]).await;
    let (first, second) = (queue("sdruntime").await, queue("other").await);
    for (runtime, id) in [(&first, "known"), (&second, "unknown")] {
        let metadata = json!({ "id": id, "runtime": runtime.name, "tasktype": "text-to-image", "submission": format!("of-{id}") });
        let body = json!({ "metadata": metadata, "content": { "prompt": "x" } }).to_string();
        let text = |text: &str| {
            MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap()
        };
        let send =
            lab.clients().sqs.send_message().queue_url(&runtime.queue.dead_letter_url).message_body(body);
        let send = send.message_attributes("mine", text("kept"));
        let send =
            if id == "unknown" { send.message_attributes("ErrorCode", text("AccessDenied")) } else { send };
        let message_id = send.send().await.unwrap().message_id.unwrap();
        if id == "known" {
            let failed =
                |code: &str| json!({ "attempt": 1, "code": code, "message": "no response", "at": "" });
            let journal = json!({ "given_back": 0, "attempts": [failed("input_unavailable"), failed("runtime_unavailable")] });
            lab.put(&format!("_darkroom/attempts/{message_id}.json"), journal.to_string()).await;
        }
    }
    (first, second)
}

/// Runs the command with the lab's AWS APIs.
async fn run(lab: &Lab, arguments: &[&str]) -> Finished {
    let variables = [
        ("AWS_ENDPOINT_URL", lab.aws.url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let of_lab = ["--deployment", &lab.shared.prefix, "--bucket", &lab.shared.bucket, "--json"];
    finished(start(&[&["dead-letters"], arguments, &of_lab].concat(), &variables)).await
}

/// The id and the code of each letter.
fn ids(letters: &Value) -> Vec<(&str, &str)> {
    let mut ids: Vec<_> = letters
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| (letter["id"].as_str().unwrap(), letter["code"].as_str().unwrap()))
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn dead_letters_are_listed_with_their_causes_and_redriven_by_filter() {
    let lab = Lab::start().await;
    let (first, second) = dead(&lab).await;
    let both = [("known", "runtime_unavailable"), ("unknown", "undelivered")];
    // Listing takes nothing away: the same comes again, at once.
    for _ in 0..2 {
        let listed = run(&lab, &["list"]).await;
        assert_eq!(listed.code, 0, "{}", listed.notes);
        let listed = listed.json();
        assert_eq!(ids(&listed["letters"]), both);
        let letter =
            listed["letters"].as_array().unwrap().iter().find(|letter| letter["id"] == "known").unwrap();
        let queue = format!("{}-sdruntime", lab.shared.prefix);
        assert_eq!((&letter["destination"], &letter["submission"]), (&json!(queue), &json!("of-known")));
        assert_eq!((&letter["cause"], &letter["runtime"]), (&json!("no response"), &json!("sdruntime")));
    }
    let filtered = run(&lab, &["list", "--runtime", "other"]).await.json();
    assert_eq!(ids(&filtered["letters"]), both[1..]);

    let redriven = run(&lab, &["redrive", "--code", "runtime_unavailable"]).await;
    assert_eq!(redriven.code, 0, "{}", redriven.notes);
    assert_eq!(ids(&redriven.json()["redriven"]), both[..1]);
    assert_eq!(
        (lab.counts(&first.queue.dead_letter_url).await, lab.counts(&first.queue.url).await),
        ((0, 0), (1, 0))
    );
    let (body, attributes) = lab.receive(&first.queue.url).await;
    assert_eq!(body["metadata"]["submission"], "of-known");
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "1", "attempts start again");
    assert_eq!(lab.counts(&second.queue.dead_letter_url).await, (1, 0), "the other is visible again");

    let redriven = run(&lab, &["redrive", "--all"]).await.json();
    assert_eq!((ids(&redriven["redriven"]), &redriven["skipped"]), (both[1..].to_vec(), &json!([])));
    assert_eq!(run(&lab, &["list"]).await.json(), json!({ "letters": [] }));
    let receive = lab.clients().sqs.receive_message().queue_url(&second.queue.url);
    let message = receive.message_attribute_names("All").wait_time_seconds(5).send().await.unwrap();
    let attributes = message.messages.unwrap().pop().unwrap().message_attributes.unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["mine"], "what SNS added is gone");
}

#[tokio::test]
async fn a_message_without_a_queue_stays() {
    let lab = Lab::start().await;
    let (first, _) = dead(&lab).await;
    lab.clients().sqs.delete_queue().queue_url(&first.queue.url).send().await.unwrap();
    let redriven = run(&lab, &["redrive", "--id", "of-known"]).await;
    assert_eq!((redriven.code, ids(&redriven.json()["skipped"]).len()), (1, 1), "{}", redriven.notes);
    assert_eq!(lab.counts(&first.queue.dead_letter_url).await, (1, 0));
    lab.send(&first.queue.dead_letter_url, "{nope").await;
    let unreadable = run(&lab, &["list", "--code", "unreadable_message"]).await.json();
    assert_eq!(unreadable["letters"].as_array().unwrap().len(), 1, "{unreadable}");
}

#[tokio::test]
async fn a_redrive_names_its_messages_and_needs_aws() {
    let lab = Lab::start().await;
    let unnamed = run(&lab, &["redrive"]).await;
    assert_eq!((unnamed.code, &unnamed.error()["error"]["code"]), (2, &json!("usage")));
    let unreachable_endpoint = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let unreachable = finished(start(&["dead-letters", "list", "--json"], &unreachable_endpoint)).await;
    assert_eq!((unreachable.code, &unreachable.error()["exit_code"]), (3, &json!(3)));
}
