//! Texts that come by links to inputs for paths.

use std::collections::HashMap;
use std::fmt::{self, Display};

use serde_json::{Map, Value};

use super::fields::{Field, ends_texts, field, is_literal, reads_paths};
use super::links::linked_node;
use super::{class_type, inputs};
use crate::violation::quoted;

/// An input for a path that a text may come to.
#[derive(Clone, Copy)]
pub(super) struct Sink<'a> {
    id: &'a str,
    input: &'a str,
    /// Whether the node reads what the path names.
    pub(super) is_read: bool,
}

impl Display for Sink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of node {}, which is for a path", quoted(self.input), quoted(self.id))
    }
}

/// The nodes whose texts may come to an input for a path, each with that input, one that reads before others.
pub(super) fn feeding_paths(nodes: &Map<String, Value>) -> HashMap<&str, Sink<'_>> {
    let mut feeding: HashMap<&str, Sink<'_>> = HashMap::new();
    for (id, node) in nodes {
        let class = class_type(node).unwrap_or_default();
        let linked = inputs(node).filter_map(|(input, value)| Some((input, linked_node(value)?)));
        for (input, target) in linked.filter(|(input, _)| is_sink(class, input)) {
            let sink = Sink { id, input, is_read: reads_paths(class, input) };
            let mut open = vec![target];
            while let Some(id) = open.pop() {
                let carries = |node: &&Value| !class_type(node).is_some_and(ends_texts);
                let Some(node) = nodes.get(id).filter(carries) else { continue };
                if feeding.get(id).is_none_or(|known| sink.is_read && !known.is_read) {
                    feeding.insert(id, sink);
                    open.extend(inputs(node).filter_map(|(_, value)| linked_node(value)));
                }
            }
        }
    }
    feeding
}

/// The worker replaces `filename_prefix`, whatever its value.
fn is_sink(class: &str, input: &str) -> bool {
    input != super::values::REPLACED && field(class, input) == Field::Path
}

/// Why a path to read may not come from that node: what nodes make of texts is seen by nobody before it is opened.
pub(super) fn not_written_here(nodes: &Map<String, Value>, source: &str) -> Option<&'static str> {
    let node = nodes.get(source)?;
    let is_unchanged = class_type(node).is_some_and(is_literal)
        && inputs(node).all(|(_, value)| linked_node(value).is_none());
    (!is_unchanged).then_some("must be written here, or come from a `PrimitiveString` that it is written in")
}

#[cfg(test)]
mod tests {
    use super::super::values::violations;
    use serde_json::{Value, json};

    fn refused(content: &Value) -> Vec<String> {
        violations(content.as_object().unwrap()).into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn what_is_read_is_written_there_or_comes_unchanged() {
        let linked = |source: Value| {
            json!({
                "1": source,
                "2": {"class_type": "Load Text File", "inputs": {"file_path": ["1", 0], "dictionary_name": "x"}},
            })
        };
        for (class, inputs) in [
            ("StringSubstring", json!({"string": "x/etc/passwd", "start": 1, "end": 20})),
            ("StringConcatenate", json!({"string_a": ".", "string_b": "./x", "delimiter": ""})),
            ("RegexExtract", json!({"string": "x/etc/passwd", "regex_pattern": "e.*"})),
            ("Nobody knows", json!({"a": 1})),
            ("PrimitiveString", json!({"value": ["9", 0]})),
        ] {
            let content = linked(json!({"class_type": class, "inputs": inputs}));
            assert_eq!(refused(&content), ["/2/inputs/file_path"], "{class}");
        }
        let literal =
            |text: &str| linked(json!({"class_type": "PrimitiveString", "inputs": {"value": text}}));
        assert_eq!(refused(&literal("set/x.txt")), [""; 0]);
        for text in ["/etc/passwd", "../x", "input", ".", "in?ut/x"] {
            assert_eq!(refused(&literal(text)), ["/1/inputs/value"], "{text}");
        }
        let written = json!({
            "1": {"class_type": "StringConcatenate", "inputs": {"string_a": "a", "string_b": "b"}},
            "2": {"class_type": "Image Save", "inputs": {"output_path": ["1", 0]}},
            "3": {"class_type": "ImageResizeKJv2", "inputs": {"pad_color": ["1", 0]}},
            "4": {"class_type": "PrimitiveString", "inputs": {"value": "output"}},
            "5": {"class_type": "Image Save", "inputs": {"output_path": ["4", 0]}},
        });
        assert_eq!(refused(&written), [""; 0]);
    }

    #[test]
    fn a_text_that_is_linked_to_paths_to_read_and_to_write_is_judged_as_one_to_read() {
        for order in [["2", "3"], ["3", "2"]] {
            let mut content = json!({"1": {"class_type": "PrimitiveString", "inputs": {"value": "output"}}});
            for id in order {
                let (class, input) =
                    if id == "2" { ("Image Save", "output_path") } else { ("Nobody knows", "folder") };
                content[id] = json!({"class_type": class, "inputs": {input: ["1", 0]}});
            }
            let found = violations(content.as_object().unwrap());
            assert_eq!(found.len(), 1, "{order:?}");
            assert!(found[0].message.ends_with("linked to `folder` of node `3`, which is for a path"));
        }
    }
}
