//! The dead-letter Lambda at keys of other submissions: it reports no other task's result, and overwrites none.

use integration_tests::dead_letters::Function;
use integration_tests::foreign::{SAME_32_BITS, keys_of, out_of};
use integration_tests::lab::Lab;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use shared_schema::keys::s3_uri;

/// An event with one dead-lettered message.
fn event(id: &str, submission: &str) -> Value {
    let metadata = json!({ "id": id, "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output",
                           "submission": submission });
    let body = json!({ "metadata": metadata, "content": { "prompt": "x" } }).to_string();
    let attributes = json!({ "ApproximateReceiveCount": "4", "SentTimestamp": "1767225600000",
                             "DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-1:000000000000:darkroom-sdruntime" });
    json!({ "Records": [{ "messageId": "m", "receiptHandle": "h", "body": body, "attributes": attributes,
                          "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:darkroom-sdruntime-dlq" }] })
}

#[tokio::test]
async fn files_of_others_at_a_key_of_a_dead_lettered_task_stay_and_the_task_uses_its_next_keys() {
    let lab = Lab::start().await;
    let function = Function::start(&lab).await;
    for (id, foreign) in
        [("other submission", None), ("predecessor", Some(r#"{"images":[""]}"#)), ("no json", Some("{nope"))]
    {
        let keys = keys_of(id, "own");
        let foreign =
            foreign.map_or_else(|| out_of(&lab, id, "other", &keys.out()).to_string(), str::to_owned);
        lab.put(&keys.out(), foreign.clone()).await;
        for times in [1, 2] {
            let answer = function.invoke(event(id, "own")).await.unwrap();
            assert_eq!(answer, json!({ "batchItemFailures": [] }), "{id}");
            let completions = lab.completions(id, times).await;
            for completion in &completions {
                assert_eq!(completion.error.as_ref().unwrap().code, ErrorCode::DeadLettered, "{id}");
                assert_eq!(completion.submission.as_str(), "own", "{id}");
                assert_eq!(completion.output_url, s3_uri(&lab.shared.bucket, &keys.next().out()), "{id}");
                assert_eq!(completion.notification_id, completions[0].notification_id, "{id}");
            }
        }
        let there = lab.object(&s3_uri(&lab.shared.bucket, &keys.out())).await.0;
        assert_eq!(String::from_utf8(there).unwrap(), foreign, "{id}");
    }
}

#[tokio::test]
async fn a_commit_of_an_earlier_version_is_notified_again_and_one_of_another_submission_is_not() {
    let lab = Lab::start().await;
    let function = Function::start(&lab).await;
    let [own, other] = SAME_32_BITS;
    let former = keys_of("upgraded", own).former_out();
    // Larger than the part that is read back.
    let out = out_of(&lab, "upgraded", own, &former).to_string();
    let out = out.replacen('{', &format!("{{\"images\":[\"{}\"],", "x".repeat(17 * 1024 * 1024)), 1);
    lab.put(&former, out).await;
    for submission in [own, other] {
        let answer = function.invoke(event("upgraded", submission)).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let completions = lab.completions("upgraded", 2).await;
    let completion = |submission: &str| {
        completions.iter().find(|completion| completion.submission.as_str() == submission).unwrap()
    };
    assert_eq!(
        (completion(own).result, &completion(own).output_url),
        (true, &s3_uri(&lab.shared.bucket, &former))
    );
    assert_eq!(completion(other).error.as_ref().unwrap().code, ErrorCode::DeadLettered);
    assert_eq!(completion(other).output_url, s3_uri(&lab.shared.bucket, &keys_of("upgraded", other).out()));
}
