//! JSON values and names, from few parts, so that odd ones meet.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Names from few letters, so that one is often the beginning or the end of another.
pub(crate) fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(vec!["a", "b", "/", "-", ".", "1", "_darkroom", "é", "\u{202e}"]), 0..8)
            .prop_map(|parts| parts.concat()),
        1 => prop::collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect()),
        1 => (480_usize..530).prop_map(|length| "x".repeat(length)),
    ]
}

/// Ids of every JSON type that an id may have.
pub(crate) fn ids() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => names().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (0_u8..3).prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(Value::from),
    ]
}

/// Any JSON.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        Just(Value::Null),
        ids(),
        prop::sample::select(vec![
            "",
            "text-to-image",
            "pipeline",
            "sdruntime",
            "https://a.example/b.png",
            "s3://b/k",
            "NaN"
        ])
        .prop_map(Value::from),
    ];
    scalars.prop_recursive(4, 32, 5, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(fields(), value, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Names of fields, known ones among them.
pub(crate) fn fields() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "task", "metadata", "content", "id", "prefix", "context", "start_by", "run_timeout", "prompt", "steps", "width",
            "override_settings", "alwayson_scripts", "init_images", "class_type", "inputs", "Message", "claim_check",
        ])
        .prop_map(str::to_owned),
        1 => names(),
    ]
}
