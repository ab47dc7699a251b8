//! The faults of a submitted workflow, in the words and the fields of Comfy API v2.

use serde_json::{Map, Value, json};
use shared_schema::{Violation, ViolationCode};

use super::error::{ComfyCode, ComfyError};

/// A body that breaks the contract of `v1`, in which the workflow is `content`, and the metadata are `labels`.
pub(super) fn refused(violations: &[Violation]) -> ComfyError {
    let message = |violation: &Violation| {
        let pointer =
            violation.pointer.replacen("/content", "/workflow", 1).replacen("/labels", "/metadata", 1);
        format!("{pointer}: {}", violation.message)
    };
    let first = violations.first().map(message).unwrap_or_default();
    if violations.iter().any(|violation| violation.code == ViolationCode::EditorFormat) {
        return ComfyError::new(ComfyCode::WorkflowFormatUi, first);
    }
    if violations.iter().all(|violation| violation.pointer.starts_with("/labels")) {
        return ComfyError::new(ComfyCode::MetadataInvalid, first);
    }
    let details = json!({
        "node_errors": node_errors(violations),
        "violations": violations.iter().map(message).collect::<Vec<_>>(),
    });
    ComfyError::with_details(ComfyCode::InvalidWorkflow, first, details)
}

/// By the ids of nodes: the input at fault, the rule, and the text.
fn node_errors(violations: &[Violation]) -> Map<String, Value> {
    let mut nodes = Map::new();
    for violation in violations {
        let Some(place) = violation.pointer.strip_prefix("/content/") else { continue };
        let mut place = place.splitn(3, '/').map(|name| name.replace("~1", "/").replace("~0", "~"));
        let (Some(node), part, field) = (place.next(), place.next(), place.next()) else { continue };
        let error = json!({
            "field": field.or(part), "reason": violation.code.as_str(), "message": violation.message,
        });
        let errors = nodes.entry(node).or_insert_with(|| json!([]));
        if let Some(errors) = errors.as_array_mut() {
            errors.push(error);
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_listed_by_node() {
        let violation = |pointer: &str, code| Violation::new(pointer, code, "text");
        let error = refused(&[
            violation("/content/4~15/inputs/steps", ViolationCode::TooLarge),
            violation("/content/4~15", ViolationCode::Cycle),
            violation("/content", ViolationCode::NoOutput),
        ]);
        assert_eq!(error.code, ComfyCode::InvalidWorkflow);
        assert_eq!(error.message, "/workflow/4~15/inputs/steps: text");
        let expected = json!({ "4/5": [
            { "field": "steps", "reason": "too_large", "message": "text" },
            { "field": null, "reason": "cycle", "message": "text" },
        ]});
        assert_eq!(error.details["node_errors"], expected);
    }
}
