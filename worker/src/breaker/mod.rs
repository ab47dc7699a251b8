//! The circuit breaker: whether the runtime can still run what it ran before.
//!
//! A process may be broken without a known error text. So a run that fails where others succeeded before is
//! not final at once: the next run of another submission, or one more run of a known-good task, decides
//! whether the task or the runtime is at fault. Callers cannot stop a healthy runtime by tasks that fail: these cost it one
//! check in each `FAILURES_IN_A_ROW`, and ever fewer while nothing else comes.

mod check;
mod known_good;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use shared_schema::{ErrorCode, Submission};
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::known_good::{KnownGood, SavedTask};
use crate::runtimes::RunHandle;

/// So many different submissions fail one after the other before the runtime is checked although more are waiting.
const FAILURES_IN_A_ROW: usize = 2;

/// The same for requests that the runtime rejected before it started them: mostly they are at fault themselves.
const REFUSALS_IN_A_ROW: usize = 3;

/// How often the number of failures is doubled after checks that found nothing.
const MAX_DOUBLINGS: u32 = 4;

/// A task that fails the check of so many processes in a row is given up: perhaps it cannot succeed any more.
const MAX_FAILED_CHECKS: u32 = 3;

/// What is known of one runtime.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
    found: watch::Sender<Option<Finding>>,
}

#[derive(Debug, Default)]
struct State {
    known_good: Option<KnownGood>,
    /// The submissions whose runs failed, and when these began: after the last run that succeeded.
    failed: HashMap<Submission, Instant>,
    /// When the last run began that succeeded, by the order in which runs began.
    healthy_at: Option<Instant>,
    /// Checks that found nothing since the last success of a task.
    passed_checks: u32,
    /// Processes in a row that failed the check.
    failed_checks: u32,
    /// Half-open: the task for checks was given up since it failed too many of them, and the next task decides.
    is_half_open: bool,
    needs_check: bool,
    broken: Option<Broken>,
}

/// A broken process, and what distinguishes it from the one after it. Kept in a file, so that a restarted worker knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// A run that it made.
    pub run: Option<RunHandle>,
    /// Whether it reports earlier runs. Otherwise only its absence shows a restart.
    pub leaves_traces: bool,
    /// Whether it is gone, and the process after it is yet to be checked.
    #[serde(default)]
    pub is_replaced: bool,
    /// How many processes in a row failed the check.
    #[serde(default)]
    pub failed_checks: u32,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A run that started then succeeded: tasks whose runs started before it and failed are at fault themselves.
    Healthy(Instant),
    /// The runtime is at fault.
    Broken,
    /// The runtime is not available, so that nothing can be found out.
    Undecided,
}

/// How far a failed run indicates a broken runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing: it is the task's.
    None,
    /// The next run decides.
    Slight,
    /// The runtime has to be checked.
    Strong,
    /// The runtime is broken: the breaker is half-open.
    Proven,
}

impl Breaker {
    /// The breaker of a runtime which the previous process may have found broken, or seen succeed.
    pub fn new(broken: Option<Broken>, saved: Option<SavedTask>) -> Self {
        let known_good = saved.map(KnownGood::restored);
        // Without such a task the process after a broken one is not checked.
        let broken = broken.filter(|broken| !broken.is_replaced || known_good.is_some());
        let needs_check = broken.is_some() && known_good.is_some();
        let failed_checks = broken.as_ref().map_or(0, |broken| broken.failed_checks);
        let is_half_open = failed_checks >= MAX_FAILED_CHECKS;
        let state =
            State { known_good, broken, needs_check, failed_checks, is_half_open, ..State::default() };
        Self { state: Mutex::new(state), found: watch::Sender::new(None) }
    }

    /// A run that started then succeeded. Returns whether `good` is the known-good task from now on.
    ///
    /// Runs are ordered by when they began, since the end of one may be known before the end of the one before it: a job that was
    /// submitted ahead may be over at once, and the results of a run take time to fetch. A success clears the failures of the
    /// runs before it, and no other.
    pub fn succeeded(&self, began: Instant, good: Option<KnownGood>) -> bool {
        let mut state = self.lock();
        let known = state.known_good.as_ref();
        let better =
            good.filter(|good| good.is_small() && known.is_none_or(|known| good.is_better_than(known)));
        let is_better = better.is_some();
        if is_better {
            state.known_good = better;
        }
        let healthy_at = state.healthy_at.map_or(began, |before| before.max(began));
        state.healthy_at = Some(healthy_at);
        state.failed.retain(|_, failed| *failed >= healthy_at);
        state.is_half_open = false;
        // It may be a run of the process that broke since: the one after it is checked in any case.
        if state.failed.is_empty() && state.broken.is_none() {
            state.passed_checks = 0;
            state.failed_checks = 0;
            state.needs_check = false;
        }
        drop(state);
        self.found.send_replace(Some(Finding::Healthy(healthy_at)));
        is_better
    }

    /// A run of that submission, which began then, failed.
    pub fn failed(&self, submission: &Submission, code: ErrorCode, began: Instant) -> Suspicion {
        let is_refusal = matches!(code, ErrorCode::RuntimeRejected | ErrorCode::ModelNotFound);
        if !is_refusal && !may_be_the_runtimes(code) {
            return Suspicion::None;
        }
        let mut state = self.lock();
        if state.is_half_open && !is_refusal {
            return Suspicion::Proven;
        }
        if state.known_good.is_none() || state.healthy_at.is_some_and(|sound| sound > began) {
            return Suspicion::None;
        }
        state.failed.insert(submission.clone(), began);
        if is_refusal && state.failed.len() < REFUSALS_IN_A_ROW {
            Suspicion::None
        } else if state.needs_check || state.failed.len() >= FAILURES_IN_A_ROW << state.passed_checks {
            Suspicion::Strong
        } else {
            Suspicion::Slight
        }
    }

    /// What is found from now on.
    pub fn findings(&self) -> watch::Receiver<Option<Finding>> {
        self.found.subscribe()
    }

    /// The runtime has to be checked.
    pub fn request_check(&self) {
        self.lock().needs_check = true;
    }

    /// What to check the runtime with, if it is in doubt.
    pub fn check(&self) -> Option<KnownGood> {
        let state = self.lock();
        state.known_good.clone().filter(|_| state.needs_check)
    }

    /// A check found nothing.
    pub fn passed(&self) {
        let mut state = self.lock();
        state.failed_checks = 0;
        self.reset(state);
    }

    /// The check of a process failed, without a known error text. Returns whether the task is discarded: no process passes the check with
    /// it any more. The breaker is half-open then, and the next task decides.
    pub fn failed_check(&self) -> bool {
        let mut state = self.lock();
        state.failed_checks += 1;
        state.is_half_open = state.failed_checks >= MAX_FAILED_CHECKS;
        state.is_half_open
    }

    /// The known-good task cannot be run any more, which does not indicate a broken runtime. It is not tried again, and the next
    /// success takes its place: failures are believed until then.
    pub fn discard_known_good(&self) {
        let mut state = self.lock();
        state.known_good = None;
        self.reset(state);
    }

    fn reset(&self, mut state: MutexGuard<'_, State>) {
        let now = Instant::now();
        state.failed.clear();
        state.healthy_at = Some(now);
        state.passed_checks = (state.passed_checks + 1).min(MAX_DOUBLINGS);
        state.needs_check = false;
        state.broken = None;
        drop(state);
        self.found.send_replace(Some(Finding::Healthy(now)));
    }

    /// The runtime is not available, and has not been for long.
    pub fn undecided(&self) {
        self.found.send_replace(Some(Finding::Undecided));
    }

    /// Opens the breaker: only a restart helps. The process after it is checked, too, before it gets a task. Returns what the next process of the
    /// worker has to know.
    pub fn trip(&self, broken: Broken) -> Option<Broken> {
        let mut state = self.lock();
        state.failed.clear();
        state.passed_checks = 0;
        state.needs_check = state.known_good.is_some();
        let broken = Broken { failed_checks: state.failed_checks, ..broken };
        state.broken = Some(broken).filter(|broken| !broken.is_replaced || state.needs_check);
        let kept = state.broken.clone();
        drop(state);
        self.found.send_replace(Some(Finding::Broken));
        kept
    }

    /// Whether a process was found broken, and the one after it is not there or not checked yet: no task has run since.
    pub fn is_open(&self) -> bool {
        self.lock().broken.is_some()
    }

    /// The process that is broken, until another one has taken its place.
    pub fn broken(&self) -> Option<Broken> {
        self.lock().broken.clone().filter(|broken| !broken.is_replaced)
    }

    /// Another process has taken its place. Returns what the next process of the worker has to know until that is checked.
    pub fn restarted(&self) -> Option<Broken> {
        let mut state = self.lock();
        let broken = state.broken.take().filter(|_| state.needs_check);
        state.broken = broken.map(|broken| Broken { is_replaced: true, ..broken });
        state.broken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a run that fails so may do so because of the runtime. `runtime_unavailable` counts only while the runtime answers
/// its probes; what takes too long is seen by the bounds of the run.
pub fn may_be_the_runtimes(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RuntimeBroken
            | ErrorCode::RuntimeFailed
            | ErrorCode::RuntimeUnavailable
            | ErrorCode::RuntimeBadAnswer
            | ErrorCode::NoOutput
            | ErrorCode::OutOfMemory
            | ErrorCode::ModelMismatch
    )
}
