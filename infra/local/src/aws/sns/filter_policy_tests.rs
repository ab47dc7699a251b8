use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::FilterPolicy;
use crate::aws::message_attributes::{MessageAttribute, MessageAttributes};

fn attributes(values: &BTreeMap<String, String>) -> MessageAttributes {
    values.iter().map(|(name, value)| (name.clone(), MessageAttribute::text(value))).collect()
}

#[track_caller]
fn check(policy: &Value, matching: &[Value], other: &[Value]) {
    let parsed = FilterPolicy::parse(&policy.to_string()).unwrap();
    let matches =
        |values: &Value| parsed.matches(&attributes(&serde_json::from_value(values.clone()).unwrap()));
    for values in matching {
        assert!(matches(values), "{policy} should match {values}");
    }
    for values in other {
        assert!(!matches(values), "{policy} should not match {values}");
    }
}

#[test]
fn one_of_the_values_of_every_name_must_be_there() {
    check(
        &json!({"runtime": ["a", "b"], "n": ["1"]}),
        &[json!({"runtime": "a", "n": "1"}), json!({"runtime": "b", "n": "1", "x": "y"})],
        &[json!({"runtime": "a"}), json!({"runtime": "c", "n": "1"}), json!({})],
    );
}

#[test]
fn or_needs_one_alternative_and_the_rest() {
    check(
        &json!({"$or": [{"runtime": ["a"]}, {"model": ["m"]}], "kind": ["k"]}),
        &[json!({"runtime": "a", "kind": "k"}), json!({"model": "m", "kind": "k"})],
        &[json!({"runtime": "b", "kind": "k"}), json!({"runtime": "a"}), json!({"kind": "k"})],
    );
}

#[test]
fn a_single_or_is_an_ordinary_name() {
    check(&json!({"$or": ["x"]}), &[json!({"$or": "x"})], &[json!({"x": "x"})]);
}

#[test]
fn attributes_of_other_types_are_no_texts() {
    let policy = FilterPolicy::parse(r#"{"n": ["1"]}"#).unwrap();
    for data_type in ["Number", "String.Array"] {
        let attribute = MessageAttribute { data_type: data_type.to_owned(), ..MessageAttribute::text("1") };
        assert!(!policy.matches(&MessageAttributes::from([("n".to_owned(), attribute)])), "{data_type}");
    }
}

#[test]
fn policies_that_mean_nothing_or_are_not_emulated_are_refused() {
    for policy in [
        "[]",
        "{",
        r#"{"a": "b"}"#,
        r#"{"a": []}"#,
        r#"{"a": [["b"]]}"#,
        r#"{"a": [1]}"#,
        r#"{"a": [{"prefix": "x"}]}"#,
        r#"{"a": {"b": ["c"]}}"#,
        r#"{"$or": [{"a": ["b"]}, {"a": [null]}]}"#,
    ] {
        assert!(FilterPolicy::parse(policy).is_err(), "{policy}");
    }
}

/// Few texts, so that policies and attributes meet.
fn texts() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["runtime", "model", "a", "b", ""]).prop_map(str::to_owned)
}

fn policies() -> impl Strategy<Value = Value> {
    let fields = prop::collection::btree_map(texts(), prop::collection::vec(texts(), 1..3), 0..3);
    let fields = fields.prop_map(|fields| json!(fields));
    fields.prop_recursive(3, 16, 3, |policy| {
        (policy.clone(), prop::collection::vec(policy, 2..4)).prop_map(|(mut policy, alternatives)| {
            policy["$or"] = Value::Array(alternatives);
            policy
        })
    })
}

/// The definition, on the policy's JSON.
fn is_wanted(policy: &Value, values: &BTreeMap<String, String>) -> bool {
    policy.as_object().unwrap().iter().all(|(name, rule)| {
        let mut rule = rule.as_array().unwrap().iter();
        if name == "$or" {
            rule.any(|policy| is_wanted(policy, values))
        } else {
            rule.any(|text| text.as_str() == values.get(name).map(String::as_str))
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn policies_decide_as_they_are_defined(
        policy in policies(),
        values in prop::collection::btree_map(texts(), texts(), 0..4),
    ) {
        let parsed = FilterPolicy::parse(&policy.to_string()).unwrap();
        prop_assert_eq!(parsed.matches(&attributes(&values)), is_wanted(&policy, &values));
    }

    #[test]
    fn any_text_is_a_policy_or_refused(text in any::<String>(), name in any::<String>(), value in any::<String>()) {
        let _ = FilterPolicy::parse(&text);
        let policy = json!({name.clone(): [value.clone()]});
        let parsed = FilterPolicy::parse(&policy.to_string()).unwrap();
        prop_assert!(parsed.matches(&attributes(&BTreeMap::from([(name, value)]))));
    }
}
