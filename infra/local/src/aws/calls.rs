//! The log of calls, for tests: the caller, the action and its subject, the times and the status.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::request::Parts;
use axum::http::{StatusCode, header};

use super::faults::{Fault, Service};
use super::permissions;
use super::subject::{Delivery, Subject};

/// A finished call.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The service that was called.
    pub service: Service,
    /// The action's API name, such as `PutObject`.
    pub action: String,
    /// The access key id that signed the call; empty for an unsigned one.
    pub caller: String,
    /// What the call was about.
    pub subject: Subject,
    /// When it was received.
    pub started: Instant,
    /// When it took effect; `None` if it was refused, failed, or was cancelled before.
    pub took_effect: Option<Instant>,
    /// When it was answered or cancelled.
    pub finished: Instant,
    /// The status of the answer; `None` if the connection broke instead, on whichever side.
    pub status: Option<StatusCode>,
    /// The fault that was injected.
    pub fault: Option<Fault>,
}

impl CallRecord {
    /// The actions that a role must allow for the call to be answered as it was, named as in a policy.
    pub fn iam_actions(&self) -> Vec<String> {
        let mut actions = permissions::iam_actions(self.service, &self.action, &self.subject);
        // Without the permission to list, the response is 403 instead: see `permissions`.
        if self.service == Service::S3 && self.status == Some(StatusCode::NOT_FOUND) {
            actions.push(permissions::LISTING.to_owned());
        }
        actions
    }
}

/// All finished calls, if they are recorded.
#[derive(Debug, Default)]
pub(super) struct CallLog(Option<Mutex<Vec<CallRecord>>>);

impl CallLog {
    pub(super) fn new(is_enabled: bool) -> Self {
        Self(is_enabled.then(Mutex::default))
    }

    /// The finished calls without the first `skipped` of them.
    pub(super) fn after(&self, skipped: usize) -> Vec<CallRecord> {
        self.records().map_or_else(Vec::new, |records| records.iter().skip(skipped).cloned().collect())
    }

    pub(super) fn count(&self) -> usize {
        self.records().map_or(0, |records| records.len())
    }

    /// Starts the record of a call. It is logged when the returned value is dropped, answered or not.
    pub(super) fn start(
        &self,
        service: Service,
        action: &str,
        caller: &str,
        subject: Subject,
    ) -> OpenRecord<'_> {
        let now = Instant::now();
        let record = self.0.is_some().then(|| CallRecord {
            service,
            action: action.to_owned(),
            caller: caller.to_owned(),
            subject,
            started: now,
            took_effect: None,
            finished: now,
            status: None,
            fault: None,
        });
        OpenRecord { log: self, record }
    }

    fn records(&self) -> Option<MutexGuard<'_, Vec<CallRecord>>> {
        self.0.as_ref().map(|records| records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call in progress. A client that disconnects drops it with the rest of its call.
pub(super) struct OpenRecord<'a> {
    log: &'a CallLog,
    record: Option<CallRecord>,
}

impl OpenRecord<'_> {
    pub(super) fn set_fault(&mut self, fault: Option<Fault>) {
        if let Some(record) = &mut self.record {
            record.fault = fault;
        }
    }

    /// The call took effect; `received` are the messages of a receive.
    pub(super) fn took_effect(&mut self, received: Vec<Delivery>) {
        let Some(record) = &mut self.record else { return };
        record.took_effect = Some(Instant::now());
        if let Subject::Queue { deliveries, .. } = &mut record.subject
            && !received.is_empty()
        {
            *deliveries = received;
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        if let Some(record) = &mut self.record {
            record.status = Some(status);
        }
    }
}

impl Drop for OpenRecord<'_> {
    fn drop(&mut self) {
        if let (Some(mut records), Some(record)) = (self.log.records(), self.record.take()) {
            records.push(CallRecord { finished: Instant::now(), ..record });
        }
    }
}

/// The access key id that signed a request, in its `Authorization` header or its URL.
pub(super) fn caller(parts: &Parts) -> String {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = header.and_then(|header| header.split_once("Credential=")).map(|(_, rest)| rest);
    let key = credential.and_then(|credential| credential.split('/').next()).map(str::to_owned);
    key.or_else(|| presigner(parts.uri.query()?)).unwrap_or_default()
}

fn presigner(query: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let credential = value("X-Amz-Credential").or_else(|| value("AWSAccessKeyId"))?;
    credential.split('/').next().map(str::to_owned)
}
