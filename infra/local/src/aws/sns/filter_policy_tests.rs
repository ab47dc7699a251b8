use serde_json::{Value, json};

use super::FilterPolicy;
use crate::aws::message_attributes::{MessageAttribute, MessageAttributes};

fn attributes(values: Value) -> MessageAttributes {
    let typed = |value: &Value| match value {
        Value::Number(number) => ("Number", number.to_string()),
        Value::Array(_) => ("String.Array", value.to_string()),
        other => ("String", other.as_str().unwrap().to_owned()),
    };
    let entry = |(name, value): (&String, &Value)| {
        let (data_type, text) = typed(value);
        let attribute = MessageAttribute {
            data_type: data_type.to_owned(),
            string_value: Some(text),
            binary_value: None,
        };
        (name.clone(), attribute)
    };
    values.as_object().unwrap().iter().map(entry).collect()
}

#[track_caller]
fn check(policy: &Value, matching: &[Value], other: &[Value]) {
    let parsed = FilterPolicy::parse(&policy.to_string()).unwrap();
    for values in matching {
        assert!(parsed.matches_attributes(&attributes(values.clone())), "{policy} should match {values}");
    }
    for values in other {
        assert!(
            !parsed.matches_attributes(&attributes(values.clone())),
            "{policy} should not match {values}"
        );
    }
}

#[test]
fn one_of_the_values_of_every_name_must_be_there() {
    let policy = json!({"runtime": ["a", "b"], "n": [1]});
    check(
        &policy,
        &[json!({"runtime": "a", "n": 1}), json!({"runtime": "b", "n": 1.0, "x": "y"})],
        &[
            json!({"runtime": "a"}),
            json!({"runtime": "c", "n": 1}),
            json!({"runtime": "a", "n": "1"}),
            json!({}),
        ],
    );
}

#[test]
fn or_needs_one_alternative_and_the_rest() {
    let policy = json!({"$or": [{"runtime": ["a"]}, {"model": ["m"]}], "kind": ["k"]});
    check(
        &policy,
        &[json!({"runtime": "a", "kind": "k"}), json!({"model": "m", "kind": "k"})],
        &[json!({"runtime": "b", "kind": "k"}), json!({"runtime": "a"}), json!({"kind": "k"})],
    );
}

#[test]
fn a_single_or_is_an_ordinary_name() {
    check(&json!({"$or": ["x"]}), &[json!({"$or": "x"})], &[json!({"x": "x"})]);
}

#[test]
fn texts_match_by_their_ends_and_without_case() {
    check(
        &json!({"m": [{"prefix": "sd"}]}),
        &[json!({"m": "sdxl"})],
        &[json!({"m": "xsd"}), json!({"m": 5})],
    );
    check(&json!({"m": [{"suffix": "xl"}]}), &[json!({"m": "sdxl"})], &[json!({"m": "xls"})]);
    check(&json!({"m": [{"equals-ignore-case": "SDXL"}]}), &[json!({"m": "sdXl"})], &[json!({"m": "sd"})]);
}

#[test]
fn numbers_match_by_range() {
    let policy = json!({"n": [{"numeric": [">", 0, "<=", 10]}, {"numeric": ["=", 20]}]});
    check(
        &policy,
        &[json!({"n": 0.5}), json!({"n": 10}), json!({"n": 20})],
        &[json!({"n": 0}), json!({"n": 11}), json!({"n": "5"})],
    );
}

#[test]
fn anything_but_needs_the_attribute_with_another_value() {
    check(
        &json!({"m": [{"anything-but": ["a", 1]}]}),
        &[json!({"m": "b"})],
        &[json!({"m": "a"}), json!({"m": 1}), json!({})],
    );
    check(&json!({"m": [{"anything-but": {"prefix": "x"}}]}), &[json!({"m": "a"})], &[json!({"m": "xa"})]);
    check(
        &json!({"m": [{"anything-but": {"suffix": ["x", "y"]}}]}),
        &[json!({"m": "xa"})],
        &[json!({"m": "ay"})],
    );
}

#[test]
fn existence_and_networks() {
    check(&json!({"m": [{"exists": true}]}), &[json!({"m": "a"})], &[json!({})]);
    check(&json!({"m": [{"exists": false}]}), &[json!({"x": "a"})], &[json!({"m": "a"})]);
    check(
        &json!({"ip": [{"cidr": "10.0.0.0/8"}]}),
        &[json!({"ip": "10.1.2.3"})],
        &[json!({"ip": "11.0.0.1"}), json!({"ip": "x"})],
    );
}

#[test]
fn one_element_of_an_array_is_enough() {
    let policy = json!({"m": ["a", null, true]});
    check(
        &policy,
        &[json!({"m": ["x", "a"]}), json!({"m": [null]}), json!({"m": [true]})],
        &[json!({"m": ["x"]})],
    );
}

#[test]
fn bodies_match_by_nested_fields() {
    let policy = json!({"task": {"runtime": ["a"], "size": [{"numeric": ["<", 5]}]}});
    let policy = FilterPolicy::parse(&policy.to_string()).unwrap();
    assert!(policy.matches_body(r#"{"task": {"runtime": "a", "size": 4}}"#));
    assert!(policy.matches_body(r#"{"task": [{"runtime": "b"}, {"runtime": "a", "size": 4}]}"#));
    for body in [r#"{"task": {"runtime": "a", "size": 5}}"#, r#"{"runtime": "a"}"#, "text", "[]"] {
        assert!(!policy.matches_body(body), "{body}");
    }
}

#[test]
fn policies_that_mean_nothing_are_refused() {
    for policy in [
        "[]",
        "{",
        r#"{"a": "b"}"#,
        r#"{"a": []}"#,
        r#"{"a": [["b"]]}"#,
        r#"{"a": [{"between": 1}]}"#,
        r#"{"a": [{"numeric": [">"]}]}"#,
        r#"{"a": [{"numeric": ["~", 1]}]}"#,
        r#"{"a": [{"prefix": 1}]}"#,
        r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#,
    ] {
        assert!(FilterPolicy::parse(policy).is_err(), "{policy}");
    }
}
