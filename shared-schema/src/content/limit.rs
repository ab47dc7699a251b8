//! Numbers as runtimes read them, and the message when one is above a limit.

use std::fmt::Display;
use std::io;

use serde_json::Value;

use crate::{Violation, ViolationCode};

/// What is enlarged by a factor is judged as if it were a picture of so many pixels, 64 by 64, the smallest that models
/// make: how large it is, nobody knows before the run.
pub(crate) const SMALLEST_PICTURE: f64 = SMALLEST_SIDE * SMALLEST_SIDE;
pub(crate) const SMALLEST_SIDE: f64 = 64.0;

/// A number the way runtimes take it: as a number, as text, or as a boolean.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        // Python reads digits of all scripts. What they say is not looked up: nothing is below it.
        Value::String(text) if text.contains(|c: char| !c.is_ascii() && c.is_numeric()) => {
            Some(f64::INFINITY)
        }
        Value::String(text) => trimmed(text).replace('_', "").parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Without what Python strips: it counts four separators among the white space.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f'))
}

/// A violation at `pointer` if the value is above the limit; `what` begins the message: "width times height".
///
/// Both are formatted for a violation only: nearly all values are within their limits.
pub(crate) fn above(pointer: impl Display, value: f64, most: u64, what: impl Display) -> Option<Violation> {
    // Exact up to 2^53, far above any limit that makes sense.
    let message = || format!("{what} must be at most {most} on this runtime");
    (value > most as f64).then(|| Violation::new(pointer.to_string(), ViolationCode::TooLarge, message()))
}

/// A violation if the content is larger than the limit when written as JSON.
pub(crate) fn bytes(content: &Value, most: u64) -> Option<Violation> {
    let mut written = Count(0);
    serde_json::to_writer(&mut written, content).ok()?;
    let message = || format!("the content must be at most {most} bytes of JSON on this runtime");
    (written.0 > most).then(|| Violation::new("", ViolationCode::TooLarge, message()))
}

/// Counts bytes and keeps none.
struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_read_as_runtimes_do() {
        for (value, expected) in [
            (json!(20), Some(20.0)),
            (json!("20"), Some(20.0)),
            (json!(" 20.0 "), Some(20.0)),
            (json!("1_000"), Some(1000.0)),
            (json!("\u{1c}1000\u{1f}\u{2003}"), Some(1000.0)),
            (json!("１００００"), Some(f64::INFINITY)),
            (json!("٢0"), Some(f64::INFINITY)),
            (json!(true), Some(1.0)),
            (json!(null), None),
            (json!("many"), None),
        ] {
            assert_eq!(number(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_size_is_that_of_the_json() {
        let content = json!({"prompt": "猫"});
        let size = serde_json::to_vec(&content).unwrap().len() as u64;
        assert_eq!(bytes(&content, size), None);
        assert_eq!(bytes(&content, size - 1).unwrap().code, ViolationCode::TooLarge);
    }
}
