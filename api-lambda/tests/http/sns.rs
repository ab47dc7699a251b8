//! A stand-in for SNS: records what is published, and fails as configured.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::s3::S3;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    /// As it should.
    Well,
    /// With an error: status, code and text.
    Failing(u16, &'static str, &'static str),
    /// Not at all.
    Silent,
}

/// One published message.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) form: HashMap<String, String>,
}

impl Published {
    pub(crate) fn message(&self) -> Value {
        serde_json::from_str(&self.form["Message"]).unwrap()
    }

    /// Name, type and value of the only attribute.
    pub(crate) fn attribute(&self) -> (&str, &str, &str) {
        assert!(!self.form.contains_key("MessageAttributes.entry.2.Name"), "more than one attribute");
        let part = |name: &str| self.form[&format!("MessageAttributes.entry.1.{name}")].as_str();
        (part("Name"), part("Value.DataType"), part("Value.StringValue"))
    }
}

/// The stand-in.
#[derive(Debug, Clone)]
pub(crate) struct Sns {
    mood: Mood,
    calls: Arc<Mutex<Vec<Published>>>,
    /// The stand-in for S3 at the same endpoint.
    pub(crate) s3: S3,
}

impl Sns {
    /// Starts one; returns it and its URL.
    pub(crate) async fn start(mood: Mood) -> (Self, String) {
        Self::start_beside(mood, Mood::Well).await
    }

    /// Starts one beside an S3 of another mood.
    pub(crate) async fn start_beside(mood: Mood, s3: Mood) -> (Self, String) {
        let sns = Self { mood, calls: Arc::default(), s3: S3::new(s3) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/", post(publish)).with_state(sns.clone()).merge(sns.s3.routes());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (sns, url)
    }

    /// Every call so far, failed ones included.
    pub(crate) fn calls(&self) -> Vec<Published> {
        self.calls.lock().unwrap().clone()
    }

    /// The only call.
    pub(crate) fn published(&self) -> Published {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.into_iter().next().unwrap()
    }
}

async fn publish(State(sns): State<Sns>, body: String) -> Response {
    let form: HashMap<String, String> = serde_urlencoded::from_str(&body).unwrap();
    assert_eq!(form["Action"], "Publish");
    sns.calls.lock().unwrap().push(Published { form });
    match sns.mood {
        Mood::Well => "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
             <MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>\
             <RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>"
            .into_response(),
        Mood::Failing(status, code, text) => {
            let fault = if status < 500 { "Sender" } else { "Receiver" };
            let xml = format!(
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>{fault}</Type>\
                 <Code>{code}</Code><Message>{text}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            );
            (StatusCode::from_u16(status).unwrap(), xml).into_response()
        }
        Mood::Silent => pending().await,
    }
}
