//! The history of a run, from the call log, the records of the pods and those of the clients.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use local_stack::aws::{CallRecord, Service, Subject};
use serde_json::Value;

use crate::lease::Leases;
use crate::pod::{ExitCause, PodRecord, Run};
use crate::traffic::ClientRecord;

/// Everything that the rules check.
pub(crate) struct History {
    /// What the clients recorded.
    pub(crate) clients: ClientRecord,
    /// The ids of all tasks that were published, even if the client got an error.
    pub(crate) published: HashSet<String>,
    /// The notifications of each task.
    pub(crate) notifications: BTreeMap<String, Vec<Value>>,
    /// Which pod held which message, and for how long.
    pub(crate) leases: Leases,
    /// What workers did for tasks, in order.
    pub(crate) actions: Vec<Action>,
    /// The runtimes' work, in order.
    pub(crate) runs: Vec<Run>,
    /// The workers' processes, by pod.
    pub(crate) pods: Vec<(String, PodRecord)>,
}

/// One action of a worker for a task, which took effect.
pub(crate) struct Action {
    pub(crate) pod: String,
    pub(crate) task: String,
    pub(crate) at: Instant,
    pub(crate) kind: ActionKind,
}

/// The kind of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionKind {
    StoredFile,
    Committed,
    Notified,
    Deleted,
}

impl History {
    pub(crate) fn new(calls: &[CallRecord], clients: ClientRecord, pods: Vec<(String, PodRecord)>) -> Self {
        let leases = Leases::of(calls);
        let mut notifications: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for notification in &clients.notifications {
            let id = notification["id"].as_str().unwrap_or_default().to_owned();
            notifications.entry(id).or_default().push(notification.clone());
        }
        let mut runs: Vec<Run> = pods.iter().flat_map(|(_, record)| record.runs.clone()).collect();
        runs.sort_by_key(|run| run.start);
        Self {
            published: calls.iter().filter_map(published).collect(),
            actions: actions(calls, &leases),
            notifications,
            leases,
            runs,
            pods,
            clients,
        }
    }

    /// The runs of each task.
    pub(crate) fn runs_by_task(&self) -> HashMap<&str, Vec<&Run>> {
        let mut by_task: HashMap<&str, Vec<&Run>> = HashMap::new();
        for run in &self.runs {
            by_task.entry(&run.task).or_default().push(run);
        }
        by_task
    }

    /// How often each task had that action.
    pub(crate) fn count(&self, kind: ActionKind) -> HashMap<&str, usize> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for action in self.actions.iter().filter(|action| action.kind == kind) {
            *counts.entry(&action.task).or_default() += 1;
        }
        counts
    }

    /// When the worker was killed that had submitted this run, if it was killed before its end. It may have been submitted
    /// while another one ran, so that it begins when no worker waits for it any more.
    pub(crate) fn orphaned(&self, run: &Run) -> Option<Instant> {
        let (_, record) = self.pods.iter().find(|(pod, _)| *pod == run.pod)?;
        let submitted = self.leases.last_receipt(&run.pod, &run.task, run.start).unwrap_or(run.start);
        let exits = record.processes.iter().filter_map(|process| process.exit.as_ref());
        let kills = exits.filter(|(_, end)| *end != ExitCause::Stopped).map(|(at, _)| *at);
        kills.filter(|at| submitted <= *at && *at < run.end).min()
    }
}

/// The task that the front door published with this call.
fn published(call: &CallRecord) -> Option<String> {
    let Subject::Topic { arn, message, .. } = &call.subject else { return None };
    call.took_effect?;
    arn.ends_with("-tasks").then(|| task_in(message)).flatten()
}

/// Whether a call published a notification.
pub(crate) fn is_notification(call: &CallRecord) -> bool {
    let is_about_completions =
        matches!(&call.subject, Subject::Topic { arn, .. } if arn.ends_with("-completions"));
    is_about_completions && call.action == "Publish" && call.took_effect.is_some()
}

/// The id of the task that a message, or an SNS envelope around it, is about.
pub(crate) fn task_in(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    if let Some(message) = body["Message"].as_str() {
        return task_in(message);
    }
    let id = body.pointer("/metadata/id").or_else(|| body.get("id"))?;
    id.as_str().map(str::to_owned)
}

fn actions(calls: &[CallRecord], leases: &Leases) -> Vec<Action> {
    let mut actions: Vec<Action> = calls.iter().filter_map(|call| action(call, leases)).collect();
    actions.sort_by_key(|action| action.at);
    actions
}

fn action(call: &CallRecord, leases: &Leases) -> Option<Action> {
    let (kind, task) = match (&call.subject, call.service) {
        (Subject::Object { key, .. }, Service::S3) if call.action == "PutObject" => {
            let kind = if key.ends_with(".out") { ActionKind::Committed } else { ActionKind::StoredFile };
            (kind, key.strip_prefix("output/")?.split('/').next()?.to_owned())
        }
        (Subject::Topic { message, .. }, _) if is_notification(call) => {
            (ActionKind::Notified, task_in(message)?)
        }
        (Subject::Queue { deliveries, .. }, _) if call.action == "DeleteMessage" => {
            (ActionKind::Deleted, leases.by_handle(&deliveries.first()?.receipt_handle)?.task.clone())
        }
        _ => return None,
    };
    Some(Action { pod: call.caller.clone(), task, at: call.took_effect?, kind })
}
