//! One delivery of a submission at a time: a second one in the same worker waits for the first, and finds it committed.
//!
//! SQS and SNS may deliver a message twice. Between workers only the commit decides, since no shared lock
//! is cheap enough for every task.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared_schema::Submission;
use tokio::sync::Notify;

/// The submissions in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    inside: Mutex<HashSet<Submission>>,
    left: Notify,
}

impl InFlight {
    /// Waits until no other delivery of the submission is in flight.
    pub(crate) async fn acquire(&self, submission: &Submission) -> SubmissionGuard<'_> {
        loop {
            let left = self.left.notified();
            if self.lock().insert(submission.clone()) {
                return SubmissionGuard { submissions: self, submission: submission.clone() };
            }
            left.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Submission>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The submission is in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct SubmissionGuard<'a> {
    submissions: &'a InFlight,
    submission: Submission,
}

impl Drop for SubmissionGuard<'_> {
    fn drop(&mut self) {
        self.submissions.lock().remove(&self.submission);
        self.submissions.left.notify_waiters();
    }
}
