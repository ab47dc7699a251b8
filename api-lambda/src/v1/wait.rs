//! `Prefer: wait=N` (RFC 7240): the response comes when the task has finished, or after N seconds.

use std::time::Duration;

use axum::http::HeaderMap;
use task_records::{Owner, Record};
use tokio::time::{Instant, sleep};

use super::show::owned;
use crate::error::ApiError;
use crate::store::TaskStore;

/// The longest wait: API Gateway gives a Lambda 29 seconds (API Gateway quotas, "Integration timeout").
const MAX_SECONDS: u64 = 25;

/// The first interval between two reads; it grows to the last.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);
const LAST_INTERVAL: Duration = Duration::from_secs(1);

/// The wait that a request prefers. More than the most is the most.
pub(super) fn preferred(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let Some(wait) = preferences.find_map(|preference| preference.strip_prefix("wait=")) else {
        return Ok(None);
    };
    let seconds: u64 = wait.trim_matches('"').parse().map_err(|_| ApiError::InvalidParameter {
        name: "Prefer",
        message: "must have whole seconds, as in `wait=10`".to_owned(),
    })?;
    Ok(Some(Duration::from_secs(seconds.min(MAX_SECONDS))))
}

/// The record once the task has finished, or as it is after that time.
pub(super) async fn until_finished(
    store: &TaskStore,
    id: &str,
    owner: &Owner,
    time: Duration,
) -> Result<Record, ApiError> {
    let deadline = Instant::now() + time;
    let mut interval = FIRST_INTERVAL;
    loop {
        let record = owned(store, id, owner).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if record.status.is_terminal() || left.is_zero() {
            return Ok(record);
        }
        sleep(interval.min(left)).await;
        interval = (interval * 2).min(LAST_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_bounded() {
        let preferred = |text: &str| {
            preferred(&HeaderMap::from_iter([("prefer".parse().unwrap(), text.parse().unwrap())]))
        };
        assert_eq!(preferred("respond-async, wait=5"), Ok(Some(Duration::from_secs(5))));
        assert_eq!(preferred("wait=1000"), Ok(Some(Duration::from_secs(25))));
        assert_eq!(preferred("respond-async"), Ok(None));
        assert!(preferred("wait=soon").is_err());
    }
}
