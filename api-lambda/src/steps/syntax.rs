//! Why a body is not JSON: where it goes wrong, what stands there, and what to write instead.

use std::fmt;

use serde_json::error::Category;
use shared_schema::content::MAX_CONTENT_DEPTH;
use shared_schema::violation::quoted;

/// How deep arrays and objects may be nested in a body: what serde_json reads, one level less than its limit of 128.
const MAX_LEVELS: usize = 127;

/// What other languages write where JSON has `null`, `true` and `false`, or nothing at all.
const FOREIGN: [(&str, &str); 5] = [
    ("None", "`null`"),
    ("undefined", "`null`"),
    ("nil", "`null`"),
    ("True", "`true`"),
    ("False", "`false`"),
];

/// A position in a text, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// The position of what follows that text.
    pub(super) fn after(text: &str) -> Self {
        let last_line = text.rsplit('\n').next().unwrap_or_default();
        Self { line: text.matches('\n').count() + 1, column: last_line.chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// What is wrong with a text that serde_json refused. It is read from the text itself: the library's words quote what
/// may be secret, and say what a parser expects instead of what a person should write.
pub(super) fn fault(text: &str, error: &serde_json::Error) -> String {
    let at = offset(text, error);
    let before = Before::read(&text[..at]);
    let rest = &text[at..];
    if before.levels >= MAX_LEVELS && !before.in_string && rest.starts_with(['[', '{']) {
        return format!(
            "the body nests deeper than {MAX_LEVELS} levels, the most that is read, at {}; the content of a task may \
             have at most {MAX_CONTENT_DEPTH}",
            Place::after(&text[..at])
        );
    }
    if error.classify() == Category::Eof {
        let open = if Before::read(text).in_string { "a string is" } else { "arrays or objects are" };
        let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
        let last = Place::after(&text[..last]);
        return format!("the body is not JSON: it is cut off after {last}, where {open} still open");
    }
    let (start, what) = if before.in_string { in_string(text, at) } else { outside(text, at, &before) };
    format!("the body is not JSON: at {} {what}", Place::after(&text[..start]))
}

/// Where the error is, in bytes; at a boundary of characters.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line: usize = lines.map(str::len).sum();
    // The column is the number of bytes that were read of the line, with the one that is wrong.
    let at = (line + error.column().saturating_sub(1)).min(text.len());
    text.floor_char_boundary(at)
}

/// What is open before a position.
struct Before {
    levels: usize,
    in_string: bool,
    /// The last character that is no white space, outside of strings.
    last: Option<char>,
}

impl Before {
    fn read(text: &str) -> Self {
        let mut before = Self { levels: 0, in_string: false, last: None };
        let mut escaped = false;
        for c in text.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if before.in_string => escaped = true,
                '"' => before.in_string = !before.in_string,
                _ if before.in_string => {}
                '[' | '{' => before.levels += 1,
                ']' | '}' => before.levels = before.levels.saturating_sub(1),
                _ => {}
            }
            if !before.in_string && !c.is_ascii_whitespace() {
                before.last = Some(c);
            }
        }
        before
    }
}

/// A fault within a string: where it begins, and what it is.
fn in_string(text: &str, at: usize) -> (usize, String) {
    // An escape that is wrong is known at its end.
    let escape = text[..at].rfind('\\').filter(|escape| at - escape <= "\\ud800\\u0000".len());
    // The library counts a line break as the beginning of its line, so it may stand before the position, too.
    let bare = text[at..].chars().next().into_iter().chain(text[..at].chars().next_back());
    match bare.into_iter().find(|c| c.is_ascii_control()) {
        Some(c) => {
            let at = at - usize::from(!text[at..].starts_with(c));
            let code = u32::from(c);
            (at, format!("a string has a bare control character; write `\\u{code:04x}`"))
        }
        None => match escape {
            Some(mut escape) if text[escape..].starts_with("\\u") => {
                let pair = text[..escape].rfind('\\').filter(|first| escape - first == "\\ud800".len());
                escape = pair.filter(|first| is_surrogate(&text[*first..])).unwrap_or(escape);
                let shown = quoted(text[escape..].get(..6).unwrap_or(&text[escape..]));
                if is_surrogate(&text[escape..]) {
                    let message = format!("{shown} is one half of a surrogate pair; send whole characters");
                    (escape, message)
                } else {
                    (escape, format!("{shown} is not `\\u` and four hexadecimal digits"))
                }
            }
            Some(escape) => {
                (escape, "a string has a backslash that begins no escape; write `\\\\`".to_owned())
            }
            None => (at, "a string is not well-formed".to_owned()),
        },
    }
}

/// Whether a text begins with the escape of half a character beyond the Basic Multilingual Plane.
fn is_surrogate(text: &str) -> bool {
    let digits = text.strip_prefix("\\u").and_then(|rest| rest.get(..4));
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    code.is_some_and(|code| (0xd800..=0xdfff).contains(&code))
}

/// A fault outside of strings: where it begins, and what it is.
fn outside(text: &str, at: usize, before: &Before) -> (usize, String) {
    let (start, word) = word_at(text, at);
    let number = word.trim_start_matches(['+', '-']);
    let is_one_of = |names: &[&str], word: &str| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is_one_of(&["NaN", "Infinity", "Inf"], number) {
        let message = format!("{} is no value of JSON; send a number, or leave the field out", quoted(word));
        return (start, message);
    }
    if let Some((_, instead)) = FOREIGN.iter().find(|(foreign, _)| *foreign == word) {
        return (start, format!("{} is no value of JSON; write {instead}", quoted(word)));
    }
    let found = text[at..].chars().next();
    let what = match found {
        _ if before.levels == 0 && before.last.is_some_and(|last| matches!(last, ']' | '}' | '"')) => {
            "more follows the end of the JSON value; send one value only".to_owned()
        }
        Some('<') => "stands `<`, as in XML or HTML; send JSON".to_owned(),
        Some('\'') => "stands a single quote; strings of JSON have double quotes".to_owned(),
        Some('}' | ']') if before.last == Some(',') => {
            "a bracket closes after a comma; leave the last comma out".to_owned()
        }
        Some('/' | '#') => "stands a comment, which JSON does not have".to_owned(),
        _ if number.starts_with(|c: char| c.is_ascii_digit()) => {
            return (start, format!("{} is no number of JSON, or beyond the range of one", quoted(word)));
        }
        _ if !word.is_empty() => {
            return (start, format!("stands {}; strings of JSON have double quotes", quoted(word)));
        }
        Some(c) => format!("stands {}, which JSON does not allow there", quoted(&c.to_string())),
        None => "something is missing".to_owned(),
    };
    (at, what)
}

/// The number, name or literal around a position, with its beginning.
fn word_at(text: &str, at: usize) -> (usize, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    let start = text[..at].rfind(|c| !is_part(c)).map_or(0, |last| text.ceil_char_boundary(last + 1));
    let length = text[start..].find(|c| !is_part(c)).unwrap_or(text.len() - start);
    (start, &text[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn fault_of(text: &str) -> String {
        fault(text, &serde_json::from_str::<Value>(text).unwrap_err())
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        for (text, expected) in [
            (r#"{"a": NaN}"#, "at line 1 column 7 `NaN` is no value of JSON"),
            ("{\n  \"a\": [1, -Infinity]}", "at line 2 column 12 `-Infinity` is no value"),
            (r#"{"猫": nan}"#, "at line 1 column 7 `nan` is no value"),
            (r#"{"a": None}"#, "write `null`"),
            (r#"{"a": True}"#, "write `true`"),
            ("{'a': 1}", "line 1 column 2 stands a single quote"),
            (r#"{"a": 1,}"#, "line 1 column 9 a bracket closes after a comma"),
            ("[1, 2, ]", "column 8 a bracket closes after a comma"),
            ("{\"a\": 1 // one\n}", "column 9 stands a comment"),
            ("{a: 1}", "column 2 stands `a`; strings of JSON have double quotes"),
            (r#"{"a" 1}"#, "column 6"),
            ("<html></html>", "column 1 stands `<`"),
            (r#"{"a": 01}"#, "`01` is no number"),
            (r#"{"a": 1e999}"#, "`1e999` is no number of JSON, or beyond"),
            (r#"{"a": "\ud800"}"#, r"column 8 `\\ud800` is one half of a surrogate pair"),
            (r#"{"\udc00x": 1}"#, r"column 3 `\\udc00` is one half"),
            (r#"{"a": "\ud800\u0041"}"#, r"column 8 `\\ud800` is one half"),
            (r#"{"a": "\ud83dx"}"#, r"`\\ud83d` is one half"),
            (r#"{"a": "\u12x4"}"#, "four hexadecimal digits"),
            (r#"{"a": "C:\images"}"#, "column 10 a string has a backslash that begins no escape"),
            ("{\"a\": \"b\nc\"}", "line 1 column 9 a string has a bare control character; write `\\u000a`"),
            ("{\"a\": \"b\u{1}\"}", "write `\\u0001`"),
            ("{} {}", "more follows the end"),
            (r#"{"a": [1, {"b": "#, "cut off after line 1 column 16, where arrays or objects are"),
            (r#"{"a": ["b""#, "cut off after line 1 column 10, where arrays or objects are"),
            (r#"{"a": "b"#, "cut off after line 1 column 8, where a string is"),
        ] {
            let found = fault_of(text);
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn nesting_has_its_own_message_with_the_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(serde_json::from_str::<Value>(&nested(MAX_LEVELS)).is_ok());
        let fault = fault_of(&nested(MAX_LEVELS + 1));
        let expected = "deeper than 127 levels, the most that is read, at line 1 column 128; the content of a task may have \
                        at most 64";
        assert!(fault.contains(expected), "{fault}");
        assert!(fault_of(&format!("{}x", "[".repeat(MAX_LEVELS))).contains("not JSON"));
    }

    #[test]
    fn any_text_has_a_fault_that_can_be_said() {
        let alphabet =
            ["{", "}", "[", "]", "\"", "\\", "u", "d8", ":", ",", "1", "-", "é", "猫", "\n", "NaN", "/"];
        for n in 0..alphabet.len().pow(4) {
            let text: String =
                (0..4).map(|place| alphabet[n / alphabet.len().pow(place) % alphabet.len()]).collect();
            if let Err(error) = serde_json::from_str::<Value>(&text) {
                assert!(fault(&text, &error).contains("line"), "{text}");
            }
        }
    }
}
