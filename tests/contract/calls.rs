//! Calls in the terms of a policy: the action, the kind of resource, and the part of a bucket.

use std::collections::BTreeSet;

use integration_tests::lab::Lab;
use local_stack::aws::{CallRecord, Subject};
use serde::Serialize;
use shared_schema::keys;

/// What a role must allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Call {
    /// The action's name in a policy, `s3:PutObject`.
    pub(crate) action: String,
    /// What it is for: `tasks` and `completions` are topics, `queue` is the runtime's, `results` and `inputs` are buckets,
    /// `records` is a table.
    pub(crate) resource: &'static str,
    /// For objects: the part of the bucket. Results have the prefix of the caller's choice, `<prefix>/*`. For tables: the index,
    /// `index/by_owner`, which a policy names as a resource of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// The calls of the program that signs with that access key, each once.
pub(crate) fn made_by(access_key: &str, lab: &Lab, records: &[CallRecord]) -> BTreeSet<Call> {
    let own = records.iter().filter(|record| record.caller == access_key);
    own.flat_map(|record| record.iam_actions().into_iter().map(|action| call(action, lab, &record.subject)))
        .collect()
}

fn call(action: String, lab: &Lab, subject: &Subject) -> Call {
    let (resource, key) = match subject {
        Subject::Topic { arn, .. } if *arn == lab.shared.tasks_topic_arn => ("tasks", None),
        Subject::Topic { arn, .. } if *arn == lab.shared.completions_topic_arn => ("completions", None),
        Subject::Topic { arn, .. } => panic!("unknown topic {arn}"),
        Subject::Queue { name, .. } if name.ends_with("-dlq") => ("dead-letter queue", None),
        Subject::Queue { .. } => ("queue", None),
        Subject::Table { index, .. } => ("records", index.as_ref().map(|index| format!("index/{index}"))),
        Subject::Object { bucket, key } if *bucket == lab.shared.bucket => {
            ("results", Some(part("results", key)))
        }
        Subject::Object { key, .. } => ("inputs", Some(part("inputs", key))),
    };
    // Listing is allowed of buckets, whatever object it was about.
    let key = key.filter(|_| !action.ends_with(":ListBucket"));
    Call { action, resource, key }
}

/// The part of a bucket that a key stands for.
fn part(resource: &str, key: &str) -> String {
    match key.rsplit_once('/') {
        _ if resource == "inputs" => "*".to_owned(),
        Some((folder, _)) if keys::is_reserved(key) && folder.contains('/') => format!("{folder}/*"),
        _ if keys::is_reserved(key) => key.to_owned(),
        _ => "<prefix>/*".to_owned(),
    }
}
