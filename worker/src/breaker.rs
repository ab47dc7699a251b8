//! The circuit breaker: whether the runtime can still do what it has done before.
//!
//! A process may be broken without saying so in words that anybody knows. So a run that fails where others went well before is
//! not believed at once: the next run of another submission, or one more run of a task that is known to succeed, decides
//! whether the task or the runtime is at fault. Callers cannot stop a sound runtime by tasks that fail: these cost it one
//! check in each `FAILURES_IN_A_ROW`, and ever fewer while nothing else comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_schema::{ErrorCode, Submission, Task};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::inputs::Input;
use crate::runtimes::RunHandle;

/// So many different submissions fail one after the other before the runtime is checked although more are waiting.
const FAILURES_IN_A_ROW: usize = 2;

/// The same for those that the runtime refused before it worked on them: mostly they are at fault themselves.
const REFUSALS_IN_A_ROW: usize = 3;

/// How often the number of failures is doubled after checks that found nothing.
const DOUBLED_AT_MOST: u32 = 4;

/// A task is kept for checks only if its inputs have no more bytes.
const KEPT_BYTES: usize = 8 << 20;

/// A task that is kept for checks gives way to a slower one after this long: what it needs may be gone by then.
const KEPT_FOR: Duration = Duration::from_mins(10);

/// A task is kept in a file for the checks of the next process only if its JSON is no longer.
const FILED_BYTES: usize = 16 << 10;

/// What is known of one runtime.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
    found: watch::Sender<Option<Finding>>,
}

#[derive(Debug, Default)]
struct State {
    known_good: Option<KnownGood>,
    /// The submissions that failed, and when, since the last run that succeeded began.
    failed: HashMap<Submission, Instant>,
    /// Checks that found nothing since the last success of a task.
    checks_in_vain: u32,
    in_doubt: bool,
    broken: Option<Broken>,
}

/// A task that succeeded, and quickly.
#[derive(Debug, Clone)]
pub struct KnownGood {
    /// The task.
    pub task: Arc<Task>,
    /// What its fields name.
    pub inputs: Vec<Input>,
    took: Duration,
    at: Instant,
}

/// A task for checks in a form for files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FiledTask {
    task: Task,
    took: Duration,
}

/// A broken process, and what distinguishes it from the one after it. Kept in a file, so that a restarted worker knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// A run that it made.
    pub run: Option<RunHandle>,
    /// Whether it says that it has made runs. Otherwise only its absence shows a restart.
    pub leaves_traces: bool,
}

/// What became of a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A run that began then went well: what failed before that is at fault itself.
    Sound(Instant),
    /// The runtime is at fault.
    Broken,
}

/// How much a failed run says about the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing: it is the task's.
    None,
    /// The next run will tell.
    Slight,
    /// The runtime has to be checked.
    Strong,
}

impl KnownGood {
    /// A task that succeeded within that time.
    pub fn new(task: &Arc<Task>, inputs: Vec<Input>, took: Duration) -> Self {
        Self { task: Arc::clone(task), inputs, took, at: Instant::now() }
    }

    /// For the next process of the worker. `None` for a task that is large or has inputs.
    pub fn filed(&self) -> Option<FiledTask> {
        let is_short = || serde_json::to_vec(&*self.task).is_ok_and(|json| json.len() <= FILED_BYTES);
        let is_kept = self.inputs.is_empty() && is_short();
        is_kept.then(|| FiledTask { task: Task::clone(&self.task), took: self.took })
    }

    fn is_better_than(&self, other: &Self) -> bool {
        self.took <= other.took || self.at.duration_since(other.at) > KEPT_FOR
    }

    fn is_small(&self) -> bool {
        self.inputs.iter().map(|input| input.bytes.len()).sum::<usize>() <= KEPT_BYTES
    }
}

impl Breaker {
    /// That of a runtime which a former process of the worker may have found broken, or seen succeed.
    pub fn new(broken: Option<Broken>, filed: Option<FiledTask>) -> Self {
        let known_good = filed.map(|filed| KnownGood::new(&Arc::new(filed.task), Vec::new(), filed.took));
        let state = State { known_good, broken, ..State::default() };
        Self { state: Mutex::new(state), found: watch::Sender::new(None) }
    }

    /// A run that began then went well. Returns whether `good` is what to check the runtime with from now on.
    ///
    /// The runtime may have broken after it: the failure of a run that was handed over ahead can be known before the success
    /// of the run before it.
    pub fn succeeded(&self, began: Instant, good: Option<KnownGood>) -> bool {
        let mut state = self.lock();
        let known = state.known_good.as_ref();
        let better =
            good.filter(|good| good.is_small() && known.is_none_or(|known| good.is_better_than(known)));
        let is_better = better.is_some();
        if is_better {
            state.known_good = better;
        }
        state.failed.retain(|_, at| *at > began);
        if state.failed.is_empty() {
            state.checks_in_vain = 0;
            state.in_doubt = false;
        }
        drop(state);
        self.found.send_replace(Some(Finding::Sound(began)));
        is_better
    }

    /// A run of that submission failed.
    pub fn failed(&self, submission: &Submission, code: ErrorCode) -> Suspicion {
        let is_refusal = matches!(code, ErrorCode::RuntimeRejected | ErrorCode::ModelNotFound);
        if !is_refusal && !may_be_the_runtimes(code) {
            return Suspicion::None;
        }
        let mut state = self.lock();
        if state.known_good.is_none() {
            return Suspicion::None;
        }
        state.failed.insert(submission.clone(), Instant::now());
        if is_refusal && state.failed.len() < REFUSALS_IN_A_ROW {
            Suspicion::None
        } else if state.in_doubt || state.failed.len() >= FAILURES_IN_A_ROW << state.checks_in_vain {
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
    pub fn doubt(&self) {
        self.lock().in_doubt = true;
    }

    /// What to check the runtime with, if it is in doubt.
    pub fn check(&self) -> Option<KnownGood> {
        let state = self.lock();
        state.known_good.clone().filter(|_| state.in_doubt)
    }

    /// A check found nothing.
    pub fn passed(&self) {
        let mut state = self.lock();
        state.failed.clear();
        state.checks_in_vain = (state.checks_in_vain + 1).min(DOUBLED_AT_MOST);
        state.in_doubt = false;
        drop(state);
        self.found.send_replace(Some(Finding::Sound(Instant::now())));
    }

    /// Only a restart helps. The process after it is checked, too, before it gets a task.
    pub fn broke(&self, broken: Broken) {
        let mut state = self.lock();
        state.failed.clear();
        state.checks_in_vain = 0;
        state.in_doubt = state.known_good.is_some();
        state.broken = Some(broken);
        drop(state);
        self.found.send_replace(Some(Finding::Broken));
    }

    /// The process that is broken, until another one has taken its place.
    pub fn broken(&self) -> Option<Broken> {
        self.lock().broken.clone()
    }

    /// Another process has taken its place.
    pub fn restarted(&self) {
        self.lock().broken = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a run that fails so may do so because of the runtime. What the runtime does not answer at all is seen by its
/// probes, and what takes too long by the bounds of the run.
pub fn may_be_the_runtimes(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RuntimeBroken
            | ErrorCode::RuntimeFailed
            | ErrorCode::RuntimeBadAnswer
            | ErrorCode::NoOutput
            | ErrorCode::OutOfMemory
            | ErrorCode::ModelMismatch
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn submission(n: usize) -> Submission {
        serde_json::from_value(json!(format!("00000000-0000-4000-8000-{n:012}"))).unwrap()
    }

    fn good(took: u64) -> Option<KnownGood> {
        let metadata =
            json!({ "id": "1", "runtime": "r", "tasktype": "pipeline", "prefix": "p", "context": {} });
        let task = serde_json::from_value(json!({ "metadata": metadata, "content": {} })).unwrap();
        Some(KnownGood::new(&Arc::new(task), Vec::new(), Duration::from_secs(took)))
    }

    fn after_success() -> Breaker {
        let breaker = Breaker::new(None, None);
        breaker.succeeded(Instant::now(), good(1));
        breaker
    }

    #[test]
    fn without_a_success_nothing_is_suspicious() {
        let breaker = Breaker::new(None, None);
        for n in 0..9 {
            assert_eq!(breaker.failed(&submission(n), ErrorCode::RuntimeFailed), Suspicion::None);
        }
    }

    #[test]
    fn different_submissions_in_a_row_are_suspicious_and_one_that_repeats_is_not() {
        let breaker = after_success();
        let failed = |n| breaker.failed(&submission(n), ErrorCode::RuntimeFailed);
        assert_eq!(
            [failed(1), failed(1), failed(2)],
            [Suspicion::Slight, Suspicion::Slight, Suspicion::Strong]
        );
        breaker.succeeded(Instant::now(), None);
        assert_eq!(failed(3), Suspicion::Slight);
        assert_eq!(breaker.failed(&submission(4), ErrorCode::RunTimeout), Suspicion::None);
    }

    #[test]
    fn a_success_says_nothing_of_what_failed_after_it_began() {
        let breaker = after_success();
        let began = Instant::now();
        assert_eq!(breaker.failed(&submission(1), ErrorCode::RuntimeFailed), Suspicion::Slight);
        breaker.succeeded(began, None);
        assert_eq!(*breaker.findings().borrow(), Some(Finding::Sound(began)));
        assert_eq!(breaker.failed(&submission(2), ErrorCode::RuntimeFailed), Suspicion::Strong);
    }

    #[test]
    fn refusals_are_the_tasks_own_until_there_are_many() {
        let breaker = after_success();
        breaker.passed();
        let refused = |n| breaker.failed(&submission(n), ErrorCode::RuntimeRejected);
        let said: Vec<Suspicion> = (0..4).map(refused).collect();
        assert_eq!(said, [Suspicion::None, Suspicion::None, Suspicion::Slight, Suspicion::Strong]);
    }

    #[test]
    fn checks_in_vain_become_rarer_until_a_task_succeeds() {
        let breaker = after_success();
        let mut checks = 0;
        for n in 0..200 {
            if breaker.failed(&submission(n), ErrorCode::RuntimeFailed) == Suspicion::Strong {
                checks += 1;
                breaker.passed();
            }
        }
        assert_eq!(checks, 4 + 5, "after 2, 4, 8, 16 and then each 32");
        breaker.succeeded(Instant::now(), None);
        breaker.failed(&submission(300), ErrorCode::NoOutput);
        assert_eq!(breaker.failed(&submission(301), ErrorCode::OutOfMemory), Suspicion::Strong);
    }

    #[test]
    fn a_restarted_process_is_checked_before_it_is_believed() {
        let breaker = after_success();
        assert!(breaker.check().is_none());
        breaker.broke(Broken { run: None, leaves_traces: true });
        assert_eq!(*breaker.findings().borrow(), Some(Finding::Broken));
        breaker.restarted();
        assert!(breaker.broken().is_none() && breaker.check().is_some());
        breaker.passed();
        assert!(breaker.check().is_none());
    }

    #[test]
    fn the_next_process_checks_with_the_same_task() {
        let kept = good(3).unwrap().filed();
        let filed: FiledTask = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        let breaker = Breaker::new(None, Some(filed));
        assert_eq!(breaker.failed(&submission(1), ErrorCode::RuntimeFailed), Suspicion::Slight);
        breaker.doubt();
        assert_eq!(breaker.check().unwrap().took, Duration::from_secs(3));

        let mut large = Task::clone(&good(1).unwrap().task);
        large.content.insert("prompt".to_owned(), json!("x".repeat(FILED_BYTES)));
        assert_eq!(KnownGood::new(&Arc::new(large), Vec::new(), Duration::ZERO).filed(), None);
    }

    #[test]
    fn the_quickest_task_is_kept_for_checks() {
        let breaker = after_success();
        breaker.succeeded(Instant::now(), good(5));
        breaker.doubt();
        assert_eq!(breaker.check().unwrap().took, Duration::from_secs(1));
    }
}
