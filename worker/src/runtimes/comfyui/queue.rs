//! Where ComfyUI has a job.

use serde::Deserialize;
use serde_json::Value;

use super::handle::is_ours;

/// Where a job is.
#[derive(Debug, PartialEq)]
pub(super) enum Whereabouts {
    /// In the history, which is its end; this is the entry.
    Finished(Value),
    Running,
    /// Behind another job, which runs.
    Pending,
    /// Pending, although nothing runs.
    Stalled,
    /// Never queued, deleted, or forgotten by a restart.
    Nowhere,
}

/// What waits and what runs: `[number, prompt id, prompt, extra data, …]` each.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Queue {
    queue_running: Vec<Value>,
    queue_pending: Vec<Value>,
}

impl Queue {
    /// Whether nothing waits and nothing runs.
    pub(super) fn is_empty(&self) -> bool {
        self.queue_running.is_empty() && self.queue_pending.is_empty()
    }

    /// Whether jobs wait and none runs.
    pub(super) fn is_stalled(&self) -> bool {
        self.queue_running.is_empty() && !self.queue_pending.is_empty()
    }

    /// Where the job is, unless it has ended.
    pub(super) fn whereabouts(&self, prompt_id: &str) -> Whereabouts {
        let holds = |jobs: &[Value]| jobs.iter().any(|job| job[1] == *prompt_id);
        if holds(&self.queue_running) {
            Whereabouts::Running
        } else if !holds(&self.queue_pending) {
            Whereabouts::Nowhere
        } else if self.is_stalled() {
            Whereabouts::Stalled
        } else {
            Whereabouts::Pending
        }
    }

    /// The ids of a worker's jobs that wait.
    pub(super) fn our_pending(&self) -> impl Iterator<Item = &str> {
        ours(&self.queue_pending)
    }

    /// The ids of a worker's jobs that run.
    pub(super) fn our_running(&self) -> impl Iterator<Item = &str> {
        ours(&self.queue_running)
    }
}

fn ours(jobs: &[Value]) -> impl Iterator<Item = &str> {
    let ours = jobs.iter().filter(|job| job[3]["client_id"].as_str().is_some_and(is_ours));
    ours.filter_map(|job| job[1].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{history_entry, recording};
    use super::*;

    /// A job as the queue shows it, and as the history keeps it.
    fn job(prompt_id: &str, client_id: &str) -> Value {
        let mut job = history_entry(&recording("images-batch-of-3"))["prompt"].clone();
        job[1] = json!(prompt_id);
        *job.pointer_mut("/3/client_id").unwrap() = json!(client_id);
        job
    }

    fn queue(running: &[Value], pending: &[Value]) -> Queue {
        serde_json::from_value(json!({"queue_running": running, "queue_pending": pending})).unwrap()
    }

    #[test]
    fn a_job_waits_behind_another_or_for_nothing() {
        let [mine, theirs] = [job("mine", "darkroom-1"), job("theirs", "2")];
        let found = |running: &[&Value], pending: &[&Value]| {
            let owned = |jobs: &[&Value]| jobs.iter().map(|job| (*job).clone()).collect::<Vec<_>>();
            queue(&owned(running), &owned(pending)).whereabouts("mine")
        };
        assert_eq!(found(&[&mine], &[&theirs]), Whereabouts::Running);
        assert_eq!(found(&[&theirs], &[&mine]), Whereabouts::Pending);
        assert_eq!(found(&[], &[&theirs, &mine]), Whereabouts::Stalled);
        assert_eq!(found(&[&theirs], &[]), Whereabouts::Nowhere);
    }

    #[test]
    fn only_a_workers_jobs_are_ours() {
        let mut nobodys = job("nobody's", "x");
        nobodys[3] = json!({});
        let queue = queue(&[job("a", "darkroom-1")], &[job("b", "person"), nobodys, job("c", "darkroom-2")]);
        assert_eq!(queue.our_running().collect::<Vec<_>>(), ["a"]);
        assert_eq!(queue.our_pending().collect::<Vec<_>>(), ["c"]);
    }
}
