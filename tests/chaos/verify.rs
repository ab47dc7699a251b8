//! The rules that must hold in spite of all disruptions.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::history::{ActionKind, History};
use crate::pod::{ExitCause, Run};
use crate::schedule::BROKEN;

/// A description of every violation.
pub(crate) async fn violations(cluster: &Cluster, history: &History, poison: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    nothing_is_lost(history, &mut found);
    each_task_is_committed_once(history, &mut found);
    notifications_agree(history, &mut found);
    broken_gpus_cost_nothing(history, &mut found);
    files_are_there(cluster, history, &mut found).await;
    records_agree(cluster, history, &mut found).await;
    unreadable_messages_are_stored(cluster, poison, &mut found).await;
    queues_are_empty(cluster, &mut found).await;
    no_worker_acts_without_a_lease(history, &mut found);
    workers_exit_as_intended(history, &mut found);
    Ok(found)
}

/// Every accepted task was published, and every published task was notified.
fn nothing_is_lost(history: &History, found: &mut Vec<String>) {
    for id in history.clients.accepted.keys().filter(|id| !history.published.contains(*id)) {
        found.push(format!("{id} was accepted and never published"));
    }
    for id in history.published.iter().filter(|id| !history.notifications.contains_key(*id)) {
        found.push(format!("no notification has the result of {id}"));
    }
}

/// One `.out` per task, written once, by whichever worker.
fn each_task_is_committed_once(history: &History, found: &mut Vec<String>) {
    let commits = history.count(ActionKind::Committed);
    for id in &history.published {
        let times = commits.get(id.as_str()).copied().unwrap_or_default();
        if times != 1 {
            found.push(format!("the .out file of {id} was written {times} times"));
        }
    }
}

/// All notifications of a task have the same content.
fn notifications_agree(history: &History, found: &mut Vec<String>) {
    const SAME: [&str; 6] =
        ["notification_id", "submission", "task_status", "image_url", "output_url", "error"];
    for (id, notifications) in &history.notifications {
        let Some(first) = notifications.first() else { continue };
        for field in SAME {
            if notifications.iter().any(|other| other[field] != first[field]) {
                found.push(format!("notifications of {id} differ in {field}"));
            }
        }
        let submission = history.clients.accepted.get(id);
        if submission.is_some_and(|submission| first["submission"] != submission.as_str()) {
            found.push(format!("{id} completed under another submission than it was accepted with"));
        }
    }
}

/// No task fails because a runtime was broken.
fn broken_gpus_cost_nothing(history: &History, found: &mut Vec<String>) {
    for (id, notifications) in &history.notifications {
        let error =
            notifications.first().and_then(|first| first.get("error")).filter(|error| error.is_object());
        let Some(error) = error else { continue };
        if error["code"] == "runtime_broken" || error.to_string().contains(BROKEN) {
            found.push(format!("{id} failed because of a broken GPU: {error}"));
        }
    }
}

/// The `.out` file has the content of the notification, and the files in it exist.
async fn files_are_there(cluster: &Cluster, history: &History, found: &mut Vec<String>) {
    let stored: HashSet<String> = stored(cluster).await;
    let is_stored = |uri: &Value| uri.as_str().is_some_and(|uri| stored.contains(uri));
    for (id, notifications) in &history.notifications {
        let Some(notification) = notifications.first() else { continue };
        let images = notification["image_url"].as_array().map_or(&[][..], Vec::as_slice);
        match (notification["task_status"].as_str(), images.len(), notification.get("error")) {
            (Some("succeeded"), 1, None) | (Some("failed" | "expired"), 0, Some(_)) => {}
            _ => found.push(format!("{id} has an inconsistent result: {notification}")),
        }
        if !images.iter().all(is_stored) {
            found.push(format!("an image of {id} is not there"));
        }
        if !is_stored(&notification["output_url"]) {
            found.push(format!("the .out file of {id} is not there"));
            continue;
        }
        let out = cluster.lab.json(notification["output_url"].as_str().unwrap_or_default()).await;
        for field in ["notification_id", "task_status", "image_url"] {
            if out["notification"][field] != notification[field] {
                found.push(format!("the .out file of {id} and its notification differ in {field}"));
            }
        }
    }
}

/// The record of each accepted task has the result that was notified, so that of its `.out` file.
async fn records_agree(cluster: &Cluster, history: &History, found: &mut Vec<String>) {
    let records = records(cluster).await;
    for (id, submission) in &history.clients.accepted {
        let Some(record) = records.get(submission) else {
            found.push(format!("{id} has no record"));
            continue;
        };
        let Some(notification) = history.notifications.get(id).and_then(|all| all.first()) else { continue };
        let recorded = (&record["status"], &record["output_url"], &record["error"]["code"]);
        let notified =
            (&notification["task_status"], &notification["output_url"], &notification["error"]["code"]);
        if recorded != notified {
            found.push(format!("the record of {id} has {recorded:?}, its notification {notified:?}"));
        }
    }
}

/// The tasks that `v1` lists, by their ids.
async fn records(cluster: &Cluster) -> HashMap<String, Value> {
    let mut records = HashMap::new();
    let mut path = "/v1/tasks?limit=100".to_owned();
    loop {
        let (_, _, mut page) = cluster.api.send(Method::GET, &path, &[], None).await;
        let Value::Array(tasks) = page["tasks"].take() else { panic!("no list of tasks: {page}") };
        records.extend(tasks.into_iter().map(|task| (task["id"].as_str().unwrap().to_owned(), task)));
        let Some(cursor) = page["next_cursor"].as_str() else { return records };
        path = format!("/v1/tasks?limit=100&cursor={cursor}");
    }
}

/// The addresses of all objects that are not empty.
async fn stored(cluster: &Cluster) -> HashSet<String> {
    let bucket = &cluster.lab.shared.bucket;
    let pages = cluster.lab.clients().s3.list_objects_v2().bucket(bucket);
    let mut pages = pages.into_paginator().send();
    let mut stored = HashSet::new();
    while let Some(page) = pages.next().await {
        let objects = page.unwrap().contents.unwrap_or_default();
        let full = objects.into_iter().filter(|object| object.size().unwrap_or_default() > 0);
        stored.extend(full.filter_map(|object| Some(format!("s3://{bucket}/{}", object.key?))));
    }
    stored
}

async fn unreadable_messages_are_stored(cluster: &Cluster, poison: &[&str], found: &mut Vec<String>) {
    let mut stored = Vec::new();
    for key in cluster.lab.keys("_darkroom/unreadable/").await {
        let object = cluster.lab.json(&format!("s3://{}/{key}", cluster.lab.shared.bucket)).await;
        stored.push(object["body"].as_str().unwrap_or_default().to_owned());
    }
    let mut sent: Vec<&str> = poison.to_vec();
    sent.sort_unstable();
    stored.sort_unstable();
    if stored != sent {
        found.push(format!("of {} unreadable messages {} are stored", sent.len(), stored.len()));
    }
}

async fn queues_are_empty(cluster: &Cluster, found: &mut Vec<String>) {
    for runtime in &cluster.runtimes {
        for url in [&runtime.queue.url, &runtime.queue.dead_letter_url] {
            let (visible, hidden) = cluster.lab.counts(url).await;
            if (visible, hidden) != (0, 0) {
                let name = url.rsplit('/').next().unwrap_or_default();
                found.push(format!("{visible} visible and {hidden} hidden messages are left in {name}"));
            }
        }
    }
}

/// No worker acts for a task after its lease has expired and another pod has received the message.
fn no_worker_acts_without_a_lease(history: &History, found: &mut Vec<String>) {
    for action in history.actions.iter().filter(|action| action.pod.starts_with("pod-")) {
        if !history.leases.allow(&action.pod, &action.task, action.at, action.at) {
            found.push(format!(
                "{} {:?} {} after its lease, while another pod had it",
                action.pod, action.kind, action.task
            ));
        }
    }
    for run in history.runs.iter().filter(|run| can_be_stopped(history, run)) {
        if !history.leases.allow(&run.pod, &run.task, run.start, run.end) {
            found.push(format!("{} ran {} after its lease, while another pod had it", run.pod, run.task));
        }
    }
}

/// A killed worker stops no run, and neither does a runtime that hangs or crashes.
fn can_be_stopped(history: &History, run: &Run) -> bool {
    !run.is_cut && history.orphaned(run).is_none()
}

fn workers_exit_as_intended(history: &History, found: &mut Vec<String>) {
    for (pod, record) in &history.pods {
        for (_, cause) in record.processes.iter().filter_map(|process| process.exit.as_ref()) {
            match cause {
                ExitCause::Killed | ExitCause::Stopped => {}
                ExitCause::Overdue => {
                    found.push(format!("the worker of {pod} did not stop within its grace period"));
                }
                ExitCause::Unexpected(status) => {
                    found.push(format!("the worker of {pod} exited by itself: {status}"));
                }
            }
        }
    }
}
