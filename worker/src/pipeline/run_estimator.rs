//! Which runs are running, when the first of them is likely to end, and how long a task takes to prepare.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::forecast::Forecast;
use super::history::History;
use super::kind::Kind;
use crate::runtimes::{LastProgress, Progress};

/// How much the last preparation counts against those before it.
const WEIGHT_OF_LAST: f64 = 0.3;

/// How long runs and preparations take.
#[derive(Debug, Default, Clone)]
pub struct RunEstimator(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A run has started or finished, or its forecast was invalidated.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    running: Vec<Run>,
    history: History,
    typical_preparation: Option<Duration>,
    last_end: Option<Instant>,
    next_id: u64,
}

#[derive(Debug)]
struct Run {
    id: u64,
    forecast: Forecast,
    progress: watch::Receiver<LastProgress>,
    /// A task that was received for its end waited too long: its forecast is not used again.
    is_invalidated: bool,
}

impl RunEstimator {
    /// A run of that kind begins now. Its end is when the returned value is dropped.
    pub fn begin(&self, kind: Kind, progress: &Progress) -> RunGuard {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let begun = Instant::now();
        let forecast = Forecast { begun, usual: state.history.usual(kind) };
        state.running.push(Run { id, forecast, progress: progress.watch(), is_invalidated: false });
        drop(state);
        self.0.changed.notify_waiters();
        RunGuard { id, kind, begun, estimator: self.clone() }
    }

    /// How long the runtime has been idle although a task was available, since `wanted`. `None` while
    /// a run is running, and before the first run.
    pub fn idle_gap(&self, wanted: Instant) -> Option<Duration> {
        let state = self.lock();
        let idle_since = state.last_end.filter(|_| state.running.is_empty())?;
        Some(Instant::now().saturating_duration_since(idle_since.max(wanted)))
    }

    /// A message took so long from its place to its inputs.
    pub fn record_preparation(&self, duration: Duration) {
        let mut state = self.lock();
        state.typical_preparation = Some(mixed(state.typical_preparation, duration));
    }

    /// How long that takes lately.
    pub fn typical_preparation(&self) -> Duration {
        self.lock().typical_preparation.unwrap_or_default()
    }

    /// The current runs last longer than estimated: their forecasts are invalid.
    pub fn invalidate(&self) {
        self.lock().running.iter_mut().for_each(|run| run.is_invalidated = true);
        self.0.changed.notify_waiters();
    }

    /// Waits until a run is likely to end within that time. For ever, if none is running. Recomputed whenever a run reports
    /// progress, starts or finishes, and at no other time.
    pub async fn until_end_within(&self, ahead: Duration) {
        loop {
            // Before the computation, so that no later change is missed.
            let changed = self.0.changed.notified();
            let (due, watched) = self.earliest_due(ahead);
            if due.is_some_and(|due| due <= Instant::now()) {
                return;
            }
            let is_due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = is_due => return,
                () = changed => {}
                () = any_moves(watched) => {}
            }
        }
    }

    /// When the first run may be that near its end; and where news of the runs comes from.
    fn earliest_due(&self, ahead: Duration) -> (Option<Instant>, Vec<watch::Receiver<LastProgress>>) {
        let state = self.lock();
        let believed = || state.running.iter().filter(|run| !run.is_invalidated);
        let mut watched: Vec<_> = believed().map(|run| run.progress.clone()).collect();
        let reached = watched.iter_mut().map(|progress| *progress.borrow_and_update());
        let due = believed().zip(reached).map(|(run, reached)| run.forecast.due(reached, ahead)).min();
        (due, watched)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until one of the runs reports something.
async fn any_moves(watched: Vec<watch::Receiver<LastProgress>>) {
    let moves = watched.into_iter().map(|mut progress| async move {
        // A run that will report nothing more is about to leave.
        if progress.changed().await.is_err() {
            pending::<()>().await;
        }
    });
    if moves.collect::<FuturesUnordered<_>>().next().await.is_none() {
        pending::<()>().await;
    }
}

/// A run that is running.
#[derive(Debug)]
pub struct RunGuard {
    id: u64,
    kind: Kind,
    begun: Instant,
    estimator: RunEstimator,
}

impl RunGuard {
    /// The run has succeeded: its duration is a sample for others of its kind.
    pub fn completed(self) {
        self.estimator.lock().history.add(self.kind, self.begun.elapsed());
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        let mut state = self.estimator.lock();
        state.running.retain(|run| run.id != self.id);
        state.last_end = Some(Instant::now());
        drop(state);
        self.estimator.0.changed.notify_waiters();
    }
}

fn mixed(before: Option<Duration>, last: Duration) -> Duration {
    before.map_or(last, |before| before.mul_f64(1.0 - WEIGHT_OF_LAST) + last.mul_f64(WEIGHT_OF_LAST))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const AHEAD: Duration = Duration::from_secs(1);

    /// Whether a waiter for the end is through by now.
    fn is_near_its_end(estimator: &RunEstimator) -> bool {
        estimator.until_end_within(AHEAD).now_or_never().is_some()
    }

    /// An estimator that knows how long runs of a kind take.
    fn knowing(took: Duration) -> RunEstimator {
        let estimator = RunEstimator::default();
        estimator.lock().history.add(Kind::numbered(1), took);
        estimator
    }

    #[tokio::test]
    async fn no_end_is_near_while_nothing_runs() {
        let estimator = knowing(AHEAD);
        assert!(!is_near_its_end(&estimator));
        drop(estimator.begin(Kind::numbered(1), &Progress::new()));
        assert!(!is_near_its_end(&estimator));
    }

    #[tokio::test]
    async fn a_waiter_is_woken_by_a_run_that_begins() {
        let estimator = knowing(AHEAD);
        let mut waiting = Box::pin(estimator.until_end_within(AHEAD));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        let _run = estimator.begin(Kind::numbered(1), &Progress::new());
        waiting.await;
    }

    #[tokio::test]
    async fn a_waiter_is_woken_by_progress() {
        let estimator = knowing(LONG);
        let progress = Progress::new();
        let _run = estimator.begin(Kind::numbered(1), &progress);
        // As if half of the usual time had passed.
        estimator.lock().running[0].forecast.begun = Instant::now() - LONG.mul_f64(0.6);
        let mut waiting = Box::pin(estimator.until_end_within(AHEAD));
        for share in [0.1, 0.5] {
            progress.advance_to(share);
            assert_eq!(waiting.as_mut().now_or_never(), None);
        }
        progress.advance_to(0.99);
        waiting.await;
    }

    #[tokio::test]
    async fn the_first_of_several_runs_counts() {
        let estimator = knowing(LONG);
        let _long = estimator.begin(Kind::numbered(1), &Progress::new());
        assert!(!is_near_its_end(&estimator));
        estimator.lock().history.add(Kind::numbered(2), AHEAD);
        let _short = estimator.begin(Kind::numbered(2), &Progress::new());
        assert!(is_near_its_end(&estimator));
    }

    #[tokio::test]
    async fn the_forecast_of_a_run_that_was_wrong_once_is_not_used_again() {
        let estimator = knowing(AHEAD);
        let progress = Progress::new();
        let run = estimator.begin(Kind::numbered(1), &progress);
        assert!(is_near_its_end(&estimator));
        estimator.invalidate();
        progress.advance_to(0.99);
        assert!(!is_near_its_end(&estimator));
        drop(run);
        let _next = estimator.begin(Kind::numbered(1), &progress);
        assert!(is_near_its_end(&estimator));
    }

    #[tokio::test]
    async fn the_duration_of_a_successful_run_is_a_sample_for_others() {
        let estimator = RunEstimator::default();
        estimator.begin(Kind::numbered(1), &Progress::new()).completed();
        let _run = estimator.begin(Kind::numbered(1), &Progress::new());
        assert!(is_near_its_end(&estimator));
        let failed = RunEstimator::default();
        drop(failed.begin(Kind::numbered(1), &Progress::new()));
        let _run = failed.begin(Kind::numbered(1), &Progress::new());
        assert!(!is_near_its_end(&failed));
    }
}
