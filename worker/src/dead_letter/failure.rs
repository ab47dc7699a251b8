//! The failure of a dead-lettered task: why its queue gave it up, and what is known of
//! the attempts before.

use serde_json::{Map, Value};
use shared_schema::{ErrorCode, RuntimeName, TaskType, message, runtimes};

use crate::error::TaskError;
use crate::runtimes::{REGISTRY, RuntimeType};
use crate::steps::journal::Journal;

use super::config::RuntimeTypes;

/// Why a task is dead, and after how many attempts. `receipts` is how often workers received it, if they did.
pub(super) fn failure_of(receipts: Option<u32>, journal: &Journal) -> (TaskError, u32) {
    // A worker recorded it, and could not store it.
    if let Some(last) = &journal.final_failure {
        return (last.error(), last.failure.attempts);
    }
    let mut message = match receipts {
        Some(1) => {
            "the task was received once and never completed, so its queue moved it to the dead-letter queue"
                .to_owned()
        }
        Some(receipts) => {
            format!(
                "the task was received {receipts} times and never completed, so its queue moved it to the dead-letter queue"
            )
        }
        None => "the task could not be delivered to the queue of its runtime".to_owned(),
    };
    if let Some(last) = journal.attempts.last() {
        message += &format!("; the last known cause is {}: {}", last.code, last.message);
    }
    // A worker that was killed on the last receipt recorded nothing.
    let attempts = receipts.unwrap_or_default().saturating_sub(journal.given_back);
    (TaskError::new(ErrorCode::DeadLettered, message), attempts)
}

/// The runtime that a message was meant for.
#[derive(Debug)]
pub(super) struct TargetRuntime {
    /// Its name, as the message has it.
    pub(super) name: RuntimeName,
    /// Its type, which decides the format of the report.
    pub(super) runtime_type: &'static RuntimeType,
}

impl TargetRuntime {
    /// The runtime that a body names, with the type of the deployed runtime of that name. If `deployed` does not have it, the type is the
    /// default one of the task type. Without a name it is a predecessor's message, which is routed by its model; and what has no
    /// known task type is reported in the predecessors' first format.
    pub(super) fn of(body: &str, deployed: &RuntimeTypes) -> Self {
        let metadata = match message::unwrap(body) {
            Ok(mut unwrapped) => unwrapped.message["metadata"].take(),
            Err(_) => Value::Object(Map::new()),
        };
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("runtime").unwrap_or(RuntimeName::LEGACY);
        let listed = deployed.of(name);
        let default = || {
            let task_type = text("tasktype").and_then(TaskType::parse)?;
            RuntimeType::by_name(runtimes::default_for(task_type).name())
        };
        let runtime_type = listed.or_else(default).unwrap_or(&REGISTRY[0]);
        Self { name: RuntimeName::new(name), runtime_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::final_failure::FinalFailure;
    use crate::steps::journal::FailedAttempt;
    use serde_json::json;

    fn target(metadata: &Value) -> (String, &'static str) {
        let deployed = "listed=comfyui".parse().unwrap();
        let body = json!({ "metadata": metadata }).to_string();
        let TargetRuntime { name, runtime_type } = TargetRuntime::of(&body, &deployed);
        (name.to_string(), runtime_type.name())
    }

    #[test]
    fn the_report_follows_the_deployed_runtime_or_else_the_task_type() {
        let known = json!({ "id": 1, "runtime": "listed", "tasktype": "text-to-image" });
        assert_eq!(target(&known), ("listed".to_owned(), "comfyui"));
        let workflow = json!({ "id": 1, "runtime": "flux", "tasktype": "pipeline" });
        assert_eq!(target(&workflow), ("flux".to_owned(), "comfyui"));
        let picture = json!({ "id": 1, "runtime": "sd", "tasktype": "text-to-image" });
        assert_eq!(target(&picture), ("sd".to_owned(), "sdwebui"));
        for odd in
            [json!({ "id": 1, "tasktype": "video" }), json!({ "runtime": "", "tasktype": 7 }), json!("x")]
        {
            assert_eq!(target(&odd), ("legacy".to_owned(), "sdwebui"), "{odd}");
        }
    }

    #[test]
    fn releases_are_no_attempts_and_the_last_cause_is_reported() {
        let failed = FailedAttempt {
            attempt: 1,
            code: ErrorCode::RuntimeUnavailable,
            message: "no answer".to_owned(),
            at: String::new(),
        };
        let journal = Journal { given_back: 17, attempts: vec![failed], ..Journal::default() };
        let (error, attempts) = failure_of(Some(20), &journal);
        assert_eq!((error.code, attempts), (ErrorCode::DeadLettered, 3));
        assert!(error.message.contains("received 20 times"), "{error}");
        assert!(error.message.ends_with("runtime_unavailable: no answer"), "{error}");

        let known = TaskError::new(ErrorCode::RuntimeFailed, "it broke").finally();
        let last = FinalFailure { failure: known.failure(2), is_expired: false };
        let journal = Journal { final_failure: Some(last), ..journal };
        assert_eq!(failure_of(Some(20), &journal), (known, 2));

        let (error, attempts) = failure_of(None, &Journal::default());
        assert_eq!(attempts, 0);
        assert!(error.message.contains("could not be delivered"), "{error}");
    }
}
