//! Texts of errors as servers answer them, made fit for a message and a report.

use serde_json::Value;
use shared_schema::violation::pointer_segment;

/// The most characters of a server's text in a message, and of each text in the reason.
const MAX_CHARACTERS: usize = 500;

/// Whether JSON itself is broken, as pydantic 2 and 1 name it.
fn is_about_json(problem: &Value) -> bool {
    matches!(problem["type"].as_str(), Some("json_invalid" | "value_error.jsondecode"))
}

/// The problems of FastAPI's schema check as one text, and the field of the first.
pub(super) fn listed(problems: &[Value]) -> (Option<String>, Option<String>) {
    let location = |problem: &Value| -> Vec<String> {
        // Where JSON itself is broken, the location counts characters.
        let parts = problem["loc"].as_array().filter(|_| !is_about_json(problem));
        let text = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        parts.into_iter().flatten().skip_while(|part| *part == "body").map(text).collect()
    };
    let describe = |problem: &Value| {
        let message = problem["msg"].as_str().unwrap_or("is wrong");
        match location(problem).join(".") {
            place if place.is_empty() => message.to_owned(),
            place => format!("{place}: {message}"),
        }
    };
    let text: Vec<String> = problems.iter().map(describe).collect();
    let field = problems.first().map(location).filter(|parts| !parts.is_empty()).map(|parts| {
        let segments: String = parts.iter().map(|part| format!("/{}", pointer_segment(part))).collect();
        format!("/content{segments}")
    });
    (Some(text.join("; ")).filter(|text| !text.is_empty()), field)
}

/// The same text without the folders of absolute paths, which are the server's own business.
pub(super) fn without_paths(text: &str) -> String {
    let shown = |word: &str| {
        let start = word.find(|c: char| !matches!(c, '\'' | '"' | '(' | '[')).unwrap_or(word.len());
        let (before, path) = word.split_at(start);
        match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
            Some((_, file)) => format!("{before}…/{file}"),
            None => word.to_owned(),
        }
    };
    text.split_inclusive(char::is_whitespace).map(shown).collect()
}

/// The same JSON with long texts cut: servers echo whole images.
pub(super) fn shortened(json: Value) -> Value {
    match json {
        Value::String(text) => Value::String(cut(&text)),
        Value::Array(items) => items.into_iter().map(shortened).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, shortened(value))).collect(),
        other => other,
    }
}

/// The same text, with an ellipsis after its first characters.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
