//! Ids, prefixes and submissions: what is accepted is safe, and stays what it was.

use proptest::prelude::*;
use serde_json::Value;
use shared_schema::{OutputPrefix, Submission, TaskId};

use crate::values::{ids, names, values};

/// What no part of a key may be, expressed in another way than in the code.
fn is_safe(text: &str) -> bool {
    let is_reserved =
        text.trim_start_matches('/') == "_darkroom" || text.trim_start_matches('/').starts_with("_darkroom/");
    let climbs = format!("/{text}/").contains("/../") || format!("/{text}/").contains("/./");
    let odd = ['\u{2028}', '\u{2029}', '\u{fffe}', '\u{ffff}'];
    !is_reserved && !climbs && !text.chars().any(|c| c.is_control() || odd.contains(&c))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_safe_ids_are_taken_and_keep_their_type(json in prop_oneof![ids(), values()]) {
        let text = match &json {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => json.to_string(),
            _ => String::new(),
        };
        let is_usable = !text.is_empty() && !text.starts_with('/') && is_safe(&text);
        let id = TaskId::from_json(&json);
        prop_assert_eq!(id.is_ok(), is_usable, "{}", text);
        if let Ok(id) = id {
            prop_assert_eq!(id.as_str(), text);
            prop_assert_eq!(id.to_json(), json.clone());
            prop_assert_eq!(serde_json::from_value::<TaskId>(json).unwrap(), id);
        }
    }

    #[test]
    fn exactly_the_safe_prefixes_are_taken_as_they_are(text in names()) {
        let prefix = OutputPrefix::parse(&text);
        prop_assert_eq!(prefix.is_ok(), is_safe(&text));
        if let Ok(prefix) = prefix {
            prop_assert_eq!(prefix.as_str(), &text);
            let json = serde_json::to_value(&prefix).unwrap();
            prop_assert_eq!(serde_json::from_value::<OutputPrefix>(json).unwrap(), prefix);
        }
    }

    #[test]
    fn submissions_are_bounded_and_stay_what_they_are(text in prop_oneof![names(), "[ -~]{0,140}"]) {
        if let Some(submission) = Submission::parse(&text) {
            prop_assert_eq!(submission.as_str(), &text);
            prop_assert!((1..=Submission::MAX_BYTES).contains(&text.len()) && !text.contains(char::is_control));
        }
    }
}

#[test]
fn what_is_minted_can_be_parsed() {
    let minted = Submission::mint();
    assert_eq!(Submission::parse(minted.as_str()), Some(minted));
}
