//! What people send in place of a workflow in the API format: the editor's own format, requests to ComfyUI and to services
//! around it, workflows as text or in lists, and entries that are no nodes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::class_type;
use crate::python_json;
use crate::violation::{pointer_segment, quoted};
use crate::{Violation, ViolationCode};

/// How many objects may stand around a workflow for it to be found.
const MAX_WRAPPERS: usize = 3;

const UNQUOTED: &str = "an object, without quotes and escapes around it";

const EXPORT: &str = "export the workflow with `Export (API)` and send that";

/// What an object is that holds no node itself but, somewhere, a workflow.
pub(super) fn other_format(content: &Map<String, Value>) -> Option<Violation> {
    if content.values().any(|value| class_type(value).is_some()) {
        return None;
    }
    let message = if is_editor_format(content) {
        format!("this is the editor's own format; {EXPORT}")
    } else {
        let wrapper = wrapper(content);
        match found(content, is_workflow, MAX_WRAPPERS) {
            Some(way) => {
                let (named, form) = (way.named(), way.form());
                format!("{wrapper}; send the value of {named} itself as the content{form}")
            }
            None => {
                let way = found(content, is_editor_format, MAX_WRAPPERS)?;
                format!("{wrapper}, whose {} is in the editor's own format; {EXPORT}", way.named())
            }
        }
    };
    Some(Violation::new("", ViolationCode::EditorFormat, message))
}

/// What to send in place of a text or a list.
pub(super) fn not_an_object(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => {
            let what = match json_object(text) {
                Some(inner) if is_workflow(&inner) => "is a text that holds the workflow as JSON",
                _ => "is a text",
            };
            Some(format!("{what}; send the workflow itself, {UNQUOTED}"))
        }
        Value::Array(values) => {
            let first = values.first().and_then(Value::as_object);
            let what = if first.is_some_and(is_workflow) {
                "is a list; send the workflow in it, its element 0, itself"
            } else {
                "is a list; send the workflow itself, an object whose keys are the ids of its nodes"
            };
            Some(what.to_owned())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Entries among the nodes that are none, or that the editor could not name the class of.
pub(super) fn no_nodes(nodes: &Map<String, Value>) -> impl Iterator<Item = Violation> {
    nodes.iter().filter_map(|(id, node)| {
        let pointer = format!("/{}", pointer_segment(id));
        let Value::Object(fields) = node else {
            let message = format!("{} is no node; remove it, since a workflow holds nodes only", quoted(id));
            return Some(Violation::new(pointer, ViolationCode::WrongType, message));
        };
        let lost = !fields.contains_key("class_type") && fields.contains_key("inputs");
        lost.then(|| {
            let title = node.pointer("/_meta/title").and_then(Value::as_str);
            let title = title.map(|title| format!(" ({})", quoted(title))).unwrap_or_default();
            let message = format!(
                "node {}{title} has no `class_type`: the editor exports a node so when the extension that has its class \
                 is missing; install that and export again, or remove the node",
                quoted(id)
            );
            Violation::new(format!("{pointer}/class_type"), ViolationCode::Missing, message)
        })
    })
}

fn is_editor_format(object: &Map<String, Value>) -> bool {
    let is_list = |key: &str| object.get(key).is_some_and(Value::is_array);
    is_list("nodes") && (is_list("links") || object.contains_key("last_node_id"))
}

fn is_workflow(object: &Map<String, Value>) -> bool {
    object.values().any(|value| class_type(value).is_some())
}

/// The keys that lead to an object, and whether a text has to be read as JSON on the way.
struct Way {
    keys: Vec<String>,
    in_text: bool,
}

impl Way {
    fn named(&self) -> String {
        quoted(&self.keys.join("."))
    }

    /// In what form the object is to be sent, where it came in another one.
    fn form(&self) -> String {
        if self.in_text { format!(", {UNQUOTED}") } else { String::new() }
    }
}

/// The way to the first object of that kind, outer objects first.
fn found(object: &Map<String, Value>, is: fn(&Map<String, Value>) -> bool, depth: usize) -> Option<Way> {
    let objects: Vec<_> = object.iter().filter_map(|(key, value)| Some((key, object_in(value)?))).collect();
    let in_text = |inner: &Cow<'_, _>| matches!(inner, Cow::Owned(_));
    if let Some((key, inner)) = objects.iter().find(|(_, inner)| is(inner)) {
        return Some(Way { keys: vec![(*key).clone()], in_text: in_text(inner) });
    }
    let deeper = depth.checked_sub(1)?;
    objects.iter().find_map(|(key, inner)| {
        let mut way = found(inner, is, deeper)?;
        way.keys.insert(0, (*key).clone());
        way.in_text |= in_text(inner);
        Some(way)
    })
}

/// An object, or what a text holds that is an object as JSON.
fn object_in(value: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    match value {
        Value::Object(fields) => Some(Cow::Borrowed(fields)),
        Value::String(text) => json_object(text).map(Cow::Owned),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// ComfyUI writes the workflows into its files as Python does: `NaN` among them.
fn json_object(text: &str) -> Option<Map<String, Value>> {
    may_be_object(text).then(|| python_json::from_slice(text.trim().as_bytes()).ok())?
}

fn may_be_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// What is known to wrap workflows so.
fn wrapper(content: &Map<String, Value>) -> &'static str {
    let has = |key: &str| match content.get(key) {
        Some(Value::String(text)) => may_be_object(text),
        value => value.is_some_and(Value::is_object),
    };
    if has("input") {
        "this is a request to a serverless worker such as RunPod's"
    } else if has("output") && has("workflow") {
        "this is what the editor's `graphToPrompt` yields"
    } else if has("prompt") {
        "this is a request to ComfyUI's `/prompt`"
    } else {
        "this is a wrapped workflow"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message_for(content: &Value) -> Option<String> {
        other_format(content.as_object().unwrap()).map(|violation| violation.message)
    }

    #[test]
    fn each_wrapping_is_named_with_the_part_to_send() {
        let workflow = json!({"1": {"class_type": "A", "inputs": {}}});
        let editor = json!({"nodes": [], "links": [], "version": 0.4});
        for (content, hints) in [
            (editor.clone(), ["the editor's own format", "Export (API)"]),
            (json!({"nodes": [], "last_node_id": 0}), ["the editor's own format", "Export (API)"]),
            (json!({"workflow": editor}), ["`workflow`", "Export (API)"]),
            (json!({"workflow": editor, "output": workflow}), ["graphToPrompt", "`output` itself"]),
            (json!({"prompt": workflow, "client_id": "x"}), ["`/prompt`", "`prompt` itself"]),
            (json!({"input": {"workflow": workflow, "images": []}}), ["RunPod", "`input.workflow` itself"]),
            (json!({"input": {"workflow": editor}}), ["`input.workflow`", "Export (API)"]),
            (json!({"a": {"b": {"c": workflow}}}), ["wrapped", "`a.b.c` itself"]),
        ] {
            let message_for = message_for(&content).unwrap();
            assert!(hints.iter().all(|hint| message_for.contains(hint)), "{message_for}");
        }
    }

    #[test]
    fn a_wrapped_text_is_named_with_the_form_to_send() {
        let workflow = json!({"1": {"class_type": "A", "inputs": {}}}).to_string();
        let pasted = r#" {"1": {"class_type": "A", "inputs": {}, "is_changed": [NaN]}} "#;
        let editor = json!({"nodes": [], "links": []}).to_string();
        let twice = json!({"workflow": workflow}).to_string();
        for (content, hints) in [
            (
                json!({"prompt": workflow, "client_id": "x"}),
                ["`/prompt`", "`prompt` itself as the content, an object"],
            ),
            (json!({"prompt": pasted}), ["`/prompt`", "without quotes"]),
            (
                json!({"workflow": workflow, "seed": 1}),
                ["wrapped", "`workflow` itself as the content, an object"],
            ),
            (
                json!({"input": {"workflow": workflow}}),
                ["RunPod", "`input.workflow` itself as the content, an object"],
            ),
            (json!({"input": twice}), ["RunPod", "`input.workflow` itself as the content, an object"]),
            (json!({"prompt": "a cat", "workflow": editor}), ["`workflow`", "Export (API)"]),
        ] {
            let message_for = message_for(&content).unwrap();
            assert!(hints.iter().all(|hint| message_for.contains(hint)), "{message_for}");
        }
        for text in ["a cat", "{a, b}", "{}", "[1]", "{\"nodes\": 1}"] {
            assert_eq!(message_for(&json!({"prompt": text})), None, "{text}");
        }
    }

    #[test]
    fn nodes_may_be_called_as_wrappers_are() {
        for id in ["prompt", "workflow", "input"] {
            assert_eq!(message_for(&json!({id: {"class_type": "A", "inputs": {}}})), None);
        }
        assert_eq!(message_for(&json!({"1": {"inputs": {"x": {"class_type": 1}}}})), None);
    }

    #[test]
    fn texts_and_lists_have_their_own_messages() {
        let workflow = json!({"1": {"class_type": "A", "inputs": {}}});
        assert!(not_an_object(&json!(workflow.to_string())).unwrap().contains("as JSON"));
        let pasted = r#"{"1": {"class_type": "A", "is_changed": [NaN]}}"#;
        assert!(not_an_object(&json!(pasted)).unwrap().contains("as JSON"));
        assert!(not_an_object(&json!("x")).unwrap().starts_with("is a text;"));
        assert!(not_an_object(&json!([workflow])).unwrap().contains("element 0"));
        assert!(not_an_object(&json!([])).unwrap().starts_with("is a list;"));
        assert_eq!(not_an_object(&json!(1)), None);
    }

    #[test]
    fn what_is_no_node_is_named() {
        let nodes = json!({
            "_comment": "x",
            "15": {"inputs": {}, "_meta": {"title": "Lost"}},
            "2": {"class_type": "A", "inputs": {}},
        });
        let found: Vec<Violation> = no_nodes(nodes.as_object().unwrap()).collect();
        assert_eq!((found[0].pointer.as_str(), found[0].code), ("/_comment", ViolationCode::WrongType));
        assert_eq!((found[1].pointer.as_str(), found[1].code), ("/15/class_type", ViolationCode::Missing));
        assert!(found[1].message.starts_with("node `15` (`Lost`) has no `class_type`"));
        assert_eq!(found.len(), 2);
    }
}
