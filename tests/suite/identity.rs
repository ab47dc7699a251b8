//! Ownership of files: a submission never gets the result of another one, whatever is stored at its keys.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use integration_tests::aws;
use integration_tests::foreign::{SAME_32_BITS, keys_of, out_of};
use integration_tests::lab::{Lab, Runtime};
use integration_tests::wait;
use serde_json::{Value, json};
use shared_schema::keys::s3_uri;
use shared_schema::message;
use simulated_runtimes::SdWebUiOptions;

fn small() -> Value {
    json!({ "prompt": "x", "width": 64, "height": 64, "steps": 2 })
}

/// A task as the topic carries it.
fn task(id: &str, submission: &str) -> Value {
    let metadata = json!({
        "id": id, "runtime": "sdruntime", "tasktype": "text-to-image", "prefix": "output", "submission": submission,
        "context": { "of": submission },
    });
    json!({ "metadata": metadata, "content": small() })
}

async fn bytes_at(lab: &Lab, key: &str) -> Vec<u8> {
    lab.object(&s3_uri(&lab.shared.bucket, key)).await.0
}

fn runs(runtime: &Runtime) -> usize {
    runtime.simulation.as_ref().unwrap().busy().len()
}

/// Receives and deletes the next message of a queue.
async fn receive_and_delete(lab: &Lab, queue_url: &str) -> Message {
    let sqs = &lab.clients().sqs;
    let message = wait::until("a message", async || {
        let call = sqs.receive_message().queue_url(queue_url).wait_time_seconds(1);
        call.send().await.unwrap().messages.unwrap_or_default().pop()
    })
    .await;
    let handle = message.receipt_handle.clone().unwrap();
    sqs.delete_message().queue_url(queue_url).receipt_handle(handle).send().await.unwrap();
    message
}

#[tokio::test]
async fn submissions_of_one_id_whose_hashes_share_a_prefix_both_run_and_keep_their_own_files() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let mut accepted = Vec::new();
    for _ in SAME_32_BITS {
        api.submit("sdruntime", "text-to-image", "same", small()).await;
        let received = receive_and_delete(&lab, &runtime.queue.url).await;
        accepted.push(message::unwrap(&received.body.unwrap()).unwrap().message);
    }
    // The front door generates submission ids: these replace them on their way.
    for (mut task, submission) in accepted.into_iter().zip(SAME_32_BITS) {
        task["metadata"]["submission"] = json!(submission);
        task["metadata"]["context"] = json!({ "of": submission });
        lab.send(&runtime.queue.url, &task.to_string()).await;
    }
    let _worker = lab.worker(&runtime, &[]).await;

    let completions = lab.completions("same", 2).await;
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runs(&runtime), 2);
    for submission in SAME_32_BITS {
        let completion =
            completions.iter().find(|completion| completion.submission.as_str() == submission).unwrap();
        assert!(completion.result, "{:?}", completion.error);
        assert_eq!(completion.context, json!({ "of": submission }));
        let out = lab.json(&completion.output_url).await;
        assert_eq!(out["notification"]["submission"], submission);
    }
    assert_ne!(completions[0].image_url, completions[1].image_url);
    assert_ne!(completions[0].notification_id, completions[1].notification_id);
}

#[tokio::test]
async fn files_of_others_at_a_key_of_a_task_stay_and_the_task_uses_its_next_keys() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let predecessors = json!({ "images": [""], "parameters": { "id_task": "x" }, "info": "" });
    for (n, (id, foreign)) in (0_usize..).zip([
        ("other submission", None),
        ("other id", Some(out_of(&lab, "another", "own-1", "k.out").to_string())),
        ("predecessor", Some(predecessors.to_string())),
        ("no json", Some("{".to_owned())),
        ("empty", Some(String::new())),
        ("invalid submission", Some(json!({ "notification": { "submission": 7, "id": "x" } }).to_string())),
    ]) {
        let submission = format!("own-{n}");
        let (first, second) = (keys_of(id, &submission), keys_of(id, &submission).next());
        let third = second.next();
        let foreign = foreign.unwrap_or_else(|| out_of(&lab, id, "other", &first.out()).to_string());
        for keys in [&first, &second] {
            lab.put(&keys.out(), foreign.clone()).await;
            lab.put(&keys.file(1, "png"), "other's image").await;
        }
        let message = task(id, &submission).to_string();
        lab.send(&runtime.queue.url, &message).await;
        let completion = lab.completion(id).await;
        assert!(completion.result, "{id}: {:?}", completion.error);
        assert_eq!(
            (completion.submission.as_str(), &completion.context),
            (&*submission, &json!({ "of": submission }))
        );
        assert_eq!(completion.output_url, s3_uri(&lab.shared.bucket, &third.out()), "{id}");
        assert_eq!(completion.image_url, [s3_uri(&lab.shared.bucket, &third.file(1, "png"))], "{id}");

        // A duplicate finds the same keys.
        lab.send(&runtime.queue.url, &message).await;
        let completions = lab.completions(id, 2).await;
        assert_eq!(completions[1].notification_id, completion.notification_id, "{id}");
        assert_eq!(
            (&completions[1].output_url, &completions[1].image_url),
            (&completion.output_url, &completion.image_url),
            "{id}"
        );
        assert_eq!(runs(&runtime), n + 1, "{id}");
        for keys in [&first, &second] {
            assert_eq!(bytes_at(&lab, &keys.out()).await, foreign.as_bytes(), "{id}");
            assert_eq!(bytes_at(&lab, &keys.file(1, "png")).await, b"other's image", "{id}");
        }
    }
}

#[tokio::test]
async fn a_key_that_another_submission_takes_during_the_run_costs_no_second_run() {
    let mut options = SdWebUiOptions::default();
    options.behaviour.latency = Duration::from_secs(2);
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(options).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let keys = keys_of("raced", "own");
    lab.send(&runtime.queue.url, &task("raced", "own").to_string()).await;
    wait::until("the run", async || runtime.simulation.as_ref().unwrap().running()).await;
    let foreign = out_of(&lab, "raced", "other", &keys.out()).to_string();
    lab.put(&keys.out(), foreign.clone()).await;

    let completion = lab.completion("raced").await;
    assert_eq!((completion.result, completion.submission.as_str()), (true, "own"));
    assert_eq!(completion.image_url, [s3_uri(&lab.shared.bucket, &keys.next().file(1, "png"))]);
    assert!(lab.object(&completion.image_url[0]).await.0.starts_with(b"\x89PNG"));
    assert_eq!(bytes_at(&lab, &keys.out()).await, foreign.as_bytes());
    lab.emptied(&runtime.queue.url).await;
    assert_eq!(runs(&runtime), 1);
}

#[tokio::test]
async fn a_failure_does_not_overwrite_the_key_of_another_submission_either() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let keys = keys_of("bad", "own");
    let foreign = out_of(&lab, "bad", "other", &keys.out()).to_string();
    lab.put(&keys.out(), foreign.clone()).await;
    let mut bad = task("bad", "own");
    bad["content"]["steps"] = json!("many");
    lab.send(&runtime.queue.url, &bad.to_string()).await;

    let completion = lab.completion("bad").await;
    assert_eq!((completion.result, completion.submission.as_str()), (false, "own"));
    assert_eq!(completion.output_url, s3_uri(&lab.shared.bucket, &keys.next().out()));
    assert_eq!(lab.json(&completion.output_url).await["notification"]["error"], json!(completion.error));
    assert_eq!(bytes_at(&lab, &keys.out()).await, foreign.as_bytes());
}

/// A message that was received once before, by a worker that was replaced.
async fn send_and_drop(lab: &Lab, runtime: &Runtime, task: &Value) {
    lab.send(&runtime.queue.url, &task.to_string()).await;
    wait::until("the first receipt", async || {
        let call = lab.clients().sqs.receive_message().queue_url(&runtime.queue.url);
        let received = call.visibility_timeout(0).wait_time_seconds(1).send().await.unwrap();
        received.messages.filter(|messages| !messages.is_empty())
    })
    .await;
}

#[tokio::test]
async fn a_commit_of_an_earlier_version_is_notified_again_and_one_of_another_submission_is_not() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let [own, other] = SAME_32_BITS;
    let former = keys_of("upgraded", own).former_out();
    assert_eq!(former, keys_of("upgraded", other).former_out());
    // Larger than the part that is read back.
    let mut out = json!({ "images": ["x".repeat(17 * 1024 * 1024)] });
    out["notification"] = out_of(&lab, "upgraded", own, &former)["notification"].take();
    lab.put(&former, out.to_string()).await;
    send_and_drop(&lab, &runtime, &task("upgraded", own)).await;
    // A long poll of the process that is stopped would take the next message with it, on endpoints that do not notice the closed connection.
    let mut worker = lab.worker(&runtime, &[("RECEIVE_WAIT_SECONDS", "0")]).await;
    worker.logged("already committed, notifying again").await;
    let completion = lab.completion("upgraded").await;
    assert_eq!(
        (completion.output_url, completion.submission.as_str()),
        (s3_uri(&lab.shared.bucket, &former), own)
    );
    assert!(completion.outputs[0].url.is_some());
    assert_eq!(runs(&runtime), 0);
    lab.emptied(&runtime.queue.url).await;
    worker.signal("TERM");
    worker.exited().await;

    // The other submission has the same former key, and a result of its own.
    send_and_drop(&lab, &runtime, &task("upgraded", other)).await;
    let _worker = lab.worker(&runtime, &[]).await;
    let completions = lab.completions("upgraded", 2).await;
    assert_eq!(
        (completions[1].submission.as_str(), &completions[1].context),
        (other, &json!({ "of": other }))
    );
    assert_eq!(completions[1].output_url, s3_uri(&lab.shared.bucket, &keys_of("upgraded", other).out()));
    assert_eq!(runs(&runtime), 1);
    assert!(bytes_at(&lab, &former).await == out.to_string().as_bytes());
}

#[tokio::test]
async fn a_worker_that_may_not_read_reports_its_own_run_and_overwrites_nothing() {
    let name = "a_worker_that_may_not_read_reports_its_own_run_and_overwrites_nothing";
    if aws::skipped_elsewhere(name, "only embedded APIs know roles") {
        return;
    }
    let lab = Lab::start().await;
    let role = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "s3:PutObject",
        "sns:Publish",
    ];
    lab.aws.embedded.as_ref().unwrap().allow_only("worker", &role);
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let keys = keys_of("blind", "own");
    let foreign = out_of(&lab, "blind", "other", &keys.out()).to_string();
    lab.put(&keys.out(), foreign.clone()).await;
    let _worker = lab.worker(&runtime, &[("AWS_ACCESS_KEY_ID", "worker")]).await;
    lab.send(&runtime.queue.url, &task("blind", "own").to_string()).await;
    let completion = lab.completion("blind").await;
    assert_eq!((completion.result, completion.submission.as_str(), runs(&runtime)), (true, "own", 1));
    assert_eq!(completion.context, json!({ "of": "own" }));
    assert_eq!(bytes_at(&lab, &keys.out()).await, foreign.as_bytes());
}
