//! The corpus of hostile ids, prefixes and contents: what would access the files of others is refused at the front door and by
//! the worker, and harmless lookalikes are accepted.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared_schema::keys::{self, MAX_KEY_BYTES, OutputKeys};
use shared_schema::{Contract, OutputPrefix, Registry, Submission, TaskId, TaskType, Violation, runtimes};

#[derive(Deserialize)]
struct Corpus {
    names_refused: Vec<String>,
    prefixes_refused: Vec<String>,
    ids_refused: Vec<Value>,
    names_taken: Vec<String>,
    ids_taken: Vec<Value>,
    contents: Vec<Content>,
}

/// A content, and either where it is refused or what is fetched for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    about: String,
    tasktype: TaskType,
    content: Map<String, Value>,
    refused: Option<Vec<String>>,
    media: Option<Vec<String>>,
}

fn corpus() -> Corpus {
    serde_json::from_str(include_str!("../corpus/hostile-names.json")).unwrap()
}

/// Where the contract refuses a task, as the front door applies it, after a check that the worker agrees.
fn refused(contract: &Contract, metadata: Value, content: Value) -> Vec<String> {
    let task = json!({ "metadata": metadata, "content": content });
    let pointers = |violations: Vec<Violation>| {
        violations.into_iter().map(|violation| violation.pointer).collect::<Vec<_>>()
    };
    let by_worker = contract.message(task.clone()).err().map(pointers).unwrap_or_default();
    let at_front_door = contract.v1alpha2(json!({ "task": task })).err().map(pointers).unwrap_or_default();
    let seen: Vec<String> = by_worker.iter().map(|pointer| format!("/task{pointer}")).collect();
    assert_eq!(seen, at_front_door);
    by_worker
}

fn named(contract: &Contract, id: &Value, prefix: &str) -> Vec<String> {
    let metadata = json!({ "id": id, "prefix": prefix, "runtime": "r", "tasktype": "text-to-image" });
    refused(contract, metadata, json!({ "prompt": "x" }))
}

/// Where the contract refuses the names of a predecessor's request.
fn named_v1alpha1(contract: &Contract, id: &Value, prefix: &str) -> Vec<String> {
    let scripts = json!({
        "task": "text-to-image", "id_task": id, "save_dir": prefix, "uid": "u", "sd_model_checkpoint": "m",
    });
    let accepted = contract.v1alpha1(json!({ "prompt": "x", "alwayson_scripts": scripts }));
    let violations = accepted.err().unwrap_or_default();
    violations.into_iter().map(|violation| violation.pointer).collect()
}

#[test]
fn hostile_ids_and_prefixes_are_refused() {
    let contract = Contract::new(Registry::default());
    let corpus = corpus();
    let names = corpus.names_refused.iter();
    for id in names.clone().map(|name| json!(name)).chain(corpus.ids_refused) {
        assert_eq!(named(&contract, &id, "out"), ["/metadata/id"], "{id}");
        assert_eq!(named_v1alpha1(&contract, &id, "out"), ["/alwayson_scripts/id_task"], "{id}");
    }
    for prefix in names.chain(&corpus.prefixes_refused) {
        assert_eq!(named(&contract, &json!("x"), prefix), ["/metadata/prefix"], "{prefix:?}");
        assert_eq!(
            named_v1alpha1(&contract, &json!("x"), prefix),
            ["/alwayson_scripts/save_dir"],
            "{prefix:?}"
        );
    }
}

#[test]
fn odd_names_are_accepted_and_their_files_are_at_the_keys_of_these_names() {
    let contract = Contract::new(Registry::default());
    let corpus = corpus();
    let submission = Submission::mint();
    for id in corpus.names_taken.iter().map(|name| json!(name)).chain(corpus.ids_taken) {
        for prefix in corpus.names_taken.iter().chain([&String::new(), &"/output".to_owned()]) {
            let prefix = OutputPrefix::parse(prefix).unwrap();
            let keys = OutputKeys::new(&prefix, &TaskId::from_json(&id).unwrap(), &submission);
            for key in [keys.out(), keys.file(1, "png")] {
                assert!(key.starts_with(prefix.as_str()) && !keys::is_reserved(&key), "{key:?}");
                assert!(key.split('/').all(|segment| segment != "." && segment != ".."), "{key:?}");
            }
        }
        assert!(named(&contract, &id, "out").is_empty(), "{id}");
    }
    for prefix in &corpus.names_taken {
        assert!(named(&contract, &json!("x"), prefix).is_empty(), "{prefix:?}");
    }
}

#[test]
fn keys_are_never_longer_than_s3_takes() {
    let contract = Contract::new(Registry::default());
    let submission = Submission::mint();
    let mut longest = 0;
    for (length, prefix) in (480..520).flat_map(|length| [(length, String::new()), (250, "p".repeat(length))])
    {
        for letter in ["x", "猫"] {
            let id = letter.repeat(length / letter.len());
            if named(&contract, &json!(id), &prefix).is_empty() {
                let (id, prefix) = (TaskId::from_json(&json!(id)), OutputPrefix::parse(&prefix));
                let keys = OutputKeys::new(&prefix.unwrap(), &id.unwrap(), &submission);
                longest = longest.max(keys.file(99_999, "safetensors").len());
            }
        }
    }
    assert!((MAX_KEY_BYTES - 2..=MAX_KEY_BYTES).contains(&longest), "{longest}");
}

#[test]
fn contents_that_would_access_files_of_others_are_refused_and_others_are_accepted() {
    let contract = Contract::new(Registry::default());
    for Content { about, tasktype, content, refused: expected, media } in corpus().contents {
        let fields = runtimes::default_for(tasktype).media_fields(tasktype, &content);
        let metadata = json!({ "id": "x", "runtime": "r", "tasktype": tasktype });
        let mut found = refused(&contract, metadata, Value::Object(content));
        found.sort();
        let mut expected: Vec<String> =
            expected.iter().flatten().map(|pointer| format!("/content{pointer}")).collect();
        expected.sort();
        assert_eq!(found, expected, "{about}");
        if let Some(media) = media {
            assert_eq!(fields.into_iter().map(|field| field.pointer).collect::<Vec<_>>(), media, "{about}");
        } else {
            assert!(!found.is_empty(), "{about} says nothing");
        }
    }
}
