//! Interrupting a run: every runtime reports it by the same error.

use shared_schema::ErrorCode;
use tokio_util::sync::CancellationToken;

use crate::error::TaskError;

/// The error of a run that the worker interrupted.
pub(crate) fn interrupted() -> TaskError {
    TaskError::new(ErrorCode::Interrupted, "the run was interrupted by the worker")
}

/// Does a part of a run; [`interrupted`] as soon as `stop` is cancelled.
pub(crate) async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, TaskError> {
    stop.run_until_cancelled(work).await.unwrap_or_else(|| Err(interrupted()))
}
