//! Requests, messages and SNS envelopes: every rejection names the place, and what is accepted arrives unchanged.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared_schema::envelope::Accepted;
use shared_schema::message::{self, Unwrapped};
use shared_schema::{Contract, Registry, Violation};

use crate::values::{fields, values};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(Registry::default()));

/// The bodies of the valid examples that need no registry, with their version.
static EXAMPLES: LazyLock<Vec<(bool, Value)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/valid");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let examples = files.map(|file| serde_json::from_slice::<Value>(&file).unwrap());
    let examples = examples.filter(|example| example.get("registry").is_none());
    examples.map(|example| (example["api"] == "v1alpha1", example["body"].clone())).collect()
});

/// Every place in a JSON value, as a pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| pointers(item, &format!("{at}/{n}"), found));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            pointers(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        _ => {}
    }
}

/// A valid request with one place replaced by anything, or with a field more.
fn requests() -> impl Strategy<Value = (bool, Value)> {
    let place = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (place, values(), prop::option::of(fields())).prop_map(|((example, place), value, added)| {
        let (is_first, mut body) = example.get(&EXAMPLES).clone();
        let mut found = Vec::new();
        pointers(&body, "", &mut found);
        if let Some(replaced) = body.pointer_mut(place.get::<String>(&found)) {
            match (added, replaced) {
                (Some(field), Value::Object(members)) => drop(members.insert(field, value)),
                (_, replaced) => *replaced = value,
            }
        }
        (is_first, body)
    })
}

/// A violation points at a place in the body, or at a field that is missing from an object there.
fn points_into(body: &Value, violation: &Violation) -> bool {
    let parent = violation.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    body.pointer(&violation.pointer).is_some() || body.pointer(parent).is_some()
}

#[test]
fn empty_lists_in_place_of_objects_are_removed_in_both_versions() {
    let scripts = json!({ "task": "text-to-image", "sd_model_checkpoint": "any", "id_task": 5 });
    let body = json!({ "prompt": "a", "alwayson_scripts": scripts, "override_settings": [] });
    let task = CONTRACT.v1alpha1(body).unwrap().task;
    assert!(!task.content.contains_key("override_settings"));
    let message = serde_json::from_str(&message::to_json(&task).unwrap()).unwrap();
    assert_eq!(CONTRACT.message(message), Ok(task));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_refused_at_places_in_it_or_read_the_same_by_the_worker((is_first, body) in requests()) {
        let answer = if is_first { CONTRACT.v1alpha1(body.clone()) } else { CONTRACT.v1alpha2(body.clone()) };
        match answer {
            Ok(Accepted { task, .. }) => {
                let json = message::to_json(&task).unwrap();
                prop_assert!(message::is_attribute(&json), "SQS takes no such characters");
                let envelope = json!({"Type": "Notification", "MessageId": "m", "Message": json});
                let raw = message::unwrap(&json).unwrap();
                let enveloped = message::unwrap(&envelope.to_string()).unwrap();
                prop_assert_eq!(&enveloped.message, &raw.message);
                prop_assert_eq!((raw.sns_message_id, enveloped.sns_message_id.as_deref()), (None, Some("m")));
                prop_assert_eq!(CONTRACT.message(raw.message), Ok(task));
            }
            Err(violations) => {
                prop_assert!(!violations.is_empty());
                for violation in violations {
                    prop_assert!(points_into(&body, &violation), "{:?}", violation);
                }
            }
        }
    }

    #[test]
    fn any_json_is_a_message_or_is_not(value in values(), sns_id in prop::option::of("[a-z]{1,8}")) {
        let envelope = json!({"Message": value.to_string(), "MessageId": sns_id});
        let raw = message::unwrap(&value.to_string());
        let enveloped = message::unwrap(&envelope.to_string());
        if let Ok(Unwrapped { message, sns_message_id: None }) = &raw {
            prop_assert_eq!(message, &value);
            prop_assert_eq!(&enveloped.unwrap().message, &value);
        }
        if let Ok(Unwrapped { message, .. }) = raw {
            if let Some(sender) = message::sender(&message) {
                prop_assert_eq!(&sender.id.to_json(), &message["metadata"]["id"]);
            }
            prop_assert!(message::submission(&message, None, "from-sqs").is_some());
        }
    }
}
