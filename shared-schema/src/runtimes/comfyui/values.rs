//! What the values of all nodes may not name, whether or not the class of the node is known: the files of the machine and
//! of other callers, and addresses that the runtime would open itself.
//!
//! Texts for models and people may say anything, as long as nothing opens them: a text that comes by links to an input for
//! a path is judged like a path.

use serde_json::{Map, Value};

use super::feeding::{feeding_paths, not_written_here};
use super::fields::{Field, field, is_folder, is_literal, reads_paths};
use super::file_names::{LONGEST_PATH, is_pattern, is_shared_folder, matches_folders, reaches};
use super::links::linked_node;
use super::openers::{self, Takes};
use super::{class_type, inputs};
use crate::content::asset::is_reference;
use crate::content::depth::{self, MAX_CONTENT_DEPTH};
use crate::python_json;
use crate::violation::pointer_segment;
use crate::{Violation, ViolationCode};

/// JSON in a text in JSON in a text is looked into so many times.
const MAX_TEXTS_IN_TEXTS: usize = 3;

/// The worker replaces this input, whatever its value.
pub(super) const REPLACED: &str = "filename_prefix";

/// Values that reach for what their caller may not see.
pub(super) fn violations(nodes: &Map<String, Value>) -> Vec<Violation> {
    let mut found = Vec::new();
    // Texts that would be refused as paths, each with its node.
    let mut texts = Vec::new();
    for (id, node) in nodes {
        let class = class_type(node).unwrap_or_default();
        let opened = openers::of(class);
        for (input, value) in inputs(node).filter(|(input, _)| *input != REPLACED) {
            let takes = opened.iter().find(|opens| opens.input == input).map(|opens| opens.takes);
            match (takes, linked_node(value)) {
                (Some(Takes::Place), Some(source)) if reads_paths(class, input) => {
                    found.extend(not_written_here(nodes, source).map(|why| refused(id, input, &[], why)));
                }
                (_, Some(_)) => {}
                // Judged where loaders are.
                (Some(takes), None) if !takes.is_of_extension() => {}
                (_, None) => {
                    let mut walk = Walk { class, id, input, found: &mut found, texts: &mut texts };
                    walk.value(input, value, &mut Vec::new());
                }
            }
        }
    }
    if !texts.is_empty() {
        let sinks = feeding_paths(nodes);
        found.extend(texts.into_iter().filter_map(|Text { id, violation, only_read }| {
            let sink = sinks.get(id).filter(|sink| sink.is_read || !only_read)?;
            let message = format!("{}; it is linked to {sink}", violation.message);
            Some(Violation { message, ..violation })
        }));
    }
    found
}

fn refused(id: &str, input: &str, way: &[String], why: impl Into<String>) -> Violation {
    let mut pointer = format!("/{}/inputs/{}", pointer_segment(id), pointer_segment(input));
    way.iter().for_each(|segment| pointer.extend(["/", segment]));
    Violation::new(pointer, ViolationCode::NotAllowed, why)
}

/// A text that would be refused as a path.
struct Text<'a> {
    id: &'a str,
    violation: Violation,
    /// Only as a path of something to read.
    only_read: bool,
}

/// One value of a node, with all that it holds.
struct Walk<'a, 'b> {
    class: &'a str,
    id: &'a str,
    input: &'a str,
    found: &'b mut Vec<Violation>,
    texts: &'b mut Vec<Text<'a>>,
}

impl<'a> Walk<'a, '_> {
    /// `name` is that of the input, or of the innermost field; `way` leads from the input to the value.
    fn value(&mut self, name: &str, value: &'a Value, way: &mut Vec<String>) {
        match value {
            Value::String(text) => self.text(name, text, way, 0),
            Value::Array(values) => {
                for (n, value) in values.iter().enumerate() {
                    way.push(n.to_string());
                    self.value(name, value, way);
                    way.pop();
                }
            }
            // The worker replaces it, whatever it contains.
            value if is_reference(value) => {}
            Value::Object(fields) => {
                for (key, value) in fields {
                    way.push(pointer_segment(key));
                    self.value(self.innermost(name, key), value, way);
                    way.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, name: &str, text: &str, way: &[String], depth: usize) {
        match json_in(text).filter(|_| depth < MAX_TEXTS_IN_TEXTS) {
            Some(InText::Json(inner)) => return self.json(name, &inner, way, depth + 1),
            Some(InText::PythonJson(inner)) => {
                if depth::is_too_deep(&inner) {
                    let why = format!("is JSON that nests deeper than {MAX_CONTENT_DEPTH} levels");
                    return self.refuse(name, way, why);
                }
                self.json(name, &inner, way, depth + 1);
            }
            None => {}
        }
        if let Some(reach) = reaches(text) {
            self.refuse(name, way, reach.why());
        } else if let Some(why) = self.reads_others(name, text) {
            let violation = refused(self.id, self.input, way, why);
            if is_literal(self.class) {
                self.texts.push(Text { id: self.id, violation, only_read: true });
            } else {
                self.found.push(violation);
            }
        }
    }

    /// Why a text may not name something to read: what is written into a folder bears a name of its own. The text of a
    /// node that only passes it on may be linked to such an input.
    fn reads_others(&self, name: &str, text: &str) -> Option<&'static str> {
        let why = if text.len() > LONGEST_PATH {
            return None;
        } else if is_shared_folder(text) {
            "names a folder that holds the files of all callers"
        } else if is_pattern(text) && (matches_folders(text) || is_folder(name)) {
            "is a pattern of folders, which those of all callers may match; write the name of the folder"
        } else {
            return None;
        };
        (is_literal(self.class) || reads_paths(self.class, name)).then_some(why)
    }

    fn refuse(&mut self, name: &str, way: &[String], why: impl Into<String>) {
        let violation = refused(self.id, self.input, way, why);
        match field(self.class, name) {
            Field::Text => self.texts.push(Text { id: self.id, violation, only_read: false }),
            Field::Path | Field::Other => self.found.push(violation),
        }
    }

    /// The values in a text that is JSON; all of them stand at the text.
    fn json(&mut self, name: &str, value: &Value, way: &[String], depth: usize) {
        match value {
            Value::String(text) => self.text(name, text, way, depth),
            Value::Array(values) => values.iter().for_each(|value| self.json(name, value, way, depth)),
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(key, value)| self.json(self.innermost(name, key), value, way, depth));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Fields of a text are texts, whatever their names.
    fn innermost<'n>(&self, outer: &'n str, inner: &'n str) -> &'n str {
        let outer_stays = inner == "__value__" || field(self.class, outer) == Field::Text;
        if outer_stays { outer } else { inner }
    }
}

/// What a text holds that is JSON to a node.
enum InText {
    Json(Value),
    /// What only Python reads: some of it is lost here, so that the text itself is judged, too.
    PythonJson(Value),
}

/// The lists and objects that widgets keep as text, as `json.loads` reads them.
fn json_in(text: &str) -> Option<InText> {
    let text = text.trim();
    if !text.starts_with(['{', '[', '"']) {
        return None;
    }
    let lenient = || python_json::from_slice(text.as_bytes()).map(InText::PythonJson);
    serde_json::from_str(text).map(InText::Json).or_else(|_| lenient()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(content: &Value) -> Vec<String> {
        violations(content.as_object().unwrap()).into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn values_are_judged_wherever_they_stand_in_a_node_of_any_class() {
        let content = json!({"a/b": {"class_type": "Nobody knows", "inputs": {
            "mask": "/dev/zero",
            "format.codec": "../x",
            "wrapped": {"__value__": "x.png [output]"},
            "list": {"__value__": ["a.png", ["darkroom/x"]]},
            "lora_1": {"on": true, "lora": "~/x"},
            "widget": "{\"layers\": [{\"src\": \"\\u002fetc\\u002fpasswd\"}]}",
            "one": ["http://169.254.169.254/"],
            "folder": "output",
            "seed": 1,
        }}});
        let expected = [
            "mask",
            "format.codec",
            "wrapped/__value__",
            "list/__value__/1/0",
            "lora_1/lora",
            "widget",
            "one/0",
            "folder",
        ];
        assert_eq!(refused(&content), expected.map(|input| format!("/a~1b/inputs/{input}")));
    }

    #[test]
    fn json_that_only_python_reads_is_looked_into_too() {
        let deep = format!("{}\"/etc/passwd\"{}", "[".repeat(200), "]".repeat(200));
        for widget in [
            r#"{"a": NaN, "src": "/etc/passwd"}"#,
            r#"{"a": [-Infinity, 1e999], "src": "\u002fetc\u002fpasswd"}"#,
            r#"[NaN, {"src": "{\"b\": NaN, \"src\": \"../x\"}"}]"#,
            r#"{"src": "/etc/\ud800"}"#,
            r#"["\udc00", "x.png [output]"]"#,
            r#"{"a": "\ud800", "src": "a.png,/etc/passwd"}"#,
            &deep,
        ] {
            let content = json!({"1": {"class_type": "Nobody knows", "inputs": {"widget": widget}}});
            assert_eq!(refused(&content)[..1], ["/1/inputs/widget"], "{widget}");
        }
        for widget in [r#"{"a": NaN, "src": "x.png"}"#, r#"["\ud800", 1e999]"#, "[[NaN]]", "[NaN, 1/2]"] {
            let content = json!({"1": {"class_type": "Nobody knows", "inputs": {"widget": widget}}});
            assert_eq!(refused(&content), [""; 0], "{widget}");
        }
    }

    #[test]
    fn a_text_that_is_linked_to_pictures_is_no_path() {
        let drawn = |last: Value| {
            json!({
                "1": {"class_type": "DrawText+", "inputs": {"text": "/ studio", "size": 56}},
                "2": last,
            })
        };
        let video =
            json!({"class_type": "VHS_VideoCombine", "inputs": {"images": ["1", 0], "frame_rate": 8}});
        assert_eq!(refused(&drawn(video)), [""; 0]);
        let written =
            json!({"class_type": "Image Save", "inputs": {"images": ["9", 0], "extension": ["1", 0]}});
        assert_eq!(refused(&drawn(written)), ["/1/inputs/text"]);
        for (class, input) in [
            ("RecraftImageToImageNode", "image"),
            ("RecraftImageInpaintingNode", "mask"),
            ("LumaImageNode", "image_luma_ref"),
            ("ImagePreviewFromLatent+", "latent"),
        ] {
            let content = json!({
                "1": {"class_type": "GeminiImageNode", "inputs": {"prompt": "/imagine a cat", "model": "x"}},
                "2": {"class_type": class, "inputs": {input: ["1", 0]}},
            });
            assert_eq!(refused(&content), [""; 0], "{class} {input}");
        }
    }

    #[test]
    fn texts_may_say_anything() {
        let content = json!({
            "1": {"class_type": "CLIPTextEncode", "inputs": {"text": "/imagine a cat, ../x, see http://x"}},
            "2": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "file:///etc/passwd"}},
            "3": {"class_type": "ShowText|pysssss", "inputs": {"text": ["2", 0], "text_0": "~/x"}},
            "4": {"class_type": "MathExpression", "inputs": {"expression": "/2", "operation": "/"}},
            "5": {"class_type": "Styles", "inputs": {"positive": {"__value__": [{"path": "/x"}]}}},
            "6": {"class_type": "SaveImage", "inputs": {"filename_prefix": "/abs/../x", "images": ["9", 0]}},
        });
        assert_eq!(refused(&content), [""; 0]);
    }

    #[test]
    fn a_text_that_is_linked_to_a_path_is_judged_like_one() {
        let content = json!({
            "text": {"class_type": "PrimitiveString", "inputs": {"value": "/etc"}},
            "join": {"class_type": "StringConcatenate", "inputs": {"string_a": ["text", 0], "string_b": "passwd"}},
            "load": {"class_type": "Nobody knows", "inputs": {"file_path": ["join", 0]}},
        });
        let found = violations(content.as_object().unwrap());
        assert_eq!(found[0].pointer, "/text/inputs/value");
        assert!(found[0].message.ends_with("linked to `file_path` of node `load`, which is for a path"));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn patterns_that_match_the_folders_of_others_are_no_paths_to_read() {
        for (class, input, pattern) in [
            ("Nobody knows", "file_path", "in?ut/dark*/**"),
            ("Nobody knows", "file_path", "*/x.png"),
            ("Nobody knows", "directory", "in*"),
            ("Nobody knows", "glob_path", "**"),
            ("Load Image Batch", "path", "out*/x"),
            ("Load Image Batch", "pattern", "o*/d*/*/*.png"),
            ("Load Image Batch", "pattern", "**/*.png"),
            ("Create Grid Image", "pattern_glob", "d[a]rkroom/*/*"),
            ("LoadImagesFromFolderKJ", "folder", "d*"),
        ] {
            let content = json!({"1": {"class_type": class, "inputs": {input: pattern}}});
            assert_eq!(refused(&content), [format!("/1/inputs/{input}")], "{class} {pattern}");
        }
        for (class, input, text) in [
            ("Load Image Batch", "pattern", "*.png"),
            ("Nobody knows", "file_path", "set/x?.png"),
            ("Image Save", "output_path", "[time(%Y-%m-%d)]/x"),
            ("CLIPTextEncode", "text", "a cat? (1/2) **bold**"),
            ("RegexReplace", "regex_pattern", "a.*/b"),
            ("Nobody knows", "dynamic", "a*b/c"),
        ] {
            let content = json!({"1": {"class_type": class, "inputs": {input: text}}});
            assert_eq!(refused(&content), [""; 0], "{class} {text}");
        }
    }

    #[test]
    fn the_name_of_a_shared_folder_may_be_long() {
        let long = format!("{}input", "./".repeat(500));
        let content = json!({"1": {"class_type": "Nobody knows", "inputs": {"folder": long}}});
        assert_eq!(refused(&content), ["/1/inputs/folder"]);
    }

    #[test]
    fn a_text_that_became_conditioning_or_a_replaced_prefix_is_no_path() {
        let content = json!({
            "text": {"class_type": "PrimitiveString", "inputs": {"value": "/imagine a cat"}},
            "encode": {"class_type": "CLIPTextEncode", "inputs": {"text": ["text", 0]}},
            "odd": {"class_type": "Nobody knows", "inputs": {"path": ["encode", 0]}},
            "save": {"class_type": "SaveImage", "inputs": {"filename_prefix": ["text", 0]}},
        });
        assert_eq!(refused(&content), [""; 0]);
    }

    #[test]
    fn links_in_a_circle_do_not_keep_the_check() {
        let content = json!({
            "a": {"class_type": "Text", "inputs": {"text": ["b", 0], "text_b": "/x"}},
            "b": {"class_type": "Text", "inputs": {"text": ["a", 0]}},
            "c": {"class_type": "Nobody knows", "inputs": {"path": ["b", 0]}},
        });
        assert_eq!(refused(&content), ["/a/inputs/text_b"]);
    }
}
