//! Persisted queues, messages, topics and subscriptions are restored by the next process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use local_stack::aws::EmbeddedAws;
use serde_json::json;

use crate::support::{folder, persistent, sdk_config};

/// Endpoints on a folder that another process may have used.
struct Aws {
    endpoints: EmbeddedAws,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

async fn on(folder: &Path) -> Aws {
    let endpoints = EmbeddedAws::start(persistent(folder)).await.unwrap();
    let config = sdk_config(&endpoints, "test", "test");
    Aws { endpoints, sns: aws_sdk_sns::Client::new(&config), sqs: aws_sdk_sqs::Client::new(&config) }
}

/// Stops the endpoints. This writes nothing, so it is the same as a crash.
async fn stop(aws: Aws) {
    aws.endpoints.stop().await;
}

async fn queue(aws: &Aws, name: &str) -> String {
    aws.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

async fn url(aws: &Aws, name: &str) -> String {
    aws.sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

async fn send(aws: &Aws, url: &str, body: &str) {
    aws.sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
}

async fn receive(aws: &Aws, url: &str) -> Vec<Message> {
    let call = aws.sqs.receive_message().queue_url(url).max_number_of_messages(10);
    let call = call.message_attribute_names("All");
    let call = call.message_system_attribute_names(MessageSystemAttributeName::All);
    call.send().await.unwrap().messages.unwrap_or_default()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

fn files(folder: &Path, queue: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join(".queues").join(queue)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap() != "queue.json");
    paths
}

#[tokio::test]
async fn messages_are_restored_with_attributes_and_receive_counts() {
    let folder = folder();
    let before = on(&folder).await;
    let url_before = queue(&before, "q").await;
    send(&before, &url_before, "deleted").await;
    let deleted = receive(&before, &url_before).await.pop().unwrap();
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("comfyui");
    let sent = before.sqs.send_message().queue_url(&url_before).message_body("in flight");
    let sent = sent.message_attributes("runtime", attribute.build().unwrap()).send().await.unwrap();
    let received = receive(&before, &url_before).await;
    assert_eq!(bodies(&received), ["in flight"]);
    send(&before, &url_before, "waits").await;
    let delayed = before.sqs.send_message().queue_url(&url_before).message_body("delayed");
    delayed.delay_seconds(900).send().await.unwrap();
    let delete = before.sqs.delete_message().queue_url(&url_before);
    delete.receipt_handle(deleted.receipt_handle.unwrap()).send().await.unwrap();
    stop(before).await;

    let after = on(&folder).await;
    assert_eq!(after.endpoints.message_counts(), [("q".to_owned(), 3)]);
    let url = url(&after, "q").await;
    let messages = receive(&after, &url).await;
    assert_eq!(bodies(&messages), ["in flight", "waits"]);
    assert_eq!(messages[0].message_id, sent.message_id);
    assert_eq!(messages[0].message_attributes().unwrap()["runtime"].string_value(), Some("comfyui"));
    let count = |message: &Message| {
        message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount].clone()
    };
    assert_eq!([count(&messages[0]), count(&messages[1])], ["2", "1"]);
    let sent_at =
        |message: &Message| message.attributes().unwrap()[&MessageSystemAttributeName::SentTimestamp].clone();
    assert_eq!(sent_at(&messages[0]), sent_at(&received[0]));
    // A handle from before the restart is stale, as it is when the visibility timeout has passed.
    let stale = after.sqs.delete_message().queue_url(&url);
    stale.receipt_handle(received[0].receipt_handle().unwrap()).send().await.unwrap();
    assert_eq!(after.endpoints.message_counts(), [("q".to_owned(), 3)]);
}

#[tokio::test]
async fn a_restored_queue_gets_the_attributes_of_the_next_create_call() {
    let folder = folder();
    let before = on(&folder).await;
    let create = |aws: &Aws, seconds: &str| {
        let call = aws.sqs.create_queue().queue_name("q");
        call.attributes(QueueAttributeName::VisibilityTimeout, seconds).send()
    };
    let made = create(&before, "60").await.unwrap().queue_url.unwrap();
    send(&before, &made, "stays").await;
    stop(before).await;

    let after = on(&folder).await;
    let url = create(&after, "90").await.unwrap().queue_url.unwrap();
    let call = after.sqs.get_queue_attributes().queue_url(&url);
    let attributes = call.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "90");
    assert_eq!(bodies(&receive(&after, &url).await), ["stays"]);
    assert!(create(&after, "60").await.is_err(), "only the first time after a restart");
}

#[tokio::test]
async fn deleted_and_unfinished_messages_are_not_restored() {
    let folder = folder();
    let before = on(&folder).await;
    for name in ["deleted", "unfinished"] {
        let url = queue(&before, name).await;
        send(&before, &url, name).await;
    }
    before.sqs.delete_queue().queue_url(url(&before, "deleted").await).send().await.unwrap();
    stop(before).await;
    let [stored] = files(&folder, "unfinished").try_into().unwrap();
    std::fs::rename(&stored, stored.with_extension("unfinished")).unwrap();

    let after = on(&folder).await;
    assert_eq!(after.endpoints.message_counts(), []);
    let queues = after.sqs.list_queues().send().await.unwrap().queue_urls.unwrap();
    assert_eq!(queues.len(), 1, "{queues:?}");
    assert_eq!(files(&folder, "unfinished"), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_stays_and_does_not_affect_others() {
    let folder = folder();
    let before = on(&folder).await;
    let made = queue(&before, "q").await;
    send(&before, &made, "first").await;
    let [first] = files(&folder, "q").try_into().unwrap();
    send(&before, &made, "second").await;
    stop(before).await;
    std::fs::write(&first, "{").unwrap();

    let after = on(&folder).await;
    assert_eq!(bodies(&receive(&after, &url(&after, "q").await).await), ["second"]);
    assert!(first.is_file());
    send(&after, &url(&after, "q").await, "third").await;
    assert!(first.is_file());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_not_overwritten_by_the_next_message() {
    let folder = folder();
    let before = on(&folder).await;
    send(&before, &queue(&before, "q").await, "only").await;
    stop(before).await;
    let [only] = files(&folder, "q").try_into().unwrap();
    std::fs::write(&only, "{").unwrap();

    let after = on(&folder).await;
    send(&after, &url(&after, "q").await, "next").await;
    assert_eq!(std::fs::read(&only).unwrap(), b"{");
    assert_eq!(bodies(&receive(&after, &url(&after, "q").await).await), ["next"]);
}

#[tokio::test]
async fn a_queue_may_be_its_own_dead_letter_queue_and_two_may_be_each_others() {
    let folder = folder();
    let aws = on(&folder).await;
    for (name, dead_letters) in [("self", "self"), ("one", "other"), ("other", "one")] {
        let made = queue(&aws, name).await;
        let target = format!("arn:aws:sqs:us-east-1:000000000000:{dead_letters}");
        let redrive = json!({ "deadLetterTargetArn": target, "maxReceiveCount": 1 }).to_string();
        let call = aws.sqs.set_queue_attributes().queue_url(&made);
        let call = call.attributes(QueueAttributeName::RedrivePolicy, redrive);
        call.attributes(QueueAttributeName::VisibilityTimeout, "0").send().await.unwrap();
        send(&aws, &made, name).await;
    }
    let poll = async |name: &str| bodies(&receive(&aws, &url(&aws, name).await).await).len();
    for _ in 0..20 {
        tokio::join!(poll("self"), poll("one"), poll("other"));
    }
    stop(aws).await;
    let stored = ["self", "one", "other"].map(|name| files(&folder, name).len());
    assert_eq!((stored[0], stored[1] + stored[2]), (1, 2));
}

#[tokio::test]
async fn a_message_moved_during_a_crash_is_in_one_queue_only() {
    let folder = folder();
    let before = on(&folder).await;
    queue(&before, "dead").await;
    let redrive =
        json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 1 });
    let call = before.sqs.create_queue().queue_name("q");
    let call = call.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string());
    let made = call.attributes(QueueAttributeName::VisibilityTimeout, "0").send().await.unwrap();
    let made = made.queue_url.unwrap();
    send(&before, &made, "moved").await;
    assert_eq!(bodies(&receive(&before, &made).await), ["moved"]);
    let [file] = files(&folder, "q").try_into().unwrap();
    let stored = std::fs::read(&file).unwrap();
    assert_eq!(receive(&before, &made).await.len(), 0);
    stop(before).await;
    // As if the process had crashed before the message was deleted from its first queue.
    std::fs::write(&file, stored).unwrap();

    let after = on(&folder).await;
    assert_eq!(after.endpoints.message_counts(), [("dead".to_owned(), 1)]);
    assert!(!file.exists());
}

#[tokio::test]
async fn topics_and_subscriptions_are_restored() {
    let folder = folder();
    let before = on(&folder).await;
    queue(&before, "q").await;
    let topic = before.sns.create_topic().name("t").send().await.unwrap().topic_arn.unwrap();
    let subscribe = |aws: &Aws, raw: &str| {
        let call = aws.sns.subscribe().topic_arn(&topic).protocol("sqs");
        let call = call.endpoint("arn:aws:sqs:us-east-1:000000000000:q");
        call.set_attributes(Some(HashMap::from([("RawMessageDelivery".to_owned(), raw.to_owned())]))).send()
    };
    let arn = subscribe(&before, "false").await.unwrap().subscription_arn.unwrap();
    stop(before).await;

    let after = on(&folder).await;
    after.sns.publish().topic_arn(&topic).message("enveloped").send().await.unwrap();
    let url = url(&after, "q").await;
    assert!(receive(&after, &url).await[0].body().unwrap().contains("\"enveloped\""));
    assert_eq!(subscribe(&after, "true").await.unwrap().subscription_arn.unwrap(), arn);
    after.sns.publish().topic_arn(&topic).message("raw").send().await.unwrap();
    assert_eq!(bodies(&receive(&after, &url).await), ["raw"]);
    assert!(subscribe(&after, "false").await.is_err(), "only the first time after a restart");
}

#[tokio::test]
async fn two_processes_do_not_share_a_folder_of_queues() {
    let folder = folder();
    let first = on(&folder).await;
    let refused = EmbeddedAws::start(persistent(&folder)).await.unwrap_err().to_string();
    assert!(refused.contains("use another --data-dir"), "{refused}");
    stop(first).await;
    on(&folder).await;
}
