use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::MessageSystemAttributeName;

use crate::support::{json, queue_arn, start};

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_queue_gets_the_message_in_an_envelope() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    aws.subscribe(&topic, &queue, &[]).await;
    let publish = aws.sns.publish().topic_arn(&topic).message("hällo\r\n").subject("s");
    let published = publish.message_attributes("runtime", text("a")).send().await.unwrap();

    let message = aws.next_message(&queue).await.unwrap();
    let envelope = json(message.body().unwrap());
    assert_eq!(envelope["Type"], "Notification");
    assert_eq!(envelope["MessageId"], published.message_id.unwrap());
    assert_eq!(envelope["TopicArn"], topic);
    assert_eq!(envelope["Subject"], "s");
    assert_eq!(envelope["Message"], "hällo\r\n");
    assert_eq!(envelope["SignatureVersion"], "1");
    assert_eq!(envelope["MessageAttributes"]["runtime"], json(r#"{"Type": "String", "Value": "a"}"#));
    let timestamp = envelope["Timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    for name in ["Signature", "SigningCertURL", "UnsubscribeURL"] {
        assert!(envelope[name].is_string(), "{name}");
    }
    assert!(message.message_attributes().is_none());
}

#[tokio::test]
async fn raw_delivery_preserves_message_and_attributes() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    aws.subscribe(&topic, &queue, &[("RawMessageDelivery", "true")]).await;
    let publish = aws.sns.publish().topic_arn(&topic).message("m");
    publish.message_attributes("runtime", text("a")).send().await.unwrap();
    let message = aws.next_message(&queue).await.unwrap();
    assert_eq!(message.body(), Some("m"));
    assert_eq!(message.message_attributes().unwrap()["runtime"].string_value(), Some("a"));
}

#[tokio::test]
async fn filter_policies_select_the_queues() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    let (a, b) = (aws.queue("a").await, aws.queue("b").await);
    let policy = r#"{"$or": [{"runtime": ["a"]}, {"sd_model_checkpoint": ["m"]}]}"#;
    aws.subscribe(&topic, &a, &[("FilterPolicy", policy), ("RawMessageDelivery", "true")]).await;
    aws.subscribe(&topic, &b, &[("FilterPolicy", r#"{"runtime": ["b"]}"#), ("RawMessageDelivery", "true")])
        .await;
    for (name, value) in
        [("FilterPolicyScope", "MessageBody"), ("FilterPolicy", r#"{"a": [{"prefix": "b"}]}"#)]
    {
        let subscribe =
            aws.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue_arn(&aws.queue("c").await));
        let error = subscribe.attributes(name, value).send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{name}");
    }

    let publish = |name: &'static str, value: &'static str, body: &'static str| {
        aws.sns.publish().topic_arn(&topic).message(body).message_attributes(name, text(value)).send()
    };
    publish("runtime", "a", "1").await.unwrap();
    publish("runtime", "other", "2").await.unwrap();
    publish("sd_model_checkpoint", "m", "3").await.unwrap();
    publish("runtime", "b", "4").await.unwrap();
    let bodies = |queue: String| {
        let aws = &aws;
        async move {
            let mut bodies = Vec::new();
            while let Some(message) = aws.message_now(&queue).await {
                bodies.push(message.body.unwrap());
            }
            bodies
        }
    };
    assert_eq!(bodies(a).await, ["1", "3"]);
    assert_eq!(bodies(b).await, ["4"]);
}

#[tokio::test]
async fn the_trace_header_is_delivered_with_the_message() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    aws.subscribe(&topic, &queue, &[]).await;
    let trace = "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1";
    let publish = aws.sns.publish().topic_arn(&topic).message("m").customize();
    publish
        .mutate_request(move |request| {
            request.headers_mut().insert("x-amzn-trace-id", trace);
        })
        .send()
        .await
        .unwrap();
    let message = aws.next_message(&queue).await.unwrap();
    assert_eq!(message.attributes().unwrap()[&MessageSystemAttributeName::AwsTraceHeader], trace);
}

#[tokio::test]
async fn attributes_with_characters_outside_xml_are_refused() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    let publish = aws.sns.publish().topic_arn(&topic).message("x");
    for value in ["\u{1}", "a\u{fffe}", "\u{ffff}"] {
        let sent = publish.clone().message_attributes("runtime", text(value)).send().await;
        let error = sent.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some("ParameterValueInvalid"), "{value:?}");
    }
    publish.message_attributes("runtime", text("猫\t")).send().await.unwrap();
}

#[tokio::test]
async fn the_size_limit_is_the_topics() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    aws.subscribe(&topic, &queue, &[("RawMessageDelivery", "true")]).await;
    let publish = |size| aws.sns.publish().topic_arn(&topic).message("x".repeat(size)).send();
    publish(262_144).await.unwrap();
    let error = publish(262_145).await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception());
    assert!(error.meta().message().unwrap().contains("Message too long"));

    let raise = aws.sns.set_topic_attributes().topic_arn(&topic).attribute_name("MaximumMessageSize");
    raise.attribute_value("1048576").send().await.unwrap();
    publish(1_000_000).await.unwrap();
    assert_eq!(aws.count(&queue, "ApproximateNumberOfMessages").await, 2);
}

#[tokio::test]
async fn an_undeliverable_message_moves_to_the_dead_letter_queue_of_the_subscription() {
    let aws = start().await;
    let (topic, gone, dead) = (aws.topic("t").await, aws.queue("gone").await, aws.queue("dead").await);
    let redrive = format!(r#"{{"deadLetterTargetArn": "{}"}}"#, queue_arn(&dead));
    aws.subscribe(&topic, &gone, &[("RedrivePolicy", &redrive), ("RawMessageDelivery", "true")]).await;
    aws.sqs.delete_queue().queue_url(&gone).send().await.unwrap();
    aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
    assert_eq!(aws.next_message(&dead).await.unwrap().body(), Some("m"));
}

#[tokio::test]
async fn topics_and_subscriptions_are_listed_and_deleted() {
    let aws = start().await;
    let (topic, queue) = (aws.topic("t").await, aws.queue("q").await);
    assert_eq!(aws.topic("t").await, topic);
    assert_eq!(topic, "arn:aws:sns:us-east-1:000000000000:t");
    let subscription = aws.subscribe(&topic, &queue, &[("RawMessageDelivery", "true")]).await;
    assert_eq!(aws.subscribe(&topic, &queue, &[("RawMessageDelivery", "true")]).await, subscription);

    let listed = aws.sns.list_subscriptions_by_topic().topic_arn(&topic).send().await.unwrap();
    assert_eq!(listed.subscriptions().len(), 1);
    assert_eq!(listed.subscriptions()[0].endpoint(), Some(queue_arn(&queue).as_str()));
    let attributes =
        aws.sns.get_subscription_attributes().subscription_arn(&subscription).send().await.unwrap();
    let attributes = attributes.attributes.unwrap();
    assert_eq!(attributes["RawMessageDelivery"], "true");
    assert_eq!(attributes["PendingConfirmation"], "false");

    aws.sns.unsubscribe().subscription_arn(&subscription).send().await.unwrap();
    let listed = aws.sns.list_subscriptions_by_topic().topic_arn(&topic).send().await.unwrap();
    assert!(listed.subscriptions().is_empty());
    assert_eq!(aws.sns.list_topics().send().await.unwrap().topics()[0].topic_arn(), Some(topic.as_str()));
    let elsewhere = aws.sns.publish().topic_arn(format!("{topic}2")).message("m").send().await;
    assert!(elsewhere.unwrap_err().into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn fifo_topics_and_unknown_protocols_are_refused() {
    let aws = start().await;
    let error = aws.sns.create_topic().name("t.fifo").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception());
    let topic = aws.topic("t").await;
    let subscribe = aws.sns.subscribe().topic_arn(&topic).protocol("pigeon").endpoint("roof").send().await;
    assert!(subscribe.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

#[tokio::test]
async fn a_structured_message_has_a_text_for_each_protocol() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    let (raw, enveloped) = (aws.queue("raw").await, aws.queue("enveloped").await);
    aws.subscribe(&topic, &raw, &[("RawMessageDelivery", "true")]).await;
    aws.subscribe(&topic, &enveloped, &[]).await;
    let publish =
        |message: &str| aws.sns.publish().topic_arn(&topic).message(message).message_structure("json").send();
    publish(r#"{"default": "for all", "email": "for people", "lambda": {"no": "text"}}"#).await.unwrap();
    publish(r#"{"default": "for all", "sqs": "for queues\n", "http": "for hooks"}"#).await.unwrap();
    for text in ["for all", "for queues\n"] {
        assert_eq!(aws.next_message(&raw).await.unwrap().body(), Some(text));
        let message = aws.next_message(&enveloped).await.unwrap();
        assert_eq!(json(message.body().unwrap())["Message"], text);
    }

    for (message, reason) in [
        ("no json", "failed to parse"),
        ("[1]", "failed to parse"),
        (r#"{"sqs": "x"}"#, "No default entry"),
        (r#"{"default": {"x": "y"}}"#, "No default entry"),
    ] {
        let error = publish(message).await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception());
        assert!(error.meta().message().unwrap().contains(reason), "{message}: {error:?}");
    }
    let other = aws.sns.publish().topic_arn(&topic).message("{}").message_structure("xml").send().await;
    assert!(other.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

#[tokio::test]
async fn all_texts_of_a_structure_and_the_attributes_count_towards_the_size() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    // An escape has two bytes in the message and one in the text.
    let message = |size: usize| {
        let message = format!(r#"{{"default":"\n","email":"{}"}}"#, "x".repeat(size));
        aws.sns.publish().topic_arn(&topic).message(message).message_structure("json")
    };
    let counted = "status".len() + "String".len() + "failed".len();
    let frame = r#"{"default":"\n","email":""}"#.len();
    let room = 262_144 - frame - counted;
    let attributed = |size| message(size).message_attributes("status", text("failed")).send();
    attributed(room).await.unwrap();
    assert!(attributed(room + 1).await.unwrap_err().into_service_error().is_invalid_parameter_exception());
}
