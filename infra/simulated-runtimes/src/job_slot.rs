//! The one GPU of a runtime: one job at a time, first come, first served, and a record of when it was busy.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::OwnedMutexGuard;

/// The maximum number of recorded intervals; the oldest are dropped, so that a simulation may run for days.
const MAX_INTERVALS: usize = 10_000;

/// A time during which the runtime worked on one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyInterval {
    /// What it worked on: the prompt (SD WebUI) or the prompt id (ComfyUI).
    pub label: String,
    /// When the job acquired the runtime.
    pub start: Instant,
    /// When it released the runtime.
    pub end: Instant,
}

#[derive(Default)]
pub(crate) struct JobSlot {
    // tokio's mutex is fair: jobs run in the order of their requests.
    turn: Arc<tokio::sync::Mutex<()>>,
    log: Arc<Mutex<JobLog>>,
}

#[derive(Default)]
struct JobLog {
    finished: VecDeque<BusyInterval>,
    /// Label and start of the running job.
    running: Option<(String, Instant)>,
}

impl JobSlot {
    /// Waits until all earlier jobs are done.
    pub(crate) async fn acquire(&self, label: String) -> RunningJob {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.log().running = Some((label, Instant::now()));
        RunningJob { log: Arc::clone(&self.log), _turn: turn }
    }

    pub(crate) fn intervals(&self) -> Vec<BusyInterval> {
        self.log().finished.iter().cloned().collect()
    }

    pub(crate) fn running(&self) -> Option<(String, Instant)> {
        self.log().running.clone()
    }

    fn log(&self) -> MutexGuard<'_, JobLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Occupies the runtime until it is dropped.
pub(crate) struct RunningJob {
    log: Arc<Mutex<JobLog>>,
    // Dropped after `drop` below has written the interval: the next job cannot start before this one's end is known.
    _turn: OwnedMutexGuard<()>,
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((label, start)) = log.running.take() else { return };
        if log.finished.len() == MAX_INTERVALS {
            log.finished.pop_front();
        }
        log.finished.push_back(BusyInterval { label, start, end: Instant::now() });
    }
}
