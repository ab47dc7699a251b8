//! JSON as servers in Python write it, which is not always JSON.
//!
//! Python's `json` module writes `NaN`, `Infinity` and `-Infinity` (`allow_nan` is on by default), whole numbers of any size,
//! lone surrogates, and values as deep as the interpreter's stack allows. `serde_json` refuses a whole document for any of
//! these. JSON5 parsers and `jiter` read some of them and refuse the others, so the document is repaired instead.

use serde::de::DeserializeOwned;

/// The deepest value that a repaired document holds; `serde_json` reads at most 127 levels.
const MAX_LEVELS: usize = 100;

/// Reads a document leniently: bytes that are not UTF-8 and lone surrogates become U+FFFD; what is no number, or is too large
/// for one (64-bit floating point), becomes null, and so does what nests deeper than 100 levels.
///
/// A document that is JSON is read at once; only what `serde_json` cannot read is repaired, in one pass and within about the
/// document's own size. Values that `T` ignores may be as deep as they like.
///
/// # Errors
/// The document is broken in another way, or is not of the form of `T`.
pub fn from_slice<T: DeserializeOwned>(document: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(document).or_else(|error| match error.is_syntax() {
        true => serde_json::from_str(&repaired(&String::from_utf8_lossy(document))),
        false => Err(error),
    })
}

fn repaired(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    let mut depth = 0_usize;
    let mut rest = document;
    while let Some(first) = rest.chars().next() {
        let outer = depth;
        let length = match first {
            '"' => string_length(rest),
            '{' | '[' => {
                depth += 1;
                1
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if outer.max(depth) <= MAX_LEVELS {
            match first {
                '"' => write_string(token, &mut shown),
                _ if is_of_word(first) => shown.push_str(word(token)),
                _ => shown.push_str(token),
            }
        } else if outer == MAX_LEVELS {
            shown.push_str("null");
        }
        rest = after;
    }
    shown
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-.".contains(c)
}

/// Any other word stays, so that it is refused if it is none of JSON's.
fn word(token: &str) -> &str {
    if token.parse::<f64>().is_ok_and(|number| !number.is_finite()) { "null" } else { token }
}

/// The length of a string in quotes, with both quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn write_string(text: &str, shown: &mut String) {
    const ESCAPE: usize = r"\uXXXX".len();
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        let (before, escape) = rest.split_at(start);
        shown.push_str(before);
        let second = escape.get(ESCAPE..).and_then(utf16_unit);
        let (kept, length) = match (utf16_unit(escape), second) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (&escape[..2 * ESCAPE], 2 * ESCAPE),
            (Some(0xD800..=0xDFFF), _) => (r"\ufffd", ESCAPE),
            _ => {
                let length = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
                (&escape[..length], length)
            }
        };
        shown.push_str(kept);
        rest = &escape[length..];
    }
    shown.push_str(rest);
}

/// The UTF-16 code unit of the escape that a text begins with.
fn utf16_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix(r"\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::IgnoredAny;
    use serde_json::{Value, json};

    use super::*;

    fn read(document: &str) -> Value {
        from_slice(document.as_bytes()).unwrap()
    }

    #[test]
    fn json_is_read_as_it_is() {
        let document =
            r#" {"a": [1, -2.5e3, true, false, null, "NaN \ud83d\ude00 \\ud800 \"Infinity\""], "é": {}} "#;
        assert_eq!(read(document), serde_json::from_str::<Value>(document).unwrap());
        assert_eq!(repaired(document), document);
    }

    #[test]
    fn what_is_no_number_is_null() {
        let document = format!(
            r#"{{"a": NaN, "b": [Infinity,-Infinity, 1e999, 7], "c": 1{}, "NaN": "NaN"}}"#,
            "0".repeat(400)
        );
        assert_eq!(read(&document), json!({"a": null, "b": [null, null, null, 7], "c": null, "NaN": "NaN"}));
        assert_eq!(read("NaN"), Value::Null);
    }

    #[test]
    fn lone_surrogates_and_broken_utf_8_are_replaced() {
        assert_eq!(
            read(r#"["\ud800", "\udc00x", "\ud800\n", "\ud83d\ude00", "\ud800\ud800"]"#),
            json!(["\u{fffd}", "\u{fffd}x", "\u{fffd}\n", "😀", "\u{fffd}\u{fffd}"])
        );
        assert_eq!(
            from_slice::<Value>(b"{\"a\": \"caf\xe9\", \"b\": NaN}").unwrap(),
            json!({"a": "caf\u{fffd}", "b": null})
        );
    }

    #[test]
    fn of_two_equal_keys_the_last_counts() {
        assert_eq!(read(r#"{"1": NaN, "1": 2}"#), json!({"1": 2}));
    }

    #[test]
    fn what_nests_too_deep_is_null_and_what_is_ignored_may() {
        #[derive(Deserialize)]
        struct Outer {
            seen: u8,
            #[serde(rename = "deep")]
            _deep: IgnoredAny,
        }
        let deep = format!("{}{}", r#"{"a": ["#.repeat(50_000), "]}".repeat(50_000));
        let document = format!(r#"{{"deep": {deep}, "seen": 1}}"#);
        assert_eq!(read(&document)["seen"], 1);
        assert_eq!(from_slice::<Outer>(document.as_bytes()).unwrap().seen, 1);
        // Both ways at once.
        let document = format!(r#"{{"deep": {deep}, "nan": NaN, "seen": 1}}"#);
        assert_eq!(from_slice::<Outer>(document.as_bytes()).unwrap().seen, 1);
    }

    #[test]
    fn what_is_broken_otherwise_is_refused() {
        for document in [
            "",
            "{",
            "[1,]",
            r#"{"a" 1}"#,
            r#"["a"#,
            "[NaN",
            r#"["\"#,
            r#"["\é", NaN]"#,
            "]NaN",
            "é",
            "1.é",
            "OK",
            r#"{"a": foo}"#,
            "[NaN, None]",
            "NaNa",
        ] {
            assert!(from_slice::<Value>(document.as_bytes()).is_err(), "{document}");
        }
        assert!(from_slice::<u8>(b"\"text\"").unwrap_err().is_data());
    }
}
