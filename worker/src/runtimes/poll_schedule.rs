//! When to poll a run whose runtime sends no events.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The first poll of a run: many are over by then.
const FIRST: Duration = Duration::from_millis(250);

/// How much longer a pause is than the time before it: polls cost the worker and the runtime CPU time, so a run of any length has a
/// few only (at 0.25, 0.75, 2.25, 6.75 s and so on). An estimate from a poll at a third of a run is good enough.
const LONGER: u32 = 2;

/// The longest pause, whatever the patience with a silent run.
const LONGEST: Duration = Duration::from_secs(30);

/// The poll times of one run.
#[derive(Debug)]
pub(crate) struct PollSchedule {
    begun: Instant,
    longest: Duration,
}

impl PollSchedule {
    /// For a run that begins now, and counts as stuck after so long without a sign of life.
    pub(crate) fn new(stuck_after: Duration) -> Self {
        Self { begun: Instant::now(), longest: LONGEST.min(stuck_after / 3) }
    }

    /// Waits for the next moment.
    pub(crate) async fn wait(&self) {
        self.wait_at_most(LONGEST).await;
    }

    /// Waits for the next moment, but no longer than that.
    pub(crate) async fn wait_at_most(&self, most: Duration) {
        sleep(pause(self.begun.elapsed(), self.longest.min(most))).await;
    }
}

fn pause(elapsed: Duration, longest: Duration) -> Duration {
    (elapsed * LONGER).clamp(FIRST, LONGEST).min(longest)
}

/// The moments, since the begin of a run of that length.
#[cfg(test)]
pub(crate) fn moments(run: Duration) -> Vec<Duration> {
    let next = |at: &Duration| Some(*at + pause(*at, LONGEST)).filter(|next| *next < run);
    std::iter::successors(Some(FIRST).filter(|at| *at < run), next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_any_length_is_looked_at_a_few_times() {
        let count = |seconds: f64| moments(Duration::from_secs_f64(seconds)).len();
        assert_eq!([0.2, 0.5, 2.0, 8.0, 60.0].map(count), [0, 1, 2, 4, 6]);
        assert!(count(600.0) < 25);
    }

    #[test]
    fn looks_are_more_frequent_than_a_run_may_be_silent() {
        let schedule = PollSchedule::new(Duration::from_secs(2));
        assert!(pause(Duration::from_secs(100), schedule.longest) < Duration::from_secs(1));
    }
}
