//! The presigned URLs in a notification: which credentials sign them, and how long they are valid.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::response::IntoResponse as _;
use integration_tests::image_server::ImageServer;
use integration_tests::lab::{Lab, SubmitApi};
use reqwest::{StatusCode, Url};
use serde_json::json;
use simulated_runtimes::SdWebUiOptions;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const MINUTE: u64 = 60;

/// The credentials endpoint of containers (Amazon ECS, EKS Pod Identity): the n-th credentials have the access key `ASIA<n>`,
/// and are valid for the n-th of these times, or for the last one.
async fn container_credentials(lifetimes: &'static [u64]) -> (ImageServer, String) {
    let server = ImageServer::start().await;
    let requests = AtomicUsize::new(0);
    let url = server.respond_with("credentials", move |_| {
        let n = requests.fetch_add(1, Ordering::Relaxed);
        let lifetime = Duration::from_secs(lifetimes[n.min(lifetimes.len() - 1)]);
        let expiration = OffsetDateTime::from(SystemTime::now() + lifetime).format(&Rfc3339).unwrap();
        Json(json!({ "AccessKeyId": format!("ASIA{}", n + 1), "SecretAccessKey": "secret", "Token": "token",
                     "Expiration": expiration }))
        .into_response()
    });
    (server, url)
}

/// The expiry of a URL, by the notification and by the URL itself.
#[derive(Debug, PartialEq)]
struct Signed {
    access_key: String,
    /// In seconds from the signature on.
    url_expires: i64,
    /// `url_expires_at`, as seconds from the signature on.
    stated: i64,
}

/// Processes a task and returns the expiry of its one URL, which works.
async fn signed(lab: &Lab, api: &SubmitApi, id: &str) -> Signed {
    let content = json!({ "prompt": "x", "width": 64, "height": 64, "steps": 1 });
    api.submit("sdruntime", "text-to-image", id, content).await;
    let output = lab.completion(id).await.outputs.pop().unwrap();
    let url = Url::parse(&output.url.unwrap()).unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let signed_at = PrimitiveDateTime::parse(
        &parameter("X-Amz-Date"),
        format_description!("[year][month][day]T[hour][minute][second]Z"),
    );
    let stated = OffsetDateTime::parse(&output.url_expires_at.unwrap(), &Rfc3339).unwrap();
    let expiry = Signed {
        access_key: parameter("X-Amz-Credential").split('/').next().unwrap().to_owned(),
        url_expires: parameter("X-Amz-Expires").parse().unwrap(),
        stated: (stated - signed_at.unwrap().assume_utc()).whole_seconds(),
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), StatusCode::OK);
    expiry
}

#[tokio::test]
async fn credentials_that_soon_expire_sign_no_url_where_fresh_ones_are_available() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let (source, url) = container_credentials(&[10 * MINUTE, 6 * 60 * MINUTE]).await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("URL_EXPIRY_SECONDS", "7200"),
    ];
    let _worker = lab.worker(&runtime, &variables).await;
    for id in ["one", "two"] {
        // The first ones are valid long enough for calls.
        let wanted = Signed { access_key: "ASIA2".to_owned(), url_expires: 7200, stated: 7200 };
        assert_eq!(signed(&lab, &api, id).await, wanted, "{id}");
    }
    assert_eq!(source.requested_paths().len(), 2);
}

#[tokio::test]
async fn urls_of_short_lived_credentials_state_their_expiry_and_the_credentials_are_not_refreshed_for_each() {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let api = lab.submit_api(&[&runtime]).await;
    let (source, url) = container_credentials(&[10 * MINUTE]).await;
    let variables = [("AWS_ACCESS_KEY_ID", ""), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)];
    let _worker = lab.worker(&runtime, &variables).await;
    for id in ["one", "two", "three"] {
        let expiry = signed(&lab, &api, id).await;
        assert_eq!((expiry.access_key.as_str(), expiry.url_expires), ("ASIA2", expiry.stated), "{id}");
        assert!((1..=600).contains(&expiry.stated), "{id}: {expiry:?}");
    }
    assert_eq!(source.requested_paths().len(), 2);
}

#[tokio::test]
async fn temporary_credentials_of_unknown_expiry_are_assumed_valid_for_an_hour() {
    for (id, token, stated) in [("temporary", "token", 3600), ("permanent", "", 86400)] {
        // A queue of its own: the long poll of a worker that has exited may still receive a message.
        let lab = Lab::start().await;
        let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
        let api = lab.submit_api(&[&runtime]).await;
        let _worker = lab.worker(&runtime, &[("AWS_SESSION_TOKEN", token)]).await;
        let wanted = Signed { access_key: "test".to_owned(), url_expires: 86400, stated };
        assert_eq!(signed(&lab, &api, id).await, wanted, "{id}");
    }
}
