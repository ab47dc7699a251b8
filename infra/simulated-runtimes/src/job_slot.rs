//! The one GPU of a runtime: one job at a time, first come, first served, and a record of when it was busy.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    log: Arc<Mutex<JobLog>>,
}

#[derive(Default)]
struct JobLog {
    ended: VecDeque<BusyInterval>,
    /// Label and start of the job that has the runtime.
    running: Option<(String, Instant)>,
}

impl JobSlot {
    /// Waits until all jobs that asked before are done.
    pub(crate) async fn take(&self, label: String) -> RunningJob {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.log().running = Some((label, Instant::now()));
        RunningJob { log: Arc::clone(&self.log), _turn: turn }
    }

    pub(crate) fn intervals(&self) -> Vec<BusyInterval> {
        self.log().ended.iter().cloned().collect()
    }

    pub(crate) fn running(&self) -> Option<(String, Instant)> {
        self.log().running.clone()
    }

    fn log(&self) -> MutexGuard<'_, JobLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the runtime; dropping it ends the job.
pub(crate) struct RunningJob {
    log: Arc<Mutex<JobLog>>,
    // Dropped after `drop` below has written the interval: the next job cannot start before this one's end is known.
    _turn: OwnedMutexGuard<()>,
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((label, start)) = log.running.take() else { return };
        if log.ended.len() == REMEMBERED_INTERVALS {
            log.ended.pop_front();
        }
        log.ended.push_back(BusyInterval { label, start, end: Instant::now() });
    }
}
