//! What happened, out of the call log, the diaries and what clients heard.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use local_stack::aws::{CallRecord, Service, Subject};
use serde_json::Value;

use crate::lease::Tenures;
use crate::pod::{Diary, End, Run};
use crate::traffic::Heard;

/// Everything that the rules are about.
pub(crate) struct History {
    /// Clients' knowledge.
    pub(crate) heard: Heard,
    /// The ids of all tasks that were published, whatever the client was told.
    pub(crate) published: HashSet<String>,
    /// The notifications of each task.
    pub(crate) told: BTreeMap<String, Vec<Value>>,
    /// Who had which message, and for how long.
    pub(crate) tenures: Tenures,
    /// What workers did for tasks, in order.
    pub(crate) deeds: Vec<Deed>,
    /// The runtimes' work, in order.
    pub(crate) runs: Vec<Run>,
    /// The workers' processes, by pod.
    pub(crate) diaries: Vec<(String, Diary)>,
}

/// One thing that a worker did for a task, and that took effect.
pub(crate) struct Deed {
    pub(crate) pod: String,
    pub(crate) task: String,
    pub(crate) at: Instant,
    pub(crate) what: What,
}

/// What it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    StoredFile,
    Committed,
    Notified,
    Deleted,
}

impl History {
    pub(crate) fn new(calls: &[CallRecord], heard: Heard, diaries: Vec<(String, Diary)>) -> Self {
        let tenures = Tenures::of(calls);
        let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for notification in &heard.told {
            let id = notification["id"].as_str().unwrap_or_default().to_owned();
            told.entry(id).or_default().push(notification.clone());
        }
        let mut runs: Vec<Run> = diaries.iter().flat_map(|(_, diary)| diary.runs.clone()).collect();
        runs.sort_by_key(|run| run.start);
        Self {
            published: calls.iter().filter_map(published).collect(),
            deeds: deeds(calls, &tenures),
            told,
            tenures,
            runs,
            diaries,
            heard,
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

    /// How often each task was committed, or notified.
    pub(crate) fn count(&self, what: What) -> HashMap<&str, usize> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for deed in self.deeds.iter().filter(|deed| deed.what == what) {
            *counts.entry(&deed.task).or_default() += 1;
        }
        counts
    }

    /// When the worker was killed that had asked for this run, if it was killed before its end. It may have been asked for
    /// while another one ran, so that it begins when nobody waits for it any more.
    pub(crate) fn orphaned(&self, run: &Run) -> Option<Instant> {
        let (_, diary) = self.diaries.iter().find(|(pod, _)| *pod == run.pod)?;
        let asked = self.tenures.last_receipt(&run.pod, &run.task, run.start).unwrap_or(run.start);
        let ends = diary.lives.iter().filter_map(|life| life.ended.as_ref());
        let deaths = ends.filter(|(_, end)| *end != End::Stopped).map(|(at, _)| *at);
        deaths.filter(|at| asked <= *at && *at < run.end).min()
    }
}

/// The task that the front door published with this call.
fn published(call: &CallRecord) -> Option<String> {
    let Subject::Topic { arn, message } = &call.subject else { return None };
    call.took_effect?;
    arn.ends_with("-tasks").then(|| task_in(message)).flatten()
}

/// Whether a call published how a task ended.
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

fn deeds(calls: &[CallRecord], tenures: &Tenures) -> Vec<Deed> {
    let mut deeds: Vec<Deed> = calls.iter().filter_map(|call| deed(call, tenures)).collect();
    deeds.sort_by_key(|deed| deed.at);
    deeds
}

fn deed(call: &CallRecord, tenures: &Tenures) -> Option<Deed> {
    let (what, task) = match (&call.subject, call.service) {
        (Subject::Object { key, .. }, Service::S3) if call.action == "PutObject" => {
            let what = if key.ends_with(".out") { What::Committed } else { What::StoredFile };
            (what, key.strip_prefix("output/")?.split('/').next()?.to_owned())
        }
        (Subject::Topic { message, .. }, _) if is_notification(call) => (What::Notified, task_in(message)?),
        (Subject::Queue { deliveries, .. }, _) if call.action == "DeleteMessage" => {
            (What::Deleted, tenures.by_handle(&deliveries.first()?.receipt_handle)?.task.clone())
        }
        _ => return None,
    };
    Some(Deed { pod: call.caller.clone(), task, at: call.took_effect?, what })
}
