//! The duration of simulated work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::RwLock;

/// The delays of a simulated runtime. There are none by default.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Time that one run occupies the runtime, split over its steps (the steps of SD WebUI's second pass are longer in
    /// proportion to their pixels): progress can be observed, and an interrupt takes effect between two steps. Drawing adds to
    /// it unless pictures are `predrawn`.
    pub latency: Duration,
    /// Time from the start until the runtime can be used. SD WebUI answers on `/` meanwhile, but its API is not
    /// mounted yet (404); ComfyUI does not listen yet (connections are refused).
    pub startup_delay: Duration,
    /// Draws one picture of noise per size and reuses it, so that a benchmark does not measure the drawing. The files are at
    /// least as large as those of a real runtime.
    pub predrawn: bool,
    /// How progress is reported while a run lasts.
    pub progress: ProgressReports,
}

/// How a runtime reports the progress of its runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressReports {
    /// Step by step of the sampler, evenly: 5 % at a time with 20 steps.
    #[default]
    Stepped,
    /// Nothing for the first half of a run, since the model is loaded; then step by step. As recorded: SD WebUI reports
    /// 1 % for 5 s of a run of 10 s.
    Flat,
    /// All steps in the last fifth of a run, after four fifths without any.
    Late,
    /// None: SD WebUI's progress is 0 throughout, ComfyUI sends neither `progress` nor `progress_state`.
    Missing,
}

impl ProgressReports {
    /// The share of a run's latency that passes before its first step begins.
    fn quiet(self) -> f64 {
        match self {
            Self::Stepped | Self::Missing => 0.0,
            Self::Flat => 0.5,
            Self::Late => 0.8,
        }
    }
}

/// Spreads the latency of one run over its steps. Each step finishes at a fixed time after the start, so that rounding does not
/// add up.
pub(crate) struct StepTimer {
    start: Instant,
    quiet: Duration,
    working: Duration,
    /// The weight of all steps together.
    weight: f64,
    done: f64,
    held: Arc<RwLock<()>>,
}

impl StepTimer {
    /// `weight` is the sum of the weights of all steps. Runs pause while `held` is locked for writing.
    pub(crate) fn new(behaviour: &Behaviour, weight: f64, held: Arc<RwLock<()>>) -> Self {
        let quiet = behaviour.latency.mul_f64(behaviour.progress.quiet());
        let working = behaviour.latency.saturating_sub(quiet);
        Self { start: Instant::now(), quiet, working, weight: weight.max(1.0), done: 0.0, held }
    }

    /// Waits until the next step, of that weight, is done.
    pub(crate) async fn step(&mut self, weight: f64) {
        self.done += weight;
        if self.quiet.is_zero() && self.working.is_zero() {
            tokio::task::yield_now().await;
        } else {
            let share = (self.done / self.weight).min(1.0);
            tokio::time::sleep_until((self.start + self.quiet + self.working.mul_f64(share)).into()).await;
        }
        drop(self.held.read().await);
    }
}
