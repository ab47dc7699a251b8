//! What is accepted, what is answered, and what is published.

use serde_json::{Value, json};

use crate::door::{Door, TOPIC, but, by_model, text_to_image};

const ID: &str = "/task/metadata/id";
const PREFIX: &str = "/task/metadata/prefix";

/// The minted submission, after its form has been checked: a UUIDv7.
fn submission(value: &Value) -> &str {
    let text = value["submission"].as_str().unwrap();
    assert_eq!((text.len(), &text[14..15]), (36, "7"), "{text}");
    text
}

#[tokio::test]
async fn a_v1alpha2_task_is_answered_and_published_as_its_predecessors_did() {
    let door = Door::open().await;
    let answer = door.post_json("/v1alpha2", &text_to_image()).await.accepted();
    let submission = submission(&answer);
    let expected = json!({
        "id": "test-t2i", "runtime": "sdruntime", "output_location": "s3://outbucket/output/test-t2i",
        "id_task": "test-t2i", "submission": submission,
    });
    assert_eq!(answer, expected);

    let published = door.sns.published();
    assert_eq!(published.form["TopicArn"], TOPIC);
    assert_eq!(published.attribute(), ("runtime", "String", "sdruntime"));
    let task = text_to_image()["task"].take();
    assert_eq!(published.message(), but(task, "/metadata/submission", Some(json!(submission))));
}

#[tokio::test]
async fn empty_lists_that_php_writes_for_objects_are_taken_and_not_published() {
    let door = Door::open().await;
    let (settings, scripts) = ("/task/content/override_settings", "/task/content/alwayson_scripts");
    let body = but(but(text_to_image(), settings, Some(json!([]))), scripts, Some(json!([])));
    door.post_json("/v1alpha2", &body).await.accepted();
    let content = door.sns.published().message()["content"].take();
    assert_eq!(content, json!({"prompt": "A dog", "steps": 16, "width": 512, "height": 512}));

    for pointer in [settings, scripts] {
        let answer = door.post_json("/v1alpha2", &but(text_to_image(), pointer, Some(json!(["x"])))).await;
        assert_eq!(answer.violations("invalid_task"), [(pointer.to_owned(), "wrong_type".to_owned())]);
        assert!(answer.text.contains("must be an object"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_v1alpha1_task_goes_to_the_runtime_that_serves_its_model() {
    let door = Door::open().await;
    let answer = door.post_json("/v1alpha1", &by_model()).await.accepted();
    let expected = json!({
        "id_task": "test-t2i", "sd_model_checkpoint": "v1-5-pruned-emaonly.safetensors",
        "output_location": "s3://outbucket/outputs/test-t2i", "runtime": "sdruntime", "submission": submission(&answer),
    });
    assert_eq!(answer, expected);
    let published = door.sns.published();
    assert_eq!(published.attribute(), ("runtime", "String", "sdruntime"));
    assert_eq!(published.message()["metadata"]["runtime"], "sdruntime");
}

#[tokio::test]
async fn without_a_registry_a_v1alpha1_task_is_routed_by_its_model() {
    let door = Door::without_registry().await;
    let answer = door.post_json("/v1alpha1", &by_model()).await.accepted();
    assert_eq!(answer.get("runtime"), None);

    let published = door.sns.published();
    assert_eq!(published.attribute(), ("sd_model_checkpoint", "String", "v1-5-pruned-emaonly.safetensors"));
    let metadata = json!({
        "id": "test-t2i", "runtime": "legacy", "tasktype": "text-to-image", "prefix": "outputs", "context": {},
        "submission": answer["submission"],
    });
    let content = but(by_model(), "/s3_output_path", Some(json!("outbucket/outputs/test-t2i")));
    assert_eq!(published.message(), json!({"metadata": metadata, "content": content}));
}

#[tokio::test]
async fn without_a_registry_any_runtime_is_taken() {
    let door = Door::without_registry().await;
    let body = but(text_to_image(), "/task/metadata/runtime", Some(json!("nobody")));
    assert_eq!(door.post_json("/v1alpha2", &body).await.accepted()["runtime"], "nobody");
}

#[tokio::test]
async fn a_prefix_may_be_anything_and_the_location_is_where_the_files_land() {
    let locations = [
        (None, "s3://outbucket/test-t2i", Value::Null),
        (Some(json!(null)), "s3://outbucket/test-t2i", Value::Null),
        (Some(json!("")), "s3://outbucket/test-t2i", Value::Null),
        (Some(json!("a/")), "s3://outbucket/a/test-t2i", json!("a/")),
        (Some(json!("/output")), "s3://outbucket//output/test-t2i", json!("/output")),
        (Some(json!("a/b")), "s3://outbucket/a/b/test-t2i", json!("a/b")),
    ];
    for (prefix, location, published) in locations {
        for (path, body, pointer) in
            [("/v1alpha2", text_to_image(), PREFIX), ("/v1alpha1", by_model(), "/alwayson_scripts/save_dir")]
        {
            let door = Door::open().await;
            let answer = door.post_json(path, &but(body, pointer, prefix.clone())).await.accepted();
            assert_eq!(answer["output_location"], location, "{path} {prefix:?}");
            // A predecessor's worker drops a message whose prefix is empty, so none is published.
            assert_eq!(door.sns.published().message()["metadata"]["prefix"], published, "{path} {prefix:?}");
        }
    }
}

#[tokio::test]
async fn an_id_is_used_as_text_and_echoed_with_its_type() {
    let door = Door::open().await;
    let answer = door.post_json("/v1alpha2", &but(text_to_image(), ID, Some(json!(7)))).await.accepted();
    assert_eq!((&answer["id"], &answer["id_task"]), (&json!(7), &json!(7)));
    assert_eq!(answer["output_location"], "s3://outbucket/output/7");
    assert_eq!(door.sns.published().message()["metadata"]["id"], 7);
}

#[tokio::test]
async fn every_post_is_a_submission_of_its_own() {
    let door = Door::open().await;
    let body = but(text_to_image(), "/task/metadata/submission", Some(json!("chosen by the caller")));
    let first = door.post_json("/v1alpha2", &body).await.accepted();
    let second = door.post_json("/v1alpha2", &body).await.accepted();
    assert_ne!(submission(&first), submission(&second));
    let published: Vec<Value> =
        door.sns.calls().iter().map(|call| call.message()["metadata"]["submission"].clone()).collect();
    assert_eq!(published, [first["submission"].clone(), second["submission"].clone()]);
}

#[tokio::test]
async fn unknown_fields_and_coercible_values_pass_unchanged() {
    let door = Door::open().await;
    let body = json!({"task": {
        "metadata": {"id": "x", "runtime": "sdruntime", "tasktype": "text-to-image", "context": [1, {"a": null}], "team": 4},
        "content": {"prompt": "p", "steps": "20", "width": 513, "plugin_field": {"deep": [1.5e-7]}},
        "beside": true,
    }, "sibling": "is dropped, as predecessors did"});
    let answer = door.post_json("/v1alpha2", &body).await.accepted();
    let task = but(body["task"].clone(), "/metadata/submission", Some(answer["submission"].clone()));
    assert_eq!(door.sns.published().message(), task);
}

#[tokio::test]
async fn text_of_any_script_arrives_as_it_was_sent() {
    let door = Door::open().await;
    let prompt = "Hafen bei Nacht, 夜の港, гавань, 🌃 \"quoted\" \\ \u{7} \u{2028}";
    let body = but(text_to_image(), "/task/content/prompt", Some(json!(prompt)));
    let body = but(body, ID, Some(json!("задача 猫 1")));
    let answer = door.post_json("/v1alpha2", &body).await.accepted();
    assert_eq!(answer["output_location"], "s3://outbucket/output/задача 猫 1");
    assert_eq!(door.sns.published().message()["content"]["prompt"], prompt);
}

#[tokio::test]
async fn the_last_of_two_equal_keys_counts() {
    let door = Door::open().await;
    let body =
        text_to_image().to_string().replace(r#""prompt":"A dog""#, r#""prompt":"A dog","prompt":"A cat""#);
    door.post("/v1alpha2", body).await.accepted();
    assert_eq!(door.sns.published().message()["content"]["prompt"], "A cat");
}
