//! The ids by which a job of the worker is found again in ComfyUI, and distinguished from a user's.

use serde::{Deserialize, Serialize};
use shared_schema::runtimes::comfyui::JOBS_FOLDER;
use uuid::Uuid;

use super::queue::Queued;
use crate::runtimes::RunHandle;

/// What the client id of every job of a worker begins with.
const OURS: &str = "darkroom-";

/// The names of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handle {
    /// A UUID, which ComfyUI insists on. It is posted once: most versions would run a repeated one twice.
    pub(super) prompt_id: String,
    /// The jobs that nodes of the run queued themselves, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) queued_again: Vec<String>,
    /// The socket that gets the events of the job: one per job, so that events of other jobs are never mixed in. Without a client id,
    /// ComfyUI may leave the outputs of cached nodes out of the history. A node that queues the workflow again does it
    /// under the same client id, which cannot be guessed.
    pub(super) client_id: String,
    /// The folder below ComfyUI's output folder that results go to. It cannot be guessed, even from the folder of the inputs.
    #[serde(default)]
    pub(super) output_folder: String,
    /// The folder below ComfyUI's input folder that inputs are uploaded to.
    #[serde(default)]
    pub(super) input_folder: String,
}

impl Handle {
    /// Names that no job had before.
    pub(super) fn new() -> Self {
        Self {
            prompt_id: Uuid::new_v4().to_string(),
            queued_again: Vec::new(),
            client_id: format!("{OURS}{}", Uuid::new_v4()),
            output_folder: unguessable_folder(),
            input_folder: unguessable_folder(),
        }
    }

    /// The ids of all jobs of the run, in order.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.prompt_id).chain(&self.queued_again)
    }

    /// The names of its folders below [`JOBS_FOLDER`].
    pub(super) fn folders(&self) -> impl Iterator<Item = Uuid> {
        let name = |folder: &String| folder.strip_prefix(JOBS_FOLDER)?.strip_prefix('/')?.parse().ok();
        [&self.input_folder, &self.output_folder].into_iter().filter_map(name)
    }

    /// Whether a job is a part of the run.
    pub(super) fn owns(&self, job: &Queued<'_>) -> bool {
        job.client_id == self.client_id || self.jobs().any(|known| known == job.prompt_id)
    }

    /// The names that the previous process recorded. `None` when they are not of this form.
    pub(super) fn read(handle: &RunHandle) -> Option<Self> {
        Self::deserialize(&handle.0).ok()
    }

    /// As the worker keeps it.
    pub(super) fn written(&self) -> RunHandle {
        RunHandle(serde_json::json!(self))
    }
}

/// A folder that no other caller can guess.
fn unguessable_folder() -> String {
    format!("{JOBS_FOLDER}/{}", Uuid::new_v4())
}

/// Whether the job of that client is a worker's.
pub(super) fn is_ours(client_id: &str) -> bool {
    client_id.starts_with(OURS)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_handle_outlives_the_process() {
        let mut handle = Handle::new();
        handle.queued_again.push("a later job".to_owned());
        let file = serde_json::to_string(&handle.written()).unwrap();
        let read: RunHandle = serde_json::from_str(&file).unwrap();
        assert_eq!(handle.folders().count(), 2);
        assert_eq!(Handle::read(&read), Some(handle));
    }

    #[test]
    fn what_another_runtime_wrote_is_no_handle() {
        for other in [Value::Null, json!("7"), json!({"prompt_id": "7"}), json!({"task": 7})] {
            assert_eq!(Handle::read(&RunHandle(other)), None);
        }
    }

    #[test]
    fn a_persons_client_id_is_not_ours() {
        assert!(is_ours(&Handle::new().client_id));
        assert!(!is_ours("9ae9b72865594e02a7c2001709fceda8"));
    }
}
