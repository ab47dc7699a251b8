//! Bodies that are no JSON, or not what JSON between systems is: each response names what was sent, where it is wrong, and what to send instead.

use serde_json::{Value, json};

use crate::door::{Answer, Door, but, text_to_image};

/// A file of the fixtures that are shared with the other tests.
fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/fixtures/cases/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The message of a body that is refused, which the detail repeats.
fn message(answer: &Answer) -> String {
    assert_eq!(answer.violations("invalid_body"), [(String::new(), "not_json".to_owned())]);
    let problem = answer.json();
    assert_eq!(problem["detail"], problem["violations"][0]["message"]);
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_body_in_another_encoding_is_refused_with_its_name() {
    let door = Door::open().await;
    for (body, named) in [
        (fixture("29-body-not-utf8/task-latin1.raw"), "Latin-1"),
        (fixture("29-body-not-utf8/task-utf16.raw"), "UTF-16 (little-endian)"),
        (b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gzip"),
    ] {
        let message = message(&door.post("/v1alpha2", body).await);
        assert!(message.contains("UTF-8") && message.contains(named), "{message}");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn a_byte_order_mark_of_utf_8_is_taken_off() {
    let door = Door::open().await;
    door.post("/v1alpha2", fixture("29-body-not-utf8/task-bom.raw")).await.accepted();
    assert_eq!(door.sns.published().message()["content"]["prompt"], "São Paulo");
}

#[tokio::test]
async fn what_a_parser_refuses_is_named_with_its_place() {
    let door = Door::open().await;
    let content = String::from_utf8(fixture("12-pasted-png-prompt/request-nan.raw")).unwrap();
    let pasted = format!(
        r#"{{"task": {{"metadata": {{"id": "a", "runtime": "comfyui", "tasktype": "pipeline"}}, "content": {content}}}}}"#
    );
    for (body, named) in [
        (pasted.as_str(), "`NaN` is no value of JSON"),
        (r#"{"task": {"content": {"steps": -Infinity}}}"#, "column 32 `-Infinity`"),
        (r#"{"task": {"content": {"prompt": "\ud800"}}}"#, "surrogate"),
        (r#"{"task": {"content": {"\udfff": 1}}}"#, "surrogate"),
        ("{\"task\": {\"content\": {\"prompt\": \"a\u{0}\"}}}", "`\\u0000`"),
        ("{'task': {}}", "single quote"),
        ("{\"task\": {", "cut off"),
        ("{\"task\": {}} trailing", "follows the end"),
        ("<task/>", "XML or HTML"),
    ] {
        let message = message(&door.post("/v1alpha2", body.to_owned()).await);
        assert!(message.contains(named) && message.contains("line 1 column"), "{body}: {message}");
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn nesting_is_refused_with_its_limit_and_its_place() {
    let door = Door::open().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [128, 10_000] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let message = message(&door.post("/v1alpha2", body).await);
            assert!(message.contains("deeper than 127 levels") && message.contains("line 1"), "{message}");
        }
    }
    assert!(door.sns.calls().is_empty());
}

#[tokio::test]
async fn the_defaults_of_swagger_are_refused_with_every_wrong_field() {
    const IMAGE: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let door = Door::open().await;
    let of_file = |name: &str| {
        let content = String::from_utf8(fixture(&format!("13-swagger-defaults/{name}"))).unwrap();
        let content: Value = serde_json::from_str(&content.replace("@IMAGE_PNG_64", IMAGE)).unwrap();
        let task = but(text_to_image(), "/task/content", Some(content));
        but(task, "/task/metadata/tasktype", Some(json!("image-to-image")))
    };
    let answer = door.post_json("/v1alpha2", &of_file("request.json")).await;
    let found = answer.violations("invalid_task");
    for (pointer, code) in
        [("/task/content/mask", "invalid_image"), ("/task/content/infotext", "not_allowed")]
    {
        assert!(found.contains(&(pointer.to_owned(), code.to_owned())), "{pointer} is not in {found:?}");
    }
    assert!(answer.text.contains("`string`"), "{}", answer.text);
    assert!(door.sns.calls().is_empty());

    door.post_json("/v1alpha2", &of_file("request-minimal.json")).await.accepted();

    let text_to_image =
        but(of_file("request-txt2img.json"), "/task/metadata/tasktype", Some(json!("text-to-image")));
    let found = door.post_json("/v1alpha2", &text_to_image).await.violations("invalid_task");
    let refused = |field: &str| (format!("/task/content/{field}"), "not_allowed".to_owned());
    assert_eq!(found, [refused("infotext"), refused("script_name")]);
}
