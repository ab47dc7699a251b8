//! Three stages, so that the runtime never waits for the network: *staged* → *running* → *storing*.
//!
//! While one task runs, the next one's inputs are fetched, and the results of the one before are stored. There is one permit
//! of each kind (`WORKER_CONCURRENCY` of each, for runtimes that take several jobs), so at most three tasks are inside
//! and memory is bounded. A task that waits keeps its permit, so the tasks behind it wait, too.

mod forecast;
mod history;
pub mod kind;
pub mod run_estimator;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use run_estimator::RunEstimator;

/// How long before the end of a run the next job is submitted, beside the error of a forecast: longer than any round trip to the
/// runtime, short enough that little is lost when the run turns out to last.
const HAND_OVER_AHEAD: Duration = Duration::from_secs(1);

/// How long before the end of a run the next message is received, beside the usual time of preparing one.
const RECEIVE_AHEAD: Duration = Duration::from_secs(2);

/// The stages of one worker.
#[derive(Debug)]
pub struct Pipeline {
    staging: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    storing: Arc<Semaphore>,
    slot_count: u32,
    /// How long a task may be staged before it is released.
    staged_timeout: Duration,
    /// Whether the runtime takes jobs.
    ready: watch::Sender<bool>,
    /// Estimates when runs end.
    pub estimator: RunEstimator,
}

/// Why a staged task does not get its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnError {
    /// The worker shuts down.
    Stopping,
    /// The run before it lasts longer than was foreseen, and another worker may be free.
    WaitedTooLong,
}

impl Pipeline {
    /// Free stages; the runtime is not ready yet.
    pub fn new(concurrency: u32, staged_timeout: Duration) -> Self {
        let permits = || Arc::new(Semaphore::new(concurrency as usize));
        Self {
            staging: permits(),
            slots: permits(),
            storing: permits(),
            slot_count: concurrency,
            staged_timeout,
            ready: watch::Sender::new(false),
            estimator: RunEstimator::default(),
        }
    }

    /// Whether the runtime accepts jobs, as it was set last.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Sets whether the runtime accepts jobs.
    pub fn set_ready(&self, is: bool) {
        self.ready.send_replace(is);
    }

    /// A permit for the next message, as soon as it is time to receive it: not before the runtime is ready, and not long
    /// before it will need the task.
    pub async fn reserve(&self) -> Staged {
        let permit = Self::permit(&self.staging).await;
        self.until_ready().await;
        tokio::select! {
            _ = self.slots.acquire() => {}
            () = self.estimator.until_end_within(RECEIVE_AHEAD + self.estimator.typical_preparation()) => {}
        }
        Staged::new(Some(permit))
    }

    /// Waits until a prepared task may be submitted to the runtime: when it is free, or about to be.
    pub async fn wait_for_turn(
        &self,
        staged: Staged,
        stopping: &CancellationToken,
    ) -> Result<Turn, TurnError> {
        self.estimator.record_preparation(staged.received.elapsed());
        let waited_too_long = Instant::now() + self.staged_timeout;
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(TurnError::Stopping),
            slot = self.free_or_about_to_be() => {
                Ok(Turn { wanted: staged.received, staged: Some(staged), slot, slots: Arc::clone(&self.slots) })
            }
            () = sleep_until(waited_too_long) => {
                self.estimator.invalidate();
                Err(TurnError::WaitedTooLong)
            }
        }
    }

    /// The turn of a run that the previous process submitted: the runtime has the job already, so it waits only for the
    /// runtime to be ready.
    pub async fn adopt_turn(&self, staged: Staged, stopping: &CancellationToken) -> Result<Turn, TurnError> {
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(TurnError::Stopping),
            () = self.until_ready() => {
                let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
                Ok(Turn { wanted: staged.received, staged: Some(staged), slot, slots: Arc::clone(&self.slots) })
            }
            () = sleep(self.staged_timeout) => Err(TurnError::WaitedTooLong),
        }
    }

    async fn free_or_about_to_be(&self) -> Option<OwnedSemaphorePermit> {
        self.until_ready().await;
        tokio::select! {
            biased;
            slot = Self::permit(&self.slots) => Some(slot),
            () = self.estimator.until_end_within(HAND_OVER_AHEAD) => None,
        }
    }

    async fn until_ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Waits until no task is in the runtime, and keeps it idle until the permit is dropped.
    pub async fn lock_idle(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.slots).acquire_many_owned(self.slot_count).await {
            Ok(all) => all,
            Err(_) => std::future::pending().await,
        }
    }

    /// The turn is over as soon as the results have a permit to be stored.
    pub async fn begin_storing(&self, turn: Turn) -> Storing {
        let permit = Self::permit(&self.storing).await;
        drop(turn);
        Storing { _permit: permit }
    }

    async fn permit(permits: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        match Arc::clone(permits).acquire_owned().await {
            Ok(permit) => permit,
            // They are never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The permit of a message that has been, or is about to be, received.
#[derive(Debug)]
pub struct Staged {
    _permit: Option<OwnedSemaphorePermit>,
    received: Instant,
}

impl Staged {
    fn new(permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { _permit: permit, received: Instant::now() }
    }

    /// For a message that needs no preparation, and so takes no permit: its run was submitted by the previous
    /// process, or it is released.
    pub fn without_permit() -> Self {
        Self::new(None)
    }

    /// The message has been received.
    pub fn received(&mut self) {
        self.received = Instant::now();
    }
}

/// The right to submit a task to the runtime.
#[derive(Debug)]
pub struct Turn {
    staged: Option<Staged>,
    /// Since when the task has been available.
    wanted: Instant,
    slot: Option<OwnedSemaphorePermit>,
    slots: Arc<Semaphore>,
}

impl Turn {
    /// Waits until the run before has finished and its results have a permit to be stored. From then on the next message may be received.
    pub async fn acquire(&mut self) {
        if self.slot.is_none() {
            self.slot = Some(Pipeline::permit(&self.slots).await);
        }
        self.staged = None;
    }

    /// Whether that has happened.
    pub fn is_acquired(&self) -> bool {
        self.slot.is_some()
    }

    /// Since when the task has been available.
    pub fn wanted(&self) -> Instant {
        self.wanted
    }
}

/// The permit of a task whose results are being stored.
#[derive(Debug)]
pub struct Storing {
    _permit: OwnedSemaphorePermit,
}
