use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;

use crate::support::start;

#[tokio::test]
async fn a_role_allows_its_actions_and_nothing_else() {
    let aws = start().await;
    aws.s3.create_bucket().bucket("pictures").send().await.unwrap();
    aws.endpoints.allow_only("p1", &["s3:PutObject"]);
    let p1 = aws.client_of("p1");
    p1.put_object().bucket("pictures").key("a").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let get = p1.get_object().bucket("pictures").key("a").send().await.unwrap_err();
    assert_eq!(get.code(), Some("AccessDenied"));
    let head = p1.head_object().bucket("pictures").key("a").send().await.unwrap_err();
    assert_eq!(head.raw_response().unwrap().status().as_u16(), 403);
    p1.list_objects_v2().bucket("pictures").send().await.unwrap_err();

    aws.s3.get_object().bucket("pictures").key("a").send().await.unwrap();
}

#[tokio::test]
async fn a_missing_object_is_forbidden_without_the_permission_to_list() {
    let aws = start().await;
    aws.s3.create_bucket().bucket("pictures").send().await.unwrap();
    let get = async |key: &str| {
        let call = aws.client_of(key).get_object().bucket("pictures").key("none");
        call.send().await.unwrap_err().raw_response().unwrap().status().as_u16()
    };
    aws.endpoints.allow_only("reader", &["s3:GetObject"]);
    aws.endpoints.allow_only("lister", &["s3:GetObject", "s3:ListBucket"]);
    assert_eq!((get("reader").await, get("lister").await), (403, 404));
}

#[tokio::test]
async fn queues_and_topics_check_roles_too() {
    let aws = start().await;
    let (queue, topic) = (aws.queue("q").await, aws.topic("t").await);
    aws.endpoints.allow_only("test", &["sqs:ReceiveMessage"]);
    aws.sqs.receive_message().queue_url(&queue).send().await.unwrap();
    let send = aws.sqs.send_message().queue_url(&queue).message_body("b").send().await.unwrap_err();
    assert_eq!(send.raw_response().unwrap().status().as_u16(), 403);
    let publish = aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap_err();
    assert_eq!(publish.raw_response().unwrap().status().as_u16(), 403);
}
