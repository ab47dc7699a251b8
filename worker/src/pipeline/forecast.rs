//! When a run is likely to end: from how long others of its kind took, and from how far it has come.
//!
//! What comes too early costs little: a message that another worker might have received, and a job that waits in the runtime's own
//! queue. What comes too late leaves the GPU without work. So whatever indicates the earlier end counts, and a run of which nothing is
//! known may end at any time.

use std::time::Duration;

use tokio::time::Instant;

use crate::runtimes::LastProgress;

/// The share of a run's duration by which forecasts are wrong.
const ERROR: f64 = 0.1;

/// From which share of its work a run is extrapolated; before, the start of a run is no indication of its end.
const LEAST_SHARE: f64 = 0.05;

/// From when on a run is extrapolated; before, it may have passed through light nodes only.
const LEAST_ELAPSED: Duration = Duration::from_millis(200);

/// How long to wait for a first indication.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// What is known of one run, beside its progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forecast {
    pub(super) begun: Instant,
    /// How long runs of its kind take at least, as a rule.
    pub(super) usual: Option<Duration>,
}

impl Forecast {
    /// From when on the run may end within `ahead`, as far as is known when it has `reached` that.
    pub(super) fn due(&self, reached: LastProgress, ahead: Duration) -> Instant {
        let before_end = |took: Duration| self.begun + took.mul_f64(1.0 - ERROR).saturating_sub(ahead);
        let by_past = self.usual.map(before_end);
        // In the first half of what is usual, the past knows more: nodes and passes differ in their weight.
        let by_progress = self
            .extrapolated(reached)
            .map(|took| before_end(took).max(self.begun + self.usual.unwrap_or_default() / 2));
        [by_past, by_progress].into_iter().flatten().min().unwrap_or(self.begun + UNKNOWN_FOR)
    }

    /// A share that does not change was reached when it last changed: time that passes since then makes the run no longer.
    fn extrapolated(&self, reached: LastProgress) -> Option<Duration> {
        let elapsed = reached.at.saturating_duration_since(self.begun);
        let share = reached.share.filter(|share| *share >= LEAST_SHARE && elapsed >= LEAST_ELAPSED)?;
        Some(elapsed.div_f64(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{HAND_OVER_AHEAD, RECEIVE_AHEAD};
    use crate::runtimes::poll_schedule;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// How a runtime reports the progress of its runs.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Shape {
        /// Twenty even steps.
        Stepped,
        /// So large a part passes before the first of twenty steps: a model is loaded.
        After(f64),
        /// Two passes of ten steps; one of the second takes four times as long.
        TwoPasses,
        /// Four of seven nodes are light; one has twenty steps, two follow.
        Nodes,
        /// It stays at that share.
        Flat(f64),
        Missing,
    }

    const SHAPES: [Shape; 9] = [
        Shape::Stepped,
        Shape::After(0.1),
        Shape::After(0.5),
        Shape::After(0.9),
        Shape::TwoPasses,
        Shape::Nodes,
        Shape::Flat(0.01),
        Shape::Flat(0.5),
        Shape::Missing,
    ];

    impl Shape {
        /// The share that is reported when that part of the run's duration has passed.
        fn share(self, part: f64) -> Option<f64> {
            let steps = |part: f64, count: f64| (part.clamp(0.0, 1.0) * count).floor() / count;
            match self {
                Self::Stepped => Some(0.01 + steps(part, 20.0)),
                Self::After(quiet) => Some(0.01 + steps((part - quiet) / (1.0 - quiet), 20.0)),
                Self::TwoPasses => {
                    Some(0.01 + (steps(part / 0.2, 10.0) + steps((part - 0.2) / 0.8, 10.0)) / 2.0)
                }
                Self::Nodes => Some(
                    (4.0 + steps((part - 0.02) / 0.9, 20.0) + steps((part - 0.92) / 0.08, 2.0) * 2.0) / 7.0,
                ),
                Self::Flat(share) => Some(share),
                Self::Missing => None,
            }
        }
    }

    /// How the reports reach the worker.
    #[derive(Debug, Clone, Copy)]
    enum Way {
        /// Each as it comes.
        Pushed,
        /// By polls.
        Looked,
    }

    /// When the wait for the end of a run times out, since its start.
    fn waited(
        run: Duration,
        usual: Option<Duration>,
        shape: Shape,
        way: Way,
        ahead: Duration,
    ) -> Option<Duration> {
        let begun = Instant::now();
        let moments = match way {
            Way::Pushed => (0..200).map(|n| run.mul_f64(f64::from(n) / 200.0)).collect(),
            Way::Looked => poll_schedule::moments(run),
        };
        let mut reached = LastProgress { share: None, at: begun };
        let mut now = Duration::ZERO;
        for next in moments.into_iter().chain([run]) {
            let due = Forecast { begun, usual }.due(reached, ahead).saturating_duration_since(begun).max(now);
            if due < next {
                return Some(due);
            }
            now = next;
            let share = shape.share(now.div_duration_f64(run));
            if share != reached.share {
                reached = LastProgress { share, at: begun + now };
            }
        }
        None
    }

    /// When the next job is submitted, with that much time between its receipt and its last input.
    fn handed_over(
        run: Duration,
        usual: Option<Duration>,
        shape: Shape,
        way: Way,
        preparation: Duration,
    ) -> Option<Duration> {
        let received = waited(run, usual, shape, way, RECEIVE_AHEAD + preparation)?;
        let prepared = received + preparation;
        waited(run, usual, shape, way, HAND_OVER_AHEAD).map(|due| due.max(prepared)).filter(|at| *at < run)
    }

    fn all() -> impl Iterator<Item = (Duration, Shape, Way)> {
        let lengths = (3..=600).map(|tenths| ms(tenths * 100));
        lengths.flat_map(|run| {
            SHAPES.into_iter().flat_map(move |shape| [(run, shape, Way::Pushed), (run, shape, Way::Looked)])
        })
    }

    #[test]
    fn the_next_job_is_handed_over_before_the_end_of_a_run_of_any_length_and_shape() {
        for (run, shape, way) in all() {
            // Durations vary by a twelfth.
            for usual in [run.mul_f64(12.0 / 13.0), run, run.mul_f64(13.0 / 12.0)] {
                let at = handed_over(run, Some(usual), shape, way, ms(200));
                assert!(at.is_some(), "{run:?} {shape:?} {way:?}, usually {usual:?}");
            }
        }
    }

    #[test]
    fn the_first_job_is_followed_ahead_of_time_too() {
        for (run, shape, way) in all().filter(|(run, ..)| *run > ms(1_500)) {
            let at = handed_over(run, None, shape, way, ms(200));
            let in_time = matches!(
                shape,
                Shape::Stepped | Shape::Nodes | Shape::Flat(_) | Shape::Missing | Shape::TwoPasses
            );
            assert!(at.is_some() || !in_time, "{run:?} {shape:?} {way:?}");
        }
    }

    #[test]
    fn runs_that_report_well_or_last_as_usual_are_not_followed_long_before_their_end() {
        for (run, shape, way) in all().filter(|(run, ..)| *run > ms(4_000)) {
            let usual = waited(run, Some(run), shape, way, RECEIVE_AHEAD).unwrap();
            let early = matches!(shape, Shape::TwoPasses | Shape::Nodes | Shape::Flat(0.5));
            let least = if early { 0.4 } else { 0.85 };
            assert!(usual + RECEIVE_AHEAD >= run.mul_f64(least), "{run:?} {shape:?} {way:?}: {usual:?}");
        }
        for (run, _, way) in all().filter(|(run, ..)| (ms(4_000)..ms(15_000)).contains(run)) {
            let first = waited(run, None, Shape::Stepped, way, RECEIVE_AHEAD).unwrap();
            assert!(first + RECEIVE_AHEAD >= run.mul_f64(0.6), "{run:?} {way:?}: {first:?}");
        }
    }

    #[test]
    fn a_run_that_turns_out_shorter_than_usual_is_foreseen_from_its_progress() {
        for (run, _, way) in all().filter(|(run, ..)| *run > ms(2_000)) {
            assert!(
                handed_over(run, Some(run.mul_f64(1.7)), Shape::Stepped, way, ms(200)).is_some(),
                "{run:?} {way:?}"
            );
        }
    }
}
