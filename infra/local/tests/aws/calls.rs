use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use local_stack::aws::{CallRecord, Fault, Service, Subject};

use crate::support::{Aws, start};

/// The records of that action.
fn of(aws: &Aws, action: &str) -> Vec<CallRecord> {
    aws.endpoints.calls().into_iter().filter(|call| call.action == action).collect()
}

#[tokio::test]
async fn a_call_is_logged_with_its_caller_and_object() {
    let aws = start().await;
    let worker = aws.client_of("worker-3");
    aws.s3.create_bucket().bucket("pictures").send().await.unwrap();
    let put = worker.put_object().bucket("pictures").key("a b/ü.png").body(ByteStream::from_static(b"x"));
    put.send().await.unwrap();
    worker.get_object().bucket("pictures").key("none").send().await.unwrap_err();

    let [put] = of(&aws, "PutObject").try_into().unwrap();
    let subject = Subject::Object { bucket: "pictures".to_owned(), key: "a b/ü.png".to_owned() };
    assert_eq!((put.service, put.caller.as_str(), put.subject), (Service::S3, "worker-3", subject));
    assert_eq!(put.status.unwrap().as_u16(), 200);
    let took_effect = put.took_effect.unwrap();
    assert!(put.started <= took_effect && took_effect <= put.finished);

    let [get] = of(&aws, "GetObject").try_into().unwrap();
    assert_eq!((get.status.unwrap().as_u16(), get.took_effect), (404, None));
    assert_eq!(aws.endpoints.calls_after(1).len(), aws.endpoints.calls().len() - 1);
}

#[tokio::test]
async fn deliveries_are_logged_by_message_and_handle() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let sent = aws.sqs.send_message().queue_url(&queue).message_body("b").send().await.unwrap();
    let receive = aws.sqs.receive_message().queue_url(&queue).visibility_timeout(40).send().await.unwrap();
    let handle = receive.messages.unwrap().pop().unwrap().receipt_handle.unwrap();
    aws.sqs.delete_message().queue_url(&queue).receipt_handle(&handle).send().await.unwrap();

    for (action, asked) in [("ReceiveMessage", Some(Duration::from_secs(40))), ("DeleteMessage", None)] {
        let [call] = of(&aws, action).try_into().unwrap();
        let Subject::Queue { name, deliveries, visibility } = call.subject else { panic!("{call:?}") };
        assert_eq!((name.as_str(), visibility), ("q", asked));
        let [delivery] = deliveries.try_into().unwrap();
        assert_eq!(
            (Some(delivery.message_id), delivery.receipt_handle),
            (sent.message_id.clone(), handle.clone())
        );
        assert_eq!(delivery.body.as_deref(), (action == "ReceiveMessage").then_some("b"));
    }
}

#[tokio::test]
async fn the_outcome_of_a_call_is_logged() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::DropBefore, Fault::DropAfter] {
        aws.endpoints.faults().strike(Service::Sns, "Publish", fault, 1);
        aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
    }
    let seen = of(&aws, "Publish").into_iter().map(|call| {
        assert!(matches!(call.subject, Subject::Topic { message, .. } if message == "m"));
        (call.fault, call.took_effect.is_some(), call.status.map(|status| status.as_u16()))
    });
    let retry = (None, true, Some(200));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            (Some(Fault::FailBefore), false, Some(500)),
            retry,
            (Some(Fault::FailAfter), true, Some(500)),
            retry,
            (Some(Fault::DropBefore), false, None),
            retry,
            (Some(Fault::DropAfter), true, None),
            retry,
        ]
    );
}

#[tokio::test]
async fn a_call_that_its_client_cancels_is_logged() {
    let aws = start().await;
    let queue = aws.queue("q").await;
    let poll = aws.sqs.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    assert!(tokio::time::timeout(Duration::from_millis(300), poll).await.is_err());
    let call = aws.logged("ReceiveMessage").await;
    assert_eq!((call.status, call.took_effect), (None, None));
}
