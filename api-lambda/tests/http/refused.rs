//! What is refused, and how: every violation at once, and nothing is published.

use serde_json::{Value, json};

use crate::door::{Door, but, by_model, text_to_image};

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned())).collect()
}

#[tokio::test]
async fn what_is_not_json_is_told_with_its_place() {
    let door = Door::open().await;
    for (body, place) in [
        ("{nope", "line 1 column 2"),
        ("{\"task\":\n  NaN}", "line 2 column 3"),
        ("<task/>", "line 1 column 1"),
        ("{\"task\": {", "line 1 column 10"),
    ] {
        let answer = door.post("/v1alpha2", body).await;
        assert_eq!(answer.violations("invalid_body"), pairs(&[("", "not_json")]));
        assert!(answer.text.contains(place), "{}", answer.text);
    }
    for (body, about) in [("", "empty"), (" \n", "empty")] {
        let answer = door.post("/v1alpha1", body).await;
        assert_eq!(answer.violations("invalid_body"), pairs(&[("", "not_json")]));
        assert!(answer.text.contains(about), "{}", answer.text);
    }
    let answer = door.post("/v1alpha2", vec![b'"', 0xff, b'"']).await;
    assert_eq!(answer.violations("invalid_body"), pairs(&[("", "not_json")]));
    let answer = door.post("/v1alpha2", "[".repeat(100_000)).await;
    assert_eq!(answer.violations("invalid_body"), pairs(&[("", "not_json")]));
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn json_of_another_shape_is_told_where_it_differs() {
    let door = Door::open().await;
    for (path, body, expected) in [
        ("/v1alpha2", json!([]), ("", "wrong_type")),
        ("/v1alpha2", json!(null), ("", "wrong_type")),
        ("/v1alpha2", json!("task"), ("", "wrong_type")),
        ("/v1alpha2", json!({}), ("/task", "missing")),
        ("/v1alpha2", json!({"task": 5}), ("/task", "wrong_type")),
        ("/v1alpha2", json!({"task": null}), ("/task", "wrong_type")),
        ("/v1alpha2", json!({"task": []}), ("/task", "wrong_type")),
        ("/v1alpha2", but(text_to_image(), "/task/metadata", None), ("/task/metadata", "missing")),
        (
            "/v1alpha2",
            but(text_to_image(), "/task/metadata", Some(json!(null))),
            ("/task/metadata", "wrong_type"),
        ),
        ("/v1alpha1", json!([]), ("", "wrong_type")),
        ("/v1alpha1", json!({}), ("/alwayson_scripts", "missing")),
        ("/v1alpha1", json!({"alwayson_scripts": []}), ("/alwayson_scripts", "wrong_type")),
    ] {
        let found = door.post_json(path, &body).await.violations("invalid_task");
        assert_eq!(found, pairs(&[expected]), "{path} {body}");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn each_field_is_told_by_its_own_rule() {
    let door = Door::open().await;
    let cases: [(&str, Option<Value>, &str); 22] = [
        ("/task/metadata/id", None, "missing"),
        ("/task/metadata/id", Some(json!({})), "wrong_type"),
        ("/task/metadata/id", Some(json!("")), "unsafe_key"),
        ("/task/metadata/id", Some(json!("../../etc")), "unsafe_key"),
        ("/task/metadata/id", Some(json!("a\nb")), "unsafe_key"),
        ("/task/metadata/id", Some(json!("_darkroom/x")), "unsafe_key"),
        ("/task/metadata/id", Some(json!("x".repeat(600))), "too_large"),
        ("/task/metadata/runtime", None, "missing"),
        ("/task/metadata/runtime", Some(json!(7)), "wrong_type"),
        ("/task/metadata/runtime", Some(json!("nobody")), "unknown_runtime"),
        ("/task/metadata/tasktype", None, "missing"),
        ("/task/metadata/tasktype", Some(json!("bogus")), "not_allowed"),
        ("/task/metadata/prefix", Some(json!(7)), "wrong_type"),
        ("/task/metadata/prefix", Some(json!("a/../..")), "unsafe_key"),
        ("/task/content", None, "missing"),
        ("/task/content", Some(json!(null)), "wrong_type"),
        ("/task/content", Some(json!("s")), "wrong_type"),
        ("/alwayson_scripts/id_task", None, "missing"),
        ("/alwayson_scripts/task", None, "missing"),
        ("/alwayson_scripts/sd_model_checkpoint", None, "missing"),
        ("/alwayson_scripts/sd_model_checkpoint", Some(json!(7)), "wrong_type"),
        ("/alwayson_scripts/sd_model_checkpoint", Some(json!("nobody's")), "unknown_model"),
    ];
    for (pointer, replacement, code) in cases {
        let (path, body) = if pointer.starts_with("/task") {
            ("/v1alpha2", text_to_image())
        } else {
            ("/v1alpha1", by_model())
        };
        let body = but(body, pointer, replacement);
        let found = door.post_json(path, &body).await.violations("invalid_task");
        assert_eq!(found, pairs(&[(pointer, code)]), "{body}");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn all_violations_come_at_once() {
    let door = Door::open().await;
    let metadata = json!({"id": {}, "tasktype": "bogus", "runtime": "nobody"});
    let found = door
        .post_json("/v1alpha2", &json!({"task": {"metadata": metadata}}))
        .await
        .violations("invalid_task");
    for expected in pairs(&[
        ("/task/metadata/id", "wrong_type"),
        ("/task/metadata/tasktype", "not_allowed"),
        ("/task/metadata/runtime", "unknown_runtime"),
        ("/task/content", "missing"),
    ]) {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}

#[tokio::test]
async fn a_runtime_that_does_not_take_the_task_type_is_refused() {
    let door = Door::open().await;
    let body = but(text_to_image(), "/task/metadata/runtime", Some(json!("comfyui")));
    let found = door.post_json("/v1alpha2", &body).await.violations("invalid_task");
    assert_eq!(found, pairs(&[("/task/metadata/tasktype", "unsupported_task_type")]));
}

#[tokio::test]
async fn characters_that_sns_does_not_take_are_refused_at_their_field() {
    for (door, of_runtime, of_model) in [
        (Door::without_registry().await, "wrong_form", "wrong_form"),
        (Door::open().await, "unknown_runtime", "unknown_model"),
    ] {
        for text in ["a\u{1}", "\u{fffe}", "a\u{ffff}b", "\0"] {
            let (runtime, model) = ("/task/metadata/runtime", "/alwayson_scripts/sd_model_checkpoint");
            let body = but(text_to_image(), runtime, Some(json!(text)));
            let found = door.post_json("/v1alpha2", &body).await.violations("invalid_task");
            assert_eq!(found, pairs(&[(runtime, of_runtime)]), "{text:?}");
            let body = but(by_model(), model, Some(json!(text)));
            let found = door.post_json("/v1alpha1", &body).await.violations("invalid_task");
            assert_eq!(found, pairs(&[(model, of_model)]), "{text:?}");
            for (path, body, pointer) in [
                ("/v1alpha2", text_to_image(), "/task/metadata/id"),
                ("/v1alpha2", text_to_image(), "/task/metadata/prefix"),
                ("/v1alpha1", by_model(), "/alwayson_scripts/id_task"),
                ("/v1alpha1", by_model(), "/alwayson_scripts/save_dir"),
            ] {
                let answer = door.post_json(path, &but(body, pointer, Some(json!(text)))).await;
                assert_eq!(answer.violations("invalid_task"), pairs(&[(pointer, "unsafe_key")]), "{text:?}");
                assert!(answer.text.contains("control characters, U+FFFE or U+FFFF"), "{}", answer.text);
            }
        }
        assert!(door.sns.calls().is_empty());
    }
}

#[tokio::test]
async fn an_answer_that_cannot_name_every_violation_says_how_many_are_left() {
    let door = Door::open().await;
    let nodes: serde_json::Map<String, Value> = (0..130).map(|n| (n.to_string(), json!(n))).collect();
    let metadata = json!({"id": "x", "runtime": "comfyui", "tasktype": "pipeline"});
    let mut content = nodes;
    content.insert("a".to_owned(), json!({"class_type": "SaveImage", "inputs": {}}));
    let answer =
        door.post_json("/v1alpha2", &json!({"task": {"metadata": metadata, "content": content}})).await;
    assert_eq!(answer.violations("invalid_task").len(), 100);
    let last = answer.json()["violations"][99]["message"].as_str().unwrap().to_owned();
    assert!(last.ends_with("; 30 more violations are not listed"), "{last}");
}

#[tokio::test]
async fn an_empty_model_is_refused_also_without_a_registry() {
    // SNS takes no empty attribute.
    let door = Door::without_registry().await;
    let pointer = "/alwayson_scripts/sd_model_checkpoint";
    let answer = door.post_json("/v1alpha1", &but(by_model(), pointer, Some(json!("")))).await;
    assert!(answer.violations("invalid_task").iter().all(|(at, _)| at == pointer));
    let pointer = "/task/metadata/runtime";
    let answer = door.post_json("/v1alpha2", &but(text_to_image(), pointer, Some(json!("")))).await;
    assert!(answer.violations("invalid_task").iter().all(|(at, _)| at == pointer));
    assert!(door.sns.calls().is_empty());
}
