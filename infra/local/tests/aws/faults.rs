use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::error::SdkError;
use local_stack::aws::{Fault, Order, Service};

use crate::support::start;

#[tokio::test]
async fn sdks_retry_after_a_transient_fault() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    for fault in [Fault::FailBefore, Fault::DropBefore] {
        aws.endpoints.faults().strike(Service::Sns, "Publish", fault, 1);
        aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
        assert_eq!(aws.endpoints.faults().left(Service::Sns, "Publish"), 0);
    }
}

#[tokio::test]
async fn a_retry_after_a_lost_response_repeats_the_call() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    for fault in [Fault::FailAfter, Fault::DropAfter] {
        aws.endpoints.faults().strike(Service::Sqs, "SendMessage", fault, 1);
        aws.sqs.send_message().queue_url(&queue).message_body("b").send().await.unwrap();
    }
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessages").await, 4);
}

#[tokio::test]
async fn a_persistent_fault_is_returned_to_the_caller() {
    let aws = start().await;
    aws.s3.create_bucket().bucket("pictures").send().await.unwrap();
    let put = || aws.s3.put_object().bucket("pictures").key("a").body(ByteStream::from_static(b"x")).send();
    aws.endpoints.faults().strike(Service::S3, "PutObject", Fault::FailBefore, 3);
    let error = put().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
    aws.endpoints.faults().strike(Service::S3, "PutObject", Fault::DropBefore, 3);
    assert!(matches!(put().await.unwrap_err(), SdkError::DispatchFailure(_)));
    put().await.unwrap();
}

#[tokio::test]
async fn a_fault_can_be_restricted_to_one_caller() {
    let aws = start().await;
    aws.s3.create_bucket().bucket("pictures").send().await.unwrap();
    let put = async |client: &aws_sdk_s3::Client| {
        let put = client.put_object().bucket("pictures").key("a").body(ByteStream::from_static(b"x"));
        put.send().await.is_ok()
    };
    let (one, two) = (aws.client_of("worker-1"), aws.client_of("worker-2"));
    let denied = Order::new(Service::S3, "PutObject", Fault::Deny).by("worker-1").skip(1);
    aws.endpoints.faults().order(denied);
    assert_eq!((put(&two).await, put(&one).await, put(&two).await), (true, true, true));
    assert_eq!((put(&two).await, put(&one).await, put(&one).await), (true, false, true));
}

#[tokio::test]
async fn a_slow_call_takes_effect_before_or_after_the_delay() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let hour = Duration::from_secs(3600);
    for (fault, sent) in [(Fault::DelayBefore(hour), 0), (Fault::DelayAfter(hour), 1)] {
        aws.endpoints.faults().strike(Service::Sqs, "SendMessage", fault, 1);
        let send = aws.sqs.send_message().queue_url(&queue).message_body("b").send();
        assert!(tokio::time::timeout(Duration::from_millis(300), send).await.is_err(), "it was not slow");
        assert_eq!(aws.count(&queue, "ApproximateNumberOfMessages").await, sent, "{fault:?}");
    }
}

#[tokio::test]
async fn a_short_delay_only_delays_the_call() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    for fault in [Fault::DelayBefore(Duration::from_millis(50)), Fault::DelayAfter(Duration::from_millis(50))]
    {
        aws.endpoints.faults().strike(Service::Sns, "Publish", fault, 1);
        let asked = std::time::Instant::now();
        aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
        assert!(asked.elapsed() >= Duration::from_millis(50));
    }
}

#[tokio::test]
async fn a_conditional_write_can_fail_with_a_conflict() {
    let aws = start().await;
    aws.s3.create_bucket().bucket("pictures").send().await.unwrap();
    // The SDK does not retry this.
    aws.endpoints.faults().strike(Service::S3, "PutObject", Fault::Conflict, 1);
    let put = || aws.s3.put_object().bucket("pictures").key("a").if_none_match("*").send();
    let error = put().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 409);
    assert_eq!(error.into_service_error().meta().code(), Some("ConditionalRequestConflict"));
    put().await.unwrap();
}

#[tokio::test]
async fn a_publication_can_be_delivered_twice() {
    let aws = start().await;
    let (queue, topic) = (aws.queue("q").await, aws.topic("t").await);
    aws.subscribe(&topic, &queue, &[]).await;
    aws.endpoints.faults().strike(Service::Sns, "Publish", Fault::DeliverTwice, 1);
    aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
    let one = aws.message_now(&queue).await.unwrap();
    let two = aws.message_now(&queue).await.unwrap();
    assert_ne!(one.message_id, two.message_id);
    // The envelope has the same SNS MessageId in it.
    assert_eq!(one.body, two.body);
    assert!(aws.message_now(&queue).await.is_none());
}
