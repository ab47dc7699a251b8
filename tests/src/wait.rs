//! Waiting on conditions, never on sleeps.

use std::time::{Duration, Instant};

/// How long a condition may take to come true before the test fails. Generous: machines are slow and shared, and one busy core
/// takes minutes for the largest tasks.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Polls until `condition` yields a value.
///
/// # Panics
///
/// When it does not within [`PATIENCE`]; `what` says what was waited for.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
