//! What an input of any node is for, as far as its name and the class of its node say.
//!
//! Extensions are free to name their inputs as they like. The names here are those that they agree on.

use super::openers;

/// What the text of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Words for a model or a person, which may say anything.
    Text,
    /// The name of a file or folder, or an address.
    Path,
    /// A choice, the name of a model, a number, or something unknown.
    Other,
}

/// Parts of names of texts, wherever they stand in a name.
const TEXT_PARTS: [&str; 17] = [
    "prompt",
    "text",
    "caption",
    "string",
    "instruction",
    "description",
    "lyric",
    "wildcard",
    "regex",
    "expression",
    "question",
    "comment",
    "positive",
    "negative",
    "message",
    "conversation",
    "shader",
];

/// Words of names of texts, by themselves or between others.
const TEXT_WORDS: [&str; 22] = [
    "tag",
    "tags",
    "title",
    "note",
    "notes",
    "value",
    "find",
    "replace",
    "delimiter",
    "separator",
    "query",
    "label",
    "labels",
    "system",
    "user",
    "story",
    "speech",
    "template",
    "operation",
    "operator",
    "op",
    "code",
];

/// Nodes put extensions at the end of a path as they come.
const PATH_WORDS: [&str; 13] = [
    "path",
    "paths",
    "file",
    "files",
    "folder",
    "folders",
    "dir",
    "dirs",
    "url",
    "urls",
    "uri",
    "link",
    "extension",
];

/// Words in the names of classes whose nodes are about text.
const TEXT_CLASSES: [&str; 6] = ["prompt", "text", "string", "wildcard", "caption", "lyrics"];

/// Words in the names of classes whose nodes open something.
const OPENING_CLASSES: [&str; 9] =
    ["load", "save", "file", "folder", "read", "write", "path", "url", "import"];

/// What an input of a node of that class is for, by its name as written.
pub(super) fn field(class: &str, written: &str) -> Field {
    let name = written.to_ascii_lowercase();
    let words = || {
        let split = name.split(|c: char| !c.is_alphanumeric());
        split.map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit())).filter(|word| !word.is_empty())
    };
    let is_path = |word: &str| {
        PATH_WORDS.contains(&word)
            || ["file", "folder"].iter().any(|beginning| word.starts_with(beginning))
            || ["path", "folder", "directory", "directories", "filename"]
                .iter()
                .any(|end| word.ends_with(end))
    };
    let is_pattern =
        |word: &str| ["pattern", "glob"].contains(&word) && opens_something(class) && !is_text(&name);
    if openers::takes(class, written).is_some() || words().any(|word| is_path(word) || is_pattern(word)) {
        Field::Path
    } else if is_text(&name) || words().any(|word| TEXT_WORDS.contains(&word)) || is_about_text(class) {
        Field::Text
    } else {
        Field::Other
    }
}

fn is_text(name: &str) -> bool {
    TEXT_PARTS.iter().any(|part| name.contains(part)) && !name.contains("texture")
}

fn is_about_text(class: &str) -> bool {
    has(class, &TEXT_CLASSES) && !opens_something(class)
}

fn opens_something(class: &str) -> bool {
    has(class, &OPENING_CLASSES)
}

fn has(class: &str, words: &[&str]) -> bool {
    let class = class.to_ascii_lowercase();
    words.iter().any(|word| class.contains(word))
}

/// Whether an input names something to read. A folder to write to may be any that is plain: what is written there bears a
/// name of its own.
pub(super) fn reads_paths(class: &str, name: &str) -> bool {
    let writes = |text: &str| ["save", "out", "dest"].iter().any(|word| text.contains(word));
    field(class, name) == Field::Path && !writes(&name.to_ascii_lowercase()) && !has(class, &["save"])
}

/// Whether an input for a path is for a folder, by its name.
pub(super) fn is_folder(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["folder", "dir"].iter().any(|word| name.contains(word))
}

/// The nodes of ComfyUI and of extensions that yield the text that is written in them, unchanged.
const LITERALS: [&str; 5] =
    ["PrimitiveString", "PrimitiveStringMultiline", "StringConstant", "String Literal", "easy string"];

/// Whether nodes of that class yield the text that is written in them, unchanged.
pub(super) fn is_literal(class: &str) -> bool {
    LITERALS.contains(&class)
}

/// Whether nodes of that class make something of a text that is no text any more.
pub(super) fn ends_texts(class: &str) -> bool {
    class.contains("TextEncode") || class.contains("Sampler")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_inputs_are_for() {
        for (class, name, expected) in [
            ("CLIPTextEncode", "text", Field::Text),
            ("CLIPTextEncodeSDXL", "text_g", Field::Text),
            ("easy positive", "positive", Field::Text),
            ("ImpactWildcardProcessor", "populated_text", Field::Text),
            ("PrimitiveStringMultiline", "value", Field::Text),
            ("RegexExtract", "regex_pattern", Field::Text),
            ("GLSLShader", "fragment_shader", Field::Text),
            ("StringReplace", "find", Field::Text),
            ("GeminiNode", "prompt", Field::Text),
            ("CR Combine Prompt", "part1", Field::Text),
            ("ShowText|pysssss", "text_0", Field::Text),
            ("Any", "model.prompt", Field::Text),
            ("Load Text File", "file_path", Field::Path),
            ("Image Save", "output_path", Field::Path),
            ("Any", "text_file", Field::Path),
            ("Any", "filenames", Field::Path),
            ("Any", "image_directory", Field::Path),
            ("OllamaGenerate", "url", Field::Path),
            ("LoadText|pysssss", "root_dir", Field::Path),
            ("Create Grid Image", "pattern_glob", Field::Path),
            ("Load Image Batch", "pattern", Field::Path),
            ("Load Any", "glob", Field::Path),
            ("Load Words", "regex_pattern", Field::Text),
            ("Checkerboard", "pattern", Field::Other),
            ("Image Save", "extension", Field::Path),
            ("VHS_VideoCombine", "images", Field::Other),
            ("SEGSUpscaler", "sampler_name", Field::Other),
            ("Load Text File", "name", Field::Other),
            ("Any", "profile", Field::Other),
            ("Any", "direction", Field::Other),
            ("Any", "texture", Field::Other),
            ("Painter", "mask", Field::Path),
            ("CheckpointLoaderSimple", "ckpt_name", Field::Other),
        ] {
            assert_eq!(field(class, name), expected, "{class} {name}");
        }
    }
}
