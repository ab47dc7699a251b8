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

/// A task that fails the check of so many processes in a row is given up: perhaps it cannot succeed any more.
const FAILED_CHECKS_AT_MOST: u32 = 3;

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
    /// The submissions whose runs failed, and when these began: after the last run that succeeded.
    failed: HashMap<Submission, Instant>,
    /// When the last run began that succeeded, by the order in which runs began.
    sound_at: Option<Instant>,
    /// Checks that found nothing since the last success of a task.
    checks_in_vain: u32,
    /// Processes in a row that failed the check.
    failed_checks: u32,
    /// The task for checks was given up since it failed too many of them: the next task decides.
    on_trial: bool,
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
    /// Whether it is gone, and the process after it is yet to be checked.
    #[serde(default)]
    pub is_replaced: bool,
    /// How many processes in a row failed the check.
    #[serde(default)]
    pub failed_checks: u32,
}

/// What became of a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A run that began then went well: tasks whose runs began before it and failed are at fault themselves.
    Sound(Instant),
    /// The runtime is at fault.
    Broken,
    /// The runtime is not available, so that nothing can be found out.
    Undecided,
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
    /// The runtime is broken: it is on trial.
    Proven,
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
        // Without such a task the process after a broken one is not checked.
        let broken = broken.filter(|broken| !broken.is_replaced || known_good.is_some());
        let in_doubt = broken.is_some() && known_good.is_some();
        let failed_checks = broken.as_ref().map_or(0, |broken| broken.failed_checks);
        let on_trial = failed_checks >= FAILED_CHECKS_AT_MOST;
        let state = State { known_good, broken, in_doubt, failed_checks, on_trial, ..State::default() };
        Self { state: Mutex::new(state), found: watch::Sender::new(None) }
    }

    /// A run that began then went well. Returns whether `good` is what to check the runtime with from now on.
    ///
    /// Runs are ordered by when they began, since the end of one may be known before the end of the one before it: a job that was
    /// handed over ahead may be over at once, and the results of a run take time to fetch. A success clears the failures of the
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
        let sound_at = state.sound_at.map_or(began, |before| before.max(began));
        state.sound_at = Some(sound_at);
        state.failed.retain(|_, failed| *failed >= sound_at);
        state.on_trial = false;
        // It may be a run of the process that broke since: the one after it is checked in any case.
        if state.failed.is_empty() && state.broken.is_none() {
            state.checks_in_vain = 0;
            state.failed_checks = 0;
            state.in_doubt = false;
        }
        drop(state);
        self.found.send_replace(Some(Finding::Sound(sound_at)));
        is_better
    }

    /// A run of that submission, which began then, failed.
    pub fn failed(&self, submission: &Submission, code: ErrorCode, began: Instant) -> Suspicion {
        let is_refusal = matches!(code, ErrorCode::RuntimeRejected | ErrorCode::ModelNotFound);
        if !is_refusal && !may_be_the_runtimes(code) {
            return Suspicion::None;
        }
        let mut state = self.lock();
        if state.on_trial && !is_refusal {
            return Suspicion::Proven;
        }
        if state.known_good.is_none() || state.sound_at.is_some_and(|sound| sound > began) {
            return Suspicion::None;
        }
        state.failed.insert(submission.clone(), began);
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
        state.failed_checks = 0;
        self.trust(state);
    }

    /// The check of a process failed, not by words. Returns whether the task has to be given up: no process passes the check with
    /// it any more. The process is on trial then, and the next task decides.
    pub fn failed_check(&self) -> bool {
        let mut state = self.lock();
        state.failed_checks += 1;
        state.on_trial = state.failed_checks >= FAILED_CHECKS_AT_MOST;
        state.on_trial
    }

    /// The task for checks cannot be run any more, which says nothing of the runtime. It is not tried again, and the next
    /// success takes its place: failures are believed until then.
    pub fn cannot_check(&self) {
        let mut state = self.lock();
        state.known_good = None;
        self.trust(state);
    }

    fn trust(&self, mut state: MutexGuard<'_, State>) {
        let now = Instant::now();
        state.failed.clear();
        state.sound_at = Some(now);
        state.checks_in_vain = (state.checks_in_vain + 1).min(DOUBLED_AT_MOST);
        state.in_doubt = false;
        state.broken = None;
        drop(state);
        self.found.send_replace(Some(Finding::Sound(now)));
    }

    /// The runtime is not available, and has not been for long.
    pub fn undecided(&self) {
        self.found.send_replace(Some(Finding::Undecided));
    }

    /// Only a restart helps. The process after it is checked, too, before it gets a task. Returns what the next process of the
    /// worker has to know.
    pub fn broke(&self, broken: Broken) -> Option<Broken> {
        let mut state = self.lock();
        state.failed.clear();
        state.checks_in_vain = 0;
        state.in_doubt = state.known_good.is_some();
        let broken = Broken { failed_checks: state.failed_checks, ..broken };
        state.broken = Some(broken).filter(|broken| !broken.is_replaced || state.in_doubt);
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
        let broken = state.broken.take().filter(|_| state.in_doubt);
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

    fn broken() -> Broken {
        Broken { run: None, leaves_traces: true, is_replaced: false, failed_checks: 0 }
    }

    impl Breaker {
        /// A run that begins now fails.
        fn fails(&self, n: usize, code: ErrorCode) -> Suspicion {
            self.failed(&submission(n), code, Instant::now())
        }
    }

    #[test]
    fn without_a_success_nothing_is_suspicious() {
        let breaker = Breaker::new(None, None);
        for n in 0..9 {
            assert_eq!(breaker.fails(n, ErrorCode::RuntimeFailed), Suspicion::None);
        }
    }

    #[test]
    fn different_submissions_in_a_row_are_suspicious_and_one_that_repeats_is_not() {
        let breaker = after_success();
        let failed = |n| breaker.fails(n, ErrorCode::RuntimeFailed);
        assert_eq!(
            [failed(1), failed(1), failed(2)],
            [Suspicion::Slight, Suspicion::Slight, Suspicion::Strong]
        );
        breaker.succeeded(Instant::now(), None);
        assert_eq!(failed(3), Suspicion::Slight);
        assert_eq!(breaker.fails(4, ErrorCode::RunTimeout), Suspicion::None);
    }

    #[test]
    fn a_success_says_nothing_of_what_began_after_it_and_failed() {
        let breaker = after_success();
        let began = Instant::now();
        assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::Slight);
        breaker.succeeded(began, None);
        assert_eq!(*breaker.findings().borrow(), Some(Finding::Sound(began)));
        assert_eq!(breaker.fails(2, ErrorCode::RuntimeFailed), Suspicion::Strong);
    }

    #[test]
    fn a_success_clears_what_began_before_it_whichever_end_is_known_first() {
        let breaker = Breaker::new(None, good(1).unwrap().filed());
        let [began, next_began] = [2, 1].map(|ago| Instant::now() - Duration::from_millis(ago));
        let failed = |n| breaker.failed(&submission(n), ErrorCode::RuntimeFailed, began);
        assert_eq!(failed(1), Suspicion::Slight);
        breaker.succeeded(next_began, None);
        assert_eq!(failed(2), Suspicion::None, "the next run was over before it");
        assert_eq!(breaker.fails(3, ErrorCode::RuntimeFailed), Suspicion::Slight, "nothing else has failed");
        // That of another job whose results took long.
        breaker.succeeded(began, None);
        assert_eq!(*breaker.findings().borrow(), Some(Finding::Sound(next_began)));
    }

    #[test]
    fn refusals_are_the_tasks_own_until_there_are_many() {
        let breaker = after_success();
        breaker.passed();
        let said: Vec<Suspicion> = (0..4).map(|n| breaker.fails(n, ErrorCode::RuntimeRejected)).collect();
        assert_eq!(said, [Suspicion::None, Suspicion::None, Suspicion::Slight, Suspicion::Strong]);
    }

    #[test]
    fn checks_in_vain_become_rarer_until_a_task_succeeds() {
        let breaker = after_success();
        let mut checks = 0;
        for n in 0..200 {
            if breaker.fails(n, ErrorCode::RuntimeFailed) == Suspicion::Strong {
                checks += 1;
                breaker.passed();
            }
        }
        assert_eq!(checks, 4 + 5, "after 2, 4, 8, 16 and then each 32");
        breaker.succeeded(Instant::now(), None);
        breaker.fails(300, ErrorCode::NoOutput);
        assert_eq!(breaker.fails(301, ErrorCode::OutOfMemory), Suspicion::Strong);
    }

    #[test]
    fn a_restarted_process_is_checked_before_it_is_believed() {
        let breaker = after_success();
        assert!(breaker.check().is_none());
        assert_eq!(breaker.broke(broken()), Some(broken()));
        assert_eq!(*breaker.findings().borrow(), Some(Finding::Broken));
        let kept = breaker.restarted();
        assert!(breaker.is_open() && breaker.broken().is_none() && breaker.check().is_some());

        // The worker is restarted before that is done.
        let next = Breaker::new(kept.clone(), good(1).unwrap().filed());
        assert!(next.broken().is_none());
        assert!(!Breaker::new(kept, None).is_open(), "there is nothing to check it with");
        // A run of the broken process had succeeded, and its results are there only now.
        breaker.succeeded(Instant::now(), None);
        for breaker in [breaker, next] {
            assert!(breaker.check().is_some());
            breaker.passed();
            assert!(breaker.check().is_none() && !breaker.is_open());
        }
    }

    #[test]
    fn a_process_that_is_gone_when_it_breaks_is_not_waited_for() {
        let gone = || Broken { leaves_traces: false, is_replaced: true, ..broken() };
        let breaker = after_success();
        assert_eq!(breaker.broke(gone()), Some(gone()));
        assert_eq!(*breaker.findings().borrow(), Some(Finding::Broken));
        assert!(breaker.broken().is_none() && breaker.check().is_some());
        assert_eq!(
            Breaker::new(None, None).broke(gone()),
            None,
            "there is nothing to check the next one with"
        );
    }

    #[test]
    fn a_task_that_cannot_be_run_any_more_ends_every_doubt() {
        let breaker = Breaker::new(Some(broken()), good(1).unwrap().filed());
        breaker.restarted();
        breaker.cannot_check();
        assert!(breaker.check().is_none());
        assert!(matches!(*breaker.findings().borrow(), Some(Finding::Sound(_))));
        assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::None);
        assert_eq!(breaker.broke(broken()), Some(broken()));
        assert_eq!(breaker.restarted(), None, "nothing is left to check the next one with");
        breaker.succeeded(Instant::now(), good(2));
        assert_eq!(breaker.fails(2, ErrorCode::RuntimeFailed), Suspicion::Slight);
    }

    #[test]
    fn a_task_that_no_process_passes_the_check_with_is_given_up_and_the_next_task_decides() {
        let mut breaker = after_success();
        for _ in 1..FAILED_CHECKS_AT_MOST {
            assert!(!breaker.failed_check());
            let kept = breaker.broke(broken());
            breaker = Breaker::new(kept, good(1).unwrap().filed());
            breaker.restarted();
        }
        assert!(breaker.failed_check());
        breaker.cannot_check();
        assert_eq!(breaker.fails(1, ErrorCode::RuntimeRejected), Suspicion::None);
        assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::Proven);
        let kept = breaker.broke(broken());
        let breaker = Breaker::new(kept, None);
        assert_eq!(breaker.restarted(), None);
        assert_eq!(breaker.fails(2, ErrorCode::RuntimeFailed), Suspicion::Proven);
        breaker.succeeded(Instant::now(), good(2));
        assert_eq!(breaker.fails(3, ErrorCode::RuntimeFailed), Suspicion::Slight);
    }

    #[test]
    fn the_next_process_checks_with_the_same_task() {
        let kept = good(3).unwrap().filed();
        let filed: FiledTask = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        let breaker = Breaker::new(None, Some(filed));
        assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::Slight);
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
