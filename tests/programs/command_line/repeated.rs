//! A submission that gets no response is repeated with its key, and is one task.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Response, Uri};
use futures_util::stream;
use integration_tests::lab::free_port;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::{json_of, run_at};
use crate::served::Served;

/// What happens to a POST on its way.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The front door processes it, and its response is lost.
    ResponseLost,
    /// Something before the front door refuses it for a second.
    Refused,
    /// Nothing.
    Passed,
}

/// A proxy before a front door, and the idempotency keys of the POSTs that it got.
async fn proxy(stack: &Served, ways: &[Way]) -> (String, Arc<Mutex<Vec<String>>>) {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let (seen, ways) = (Arc::clone(&keys), ways.to_vec());
    let (client, front_door) = (stack.client.clone(), stack.url.clone());
    let pass = async move |method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes| {
        let mut way = Way::Passed;
        if method == Method::POST {
            let mut seen = seen.lock().unwrap();
            way = ways.get(seen.len()).copied().unwrap_or(Way::Passed);
            seen.push(headers["idempotency-key"].to_str().unwrap().to_owned());
        }
        if matches!(way, Way::Refused) {
            return Response::builder().status(503).header("retry-after", "2").body(Body::empty()).unwrap();
        }
        headers.remove("host");
        let request = client.request(method, format!("{front_door}{uri}")).headers(headers).body(body);
        let answer = request.send().await.unwrap();
        let response = Response::builder().status(answer.status());
        match way {
            Way::ResponseLost => {
                let lost = stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]);
                response.body(Body::from_stream(lost)).unwrap()
            }
            _ => response.body(Body::from(answer.bytes().await.unwrap())).unwrap(),
        }
    };
    let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
    (url, keys)
}

#[tokio::test]
async fn a_response_that_is_lost_makes_no_second_image() {
    let stack = Served::start().await;
    let (url, keys) = proxy(&stack, &[Way::ResponseLost, Way::ResponseLost]).await;
    let submit = ["submit", "x", "--set", "width=64", "--set", "height=64", "--wait", "--json"];
    let submitted = run_at(&url, &submit).await;
    assert_eq!(submitted.code, 0, "{}", submitted.notes);
    let task = submitted.json();
    let keys = keys.lock().unwrap().clone();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(submitted.notes.contains("sending it again"), "{}", submitted.notes);

    let list = json_of(&stack, &["list"]).await;
    assert_eq!(list["tasks"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["tasks"][0]["id"], task["id"]);
    assert_eq!(task["attempts"], 1);
}

#[tokio::test]
async fn a_pause_that_the_server_wants_is_made() {
    let stack = Served::start().await;
    let (url, keys) = proxy(&stack, &[Way::Refused]).await;
    let started = Instant::now();
    let submitted = run_at(&url, &["submit", "x", "--idempotency-key", "mine", "--json"]).await;
    assert_eq!((submitted.code, &submitted.json()["status"]), (0, &json!("queued")), "{}", submitted.notes);
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(*keys.lock().unwrap(), ["mine", "mine"]);

    // Without time for it, the response counts.
    let (url, keys) = proxy(&stack, &[Way::Refused]).await;
    let refused = run_at(&url, &["submit", "x", "--retry-seconds", "1", "--json"]).await;
    assert_eq!((refused.code, &refused.error()["error"]["status"]), (3, &json!(503)));
    assert_eq!(keys.lock().unwrap().len(), 1);
}
