//! Waiting on conditions, never on sleeps.

use std::time::{Duration, Instant};

/// How long a condition may take before the test fails. Generous: machines are slow and shared, and one busy core
/// takes minutes for the largest tasks.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Polls until `condition` yields a value.
///
/// # Panics
///
/// When it does not within [`TIMEOUT`]; `what` names the condition.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
