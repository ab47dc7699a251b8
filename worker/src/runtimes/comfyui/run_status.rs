//! The outcome of a run, by its history entry.

use serde_json::{Value, json};
use shared_schema::ErrorCode;

use super::history::Entry;
use super::redact::{cut, first_lines, redacted};
use crate::error::TaskError;
use crate::runtimes::known_errors::is_out_of_memory;

/// `Ok` for a run that succeeded.
///
/// Messages count before the status: an interrupted run has the status `error`, too, and a run that failed in part (a dependency
/// cycle that came into being while it ran) has the status `success`. The traceback and the inputs of the failed node are left
/// out, since they show the server's files and other people's data.
pub(super) fn check(entry: &Entry) -> Result<(), TaskError> {
    let status = &entry.status;
    let said = |name: &str| {
        let messages = status["messages"].as_array().into_iter().flatten();
        messages.rev().find(|message| message[0] == name && !is_block(&message[1])).map(|message| &message[1])
    };
    if let Some(interruption) = said("execution_interrupted") {
        let error = TaskError::new(ErrorCode::Interrupted, "the run was interrupted in the runtime");
        return Err(at_node_of(error, interruption));
    }
    if let Some(failure) = said("execution_error") {
        return Err(execution_error(failure));
    }
    match status["status_str"].as_str() {
        Some("success") => Ok(()),
        Some("error") => {
            Err(TaskError::new(ErrorCode::RuntimeFailed, "the run failed; the runtime does not say why"))
        }
        _ => Err(TaskError::new(
            ErrorCode::RuntimeBadAnswer,
            "the runtime does not report the status of the run",
        )),
    }
}

/// Whether an `execution_error` only says that a node did not run since another one blocked it, which fails no run.
pub(super) fn is_block(failure: &Value) -> bool {
    failure["exception_type"] == "ExecutionBlocked"
}

fn execution_error(failure: &Value) -> TaskError {
    let text = |key: &str| failure[key].as_str().unwrap_or_default();
    let kind = text("exception_type");
    let explanation = redacted(text("exception_message"));
    let message = format!("{} failed: {kind}: {}", text("node_type"), first_lines(&explanation));
    let reason = json!({
        "exception_type": kind,
        "exception_message": cut(&explanation, 4_000),
        "node_id": failure["node_id"],
        "node_type": failure["node_type"],
    });
    let code = if is_out_of_memory(&format!("{kind} {explanation}")) {
        ErrorCode::OutOfMemory
    } else {
        ErrorCode::RuntimeFailed
    };
    at_node_of(TaskError::new(code, message), failure).with_reason(reason)
}

fn at_node_of(error: TaskError, message: &Value) -> TaskError {
    match message["node_id"].as_str() {
        Some(node_id) => error.at_node(node_id),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, history_entry, recording};
    use super::*;

    fn failing_with(kind: &str, message: &str) -> TaskError {
        let failure = json!({
            "node_id": "5", "node_type": "KSampler", "exception_type": kind, "exception_message": message,
            "traceback": ["  File \"/opt/x.py\""], "current_inputs": {"text": ["secret"]},
        });
        let messages = json!([["execution_start", {}], ["execution_error", failure]]);
        check(&entry(json!({"status": {"status_str": "error", "messages": messages}}))).unwrap_err()
    }

    #[test]
    fn recorded_successes_are_successes() {
        for name in ["images-batch-of-3", "cached-repeat", "text-output", "checkpoint-sampler-progress"] {
            assert_eq!(check(&entry(history_entry(&recording(name)))), Ok(()), "{name}");
        }
    }

    #[test]
    fn an_execution_error_names_node_and_exception_but_no_paths() {
        let error = check(&entry(history_entry(&recording("execution-error")))).unwrap_err();
        assert_eq!(error.code, ErrorCode::RuntimeFailed);
        assert_eq!(error.node_id.as_deref(), Some("2"));
        let said =
            "SaveImage failed: Exception: **** ERROR: Saving image outside the output folder is not allowed.";
        assert!(error.message.starts_with(said), "{}", error.message);
        let texts = format!("{} {}", error.message, error.reason.unwrap());
        for hidden in ["/opt", "traceback", "tensor"] {
            assert!(!texts.contains(hidden), "{texts}");
        }
    }

    #[test]
    fn an_interruption_is_distinguished_from_a_failure() {
        let error = check(&entry(history_entry(&recording("interrupted")))).unwrap_err();
        assert_eq!(error.code, ErrorCode::Interrupted);
        assert_eq!(error.node_id.as_deref(), Some("2"));
    }

    #[test]
    fn exhausted_memory_is_worth_a_retry() {
        for (kind, message) in [
            ("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB"),
            (
                "torch.OutOfMemoryError",
                "Allocation on device \nThis error means you ran out of memory on your GPU.",
            ),
            ("RuntimeError", "HIP out of memory"),
            (
                "RuntimeError",
                "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory",
            ),
            ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        ] {
            let error = failing_with(kind, message);
            assert_eq!(error.code, ErrorCode::OutOfMemory, "{message}");
        }
        assert_eq!(failing_with("ValueError", "memory of a summer").code, ErrorCode::RuntimeFailed);
    }

    #[test]
    fn a_run_that_failed_in_part_is_no_success() {
        let cycle = json!({"node_id": "7", "exception_type": "graph.DependencyCycleError", "exception_message": "Dependency cycle detected"});
        let finished = |failure: &Value| {
            let messages = json!([["execution_start", {}], ["execution_error", failure]]);
            check(&entry(
                json!({"status": {"status_str": "success", "completed": true, "messages": messages}}),
            ))
        };
        let error = finished(&cycle).unwrap_err();
        assert_eq!((error.code, error.node_id.as_deref()), (ErrorCode::RuntimeFailed, Some("7")));
        assert!(error.message.contains("Dependency cycle detected"), "{}", error.message);
        assert_eq!(finished(&json!({"node_id": "7", "exception_type": "ExecutionBlocked"})), Ok(()));
    }

    #[test]
    fn an_entry_without_a_status_is_no_success() {
        assert_eq!(check(&entry(json!({"outputs": {}}))).unwrap_err().code, ErrorCode::RuntimeBadAnswer);
    }
}
