//! Everything that the program prints: results on standard output, notes and errors on standard error.
//!
//! Texts of servers and callers are printed without what a terminal obeys.

use std::io::{self, Write};

use serde::Serialize;
use shared_schema::printable::printable;

use crate::error::Error;

/// Prints one line of a result.
pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", printable(text))
}

/// Prints a result as JSON.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints rows in columns: each is as wide as its longest text, the last is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|text| printable(text)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let length = |row: &Vec<String>, column| row.get(column).map_or(0, |text: &String| text.chars().count());
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| length(row, column)).max().unwrap_or_default())
        .collect();
    let mut out = io::stdout().lock();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Prints a note to standard error, apart from the result. A closed standard error is no failure.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "darkroom: {}", printable(text));
}

/// Prints why a command failed.
pub(crate) fn error(error: &Error, as_json: bool) {
    if as_json {
        let _ = writeln!(io::stderr().lock(), "{}", error.json());
    } else {
        note(&error.to_string());
    }
}
