//! What a runtime is given: one task, and where to report on its run.

use std::sync::Arc;

use shared_schema::Task;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::RunHandle;
use super::progress::Progress;
use crate::inputs::Input;

/// One task, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task, as it came.
    pub task: Arc<Task>,
    /// The images (or other media) that its fields name, fetched and checked.
    pub inputs: Vec<Input>,
    /// Cancelled when the run is to end early.
    pub stop: CancellationToken,
    /// Receives the progress of the run.
    pub progress: Progress,
    /// Receives what the run can be found by, before the runtime gets the job; or when it fails before that.
    pub handles: mpsc::UnboundedSender<RunHandle>,
}

impl Job {
    /// A job without listeners, with a `stop` of its own.
    pub fn new(task: Arc<Task>, inputs: Vec<Input>) -> Self {
        let (handles, _) = mpsc::unbounded_channel();
        let (stop, progress) = (CancellationToken::new(), Progress::new());
        Self { task, inputs, stop, progress, handles }
    }
}
