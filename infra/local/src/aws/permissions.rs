//! What callers may do, for tests: everything, unless a test gave their access key a role.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::faults::Service;

/// What S3 wants of whoever is to hear that an object does not exist.
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
    pub(super) fn allow(&self, caller: &str, service: Service, action: &str) -> bool {
        self.grant(caller, &iam_action(service, action))
    }

    /// Whether S3 tells the caller that an object does not exist. To whoever may not list the bucket it says that reading
    /// is forbidden (S3 API reference, `GetObject`).
    pub(super) fn tell_what_is_missing(&self, caller: &str) -> bool {
        self.grant(caller, LISTING)
    }

    fn grant(&self, caller: &str, iam_action: &str) -> bool {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(caller).is_none_or(|actions| actions.iter().any(|action| action == iam_action))
    }
}

/// The name that a policy has for an action ("Actions, resources, and condition keys" of each service).
pub(super) fn iam_action(service: Service, action: &str) -> String {
    match service {
        Service::Sqs => format!("sqs:{}", action.trim_end_matches("Batch")),
        Service::Sns => format!("sns:{action}"),
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
