//! The golden examples of the contract, posted: the door answers as schemas and types do.

use std::path::Path;

use serde_json::Value;

use crate::door::Door;
use crate::sns::Mood;

fn examples(folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared-schema/examples").join(folder);
    let files = std::fs::read_dir(folder).unwrap();
    let read =
        |file: std::fs::DirEntry| serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    files.map(|file| read(file.unwrap())).collect()
}

/// A door for the example's runtimes, and the path of its version.
async fn door_of(example: &Value) -> (Door, String) {
    let registry = example.get("registry").map(Value::to_string);
    let vars: Vec<(&str, &str)> = registry.iter().map(|registry| ("RUNTIMES", registry.as_str())).collect();
    (Door::with(Mood::Well, &vars).await, format!("/{}", example["api"].as_str().unwrap()))
}

#[tokio::test]
async fn every_valid_example_is_accepted_and_published() {
    let examples = examples("valid");
    assert!(!examples.is_empty());
    for example in examples {
        let (door, path) = door_of(&example).await;
        let answer = door.post_json(&path, &example["body"]).await;
        assert_eq!(answer.status, 200, "{}: {}", example["name"], answer.text);
        door.sns.published();
    }
}

#[tokio::test]
async fn every_invalid_example_is_refused_with_its_violations() {
    let examples = examples("invalid");
    assert!(!examples.is_empty());
    for example in examples {
        let (door, path) = door_of(&example).await;
        let mut found = door.post_json(&path, &example["body"]).await.violations("invalid_task");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let expected = example["violations"].as_array().unwrap();
        let mut expected: Vec<(String, String)> = expected
            .iter()
            .map(|violation| (text(&violation["pointer"]), text(&violation["code"])))
            .collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{}", example["name"]);
        assert!(door.sns.calls().is_empty(), "{}", example["name"]);
    }
}
