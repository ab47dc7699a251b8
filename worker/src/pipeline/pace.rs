//! When runs end: foreseen from what the runtime says of its progress, else from how long runs took lately.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::runtimes::{Progress, Reached};

/// How often a forecast is made anew at most and at least, while somebody waits for an end: the nearer it is, the more often.
/// To wake up for each costs more than to make it.
const LOOK_EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(1);

/// How often it is tried when nothing can be foreseen: a run that becomes known must not be over by then.
const UNKNOWN_EVERY: Duration = Duration::from_millis(250);

/// From which share of its work a run is extrapolated; before, the beginning of a run says little of its end.
const TELLING_SHARE: f64 = 0.05;

/// From when on a run is extrapolated at the latest; before, it may have passed through light nodes only. Earlier if runs are
/// usually short.
const TELLING_AFTER: Duration = Duration::from_secs(1);

/// How much the last duration counts against those before it.
const WEIGHT_OF_LAST: f64 = 0.3;

/// How long runs and preparations take.
#[derive(Debug, Default, Clone)]
pub struct Pace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    underway: Vec<Run>,
    usual_run: Option<Duration>,
    usual_preparation: Option<Duration>,
    last_end: Option<Instant>,
    next_id: u64,
}

#[derive(Debug)]
struct Run {
    id: u64,
    begun: Instant,
    progress: watch::Receiver<Reached>,
    /// A task that was received for its end waited in vain: what is foreseen of it is not worth receiving another for.
    distrusted: bool,
}

impl Pace {
    /// A run begins now. Its end is when the returned value is dropped.
    pub fn begin(&self, progress: &Progress) -> Underway {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let begun = Instant::now();
        state.underway.push(Run { id, begun, progress: progress.watch(), distrusted: false });
        Underway { id, begun, pace: self.clone() }
    }

    /// How long nothing has been underway although something was wanted, which is known since `wanted`. `None` while
    /// something is underway, and before the first run.
    pub fn gap(&self, wanted: Instant) -> Option<Duration> {
        let state = self.lock();
        let idle_since = state.last_end.filter(|_| state.underway.is_empty())?;
        Some(Instant::now().saturating_duration_since(idle_since.max(wanted)))
    }

    /// A message took so long from its place to its inputs.
    pub fn prepared_within(&self, duration: Duration) {
        let mut state = self.lock();
        state.usual_preparation = Some(mixed(state.usual_preparation, duration));
    }

    /// How long that takes lately.
    pub fn usual_preparation(&self) -> Duration {
        self.lock().usual_preparation.unwrap_or_default()
    }

    /// The runs that are underway last longer than was foreseen.
    pub fn distrust(&self) {
        self.lock().underway.iter_mut().for_each(|run| run.distrusted = true);
    }

    /// Waits until a run is foreseen to end within that time. For ever, if none is underway.
    pub async fn until_end_within(&self, ahead: Duration) {
        while let Some(wait) = self.wait_for_end_within(Instant::now(), ahead) {
            sleep(wait).await;
        }
    }

    /// How long to wait from `now` until the first run may be that near its end; `None` when it is.
    fn wait_for_end_within(&self, now: Instant, ahead: Duration) -> Option<Duration> {
        let state = self.lock();
        let first = state.underway.iter().filter_map(|run| run.foreseen_end(now, state.usual_run)).min();
        let Some(end) = first else { return Some(UNKNOWN_EVERY) };
        let left = end.saturating_duration_since(now).saturating_sub(ahead);
        let look = (left / 2).clamp(*LOOK_EVERY.start(), *LOOK_EVERY.end());
        (!left.is_zero()).then_some(left.min(look))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// A share that stands still counts as reached just now: the longer it stands, the later the end.
    fn foreseen_end(&self, now: Instant, usual: Option<Duration>) -> Option<Instant> {
        if self.distrusted {
            return None;
        }
        let elapsed = now.saturating_duration_since(self.begun);
        let telling_after = usual.map_or(TELLING_AFTER / 5, |usual| TELLING_AFTER.min(usual / 2));
        let share = self.progress.borrow().share.filter(|share| *share >= TELLING_SHARE);
        let took = match share {
            Some(share) if elapsed >= telling_after => elapsed.div_f64(share),
            _ => usual?,
        };
        Some(self.begun + took)
    }
}

/// A run that goes on.
#[derive(Debug)]
pub struct Underway {
    id: u64,
    begun: Instant,
    pace: Pace,
}

impl Underway {
    /// The run has ended well: its duration says how long others take.
    pub fn completed(self) {
        let mut state = self.pace.lock();
        state.usual_run = Some(mixed(state.usual_run, self.begun.elapsed()));
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut state = self.pace.lock();
        state.underway.retain(|run| run.id != self.id);
        state.last_end = Some(Instant::now());
    }
}

fn mixed(before: Option<Duration>, last: Duration) -> Duration {
    before.map_or(last, |before| before.mul_f64(1.0 - WEIGHT_OF_LAST) + last.mul_f64(WEIGHT_OF_LAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A run that began that many seconds before `now`, and said then how far it was.
    fn run(now: Instant, seconds: u64, share: Option<f64>) -> Run {
        let progress = watch::Sender::new(Reached { share, at: now }).subscribe();
        Run { id: 0, begun: now - s(seconds), progress, distrusted: false }
    }

    /// The seconds until somebody looks again who waits for a run to end within two.
    fn wait(now: Instant, usual: Option<u64>, underway: Vec<Run>) -> Option<f64> {
        let state = State { underway, usual_run: usual.map(s), ..State::default() };
        Pace(Arc::new(Mutex::new(state))).wait_for_end_within(now, s(2)).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn nothing_is_foreseen_without_progress_or_past() {
        let now = Instant::now();
        let unknown = Some(UNKNOWN_EVERY.as_secs_f64());
        assert_eq!(wait(now, None, vec![]), unknown);
        assert_eq!(wait(now, Some(10), vec![]), unknown);
        assert_eq!(wait(now, None, vec![run(now, 5, None)]), unknown);
    }

    #[test]
    fn a_run_is_foreseen_to_take_as_long_as_the_last_ones() {
        let now = Instant::now();
        assert_eq!(wait(now, Some(10), vec![run(now, 7, None)]), Some(0.5));
        assert_eq!(wait(now, Some(10), vec![run(now, 9, None)]), None);
        assert_eq!(wait(now, Some(10), vec![run(now, 60, Some(0.01))]), None);
    }

    #[test]
    fn progress_counts_more_than_the_past() {
        let now = Instant::now();
        assert_eq!(wait(now, Some(6), vec![run(now, 5, Some(0.625))]), Some(0.5));
    }

    #[test]
    fn the_first_of_several_runs_counts() {
        let now = Instant::now();
        let runs = vec![run(now, 5, Some(0.1)), run(now, 5, Some(0.625))];
        assert_eq!(wait(now, None, runs), Some(0.5));
    }

    #[test]
    fn the_nearer_the_end_the_more_often_it_is_foreseen() {
        let now = Instant::now();
        let again = |seconds: u64, usual: u64| wait(now, Some(usual), vec![run(now, seconds, None)]);
        assert_eq!((again(0, 100), again(0, 3)), (Some(1.0), Some(0.5)));
        let state = |begun| State { underway: vec![begun], usual_run: Some(s(4)), ..State::default() };
        let near = Run { begun: now - Duration::from_millis(1950), ..run(now, 0, None) };
        let pace = Pace(Arc::new(Mutex::new(state(near))));
        assert_eq!(pace.wait_for_end_within(now, s(2)), Some(Duration::from_millis(50)));
    }

    #[test]
    fn a_run_that_once_disappointed_is_not_believed_again() {
        let now = Instant::now();
        let state = State { underway: vec![run(now, 5, Some(0.99))], ..State::default() };
        let pace = Pace(Arc::new(Mutex::new(state)));
        assert_eq!(pace.wait_for_end_within(now, s(2)), None);
        pace.distrust();
        assert_eq!(pace.wait_for_end_within(now, s(2)), Some(UNKNOWN_EVERY));
    }

    #[test]
    fn the_last_durations_count_most() {
        let mut usual = None;
        for seconds in [100, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10] {
            usual = Some(mixed(usual, s(seconds)));
        }
        assert!(usual.unwrap() < s(13), "{usual:?}");
    }
}
