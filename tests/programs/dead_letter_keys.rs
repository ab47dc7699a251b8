//! The dead-letter Lambda at keys that somebody else has: it reports no other task's end, and overwrites none.

use integration_tests::dead_letters::Function;
use integration_tests::lab::Lab;
use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::keys::{OutputKeys, s3_uri};
use shared_schema::{ErrorCode, Notification, OutputPrefix, Submission, TaskId};

/// Two submissions whose SHA-256 begins with the same 32 bits.
const SAME_32_BITS: [&str; 2] =
    ["53a5516f-29c3-4168-a6d2-70030438aef2", "d23db658-03fd-4d45-8bc0-2bbc2f8eb57e"];

fn keys_of(id: &str, submission: &str) -> OutputKeys {
    let id = TaskId::from_json(&json!(id)).unwrap();
    OutputKeys::new(&OutputPrefix::parse("output").unwrap(), &id, &Submission::parse(submission).unwrap())
}

/// An event with one message that its queue gave up.
fn event(id: &str, submission: &str) -> Value {
    let metadata = json!({ "id": id, "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output",
                           "submission": submission });
    let body = json!({ "metadata": metadata, "content": { "prompt": "x" } }).to_string();
    let attributes = json!({ "ApproximateReceiveCount": "4", "SentTimestamp": "1767225600000",
                             "DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-1:000000000000:darkroom-sdruntime" });
    json!({ "Records": [{ "messageId": "m", "receiptHandle": "h", "body": body, "attributes": attributes,
                          "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:darkroom-sdruntime-dlq" }] })
}

/// An `.out` file at `key` that says that this submission succeeded.
fn out_of(lab: &Lab, id: &str, submission: &str, key: &str) -> String {
    json!({ "notification": {
        "runtime": "sdruntime", "id": id, "result": true, "status": "completed", "image_url": [],
        "output_url": s3_uri(&lab.shared.bucket, key), "context": {}, "task_status": "succeeded", "outputs": [],
        "notification_id": "ece0fce3-6729-841c-9470-bdf1c5a98f94", "submission": submission,
        "timings": { "queue_ms": 0, "prepare_ms": 0, "run_ms": 0, "store_ms": 0 },
    } })
    .to_string()
}

async fn put(lab: &Lab, key: &str, body: &str) {
    let call = lab.clients().s3.put_object().bucket(&lab.shared.bucket).key(key);
    call.body(body.as_bytes().to_vec().into()).send().await.unwrap();
}

async fn ends_of(lab: &Lab, id: &str, times: usize) -> Vec<Notification> {
    wait::until(&format!("{times} notifications of {id}"), async || {
        let told = lab.everything_told().await.into_iter().filter(|told| told["id"] == id);
        let told: Vec<Notification> = told.map(|told| serde_json::from_value(told).unwrap()).collect();
        (told.len() >= times).then_some(told)
    })
    .await
}

#[tokio::test]
async fn what_others_have_at_a_key_of_a_dead_task_stays_and_the_task_uses_its_next_keys() {
    let lab = Lab::start().await;
    let function = Function::start(&lab).await;
    for (id, foreign) in
        [("other submission", None), ("predecessor", Some(r#"{"images":[""]}"#)), ("no json", Some("{nope"))]
    {
        let keys = keys_of(id, "own");
        let foreign = foreign.map_or_else(|| out_of(&lab, id, "other", &keys.out()), str::to_owned);
        put(&lab, &keys.out(), &foreign).await;
        for times in [1, 2] {
            let answer = function.invoke(event(id, "own")).await.unwrap();
            assert_eq!(answer, json!({ "batchItemFailures": [] }), "{id}");
            let ends = ends_of(&lab, id, times).await;
            for end in &ends {
                assert_eq!(end.error.as_ref().unwrap().code, ErrorCode::DeadLettered, "{id}");
                assert_eq!(end.submission.as_str(), "own", "{id}");
                assert_eq!(end.output_url, s3_uri(&lab.shared.bucket, &keys.next().out()), "{id}");
                assert_eq!(end.notification_id, ends[0].notification_id, "{id}");
            }
        }
        let there = lab.object(&s3_uri(&lab.shared.bucket, &keys.out())).await.0;
        assert_eq!(String::from_utf8(there).unwrap(), foreign, "{id}");
    }
}

#[tokio::test]
async fn what_an_earlier_version_committed_is_notified_again_and_anothers_commit_is_not() {
    let lab = Lab::start().await;
    let function = Function::start(&lab).await;
    let [own, other] = SAME_32_BITS;
    let former = keys_of("upgraded", own).former_out();
    // It was larger than what is read back.
    let out = out_of(&lab, "upgraded", own, &former);
    let out = out.replacen('{', &format!("{{\"images\":[\"{}\"],", "x".repeat(17 * 1024 * 1024)), 1);
    put(&lab, &former, &out).await;
    for submission in [own, other] {
        let answer = function.invoke(event("upgraded", submission)).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let ends = ends_of(&lab, "upgraded", 2).await;
    let end = |submission: &str| ends.iter().find(|end| end.submission.as_str() == submission).unwrap();
    assert_eq!((end(own).result, &end(own).output_url), (true, &s3_uri(&lab.shared.bucket, &former)));
    assert_eq!(end(other).error.as_ref().unwrap().code, ErrorCode::DeadLettered);
    assert_eq!(end(other).output_url, s3_uri(&lab.shared.bucket, &keys_of("upgraded", other).out()));
}
