//! How far a run is, as its runtime reports it and as the worker watches it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where a run is within its work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// The sampling step, and how many there are.
    pub step: Option<(u64, u64)>,
    /// The id of the node of the workflow that runs.
    pub node: Option<String>,
}

/// How far a run is: whether the runtime works on it yet, its signs of life, and what its end is foreseen from.
#[derive(Debug, Clone)]
pub struct Progress {
    position: Arc<Mutex<Position>>,
    reached: Arc<watch::Sender<LastProgress>>,
    phase: Arc<watch::Sender<JobPhase>>,
}

/// The last sign of life of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastProgress {
    /// The share of the work that is done, 0 to 1; `None` while nothing is known.
    pub share: Option<f64>,
    /// When it changed last.
    pub at: Instant,
}

/// Where a job is in a runtime that has a queue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPhase {
    /// It is on its way there, or nothing is known.
    Unknown,
    /// Another job runs before it.
    Waiting,
    /// It has been running since then.
    Running(Instant),
}

impl Progress {
    /// That of a job which is about to be given to the runtime.
    pub fn new() -> Self {
        let reached = LastProgress { share: None, at: Instant::now() };
        Self {
            position: Arc::default(),
            reached: Arc::new(watch::Sender::new(reached)),
            phase: Arc::new(watch::Sender::new(JobPhase::Unknown)),
        }
    }

    /// The job waits in the runtime's queue: its clocks do not run.
    pub fn set_waiting(&self) {
        self.set_phase(JobPhase::Waiting);
    }

    /// The runtime works on the job: its clocks run from the first call on.
    pub fn set_running(&self) {
        self.set_phase(JobPhase::Running(Instant::now()));
    }

    /// A run that has begun neither waits again nor begins again.
    fn set_phase(&self, to: JobPhase) {
        self.phase.send_if_modified(|phase| {
            let moves = !matches!(phase, JobPhase::Running(_)) && *phase != to;
            if moves {
                *phase = to;
            }
            moves
        });
    }

    /// Where the job is.
    pub fn phase(&self) -> JobPhase {
        *self.phase.borrow()
    }

    /// When the runtime began to work on the job, if it has.
    pub fn began(&self) -> Option<Instant> {
        match self.phase() {
            JobPhase::Running(since) => Some(since),
            JobPhase::Unknown | JobPhase::Waiting => None,
        }
    }

    /// Waits until the place is one of those, and returns it.
    pub async fn until(&self, is_there: impl Fn(&JobPhase) -> bool) -> JobPhase {
        // The sender lives as long as `self`.
        self.phase.subscribe().wait_for(is_there).await.map_or(JobPhase::Unknown, |phase| *phase)
    }

    /// The run has reached this share of its work. Saying the same again is no sign of life.
    pub fn advance_to(&self, share: f64) {
        self.set_running();
        let share = Some(share.clamp(0.0, 1.0));
        self.reached.send_if_modified(|last| {
            let moved = last.share != share;
            if moved {
                *last = LastProgress { share, at: Instant::now() };
            }
            moved
        });
    }

    /// The run is at that place.
    pub fn set_position(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// The place that was reported last.
    pub fn position(&self) -> Position {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The run is alive, though it is not known how far it is.
    pub fn heartbeat(&self) {
        self.set_running();
        self.reached.send_modify(|last| last.at = Instant::now());
    }

    /// Completes when there was no sign of life for that long, counted from now at the earliest.
    pub(crate) async fn stalled(&self, after: Duration) {
        self.heartbeat();
        let watched = self.watch();
        loop {
            let silent_until = watched.borrow().at + after;
            if silent_until <= Instant::now() {
                return;
            }
            sleep_until(silent_until).await;
        }
    }

    /// The last sign of life, and each that follows.
    pub fn watch(&self) -> watch::Receiver<LastProgress> {
        self.reached.subscribe()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
