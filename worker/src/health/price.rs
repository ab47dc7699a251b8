//! The price of the GPU.

use std::time::Duration;

/// US dollars per hour, 0 or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price(f64);

impl Price {
    /// `None` for what is no price.
    pub fn new(usd_per_hour: f64) -> Option<Self> {
        (usd_per_hour.is_finite() && usd_per_hour >= 0.0).then_some(Self(usd_per_hour))
    }

    /// What it costs for that time, in US dollars.
    pub fn of(self, time: Duration) -> f64 {
        self.0 * time.as_secs_f64() / 3_600.0
    }
}
