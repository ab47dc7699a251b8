//! The one GPU of a runtime: one job at a time, first come, first served, and a record of when it was busy.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::OwnedMutexGuard;

/// How many intervals are remembered; the oldest are forgotten, so that a simulation may run for days.
const REMEMBERED_INTERVALS: usize = 10_000;

/// A time during which the runtime worked on one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyInterval {
    /// What it worked on: the prompt (SD WebUI) or the prompt id (ComfyUI).
    pub label: String,
    /// When the job got the runtime for itself.
    pub start: Instant,
    /// When it gave the runtime back.
    pub end: Instant,
}

#[derive(Default)]
pub(crate) struct JobSlot {
    // tokio's mutex is fair: jobs run in the order in which they asked.
    turn: Arc<tokio::sync::Mutex<()>>,
    intervals: Arc<Mutex<VecDeque<BusyInterval>>>,
}

impl JobSlot {
    /// Waits until all jobs that asked before are done.
    pub(crate) async fn take(&self, label: String) -> RunningJob {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        RunningJob { label, start: Instant::now(), intervals: Arc::clone(&self.intervals), _turn: turn }
    }

    pub(crate) fn intervals(&self) -> Vec<BusyInterval> {
        self.intervals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Holds the runtime; dropping it ends the job.
pub(crate) struct RunningJob {
    label: String,
    start: Instant,
    intervals: Arc<Mutex<VecDeque<BusyInterval>>>,
    // Dropped after `drop` below has written the interval: the next job cannot start before this one's end is known.
    _turn: OwnedMutexGuard<()>,
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        let mut intervals = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        if intervals.len() == REMEMBERED_INTERVALS {
            intervals.pop_front();
        }
        let label = std::mem::take(&mut self.label);
        intervals.push_back(BusyInterval { label, start: self.start, end: Instant::now() });
    }
}
