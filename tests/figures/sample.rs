//! Many measurements of the same thing.

use std::time::Duration;

use anyhow::{Context, Result};

/// Durations in order.
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// # Errors
    ///
    /// When there are none.
    pub(crate) fn new(mut times: Vec<Duration>) -> Result<Self> {
        times.first().context("nothing was measured")?;
        times.sort_unstable();
        Ok(Self(times))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest.
    pub(crate) fn min(&self) -> Duration {
        self.0[0]
    }

    /// Half of them are at most that.
    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// All but one in a hundred are at most that.
    pub(crate) fn p99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100]
    }
}

/// In microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// In milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
