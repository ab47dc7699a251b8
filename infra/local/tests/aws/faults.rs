use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::error::SdkError;
use local_stack::aws::{Fault, Service};

use crate::support::start;

#[tokio::test]
async fn sdks_retry_over_a_passing_fault() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    for fault in [Fault::FailBefore, Fault::DropBefore] {
        aws.endpoints.faults().strike(Service::Sns, "Publish", fault, 1);
        aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
        assert_eq!(aws.endpoints.faults().left(Service::Sns, "Publish"), 0);
    }
}

#[tokio::test]
async fn a_fault_after_the_effect_makes_the_retry_a_repetition() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    for fault in [Fault::FailAfter, Fault::DropAfter] {
        aws.endpoints.faults().strike(Service::Sqs, "SendMessage", fault, 1);
        aws.sqs.send_message().queue_url(&queue).message_body("b").send().await.unwrap();
    }
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessages").await, 4);
}

#[tokio::test]
async fn a_lasting_fault_reaches_the_caller() {
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
