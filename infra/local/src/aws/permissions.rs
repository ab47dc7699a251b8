//! What callers may do, for tests: everything, unless a test gave their access key a role.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::faults::Service;
use super::subject::Subject;

/// The permission without which S3 does not disclose that an object does not exist.
pub(super) const LISTING: &str = "s3:ListBucket";

/// The roles by access key id.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    roles: Mutex<HashMap<String, Vec<String>>>,
}

impl Permissions {
    pub(super) fn allow_only(&self, access_key: &str, actions: &[&str]) {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.insert(access_key.to_owned(), actions);
    }

    /// Whether the caller may call this action of the API.
    pub(super) fn allow(&self, caller: &str, service: Service, action: &str, subject: &Subject) -> bool {
        iam_actions(service, action, subject).iter().all(|action| self.grant(caller, action))
    }

    /// Whether the caller may list buckets. Otherwise S3 responds with 403 instead of 404 to a request for a missing object
    /// (S3 API reference, `GetObject`).
    pub(super) fn may_list(&self, caller: &str) -> bool {
        self.grant(caller, LISTING)
    }

    fn grant(&self, caller: &str, iam_action: &str) -> bool {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(caller).is_none_or(|actions| actions.iter().any(|action| action == iam_action))
    }
}

/// The names that a policy has for an action ("Actions, resources, and condition keys" of each service). A transaction of
/// DynamoDB needs the permissions of its writes ("Using IAM with DynamoDB transactions").
pub(super) fn iam_actions(service: Service, action: &str, subject: &Subject) -> Vec<String> {
    match subject {
        Subject::Table { writes, .. } if !writes.is_empty() => {
            writes.iter().map(|write| iam_action(service, write)).collect()
        }
        _ => vec![iam_action(service, action)],
    }
}

fn iam_action(service: Service, action: &str) -> String {
    match service {
        Service::Sqs => format!("sqs:{}", action.trim_end_matches("Batch")),
        Service::Sns => format!("sns:{action}"),
        Service::DynamoDb => format!("dynamodb:{action}"),
        Service::S3 => {
            let name = match action {
                "HeadObject" => "GetObject",
                "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "PutObject",
                "HeadBucket" | "ListObjectsV2" => "ListBucket",
                "ListBuckets" => "ListAllMyBuckets",
                other => other,
            };
            format!("s3:{name}")
        }
    }
}
