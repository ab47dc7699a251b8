//! Calls that are made again when they fail by chance: the GPU's work is done, and too dear to lose for one of them.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::CallError;

const TRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a call may have gone on failing when it is made again: a runtime freezes while it loads a model.
const TRY_FOR: Duration = Duration::from_secs(60);

/// The result of the call, which is made up to three times while its error may pass.
pub(super) async fn retried<T, F>(mut call: impl FnMut() -> F) -> Result<T, CallError>
where
    F: Future<Output = Result<T, CallError>>,
{
    let began = Instant::now();
    for _ in 1..TRIES {
        match call().await {
            Err(error) if may_pass(&error) && began.elapsed() < TRY_FOR => sleep(RETRY_PAUSE).await,
            result => return result,
        }
    }
    call().await
}

fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Unreachable | CallError::Silent | CallError::Broken => true,
        CallError::Status(status) => status.is_server_error(),
        CallError::Unreadable | CallError::TooLarge(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use reqwest::StatusCode;

    use super::*;

    /// How often a call is made that always fails with that error.
    async fn tries(error: CallError) -> u32 {
        let mut tries = 0;
        let result: Result<(), _> = retried(|| {
            tries += 1;
            std::future::ready(Err(error.clone()))
        })
        .await;
        assert_eq!(result, Err(error));
        tries
    }

    #[tokio::test]
    async fn only_an_error_that_may_pass_is_tried_again() {
        for error in [CallError::Unreadable, CallError::TooLarge(1), CallError::Status(StatusCode::NOT_FOUND)]
        {
            assert_eq!(tries(error).await, 1);
        }
        let passing = [CallError::Broken, CallError::Silent, CallError::Status(StatusCode::BAD_GATEWAY)];
        assert_eq!(join_all(passing.map(tries)).await, [TRIES; 3]);
    }
}
