use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared_schema::Task;

use super::known_good::MAX_SAVED_BYTES;
use super::*;

fn submission(n: usize) -> Submission {
    serde_json::from_value(json!(format!("00000000-0000-4000-8000-{n:012}"))).unwrap()
}

fn good(took: u64) -> Option<KnownGood> {
    let metadata = json!({ "id": "1", "runtime": "r", "tasktype": "pipeline", "prefix": "p", "context": {} });
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
    assert_eq!([failed(1), failed(1), failed(2)], [Suspicion::Slight, Suspicion::Slight, Suspicion::Strong]);
    breaker.succeeded(Instant::now(), None);
    assert_eq!(failed(3), Suspicion::Slight);
    assert_eq!(breaker.fails(4, ErrorCode::RunTimeout), Suspicion::None);
}

#[test]
fn a_success_does_not_clear_later_failures() {
    let breaker = after_success();
    let began = Instant::now();
    assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::Slight);
    breaker.succeeded(began, None);
    assert_eq!(*breaker.findings().borrow(), Some(Finding::Healthy(began)));
    assert_eq!(breaker.fails(2, ErrorCode::RuntimeFailed), Suspicion::Strong);
}

#[test]
fn a_success_clears_what_began_before_it_whichever_end_is_known_first() {
    let breaker = Breaker::new(None, good(1).unwrap().saved());
    let [began, next_began] = [2, 1].map(|ago| Instant::now() - Duration::from_millis(ago));
    let failed = |n| breaker.failed(&submission(n), ErrorCode::RuntimeFailed, began);
    assert_eq!(failed(1), Suspicion::Slight);
    breaker.succeeded(next_began, None);
    assert_eq!(failed(2), Suspicion::None, "the next run was over before it");
    assert_eq!(breaker.fails(3, ErrorCode::RuntimeFailed), Suspicion::Slight, "nothing else has failed");
    // That of another job whose results took long.
    breaker.succeeded(began, None);
    assert_eq!(*breaker.findings().borrow(), Some(Finding::Healthy(next_began)));
}

#[test]
fn refusals_are_the_tasks_own_until_there_are_many() {
    let breaker = after_success();
    breaker.passed();
    let said: Vec<Suspicion> = (0..4).map(|n| breaker.fails(n, ErrorCode::RuntimeRejected)).collect();
    assert_eq!(said, [Suspicion::None, Suspicion::None, Suspicion::Slight, Suspicion::Strong]);
}

#[test]
fn passed_checks_become_rarer_until_a_task_succeeds() {
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
fn a_restarted_process_is_checked_first() {
    let breaker = after_success();
    assert!(breaker.check().is_none());
    assert_eq!(breaker.trip(broken()), Some(broken()));
    assert_eq!(*breaker.findings().borrow(), Some(Finding::Broken));
    let kept = breaker.restarted();
    assert!(breaker.is_open() && breaker.broken().is_none() && breaker.check().is_some());

    // The worker is restarted before that is done.
    let next = Breaker::new(kept.clone(), good(1).unwrap().saved());
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
    assert_eq!(breaker.trip(gone()), Some(gone()));
    assert_eq!(*breaker.findings().borrow(), Some(Finding::Broken));
    assert!(breaker.broken().is_none() && breaker.check().is_some());
    assert_eq!(Breaker::new(None, None).trip(gone()), None, "there is nothing to check the next one with");
}

#[test]
fn a_known_good_task_that_cannot_be_run_clears_the_pending_check() {
    let breaker = Breaker::new(Some(broken()), good(1).unwrap().saved());
    breaker.restarted();
    breaker.discard_known_good();
    assert!(breaker.check().is_none());
    assert!(matches!(*breaker.findings().borrow(), Some(Finding::Healthy(_))));
    assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::None);
    assert_eq!(breaker.trip(broken()), Some(broken()));
    assert_eq!(breaker.restarted(), None, "nothing is left to check the next one with");
    breaker.succeeded(Instant::now(), good(2));
    assert_eq!(breaker.fails(2, ErrorCode::RuntimeFailed), Suspicion::Slight);
}

#[test]
fn a_known_good_task_that_no_process_passes_is_discarded_and_the_next_task_decides() {
    let mut breaker = after_success();
    for _ in 1..MAX_FAILED_CHECKS {
        assert!(!breaker.failed_check());
        let kept = breaker.trip(broken());
        breaker = Breaker::new(kept, good(1).unwrap().saved());
        breaker.restarted();
    }
    assert!(breaker.failed_check());
    breaker.discard_known_good();
    assert_eq!(breaker.fails(1, ErrorCode::RuntimeRejected), Suspicion::None);
    assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::Proven);
    let kept = breaker.trip(broken());
    let breaker = Breaker::new(kept, None);
    assert_eq!(breaker.restarted(), None);
    assert_eq!(breaker.fails(2, ErrorCode::RuntimeFailed), Suspicion::Proven);
    breaker.succeeded(Instant::now(), good(2));
    assert_eq!(breaker.fails(3, ErrorCode::RuntimeFailed), Suspicion::Slight);
}

#[test]
fn the_next_process_checks_with_the_same_task() {
    let kept = good(3).unwrap().saved();
    let saved: SavedTask = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
    let breaker = Breaker::new(None, Some(saved));
    assert_eq!(breaker.fails(1, ErrorCode::RuntimeFailed), Suspicion::Slight);
    breaker.request_check();
    assert_eq!(breaker.check().unwrap().took, Duration::from_secs(3));

    let mut large = Task::clone(&good(1).unwrap().task);
    large.content.insert("prompt".to_owned(), json!("x".repeat(MAX_SAVED_BYTES)));
    assert_eq!(KnownGood::new(&Arc::new(large), Vec::new(), Duration::ZERO).saved(), None);
}

#[test]
fn the_quickest_task_is_kept_for_checks() {
    let breaker = after_success();
    breaker.succeeded(Instant::now(), good(5));
    breaker.request_check();
    assert_eq!(breaker.check().unwrap().took, Duration::from_secs(1));
}
