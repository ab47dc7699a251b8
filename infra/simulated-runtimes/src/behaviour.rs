//! How long a simulated runtime takes for its work.

use std::time::{Duration, Instant};

/// What a simulated runtime costs in time. The default costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Time that one run occupies the runtime, split evenly over its steps: progress can be watched, and an
    /// interrupt strikes between two steps. Drawing comes on top unless pictures are `predrawn`.
    pub latency: Duration,
    /// Time from the start until the runtime can be used. SD WebUI answers on `/` meanwhile, but its API is not
    /// mounted yet (404); ComfyUI does not listen yet (connections are refused).
    pub startup_delay: Duration,
    /// Makes one picture per size, of noise, and hands it out again and again: a benchmark measures its own work and
    /// not the drawing, on files at least as large as those of a real runtime.
    pub predrawn: bool,
}

/// Spreads the latency of one run over its steps. Each step ends at a fixed time after the start, so that rounding does not
/// add up.
pub(crate) struct Pace {
    start: Instant,
    latency: Duration,
    steps: u32,
    taken: u32,
}

impl Pace {
    pub(crate) fn new(latency: Duration, steps: u32) -> Self {
        Self { start: Instant::now(), latency, steps: steps.max(1), taken: 0 }
    }

    /// Waits until the next step is over.
    pub(crate) async fn step(&mut self) {
        self.taken += 1;
        let end = self.start + self.latency.mul_f64(f64::from(self.taken) / f64::from(self.steps));
        if self.latency.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep_until(end.into()).await;
        }
    }
}
