//! What the record of a running task gets and says: progress, and whether the owner has canceled the task.

use std::future::pending;
use std::time::Duration;

use task_records::{Progress, Records};
use tokio::time::{Instant, sleep};

use super::run_once::Run;
use crate::runtimes::Position;

/// How often the record is read: a canceled run is interrupted within seconds. A read costs an eighth of a write.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// How often progress is written at most; never for shorter runs.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Completes when the owner has canceled the task; never where tasks are not recorded.
    pub(super) async fn canceled(&self) {
        let Some(records) = &self.attempt.worker.cloud.records else { return pending().await };
        let id = self.attempt.assignment.submission.as_str();
        let (mut written_at, mut written) = (Instant::now(), None);
        loop {
            sleep(READ_INTERVAL).await;
            match records.is_cancel_requested(id).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(error.code = %error.code, "reading the record of a run failed"),
            }
            let share = self.progress.watch().borrow().share;
            if share.is_some() && share != written && written_at.elapsed() >= WRITE_INTERVAL {
                let progress = recorded(share.unwrap_or_default(), self.progress.position());
                write(records, id, &progress).await;
                (written_at, written) = (Instant::now(), share);
            }
        }
    }
}

/// Progress as the record has it.
fn recorded(fraction: f64, Position { step, node }: Position) -> Progress {
    Progress { fraction, step: step.map(|(step, _)| step), steps: step.map(|(_, steps)| steps), node }
}

/// Stores progress. Best effort: the next one has later figures.
async fn write(records: &Records, id: &str, progress: &Progress) {
    if let Err(error) = records.progress(id, progress).await {
        tracing::warn!(error.code = %error.code, "storing the progress of a run failed");
    }
}
