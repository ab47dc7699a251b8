use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
};

use crate::support::{Aws, queue_arn, start};

async fn send(aws: &Aws, queue: &str, body: &str) -> String {
    aws.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap().message_id.unwrap()
}

/// Receives without deleting.
async fn receive(aws: &Aws, queue: &str, visibility: i32) -> Option<Message> {
    let received = aws.sqs.receive_message().queue_url(queue).visibility_timeout(visibility);
    let received =
        received.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    received.messages.unwrap_or_default().pop()
}

fn handle(message: &Message) -> &str {
    message.receipt_handle().unwrap()
}

#[tokio::test]
async fn a_message_is_received_with_its_attributes_and_counts() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let text = |value: &str| {
        MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
    };
    let number = MessageAttributeValue::builder().data_type("Number").string_value("1.5").build().unwrap();
    let bytes = aws_sdk_sqs::primitives::Blob::new([0, 255]);
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(bytes).build().unwrap();
    let trace = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value("Root=1-a-b")
        .build()
        .unwrap();
    let sent = aws.sqs.send_message().queue_url(&queue).message_body("körper\r\n <&>");
    let sent = sent
        .message_attributes("kind", text("k"))
        .message_attributes("n", number)
        .message_attributes("b", binary.clone())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .send()
        .await
        .unwrap();

    let message = aws.next_message(&queue).await.unwrap();
    assert_eq!(message.message_id, sent.message_id);
    assert_eq!(message.body(), Some("körper\r\n <&>"));
    assert_eq!(message.md5_of_body, sent.md5_of_message_body);
    assert_eq!(message.md5_of_message_attributes, sent.md5_of_message_attributes);
    assert_eq!(message.message_attributes().unwrap()["b"], binary);
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert_eq!(system[&MessageSystemAttributeName::AwsTraceHeader], "Root=1-a-b");
    assert!(system[&MessageSystemAttributeName::SentTimestamp].parse::<u64>().unwrap() > 1_600_000_000_000);
}

#[tokio::test]
async fn attributes_are_selected_by_name_and_by_prefix() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let mut sent = aws.sqs.send_message().queue_url(&queue).message_body("b");
    for name in ["task.id", "task.kind", "other"] {
        sent = sent.message_attributes(name, text.clone());
    }
    sent.send().await.unwrap();
    for (asked, expected) in [("task.*", 2), ("other", 1), ("All", 3), ("none", 0)] {
        let call =
            aws.sqs.receive_message().queue_url(&queue).visibility_timeout(0).message_attribute_names(asked);
        let messages = call.send().await.unwrap().messages.unwrap();
        assert_eq!(
            messages[0].message_attributes().map_or(0, |attributes| attributes.len()),
            expected,
            "{asked}"
        );
        assert!(messages[0].attributes().is_none());
    }
}

#[tokio::test]
async fn a_received_message_is_hidden_until_it_is_released() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    send(&aws, &queue, "b").await;
    let first = receive(&aws, &queue, 60).await.unwrap();
    assert!(receive(&aws, &queue, 60).await.is_none());
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessagesNotVisible").await, 1);
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessages").await, 0);

    let release = aws.sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle(&first));
    release.visibility_timeout(0).send().await.unwrap();
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessages").await, 1);
    let second = receive(&aws, &queue, 60).await.unwrap();
    assert_eq!(second.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_is_sent_released_or_times_out() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let poll =
        || aws.sqs.receive_message().queue_url(&queue).wait_time_seconds(20).visibility_timeout(1).send();
    let started = Instant::now();

    let (received, _) = tokio::join!(poll(), send(&aws, &queue, "sent"));
    let first = received.unwrap().messages.unwrap().remove(0);

    let release = aws.sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle(&first));
    let (received, released) = tokio::join!(poll(), release.visibility_timeout(0).send());
    released.unwrap();
    assert_eq!(received.unwrap().messages.unwrap().len(), 1);

    assert_eq!(poll().await.unwrap().messages.unwrap().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_long_poll_does_not_wait_longer_than_a_shortened_visibility() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    send(&aws, &queue, "b").await;
    let first = receive(&aws, &queue, 60).await.unwrap();
    let poll = aws.sqs.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    let shorten = aws.sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle(&first));
    let started = Instant::now();
    let (received, shortened) = tokio::join!(poll, shorten.visibility_timeout(1).send());
    shortened.unwrap();
    assert_eq!(received.unwrap().messages.unwrap_or_default().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_client_that_disconnects_receives_no_message() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let poll = aws.sqs.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    assert!(tokio::time::timeout(Duration::from_millis(200), poll).await.is_err());
    // A round trip later the server has seen the connection close.
    aws.count(&queue, "ApproximateNumberOfMessages").await;
    send(&aws, &queue, "b").await;
    assert!(aws.next_message(&queue).await.is_some());
}

#[tokio::test]
async fn a_stale_handle_deletes_nothing_and_extends_nothing() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    send(&aws, &queue, "b").await;
    let stale = receive(&aws, &queue, 0).await.unwrap();
    let current = receive(&aws, &queue, 60).await.unwrap();

    aws.sqs.delete_message().queue_url(&queue).receipt_handle(handle(&stale)).send().await.unwrap();
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessagesNotVisible").await, 1);
    let extend = aws.sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle(&stale));
    let error = extend.visibility_timeout(60).send().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("InvalidParameterValue"));

    aws.sqs.delete_message().queue_url(&queue).receipt_handle(handle(&current)).send().await.unwrap();
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessagesNotVisible").await, 0);
    // Deleting again succeeds.
    aws.sqs.delete_message().queue_url(&queue).receipt_handle(handle(&current)).send().await.unwrap();
}

#[tokio::test]
async fn handles_that_cannot_be_used_are_refused() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let delete = aws.sqs.delete_message().queue_url(&queue).receipt_handle("nonsense").send().await;
    assert!(delete.unwrap_err().into_service_error().is_receipt_handle_is_invalid());

    send(&aws, &queue, "b").await;
    let message = receive(&aws, &queue, 0).await.unwrap();
    let change = |seconds| {
        let change = aws.sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle(&message));
        change.visibility_timeout(seconds).send()
    };
    assert!(change(60).await.unwrap_err().into_service_error().is_message_not_inflight());
    assert_eq!(
        change(43_201).await.unwrap_err().into_service_error().meta().code(),
        Some("InvalidParameterValue")
    );
}

#[tokio::test]
async fn the_visibility_timeout_is_limited_to_twelve_hours_after_the_receipt() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    send(&aws, &queue, "b").await;
    let message = receive(&aws, &queue, 60).await.unwrap();
    let extend = |seconds| {
        let change = aws.sqs.change_message_visibility().queue_url(&queue).receipt_handle(handle(&message));
        change.visibility_timeout(seconds).send()
    };
    // Time has passed since the receipt, so this exceeds the limit, too.
    let error = extend(43_200).await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("InvalidParameterValue"));
    assert!(error.meta().message().unwrap().contains("beyond the limit [43200 seconds]"), "{error:?}");
    extend(43_190).await.unwrap();
}

#[tokio::test]
async fn a_hidden_message_can_be_delivered_again() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let id = send(&aws, &queue, "b").await;
    assert_eq!(aws.endpoints.deliver_again(&queue, None), 0, "nothing is in flight");
    let first = receive(&aws, &queue, 60).await.unwrap();
    assert_eq!(aws.endpoints.deliver_again(&queue, Some("another")), 0);
    assert_eq!(aws.endpoints.deliver_again(&queue, Some(&id)), 1);
    let second = receive(&aws, &queue, 60).await.unwrap();
    assert_eq!((&first.message_id, &first.body), (&second.message_id, &second.body));
    assert_ne!(first.receipt_handle, second.receipt_handle);
    assert_eq!(
        second.attributes.as_ref().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount],
        "2"
    );

    // Each is deleted by its own handle only.
    for left in [1, 0] {
        let delivery = if left == 1 { &first } else { &second };
        aws.sqs.delete_message().queue_url(&queue).receipt_handle(handle(delivery)).send().await.unwrap();
        assert_eq!(aws.count(&queue, "ApproximateNumberOfMessagesNotVisible").await, left);
    }
}

#[tokio::test]
async fn a_message_received_too_often_moves_to_the_dead_letter_queue_with_all_its_data() {
    let aws = start().await;
    let dead = aws.queue("q-dlq").await;
    let redrive = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":2}}"#, queue_arn(&dead));
    let create =
        aws.sqs.create_queue().queue_name("q").attributes(QueueAttributeName::RedrivePolicy, redrive);
    let queue = create.send().await.unwrap().queue_url.unwrap();
    let trace = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value("Root=1-a-b")
        .build()
        .unwrap();
    let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let sent = aws.sqs.send_message().queue_url(&queue).message_body("b").message_attributes("a", text);
    let sent = sent.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace);
    let sent = sent.send().await.unwrap();

    assert!(receive(&aws, &queue, 0).await.is_some());
    assert!(receive(&aws, &queue, 0).await.is_some());
    assert!(receive(&aws, &queue, 0).await.is_none());
    let message = aws.next_message(&dead).await.unwrap();
    assert_eq!(message.message_id, sent.message_id);
    assert_eq!(message.body(), Some("b"));
    assert_eq!(message.message_attributes().unwrap().len(), 1);
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::AwsTraceHeader], "Root=1-a-b");
    assert_eq!(system[&MessageSystemAttributeName::DeadLetterQueueSourceArn], queue_arn(&queue));
}

#[tokio::test]
async fn batches_succeed_and_fail_entry_by_entry() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    send(&aws, &queue, "b").await;
    let message = receive(&aws, &queue, 60).await.unwrap();
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let batch = aws.sqs.delete_message_batch().queue_url(&queue);
    let batch =
        batch.entries(entry("x", handle(&message))).entries(entry("y", "nonsense")).send().await.unwrap();
    assert_eq!((batch.successful()[0].id(), batch.failed()[0].code()), ("x", "ReceiptHandleIsInvalid"));
    let wrong = |entries| aws.sqs.delete_message_batch().queue_url(&queue).set_entries(Some(entries)).send();
    let error = wrong(vec![entry("a", "h"), entry("a", "h")]).await.unwrap_err().into_service_error();
    assert!(error.is_batch_entry_ids_not_distinct());
    assert!(wrong(vec![]).await.unwrap_err().into_service_error().is_empty_batch_request());
    let eleven = (0..11).map(|number| entry(&number.to_string(), "h")).collect();
    assert!(wrong(eleven).await.unwrap_err().into_service_error().is_too_many_entries_in_batch_request());
}

#[tokio::test]
async fn messages_that_sqs_does_not_accept_are_refused() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let send = |body: String| aws.sqs.send_message().queue_url(&queue).message_body(body).send();
    send("x".repeat(1_048_576)).await.unwrap();
    let error = send("x".repeat(1_048_577)).await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("InvalidParameterValue"));
    assert!(send("\u{0}".to_owned()).await.unwrap_err().into_service_error().is_invalid_message_contents());
    assert_eq!(
        send(String::new()).await.unwrap_err().into_service_error().meta().code(),
        Some("MissingParameter")
    );
    for value in ["\u{1}", "a\u{fffe}", "\u{ffff}"] {
        let attribute =
            MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
        let send =
            aws.sqs.send_message().queue_url(&queue).message_body("x").message_attributes("a", attribute);
        let error = send.send().await.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some("InvalidParameterValue"), "{value:?}");
    }
}

#[tokio::test]
async fn queues_are_found_changed_and_deleted() {
    let aws = start().await;
    let url = aws.queue("jobs-a").await;
    assert_eq!(url, format!("{}/000000000000/jobs-a", aws.endpoints.url()));
    assert_eq!(aws.queue("jobs-a").await, url);
    aws.queue("other").await;
    let listed = aws.sqs.list_queues().queue_name_prefix("jobs").send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
    assert_eq!(aws.sqs.get_queue_url().queue_name("jobs-a").send().await.unwrap().queue_url.unwrap(), url);

    let set = aws.sqs.set_queue_attributes().queue_url(&url);
    set.attributes(QueueAttributeName::VisibilityTimeout, "77").send().await.unwrap();
    assert_eq!(aws.count(&url, "VisibilityTimeout").await, 77);
    assert_eq!(aws.count(&url, "MaximumMessageSize").await, 1_048_576);
    let again =
        aws.sqs.create_queue().queue_name("jobs-a").attributes(QueueAttributeName::VisibilityTimeout, "1");
    assert!(again.send().await.unwrap_err().into_service_error().is_queue_name_exists());
    let wrong = aws
        .sqs
        .set_queue_attributes()
        .queue_url(&url)
        .attributes(QueueAttributeName::VisibilityTimeout, "-1");
    assert!(wrong.send().await.unwrap_err().into_service_error().is_invalid_attribute_value());

    aws.sqs.delete_queue().queue_url(&url).send().await.unwrap();
    let error = aws.sqs.receive_message().queue_url(&url).send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist());
}

#[tokio::test]
async fn fifo_queues_are_refused() {
    let aws = start().await;
    let create =
        aws.sqs.create_queue().queue_name("q.fifo").attributes(QueueAttributeName::FifoQueue, "true");
    let error = create.send().await.unwrap_err().into_service_error();
    assert!(error.meta().message().unwrap().contains("FIFO"), "{error:?}");
}

#[tokio::test]
async fn stopping_cancels_long_polls() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let poll = tokio::spawn(aws.sqs.receive_message().queue_url(&queue).wait_time_seconds(20).send());
    // Another round trip, after which the poll is in progress.
    aws.count(&queue, "ApproximateNumberOfMessages").await;
    let started = Instant::now();
    aws.endpoints.stop().await;
    let received = poll.await.unwrap();
    assert!(received.is_err() || received.unwrap().messages.is_none());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
