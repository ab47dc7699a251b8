//! The commit of a task: its `.out` file, which holds what the runtime said and what the notification will say.
//!
//! Once it is written the task has ended, whatever becomes of this worker.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_schema::RuntimeName;
use shared_schema::keys::s3_uri;
use shared_schema::notification::{Failure, Notification, Output, TaskStatus, Timings, notification_id};

use super::read::Assignment;
use super::{Stop, Worker};
use crate::cloud::store::ReadError;
use crate::cloud::{Delivery, Lease};
use crate::error::TaskError;

/// The largest `.out` file that is read back.
const MAX_OUT_BYTES: u64 = 16 * 1024 * 1024;

/// A task whose end is decided: what the notification says. URLs are signed when it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The notification, without presigned URLs.
    pub notification: Notification,
}

impl Stored {
    /// The task succeeded and left these files.
    pub(super) fn succeeded(
        worker: &Worker,
        assignment: &Assignment,
        outputs: Vec<Output>,
        timings: Timings,
    ) -> Self {
        Self::ended(worker, assignment, TaskStatus::Succeeded, outputs, None, timings)
    }

    /// The task failed for good.
    pub(super) fn failed(
        worker: &Worker,
        assignment: &Assignment,
        failure: Failure,
        timings: Timings,
    ) -> Self {
        Self::ended(worker, assignment, TaskStatus::Failed, Vec::new(), Some(failure), timings)
    }

    fn ended(
        worker: &Worker,
        assignment: &Assignment,
        task_status: TaskStatus,
        outputs: Vec<Output>,
        error: Option<Failure>,
        timings: Timings,
    ) -> Self {
        let result = task_status == TaskStatus::Succeeded;
        let notification = Notification {
            runtime: RuntimeName::new(&worker.config.runtime_name),
            id: assignment.id.clone(),
            result,
            status: if result { "completed" } else { "failed" }.to_owned(),
            image_url: outputs.iter().map(|output| output.s3_uri.clone()).collect(),
            output_url: s3_uri(worker.cloud.store.bucket(), &assignment.keys.out()),
            context: assignment.context.clone(),
            task_status,
            outputs,
            error,
            notification_id: notification_id(&assignment.submission),
            submission: assignment.submission.clone(),
            timings,
            shortened: Vec::new(),
        };
        Self { notification }
    }
}

impl Worker {
    /// The end that a former delivery of the same work has stored already. Looked up only when there was one.
    pub(super) async fn committed(&self, delivery: &Delivery, assignment: &Assignment) -> Option<Stored> {
        if delivery.receive_count <= 1 {
            return None;
        }
        let store = &self.cloud.store;
        match store.read(store.bucket(), &assignment.keys.out(), MAX_OUT_BYTES).await {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(ReadError::Cloud(error)) if error.is_not_found() => None,
            Err(error) => {
                // A predecessor's role may not read: then the work is done again, as the predecessor did.
                tracing::warn!(%error, "cannot tell whether results exist, running again");
                None
            }
        }
    }

    /// Writes the `.out` file of a run that succeeded; with it the task has ended, whatever happens to this worker.
    pub(super) async fn commit(
        &self,
        assignment: &Assignment,
        report: Value,
        stored: &Stored,
        lease: &Lease,
    ) -> Result<(), Stop> {
        tokio::select! {
            done = self.write_out(assignment, report, stored) => Ok(done?),
            () = lease.lost().cancelled() => Err(Stop::LeaseLost),
        }
    }

    /// Writes the `.out` file: what the runtime said, and beside it what the notification will say.
    pub(super) async fn write_out(
        &self,
        assignment: &Assignment,
        mut report: Value,
        stored: &Stored,
    ) -> Result<(), TaskError> {
        if let Value::Object(report) = &mut report {
            report.insert("notification".to_owned(), json!(stored.notification));
        }
        self.put(&assignment.keys.out(), report.to_string().into(), "application/json").await
    }
}
