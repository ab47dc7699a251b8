//! Paths and methods.

use reqwest::Method;
use reqwest::header::ALLOW;

use crate::door::{Door, by_model, text_to_image};

#[tokio::test]
async fn paths_are_taken_with_a_trailing_slash_and_below_a_stage() {
    let door = Door::open().await;
    for prefix in ["", "/prod", "/v1alpha2"] {
        for slash in ["", "/"] {
            door.post_json(&format!("{prefix}/v1alpha2{slash}"), &text_to_image()).await.accepted();
            door.post_json(&format!("{prefix}/v1alpha1{slash}"), &by_model()).await.accepted();
            let health = door.send(Method::GET, &format!("{prefix}/healthz{slash}"), "").await;
            assert_eq!(health.status, 200);
        }
    }
}

#[tokio::test]
async fn every_listed_path_takes_its_method_and_no_other() {
    let door = Door::open().await;
    for (method, path) in api_lambda::router::PATHS {
        let other = if method == Method::GET { Method::POST } else { Method::GET };
        for (method, is_taken) in [(method, true), (other, false)] {
            let answer = door.send(method.clone(), path, "").await;
            assert_eq!(answer.status != 405 && answer.status != 404, is_taken, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let door = Door::open().await;
    for path in ["/", "/v1", "/v1alpha3", "/a/b/v1alpha2", "/v1alpha2//", "/v1alpha2/x", "/V1ALPHA2"] {
        door.post_json(path, &text_to_image()).await.problem(404, "not_found");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    let door = Door::open().await;
    for path in ["/v1alpha1", "/v1alpha2/", "/prod/v1alpha2"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = door.send(method, path, "").await;
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.header(ALLOW), "POST");
        }
    }
    let answer = door.post("/healthz", "").await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header(ALLOW), "GET,HEAD");
}

#[tokio::test]
async fn health_is_told_to_head_too() {
    let door = Door::open().await;
    let answer = door.send(Method::HEAD, "/healthz", "").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
}
