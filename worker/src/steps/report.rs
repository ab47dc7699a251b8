//! Shortens the runtime's report to fit an `.out` file, so that every file can be read back.

use std::collections::BTreeSet;
use std::io;

use serde_json::{Value, json};

/// The most bytes of JSON that an `.out` file has besides its notification.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The longest text, in bytes, of a report that has to be cut; a quarter of it each time that this is not enough.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Shorter texts are not cut; a report that is too large all the same has no use.
const MIN_TEXT_BYTES: usize = 256;

/// A list may have an entry for so many bytes of the longest text: 16,384 of them at first.
const BYTES_PER_ENTRY: usize = 64;

/// How many places are named, at most.
const MAX_NAMED: usize = 100;

/// A report in at most [`MAX_BYTES`]. Texts and lists that were too long end early, and `shortened` names them by JSON
/// Pointers; the shorter ones stay whole.
pub(super) fn bounded(mut report: Value) -> Value {
    let (mut cut, mut max_text) = (BTreeSet::new(), MAX_TEXT_BYTES);
    while !fits(&report) {
        if max_text < MIN_TEXT_BYTES {
            leave_scalars(&mut report, &mut cut);
            break;
        }
        shorten(&mut report, "", max_text, &mut cut);
        max_text /= 4;
    }
    if let (Value::Object(fields), false) = (&mut report, cut.is_empty()) {
        let more = cut.len().saturating_sub(MAX_NAMED);
        let mut named: Vec<String> = cut.into_iter().take(MAX_NAMED).collect();
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        fields.insert("shortened".to_owned(), json!(named));
    }
    report
}

fn fits(report: &Value) -> bool {
    /// Takes bytes until there are too many.
    struct Room(usize);
    impl io::Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Room(MAX_BYTES), report).is_ok()
}

/// Cuts each text to so many bytes, and lists in proportion.
fn shorten(value: &mut Value, pointer: &str, max_text: usize, cut: &mut BTreeSet<String>) {
    let max_entries = max_text / BYTES_PER_ENTRY;
    match value {
        Value::String(text) if text.len() > max_text => {
            text.truncate(text.floor_char_boundary(max_text - '…'.len_utf8()));
            text.push('…');
            cut.insert(pointer.to_owned());
        }
        Value::Array(items) => {
            if items.len() > max_entries {
                items.truncate(max_entries);
                cut.insert(pointer.to_owned());
            }
            for (n, item) in items.iter_mut().enumerate() {
                shorten(item, &format!("{pointer}/{n}"), max_text, cut);
            }
        }
        Value::Object(fields) => {
            let (before, mut n) = (fields.len(), 0);
            fields.retain(|name, _| {
                n += 1;
                n <= max_entries && name.len() <= max_text
            });
            if fields.len() < before {
                cut.insert(pointer.to_owned());
            }
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                shorten(field, &format!("{pointer}/{name}"), max_text, cut);
            }
        }
        _ => {}
    }
}

/// Replaces every list and object of a report that is nothing but them by `null`.
fn leave_scalars(report: &mut Value, cut: &mut BTreeSet<String>) {
    cut.clear();
    for (name, field) in report.as_object_mut().into_iter().flatten() {
        if field.is_array() || field.is_object() {
            *field = Value::Null;
            cut.insert(format!("/{name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(report: &Value) -> usize {
        report.to_string().len()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let report = json!({ "code": 200, "outputs": { "9": { "text": ["x".repeat(MAX_BYTES - 100)] } } });
        assert_eq!(bounded(report.clone()), report);
    }

    #[test]
    fn long_texts_are_cut_and_named_and_short_ones_stay() {
        let text = |bytes: usize| json!({ "text": ["é".repeat(bytes / 2)] });
        let outputs = json!({ "a": text(20_000_000), "b": text(1000), "c/d": text(3_000_000) });
        let report = bounded(json!({ "code": 200, "outputs": outputs }));
        assert!(bytes(&report) <= MAX_BYTES + 1000);
        assert_eq!(report["shortened"], json!(["/outputs/a/text/0", "/outputs/c~1d/text/0"]));
        assert_eq!(report["outputs"]["b"], text(1000));
        let shown = report["outputs"]["a"]["text"][0].as_str().unwrap();
        assert!(shown.len() > 1_000_000 && shown.ends_with("é…"));
    }

    #[test]
    fn any_shape_fits_in_the_end() {
        let mut deep = json!("x".repeat(9_000_000));
        for _ in 0..100 {
            deep = json!([deep]);
        }
        let many: Vec<Value> = (0..3_000_000).map(|n| json!(n)).collect();
        let names: serde_json::Map<String, Value> =
            (0..300_000).map(|n| (format!("{n}{}", "x".repeat(40)), json!({}))).collect();
        let long_name = json!({ "n".repeat(9_000_000): 1 });
        let mut wide = json!("leaf of some length");
        for _ in 0..5 {
            wide = json!(vec![wide; 12]);
        }
        let escaped = json!("\u{1}".repeat(3_000_000));
        for said in [deep, json!(many), json!(names), long_name, wide, escaped] {
            let report = bounded(json!({ "code": 200, "outputs": said }));
            assert!(bytes(&report) <= MAX_BYTES + 200 * 1024, "{} bytes", bytes(&report));
            assert_eq!(report["code"], 200);
            assert!(!report["shortened"].as_array().unwrap().is_empty());
        }
    }
}
