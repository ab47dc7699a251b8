use crate::support::{Aws, http, queue_arn, start};

/// Posts a form to a path and gives the status and the XML.
async fn post(aws: &Aws, path: &str, form: &[(&str, &str)]) -> (u16, String) {
    let body = serde_urlencoded::to_string(form).unwrap();
    let request = http().post(format!("{}{path}", aws.endpoints.url())).body(body);
    let response = request
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0
}

const VERSION: (&str, &str) = ("Version", "2010-03-31");

#[tokio::test]
async fn lists_and_maps_are_read_and_written() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    let subscribe = [
        ("Action", "Subscribe"),
        VERSION,
        ("TopicArn", &topic),
        ("Protocol", "sqs"),
        ("Endpoint", &queue_arn(&queue)),
        ("Attributes.entry.1.key", "RawMessageDelivery"),
        ("Attributes.entry.1.value", "true"),
    ];
    let (status, xml) = post(&aws, "/", &subscribe).await;
    assert_eq!(status, 200, "{xml}");
    assert!(xml.contains("<SubscribeResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">"), "{xml}");
    assert!(xml.contains("<ResponseMetadata><RequestId>"), "{xml}");
    let arn = element(&xml, "SubscriptionArn").to_owned();

    let publish = [
        ("Action", "Publish"),
        VERSION,
        ("TopicArn", &topic),
        ("Message", "a <b>\r\n"),
        ("MessageAttributes.entry.1.Name", "kind"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "k"),
    ];
    assert_eq!(post(&aws, "/", &publish).await.0, 200);
    let message = aws.next_message(&queue).await.unwrap();
    assert_eq!(message.body(), Some("a <b>\r\n"));
    assert_eq!(message.message_attributes().unwrap()["kind"].string_value(), Some("k"));

    let get = [("Action", "GetSubscriptionAttributes"), VERSION, ("SubscriptionArn", &arn)];
    let (_, xml) = post(&aws, "/", &get).await;
    assert!(xml.contains("<entry><key>RawMessageDelivery</key><value>true</value></entry>"), "{xml}");
    let list = [("Action", "ListTopics"), VERSION];
    let (_, xml) = post(&aws, "/", &list).await;
    assert!(
        xml.contains(&format!("<Topics><member><TopicArn>{topic}</TopicArn></member></Topics>")),
        "{xml}"
    );
}

#[tokio::test]
async fn errors_have_the_codes_of_aws() {
    let aws = start().await;
    let (status, xml) = post(&aws, "/", &[("Action", "Dance"), VERSION]).await;
    assert_eq!((status, element(&xml, "Code")), (400, "InvalidAction"));
    let list = [("Action", "ListSubscriptionsByTopic"), VERSION, ("TopicArn", "arn:x")];
    let (status, xml) = post(&aws, "/", &list).await;
    assert_eq!((status, element(&xml, "Code"), element(&xml, "Type")), (404, "NotFound", "Sender"));
}

#[tokio::test]
async fn json_errors_name_the_query_code_in_a_header() {
    let aws = start().await;
    let request = http().post(aws.endpoints.url()).header("x-amz-target", "AmazonSQS.GetQueueUrl");
    let response = request.body(r#"{"QueueName": "none"}"#).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert!(response.text().await.unwrap().contains(r#""__type":"com.amazonaws.sqs#QueueDoesNotExist""#));
}
