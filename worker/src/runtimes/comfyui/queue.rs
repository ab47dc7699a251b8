//! Where ComfyUI has a job.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::history::Entry;

/// Where a job is.
#[derive(Debug, PartialEq)]
pub(super) enum JobState {
    /// In the history, which is its end; this is the entry.
    Finished(Entry),
    Running,
    /// Behind another job, which runs.
    Pending,
    /// Pending, although nothing runs.
    Stalled,
    /// Never queued, deleted, or forgotten by a restart.
    Unknown,
}

/// What waits and what runs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Queue {
    queue_running: Vec<Job>,
    queue_pending: Vec<Job>,
}

/// A job of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queued<'a> {
    pub(super) prompt_id: &'a str,
    pub(super) client_id: &'a str,
    /// Whether it runs; else it waits.
    pub(super) runs: bool,
}

/// The names of a job, which anybody may have queued. Its workflow is not kept: it may be large and of any depth.
#[derive(Debug)]
pub(super) struct Job {
    /// Its place in the queue: positive, or negative at the front, and of a greater magnitude than that of any job before.
    number: Value,
    /// A text, unless a server is odd.
    prompt_id: Value,
    owner: Owner,
}

/// As much of a job's extra data as matters. Most servers take whatever the client sent for it, which may be no object.
#[derive(Debug, Default)]
struct Owner {
    client_id: Value,
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OwnerVisitor)
    }
}

struct OwnerVisitor;

impl<'de> Visitor<'de> for OwnerVisitor {
    type Value = Owner;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Owner, A::Error> {
        let mut owner = Owner::default();
        while let Some(key) = fields.next_key::<String>()? {
            if key == "client_id" {
                owner.client_id = fields.next_value()?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(owner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Owner, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Owner::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Owner, E> {
        Ok(Owner::default())
    }

    fn visit_unit<E: Error>(self) -> Result<Owner, E> {
        Ok(Owner::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Owner, E> {
        Ok(Owner::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Owner, E> {
        Ok(Owner::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Owner, E> {
        Ok(Owner::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Owner, E> {
        Ok(Owner::default())
    }
}

impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(JobVisitor)
    }
}

struct JobVisitor;

impl<'de> Visitor<'de> for JobVisitor {
    type Value = Job;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[number, prompt id, prompt, extra data, …]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Job, A::Error> {
        let number = fields.next_element()?.unwrap_or_default();
        let prompt_id = fields.next_element()?.unwrap_or_default();
        fields.next_element::<IgnoredAny>()?;
        let owner = fields.next_element()?.unwrap_or_default();
        while fields.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Job { number, prompt_id, owner })
    }
}

impl Job {
    /// Its names, if it has both.
    pub(super) fn names(&self, runs: bool) -> Option<Queued<'_>> {
        let (prompt_id, client_id) = (self.prompt_id.as_str()?, self.owner.client_id.as_str()?);
        Some(Queued { prompt_id, client_id, runs })
    }

    /// How many jobs were queued before it, whatever its place.
    pub(super) fn age(&self) -> f64 {
        self.number.as_f64().unwrap_or_default().abs()
    }
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

    /// Where the job is, unless it has finished.
    pub(super) fn state_of(&self, prompt_id: &str) -> JobState {
        let holds = |jobs: &[Job]| jobs.iter().any(|job| job.prompt_id == *prompt_id);
        if holds(&self.queue_running) {
            JobState::Running
        } else if !holds(&self.queue_pending) {
            JobState::Unknown
        } else if self.is_stalled() {
            JobState::Stalled
        } else {
            JobState::Pending
        }
    }

    /// The jobs that name a client: those that wait, then those that run.
    pub(super) fn jobs(&self) -> impl Iterator<Item = Queued<'_>> {
        let pending = self.queue_pending.iter().filter_map(|job| job.names(false));
        pending.chain(self.queue_running.iter().filter_map(|job| job.names(true)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared_schema::python_json;

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
            queue(&owned(running), &owned(pending)).state_of("mine")
        };
        assert_eq!(found(&[&mine], &[&theirs]), JobState::Running);
        assert_eq!(found(&[&theirs], &[&mine]), JobState::Pending);
        assert_eq!(found(&[], &[&theirs, &mine]), JobState::Stalled);
        assert_eq!(found(&[&theirs], &[]), JobState::Unknown);
    }

    /// What Python's `json` module writes for a job that holds such values; a float input of "nan" is enough.
    #[test]
    fn a_job_of_any_content_hides_no_other() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let odd = [
            r#"[NaN, "odd", {"3": {"inputs": {"x": [Infinity, -Infinity, 1e999]}}}, {"client_id": NaN}, ["3"]]"#.to_owned(),
            format!(r#"[0, "odd", {{"3": {deep}}}, {{"extra": {deep}, "client_id": {deep}}}, [], {deep}]"#),
            r#"[0, "\ud800", "\udfff", {"client_id": "darkroom-\ud800"}]"#.to_owned(),
            r#"[0, 7, null, {"client_id": 7}]"#.to_owned(),
            "[]".to_owned(),
            r#"[0, "odd", {}, "client_id"]"#.to_owned(),
            r#"[0, "odd", {}, ["client_id", "x"]]"#.to_owned(),
            r#"[0, "odd", {}, null]"#.to_owned(),
            r#"[0, "odd", {}, true]"#.to_owned(),
            r#"[0, "odd", {}, -7]"#.to_owned(),
            r#"[0, "odd", {}, 0.5]"#.to_owned(),
        ];
        let mine = job("mine", "darkroom-1");
        for odd in odd {
            let queue = format!(r#"{{"queue_running": [{odd}], "queue_pending": [{odd}, {mine}]}}"#);
            let queue: Queue = python_json::from_slice(queue.as_bytes())
                .unwrap_or_else(|error| panic!("{odd:.99}: {error}"));
            assert_eq!(queue.state_of("mine"), JobState::Pending, "{odd:.99}");
            let mine = Queued { prompt_id: "mine", client_id: "darkroom-1", runs: false };
            assert!(queue.jobs().any(|job| job == mine), "{odd:.99}");
        }
    }

    #[test]
    fn jobs_are_found_by_their_clients() {
        let mut nobodys = job("nobody's", "x");
        nobodys[3] = json!({});
        let queue = queue(&[job("a", "darkroom-1")], &[job("b", "person"), nobodys, job("c", "darkroom-2")]);
        let jobs: Vec<_> = queue.jobs().map(|job| (job.prompt_id, job.client_id, job.runs)).collect();
        assert_eq!(jobs, [("b", "person", false), ("c", "darkroom-2", false), ("a", "darkroom-1", true)]);
    }
}
