//! The rules: what must hold whatever was done to the system.

use std::collections::HashSet;

use anyhow::Result;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::history::{History, What};
use crate::pod::{End, Run};
use crate::schedule::BROKEN;

/// Every violation, in words.
pub(crate) async fn violations(cluster: &Cluster, history: &History, poison: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    nothing_is_lost(history, &mut found);
    each_has_one_end(history, &mut found);
    notifications_agree(history, &mut found);
    broken_gpus_cost_nothing(history, &mut found);
    files_are_there(cluster, history, &mut found).await;
    poison_is_kept(cluster, poison, &mut found).await;
    queues_are_empty(cluster, &mut found).await;
    nobody_acts_without_a_lease(history, &mut found);
    workers_live(history, &mut found);
    Ok(found)
}

/// What was accepted was published, and what was published is heard of.
fn nothing_is_lost(history: &History, found: &mut Vec<String>) {
    for id in history.heard.accepted.keys().filter(|id| !history.published.contains(*id)) {
        found.push(format!("{id} was accepted and never published"));
    }
    for id in history.published.iter().filter(|id| !history.told.contains_key(*id)) {
        found.push(format!("nobody was told how {id} ended"));
    }
}

/// One `.out` per task, written once, whoever worked on it.
fn each_has_one_end(history: &History, found: &mut Vec<String>) {
    let commits = history.count(What::Committed);
    for id in &history.published {
        let times = commits.get(id.as_str()).copied().unwrap_or_default();
        if times != 1 {
            found.push(format!("the .out file of {id} was written {times} times"));
        }
    }
}

/// All notifications of a task say the same.
fn notifications_agree(history: &History, found: &mut Vec<String>) {
    const SAME: [&str; 6] =
        ["notification_id", "submission", "task_status", "image_url", "output_url", "error"];
    for (id, told) in &history.told {
        let Some(first) = told.first() else { continue };
        for field in SAME {
            if told.iter().any(|other| other[field] != first[field]) {
                found.push(format!("notifications of {id} differ in {field}"));
            }
        }
        let submission = history.heard.accepted.get(id);
        if submission.is_some_and(|submission| first["submission"] != submission.as_str()) {
            found.push(format!("{id} ended under another submission than it was accepted with"));
        }
    }
}

/// No task fails because a runtime was broken.
fn broken_gpus_cost_nothing(history: &History, found: &mut Vec<String>) {
    for (id, told) in &history.told {
        let error = told.first().and_then(|first| first.get("error")).filter(|error| error.is_object());
        let Some(error) = error else { continue };
        if error["code"] == "runtime_broken" || error.to_string().contains(BROKEN) {
            found.push(format!("{id} failed because of a broken GPU: {error}"));
        }
    }
}

/// The `.out` file says what was told, and what was told exists.
async fn files_are_there(cluster: &Cluster, history: &History, found: &mut Vec<String>) {
    let stored: HashSet<String> = stored(cluster).await;
    let is_stored = |uri: &Value| uri.as_str().is_some_and(|uri| stored.contains(uri));
    for (id, told) in &history.told {
        let Some(told) = told.first() else { continue };
        let images = told["image_url"].as_array().map_or(&[][..], Vec::as_slice);
        match (told["task_status"].as_str(), images.len(), told.get("error")) {
            (Some("succeeded"), 1, None) | (Some("failed" | "expired"), 0, Some(_)) => {}
            _ => found.push(format!("{id} ended neither well nor badly: {told}")),
        }
        if !images.iter().all(is_stored) {
            found.push(format!("an image of {id} is not there"));
        }
        if !is_stored(&told["output_url"]) {
            found.push(format!("the .out file of {id} is not there"));
            continue;
        }
        let out = cluster.lab.json(told["output_url"].as_str().unwrap_or_default()).await;
        for field in ["notification_id", "task_status", "image_url"] {
            if out["notification"][field] != told[field] {
                found.push(format!("the .out file of {id} and its notification differ in {field}"));
            }
        }
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

async fn poison_is_kept(cluster: &Cluster, poison: &[&str], found: &mut Vec<String>) {
    let mut kept = Vec::new();
    for key in cluster.lab.keys("_darkroom/unreadable/").await {
        let object = cluster.lab.json(&format!("s3://{}/{key}", cluster.lab.shared.bucket)).await;
        kept.push(object["body"].as_str().unwrap_or_default().to_owned());
    }
    let mut sent: Vec<&str> = poison.to_vec();
    sent.sort_unstable();
    kept.sort_unstable();
    if kept != sent {
        found.push(format!("of {} unreadable messages {} are kept", sent.len(), kept.len()));
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

/// Nobody does anything for a task after its lease has ended and another pod has received the message.
fn nobody_acts_without_a_lease(history: &History, found: &mut Vec<String>) {
    for deed in history.deeds.iter().filter(|deed| deed.pod.starts_with("pod-")) {
        if !history.tenures.allow(&deed.pod, &deed.task, deed.at, deed.at) {
            found.push(format!(
                "{} {:?} {} after its lease, while another pod had it",
                deed.pod, deed.what, deed.task
            ));
        }
    }
    for run in history.runs.iter().filter(|run| can_be_stopped(history, run)) {
        if !history.tenures.allow(&run.pod, &run.task, run.start, run.end) {
            found.push(format!("{} ran {} after its lease, while another pod had it", run.pod, run.task));
        }
    }
}

/// A killed worker stops nothing, and neither does a runtime that hangs or dies.
fn can_be_stopped(history: &History, run: &Run) -> bool {
    !run.is_cut && history.orphaned(run).is_none()
}

fn workers_live(history: &History, found: &mut Vec<String>) {
    for (pod, diary) in &history.diaries {
        for (_, end) in diary.lives.iter().filter_map(|life| life.ended.as_ref()) {
            match end {
                End::Killed | End::Stopped => {}
                End::Overdue => {
                    found.push(format!("the worker of {pod} did not stop within its grace period"));
                }
                End::Unexpected(status) => {
                    found.push(format!("the worker of {pod} ended by itself: {status}"));
                }
            }
        }
    }
}
