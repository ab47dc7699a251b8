use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_sns::types::MessageAttributeValue;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::signatures::is_signed_with_sha1;
use crate::support::{Aws, http, json, queue_arn, start};

type Delivery = (HeaderMap, String);

/// A subscriber that answers with the given statuses, then always 200.
struct Subscriber {
    url: String,
    deliveries: UnboundedReceiver<Delivery>,
}

type Answers = (Arc<Mutex<VecDeque<StatusCode>>>, UnboundedSender<Delivery>);

async fn answer(State((statuses, sender)): State<Answers>, headers: HeaderMap, body: String) -> StatusCode {
    sender.send((headers, body)).unwrap();
    statuses.lock().unwrap().pop_front().unwrap_or(StatusCode::OK)
}

impl Subscriber {
    async fn start(statuses: &[StatusCode]) -> Self {
        let (sender, deliveries) = unbounded_channel();
        let state = (Arc::new(Mutex::new(statuses.iter().copied().collect())), sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(state);
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, deliveries }
    }

    async fn next(&mut self) -> Delivery {
        let wait = tokio::time::timeout(std::time::Duration::from_secs(10), self.deliveries.recv());
        wait.await.expect("nothing was delivered").unwrap()
    }

    /// Subscribes and reads the request to confirm.
    async fn subscribe(&mut self, aws: &Aws, topic: &str, attributes: &[(&str, &str)]) -> Value {
        let mut call = aws.sns.subscribe().topic_arn(topic).protocol("http").endpoint(&self.url);
        for (name, value) in attributes {
            call = call.attributes(*name, *value);
        }
        assert_eq!(call.send().await.unwrap().subscription_arn.unwrap(), "pending confirmation");
        let (headers, body) = self.next().await;
        assert_eq!(headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
        json(&body)
    }
}

#[tokio::test]
async fn an_endpoint_that_confirms_by_url_receives_messages() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    let mut subscriber = Subscriber::start(&[]).await;
    let confirmation = subscriber.subscribe(&aws, &topic, &[]).await;
    assert!(is_signed_with_sha1(&confirmation).await, "{confirmation}");
    aws.sns.publish().topic_arn(&topic).message("too early").send().await.unwrap();
    let visited = http().get(confirmation["SubscribeURL"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(visited.status(), 200);
    assert!(
        visited.text().await.unwrap().contains("<ConfirmSubscriptionResult><SubscriptionArn>arn:aws:sns:")
    );

    aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
    let (headers, body) = subscriber.next().await;
    assert_eq!(headers["content-type"], "text/plain; charset=UTF-8");
    assert_eq!(headers["x-amz-sns-message-type"], "Notification");
    assert_eq!(headers["x-amz-sns-topic-arn"], topic.as_str());
    let envelope = json(&body);
    assert_eq!(envelope["Message"], "m");
    assert!(is_signed_with_sha1(&envelope).await, "{envelope}");
    assert_eq!(headers["x-amz-sns-message-id"], envelope["MessageId"].as_str().unwrap());

    let unsubscribed = http().get(envelope["UnsubscribeURL"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(unsubscribed.status(), 200);
    let listed = aws.sns.list_subscriptions_by_topic().topic_arn(&topic).send().await.unwrap();
    assert!(listed.subscriptions().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_confirms_by_token_receives_raw_messages() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    let mut subscriber = Subscriber::start(&[]).await;
    let confirmation = subscriber.subscribe(&aws, &topic, &[("RawMessageDelivery", "true")]).await;
    let confirm = |token: &str| aws.sns.confirm_subscription().topic_arn(&topic).token(token).send();
    assert!(confirm("wrong").await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    confirm(confirmation["Token"].as_str().unwrap()).await.unwrap();

    aws.sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
    let (headers, body) = subscriber.next().await;
    assert_eq!(headers["x-amz-sns-rawdelivery"], "true");
    assert_eq!(body, "m");
}

#[tokio::test]
async fn deliveries_are_retried_after_server_errors_and_dead_lettered_after_client_errors() {
    let aws = start().await;
    let (topic, dead) = (aws.topic("t").await, aws.queue("dead").await);
    let statuses = [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK, StatusCode::GONE];
    let mut subscriber = Subscriber::start(&statuses).await;
    let redrive = format!(r#"{{"deadLetterTargetArn": "{}"}}"#, queue_arn(&dead));
    let settings = [("RedrivePolicy", redrive.as_str()), ("RawMessageDelivery", "true")];
    let confirmation = subscriber.subscribe(&aws, &topic, &settings).await;
    let token = confirmation["Token"].as_str().unwrap();
    aws.sns.confirm_subscription().topic_arn(&topic).token(token).send().await.unwrap();

    aws.sns.publish().topic_arn(&topic).message("retried").send().await.unwrap();
    assert_eq!(subscriber.next().await.1, "retried");
    assert_eq!(subscriber.next().await.1, "retried");
    aws.sns.publish().topic_arn(&topic).message("refused").send().await.unwrap();
    assert_eq!(subscriber.next().await.1, "refused");
    assert_eq!(aws.next_message(&dead).await.unwrap().body(), Some("refused"));
}

#[tokio::test]
async fn an_endpoint_gets_the_text_of_its_protocol_with_subject_and_attributes() {
    let aws = start().await;
    let topic = aws.topic("t").await;
    let mut subscriber = Subscriber::start(&[]).await;
    let confirmation = subscriber.subscribe(&aws, &topic, &[]).await;
    let token = confirmation["Token"].as_str().unwrap();
    aws.sns.confirm_subscription().topic_arn(&topic).token(token).send().await.unwrap();

    let status = MessageAttributeValue::builder().data_type("String").string_value("failed").build().unwrap();
    let publish = aws.sns.publish().topic_arn(&topic).subject("s").message_structure("json");
    let publish = publish.message_attributes("status", status);
    for (message, text) in [
        (r#"{"default": "for all", "https": "other", "email": "other"}"#, "for all"),
        (r#"{"default": "for all", "http": "for hooks"}"#, "for hooks"),
    ] {
        publish.clone().message(message).send().await.unwrap();
        let envelope = json(&subscriber.next().await.1);
        assert_eq!((&envelope["Message"], &envelope["Subject"]), (&Value::from(text), &Value::from("s")));
        assert_eq!(envelope["MessageAttributes"]["status"], json(r#"{"Type": "String", "Value": "failed"}"#));
    }
}
