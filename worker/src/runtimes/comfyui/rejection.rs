//! ComfyUI's answer to a workflow that it does not want: which node, which input, and why.

use serde_json::{Map, Value, json};
use shared_schema::ErrorCode;
use shared_schema::violation::pointer_segment;

use super::redact::{cut, redacted};
use crate::error::TaskError;

/// Whether an answer complains of nodes. A 200 may, too: ComfyUI then leaves the outputs that depend on them out without a
/// word and calls the run a success.
pub(super) fn has_node_errors(body: &Value) -> bool {
    body["node_errors"].as_object().is_some_and(|errors| !errors.is_empty())
}

/// The error for such a 200, or for a 400.
pub(super) fn explain(body: &Value) -> TaskError {
    let complaints = complaints(body);
    let message = match complaints.as_slice() {
        [] => format!("the runtime rejected the workflow: {}", general_reason(&body["error"])),
        many => format!("the runtime rejected the workflow: {}", listed(many)),
    };
    let error = TaskError::new(ErrorCode::RuntimeRejected, message).with_reason(reason(body));
    match complaints.first() {
        Some(Complaint { node_id, input: Some(input), .. }) => {
            let field = format!("/content/{}/inputs/{}", pointer_segment(node_id), pointer_segment(input));
            error.at_node(*node_id).at_field(field)
        }
        Some(Complaint { node_id, .. }) => error.at_node(*node_id),
        None => match body["error"]["extra_info"]["node_id"].as_str() {
            Some(node_id) => error.at_node(node_id),
            None => error,
        },
    }
}

/// One thing that is wrong with one node.
struct Complaint<'a> {
    node_id: &'a str,
    class: &'a str,
    input: Option<&'a str>,
    words: String,
}

fn complaints(body: &Value) -> Vec<Complaint<'_>> {
    let mut complaints = Vec::new();
    for (node_id, node) in body["node_errors"].as_object().into_iter().flatten() {
        let class = node["class_type"].as_str().unwrap_or("unknown class");
        for error in node["errors"].as_array().into_iter().flatten() {
            let input = error["extra_info"]["input_name"].as_str();
            complaints.push(Complaint { node_id, class, input, words: general_reason(error) });
        }
    }
    complaints
}

/// `message` and `details` of an error; the message alone is always general, or names a missing node by its title.
fn general_reason(error: &Value) -> String {
    let extra = |key: &str| error["extra_info"][key].as_str().map(|text| cut(&redacted(text), 200));
    if let ("missing_node_type", Some(class)) =
        (error["type"].as_str().unwrap_or_default(), extra("class_type"))
    {
        let node = extra("node_id").map_or_else(|| "a node".to_owned(), |node_id| format!("node {node_id}"));
        return format!("{node} is of the class {class}, which the runtime does not have");
    }
    let text = |key: &str| words(error[key].as_str().unwrap_or_default());
    match (text("message"), text("details")) {
        (message, details) if details.is_empty() => message,
        (message, details) => format!("{message}: {details}"),
    }
}

/// The server's message, short, and without its lists of names, which include files of other callers.
fn words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(without_choices).collect();
    cut(&redacted(&lines.join("\n")), 500)
}

/// `value_not_in_list` says `ckpt_name: 'x' not in ['a', 'b']`, in `details`, and in older servers for all nodes at once.
fn without_choices(line: &str) -> &str {
    let lists = [" not in [", " not in (", " not in {"];
    let end = lists.iter().filter_map(|list| line.find(list)).min();
    end.map_or(line, |end| &line[..end + " not in".len()]).trim_end_matches(" not in")
}

fn listed(complaints: &[Complaint<'_>]) -> String {
    const MOST: usize = 3;
    let reported = complaints.iter().take(MOST);
    let reported = reported.map(|one| format!("node {} ({}): {}", one.node_id, one.class, one.words));
    let mut text = reported.collect::<Vec<_>>().join("; ");
    if complaints.len() > MOST {
        text.push_str(&format!("; and {} more", complaints.len() - MOST));
    }
    text
}

/// The answer for the `.out` file, without tracebacks.
fn reason(body: &Value) -> Value {
    let error = |error: &Value| {
        let text = |key: &str| error[key].as_str().map(words);
        json!({
            "type": error["type"],
            "message": text("message"),
            "details": text("details"),
            "input_name": error["extra_info"]["input_name"],
        })
    };
    let nodes = body["node_errors"].as_object().into_iter().flatten().map(|(node_id, node)| {
        let errors: Vec<Value> = node["errors"].as_array().into_iter().flatten().map(error).collect();
        (node_id.clone(), json!({ "class_type": node["class_type"], "errors": errors }))
    });
    json!({ "error": body.get("error").map(error), "node_errors": nodes.collect::<Map<_, _>>() })
}

#[cfg(test)]
mod tests {
    use super::super::tests::recording;
    use super::*;

    fn explained(name: &str) -> TaskError {
        explain(&recording(name)["response"]["body"])
    }

    #[test]
    fn a_missing_input_is_named() {
        let error = explained("error-missing-input");
        assert_eq!(error.code, ErrorCode::RuntimeRejected);
        assert_eq!(error.node_id.as_deref(), Some("1"));
        assert_eq!(error.field.as_deref(), Some("/content/1/inputs/width"));
        let said = "the runtime rejected the workflow: node 1 (EmptyImage): Required input is missing: width";
        assert_eq!(error.message, said);
    }

    #[test]
    fn a_missing_model_is_named_and_nothing_else_that_the_server_has() {
        let error = explained("error-missing-model");
        assert_eq!(error.field.as_deref(), Some("/content/1/inputs/ckpt_name"));
        assert!(
            error.message.ends_with("Value not in list: ckpt_name: 'not-there.safetensors'"),
            "{}",
            error.message
        );
        let reported = format!("{} {:?}", error.message, error.reason);
        assert!(!reported.contains("sd15_random"), "{reported}");
    }

    #[test]
    fn no_list_and_no_folder_of_a_job_is_forwarded() {
        let job = "darkroom/53a5516f-29c3-4168-a6d2-70030438aef2";
        for details in [
            format!("folder: 'nope' not in ['{job}', 'x']"),
            format!("folder: 'nope' not in ('{job}',)\nimage: 'y' not in ['{job}/a.png']"),
            format!("folder - Invalid folder: {job}"),
        ] {
            let error = json!({"type": "value_not_in_list", "message": "Value not in list", "details": details,
                "extra_info": {"input_name": "folder", "input_config": [[job]]}});
            let nodes = json!({"1": {"class_type": "LoadImageSetFromFolderNode", "errors": [error]}});
            let error = explain(&json!({"error": error, "node_errors": nodes}));
            let reported = format!("{} {:?}", error.message, error.reason);
            assert!(!reported.contains("53a5516f"), "{reported}");
            assert!(error.message.contains("folder"), "{}", error.message);
        }
    }

    #[test]
    fn an_unknown_node_is_named_by_its_class_and_id() {
        let error = explained("error-unknown-node");
        assert_eq!(error.node_id.as_deref(), Some("1"));
        assert!(
            error.message.ends_with("node 1 is of the class NoSuchNode, which the runtime does not have"),
            "{}",
            error.message
        );

        let extra =
            json!({"node_id": "57:12:3", "class_type": "Power Lora Loader (rgthree)", "node_title": "Lora"});
        let error = explain(
            &json!({"error": {"type": "missing_node_type", "message": "Node 'Lora' not found.", "extra_info": extra}}),
        );
        assert!(
            error.message.contains("node 57:12:3 is of the class Power Lora Loader (rgthree)"),
            "{}",
            error.message
        );
    }

    #[test]
    fn a_workflow_without_outputs_is_explained() {
        let error = explained("error-no-outputs");
        assert_eq!(error.message, "the runtime rejected the workflow: Prompt has no outputs");
        assert_eq!((error.node_id, error.field), (None, None));
    }

    #[test]
    fn node_errors_behind_a_200_are_reported_without_traceback() {
        let partial = recording("partial-node-errors-with-200");
        assert!(has_node_errors(&partial["response"]["body"]));
        let error = explained("partial-node-errors-with-200");
        assert_eq!(error.node_id.as_deref(), Some("98"));
        let reported = format!("{} {}", error.message, error.reason.unwrap());
        assert!(!reported.contains("traceback") && !reported.contains("/opt"), "{reported}");
    }

    #[test]
    fn an_accepted_workflow_has_no_node_errors() {
        assert!(!has_node_errors(&recording("images-batch-of-3")["response"]["body"]));
        assert!(!has_node_errors(&json!({"node_errors": []})));
    }

    #[test]
    fn many_complaints_are_counted() {
        let errors: Vec<Value> =
            (0..5).map(|n| json!({"message": "bad", "details": n.to_string()})).collect();
        let error = explain(&json!({"node_errors": {"7": {"class_type": "X", "errors": errors}}}));
        assert!(error.message.ends_with("node 7 (X): bad: 2; and 2 more"), "{}", error.message);
    }
}
