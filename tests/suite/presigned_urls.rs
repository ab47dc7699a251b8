//! The URLs in a notification: which credentials sign them, and for how long they can be relied on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::response::IntoResponse as _;
use integration_tests::image_server::ImageServer;
use integration_tests::lab::{FrontDoor, Lab};
use reqwest::{StatusCode, Url};
use serde_json::json;
use simulated_runtimes::SdWebUiOptions;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const MINUTE: u64 = 60;

/// What gives containers their credentials (Amazon ECS, EKS Pod Identity): the n-th ones are of the access key `ASIA<n>`,
/// and last for the n-th of these times, or for the last one.
async fn container_credentials(lasting: &'static [u64]) -> (ImageServer, String) {
    let server = ImageServer::start().await;
    let asked = AtomicUsize::new(0);
    let url = server.answers("credentials", move |_| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        let lasting = Duration::from_secs(lasting[n.min(lasting.len() - 1)]);
        let expiration = OffsetDateTime::from(SystemTime::now() + lasting).format(&Rfc3339).unwrap();
        Json(json!({ "AccessKeyId": format!("ASIA{}", n + 1), "SecretAccessKey": "secret", "Token": "token",
                     "Expiration": expiration }))
        .into_response()
    });
    (server, url)
}

/// What a notification and its URL say.
#[derive(Debug, PartialEq)]
struct Signed {
    access_key: String,
    /// In seconds from the signature on.
    url_expires: i64,
    /// `url_expires_at`, as seconds from the signature on.
    stated: i64,
}

/// Does a task and returns what is said of its one URL, which works.
async fn signed(lab: &Lab, door: &FrontDoor, id: &str) -> Signed {
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 });
    door.submit("sdruntime", "text-to-image", id, content).await;
    let output = lab.ended(id).await.outputs.pop().unwrap();
    let url = Url::parse(&output.url.unwrap()).unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let signed_at = PrimitiveDateTime::parse(
        &parameter("X-Amz-Date"),
        format_description!("[year][month][day]T[hour][minute][second]Z"),
    );
    let stated = OffsetDateTime::parse(&output.url_expires_at.unwrap(), &Rfc3339).unwrap();
    let said = Signed {
        access_key: parameter("X-Amz-Credential").split('/').next().unwrap().to_owned(),
        url_expires: parameter("X-Amz-Expires").parse().unwrap(),
        stated: (stated - signed_at.unwrap().assume_utc()).whole_seconds(),
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), StatusCode::OK);
    said
}

#[tokio::test]
async fn credentials_that_soon_expire_sign_no_url_where_better_ones_are_to_be_had() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let door = lab.front_door(&[&runtime]).await;
    let (source, url) = container_credentials(&[10 * MINUTE, 6 * 60 * MINUTE]).await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("URL_EXPIRY_SECONDS", "7200"),
    ];
    let _worker = lab.worker(&runtime, &variables).await;
    for id in ["one", "two"] {
        // The first ones are good enough for calls.
        let wanted = Signed { access_key: "ASIA2".to_owned(), url_expires: 7200, stated: 7200 };
        assert_eq!(signed(&lab, &door, id).await, wanted, "{id}");
    }
    assert_eq!(source.asked().len(), 2);
}

#[tokio::test]
async fn urls_of_credentials_that_never_last_say_so_and_the_source_is_not_asked_for_each() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let door = lab.front_door(&[&runtime]).await;
    let (source, url) = container_credentials(&[10 * MINUTE]).await;
    let variables = [("AWS_ACCESS_KEY_ID", ""), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)];
    let _worker = lab.worker(&runtime, &variables).await;
    for id in ["one", "two", "three"] {
        let said = signed(&lab, &door, id).await;
        assert_eq!((said.access_key.as_str(), said.url_expires), ("ASIA2", said.stated), "{id}");
        assert!((1..=600).contains(&said.stated), "{id}: {said:?}");
    }
    assert_eq!(source.asked().len(), 2);
}

#[tokio::test]
async fn temporary_credentials_of_unknown_expiry_are_relied_on_for_an_hour() {
    for (id, token, stated) in [("temporary", "token", 3600), ("permanent", "", 86400)] {
        // A queue of its own: the long poll of a worker that is gone may take a message with it.
        let lab = Lab::start().await;
        let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
        let door = lab.front_door(&[&runtime]).await;
        let _worker = lab.worker(&runtime, &[("AWS_SESSION_TOKEN", token)]).await;
        let wanted = Signed { access_key: "test".to_owned(), url_expires: 86400, stated };
        assert_eq!(signed(&lab, &door, id).await, wanted, "{id}");
    }
}
