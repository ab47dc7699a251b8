use crate::support::{Aws, http, start};

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

const VERSION: (&str, &str) = ("Version", "2012-11-05");

#[tokio::test]
async fn a_message_goes_through_a_queue() {
    let aws = start().await;
    let create = [
        ("Action", "CreateQueue"),
        VERSION,
        ("QueueName", "q"),
        ("Attribute.1.Name", "VisibilityTimeout"),
        ("Attribute.1.Value", "40"),
    ];
    let (status, xml) = post(&aws, "/", &create).await;
    assert_eq!(status, 200, "{xml}");
    assert!(
        xml.contains("<CreateQueueResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">"),
        "{xml}"
    );
    let url = element(&xml, "QueueUrl").to_owned();
    assert_eq!(aws.count(&url, "VisibilityTimeout").await, 40);

    let path = "/000000000000/q";
    let send = [
        ("Action", "SendMessage"),
        VERSION,
        ("MessageBody", "a <b>\r\n"),
        ("MessageAttribute.1.Name", "kind"),
        ("MessageAttribute.1.Value.DataType", "String"),
        ("MessageAttribute.1.Value.StringValue", "k"),
    ];
    let (_, sent) = post(&aws, path, &send).await;
    let receive = [
        ("Action", "ReceiveMessage"),
        VERSION,
        ("AttributeName.1", "All"),
        ("MessageAttributeName.1", "All"),
        ("MaxNumberOfMessages", "10"),
    ];
    let (_, received) = post(&aws, path, &receive).await;
    assert_eq!(element(&received, "Body"), "a &lt;b&gt;&#13;\n");
    assert_eq!(element(&received, "MD5OfBody"), element(&sent, "MD5OfMessageBody"));
    assert!(
        received.contains("<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>"),
        "{received}"
    );
    let attribute =
        "<MessageAttribute><Name>kind</Name><Value><DataType>String</DataType><StringValue>k</StringValue>";
    assert!(received.contains(attribute), "{received}");

    let handle = element(&received, "ReceiptHandle");
    let delete = [("Action", "DeleteMessage"), VERSION, ("QueueUrl", &url), ("ReceiptHandle", handle)];
    let (status, xml) = post(&aws, "/", &delete).await;
    assert_eq!(status, 200);
    assert!(xml.contains("<DeleteMessageResponse") && xml.contains("<ResponseMetadata><RequestId>"), "{xml}");
    assert_eq!(aws.count(&url, "ApproximateNumberOfMessagesNotVisible").await, 0);
}

#[tokio::test]
async fn batches_are_flattened_lists() {
    let aws = start().await;
    aws.queue("q").await;
    let batch = [
        ("Action", "SendMessageBatch"),
        VERSION,
        ("SendMessageBatchRequestEntry.1.Id", "a"),
        ("SendMessageBatchRequestEntry.1.MessageBody", "1"),
        ("SendMessageBatchRequestEntry.2.Id", "b"),
        ("SendMessageBatchRequestEntry.2.MessageBody", ""),
    ];
    let (_, xml) = post(&aws, "/000000000000/q", &batch).await;
    assert_eq!(element(element(&xml, "SendMessageBatchResultEntry"), "Id"), "a");
    let failed = element(&xml, "BatchResultErrorEntry");
    assert_eq!((element(failed, "Id"), element(failed, "SenderFault")), ("b", "true"));
}

#[tokio::test]
async fn errors_have_their_codes() {
    let aws = start().await;
    let (status, xml) = post(&aws, "/", &[("Action", "GetQueueUrl"), VERSION, ("QueueName", "none")]).await;
    assert_eq!((status, element(&xml, "Code")), (400, "AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(element(&xml, "Type"), "Sender");
    let (status, xml) = post(&aws, "/", &[("Action", "Dance"), VERSION]).await;
    assert_eq!((status, element(&xml, "Code")), (400, "InvalidAction"));
    let sns = [("Action", "GetTopicAttributes"), ("Version", "2010-03-31"), ("TopicArn", "arn:x")];
    let (status, xml) = post(&aws, "/", &sns).await;
    assert_eq!((status, element(&xml, "Code")), (404, "NotFound"));
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
