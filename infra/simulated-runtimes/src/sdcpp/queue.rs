//! The jobs of the server: those that wait, the one that runs, and those that ended a while ago.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::request::Request;

pub(super) struct Queue {
    jobs: HashMap<String, Job>,
    /// Ids, in the order in which they will run.
    waiting: VecDeque<String>,
    expired: HashMap<String, Instant>,
    next: u64,
    retention: Duration,
}

struct Job {
    request: Request,
    status: Status,
    /// Seconds since 1970.
    created: u64,
    started: Option<u64>,
    completed: Option<u64>,
    ended: Option<Instant>,
    /// Images in base64, or why there are none.
    outcome: Option<Result<Vec<String>, String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Queued,
    Generating,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Generating => "generating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What the server knows of an id.
pub(super) enum Known {
    Job,
    Expired,
    Nothing,
}

impl Queue {
    pub(super) fn new(retention: Duration) -> Self {
        Self { jobs: HashMap::new(), waiting: VecDeque::new(), expired: HashMap::new(), next: 0, retention }
    }

    /// Queues a job, and answers as the server does; `None` if the queue is full.
    pub(super) fn push(&mut self, request: Request, most: usize) -> Option<Value> {
        self.purge();
        if self.jobs.values().filter(|job| job.ended.is_none()).count() >= most {
            return None;
        }
        let created = now();
        let id = format!("job_{created:x}_{:08x}", self.next);
        self.next += 1;
        let answer = json!({
            "created": created,
            "id": id,
            "kind": "img_gen",
            "poll_url": format!("/sdcpp/v1/jobs/{id}"),
            "status": Status::Queued.as_str(),
        });
        let job = Job {
            request,
            status: Status::Queued,
            created,
            started: None,
            completed: None,
            ended: None,
            outcome: None,
        };
        self.jobs.insert(id.clone(), job);
        self.waiting.push_back(id);
        Some(answer)
    }

    /// Takes the next job to run it.
    pub(super) fn begin(&mut self) -> Option<(String, Request)> {
        let id = self.waiting.pop_front()?;
        let job = self.jobs.get_mut(&id)?;
        (job.status, job.started) = (Status::Generating, Some(now()));
        Some((id, job.request.clone()))
    }

    pub(super) fn end(&mut self, id: &str, outcome: Result<Vec<String>, String>) {
        let status = if outcome.is_ok() { Status::Completed } else { Status::Failed };
        self.close(id, status, outcome);
    }

    /// Takes a job out of the queue, if it waits.
    pub(super) fn cancel(&mut self, id: &str) {
        if self.status(id) == Some(Status::Queued) {
            self.waiting.retain(|waiting| waiting != id);
            self.close(id, Status::Cancelled, Err("job cancelled by client".to_owned()));
        }
    }

    fn close(&mut self, id: &str, status: Status, outcome: Result<Vec<String>, String>) {
        if let Some(job) = self.jobs.get_mut(id) {
            (job.status, job.outcome) = (status, Some(outcome));
            (job.completed, job.ended) = (Some(now()), Some(Instant::now()));
        }
    }

    pub(super) fn find(&mut self, id: &str) -> Known {
        self.purge();
        match (self.jobs.contains_key(id), self.expired.contains_key(id)) {
            (true, _) => Known::Job,
            (false, true) => Known::Expired,
            (false, false) => Known::Nothing,
        }
    }

    pub(super) fn status(&self, id: &str) -> Option<Status> {
        self.jobs.get(id).map(|job| job.status)
    }

    /// The job as the server shows it.
    pub(super) fn describe(&self, id: &str) -> Value {
        let Some(job) = self.jobs.get(id) else { return Value::Null };
        let position = self.waiting.iter().position(|waiting| waiting == id).map_or(0, |before| before + 1);
        let (result, error) = match &job.outcome {
            None => (Value::Null, Value::Null),
            Some(Ok(images)) => {
                let image = |(index, image): (usize, &String)| json!({ "b64_json": image, "index": index });
                let images: Vec<_> = images.iter().enumerate().map(image).collect();
                (json!({ "images": images, "output_format": job.request.output_format }), Value::Null)
            }
            Some(Err(message)) => {
                let code = if job.status == Status::Cancelled { "cancelled" } else { "generation_failed" };
                (Value::Null, json!({ "code": code, "message": message }))
            }
        };
        json!({
            "completed": job.completed,
            "created": job.created,
            "error": error,
            "id": id,
            "kind": "img_gen",
            "queue_position": position,
            "result": result,
            "started": job.started,
            "status": job.status.as_str(),
        })
    }

    /// Forgets jobs that ended long ago, and then that they were there.
    fn purge(&mut self) {
        let retention = self.retention;
        self.expired.retain(|_, since| since.elapsed() < retention);
        let is_old = |job: &Job| job.ended.is_some_and(|ended| ended.elapsed() >= retention);
        let old: Vec<String> =
            self.jobs.iter().filter(|(_, job)| is_old(job)).map(|(id, _)| id.clone()).collect();
        for id in old {
            self.jobs.remove(&id);
            self.expired.insert(id, Instant::now());
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}
