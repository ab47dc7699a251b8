//! Workflows as people paste them: wrapped, in other formats, with what is ComfyUI's own, and odd but legal ones.

use serde_json::{Value, json};

use crate::door::Door;

/// A file of `tests/fixtures/cases`.
fn case(file: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/cases");
    serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{file}")).unwrap()).unwrap()
}

fn pipeline(content: Value) -> Value {
    let metadata = json!({"id": "test", "runtime": "comfyui", "tasktype": "pipeline"});
    json!({"task": {"metadata": metadata, "content": content}})
}

#[tokio::test]
async fn each_wrapping_is_named_with_what_to_send_and_nothing_is_published() {
    let door = Door::open().await;
    for (file, pointers, hints) in [
        ("comment", vec!["/_comment", "/version"], ["`_comment` is no node", "remove it"]),
        ("editor", vec![""], ["the editor's own format", "Export (API)"]),
        ("graph-to-prompt", vec![""], ["graphToPrompt", "`output` itself"]),
        ("list", vec![""], ["is a list", "element 0"]),
        ("missing-class", vec!["/15/class_type"], ["node `15` (`Lost node`)", "extension"]),
        ("prompt", vec![""], ["ComfyUI's `/prompt`", "`prompt` itself"]),
        ("runpod", vec![""], ["RunPod", "`input.workflow` itself"]),
        ("text", vec![""], ["holds the workflow as JSON", "without quotes"]),
    ] {
        let answer = door
            .post_json("/v1alpha2", &pipeline(case(&format!("04-wrapped-workflows/request-{file}.json"))))
            .await;
        let found: Vec<String> =
            answer.violations("invalid_task").into_iter().map(|(pointer, _)| pointer).collect();
        let expected: Vec<String> =
            pointers.iter().map(|pointer| format!("/task/content{pointer}")).collect();
        assert_eq!(found, expected, "{file}");
        let message = answer.json()["violations"][0]["message"].as_str().unwrap().to_owned();
        assert!(hints.iter().all(|hint| message.contains(hint)), "{file}: {message}");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn a_workflow_as_text_in_a_wrapping_is_named_with_what_to_send() {
    let door = Door::open().await;
    let workflow = json!({"1": {"class_type": "SaveImage", "inputs": {}}}).to_string();
    // As ComfyUI writes it into its files.
    let pasted = r#"{"1": {"class_type": "SaveImage", "inputs": {}, "is_changed": [NaN]}}"#;
    let editor = case("04-wrapped-workflows/request-editor.json").to_string();
    for (content, hints) in [
        (json!({"prompt": workflow}), ["ComfyUI's `/prompt`", "`prompt` itself as the content, an object"]),
        (json!({"prompt": pasted}), ["ComfyUI's `/prompt`", "without quotes"]),
        (
            json!({"workflow": workflow, "seed": 1}),
            ["wrapped", "`workflow` itself as the content, an object"],
        ),
        (
            json!({"input": {"workflow": workflow}}),
            ["RunPod", "`input.workflow` itself as the content, an object"],
        ),
        (json!({"workflow": editor}), ["`workflow`", "Export (API)"]),
    ] {
        let answer = door.post_json("/v1alpha2", &pipeline(content)).await;
        let expected = [("/task/content".to_owned(), "editor_format".to_owned())];
        assert_eq!(answer.violations("invalid_task"), expected, "{}", answer.text);
        let message = answer.json()["violations"][0]["message"].as_str().unwrap().to_owned();
        assert!(hints.iter().all(|hint| message.contains(hint)), "{message}");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn what_comfyui_keeps_in_nodes_for_itself_is_not_published() {
    let door = Door::open().await;
    let mut content = case("12-pasted-png-prompt/request-stale.json");
    door.post_json("/v1alpha2", &pipeline(content.clone())).await.accepted();
    content["1"].as_object_mut().unwrap().shift_remove("is_changed");
    assert_eq!(door.sns.published().message()["content"], content);
}

#[tokio::test]
async fn odd_but_legal_workflows_are_published_as_they_came() {
    for file in ["request.json", "request-runnable.json"] {
        let door = Door::open().await;
        let content = case(&format!("20-odd-but-legal-nodes/{file}"));
        door.post_json("/v1alpha2", &pipeline(content.clone())).await.accepted();
        assert_eq!(door.sns.published().message()["content"], content, "{file}");
    }
}

#[tokio::test]
async fn a_content_that_nests_too_deep_is_refused_at_its_field() {
    let door = Door::open().await;
    let nested = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let content =
        |levels| json!({"1": {"class_type": "SaveImage", "inputs": {"x": {"__value__": nested(levels)}}}});
    // The content, the node, its inputs and the wrapped value are four levels.
    door.post_json("/v1alpha2", &pipeline(content(60))).await.accepted();
    let answer = door.post_json("/v1alpha2", &pipeline(content(61))).await;
    let expected = [("/task/content/1/inputs/x".to_owned(), "too_large".to_owned())];
    assert_eq!(answer.violations("invalid_task"), expected);
    assert!(answer.text.contains("at most 64 levels"), "{}", answer.text);
}
