//! Keys of arbitrary ids, prefixes and submissions: safe, within S3's limit, and nobody else's.

use proptest::prelude::*;
use serde_json::Value;
use shared_schema::keys::{self, MAX_EXTENSION_BYTES, MAX_KEY_BYTES, OutputKeys};
use shared_schema::{OutputPrefix, Submission, TaskId};

use crate::values::{ids, names};

fn submissions() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["a", "b", "a/b", "53a5516f-29c3-4168-a6d2-70030438aef2"])
            .prop_map(str::to_owned),
        prop::collection::vec(prop::char::range('!', '~'), 1..129)
            .prop_map(|chars| chars.into_iter().collect()),
    ]
}

/// What a task is known by, if the front door takes it.
fn identity((id, prefix, submission): (Value, String, String)) -> Option<(TaskId, OutputPrefix, Submission)> {
    let (id, prefix) = (TaskId::from_json(&id).ok()?, OutputPrefix::parse(&prefix).ok()?);
    keys::fits(&prefix, &id).then_some((id, prefix, Submission::parse(&submission)?))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_key_is_safe_and_fits_s3(task in (ids(), names(), submissions()), n in 1_usize..100_000, passed in 0_usize..4) {
        let Some((id, prefix, submission)) = identity(task) else { return Ok(()) };
        let first = OutputKeys::new(&prefix, &id, &submission);
        let keys = (0..passed).fold(first, |keys, _| keys.next());
        for key in [keys.out(), keys.former_out(), keys.file(n, &"e".repeat(MAX_EXTENSION_BYTES))] {
            prop_assert!(key.len() <= MAX_KEY_BYTES, "{} bytes", key.len());
            prop_assert!(key.starts_with(prefix.as_str()) && !keys::is_reserved(&key), "{key:?}");
            prop_assert!(key.starts_with(&format!("{}/", keys.folder())), "{key:?}");
            prop_assert!(key.split('/').all(|segment| segment != "." && segment != ".."), "{key:?}");
            prop_assert!(!key.contains(char::is_control), "{key:?}");
        }
    }

    #[test]
    fn tasks_share_keys_only_if_all_of_them_is_equal(
        one in (ids(), names(), submissions()),
        other in (ids(), names(), submissions()),
        mix in prop::array::uniform3(any::<bool>()),
    ) {
        // What is equal in part is what is likeliest to be mistaken.
        let other = (
            if mix[0] { one.0.clone() } else { other.0 },
            if mix[1] { one.1.clone() } else { other.1 },
            if mix[2] { one.2.clone() } else { other.2 },
        );
        let (Some(one), Some(other)) = (identity(one), identity(other)) else { return Ok(()) };
        let keys_of = |(id, prefix, submission): &(TaskId, OutputPrefix, Submission)| {
            let keys = OutputKeys::new(prefix, id, submission);
            [keys.out(), keys.next().out(), keys.next().next().out(), keys.file(1, "out"), keys.next().file(1, "out")]
        };
        let (keys, others) = (keys_of(&one), keys_of(&other));
        if one == other {
            prop_assert_eq!(keys, others);
        } else {
            prop_assert!(keys.iter().all(|key| !others.contains(key)), "{:?} {:?}", one, other);
        }
    }
}
