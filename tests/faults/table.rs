//! The committed table, and its comparison with what was observed.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use integration_tests::{aws, binaries};

use crate::case::Case;
use crate::outcome::{Row, observed};

/// The table, a section for each service that a worker calls.
const TABLE: &str = include_str!("README.md");

/// How many cases of a section run at once: they mostly wait.
const MAX_CONCURRENT: usize = 6;

/// Runs the cases of a section and compares each with its row.
///
/// # Panics
///
/// When a row differs, or is missing, or has no case; the message has the section as observed.
pub(crate) async fn assert_section(section: &str, cases: Vec<Case>) {
    if aws::skipped_elsewhere(section, "only embedded APIs inject faults") {
        return;
    }
    // Built now if it is stale: a build blocks, and calls in progress would time out.
    binaries::executable("worker");
    let numbered = cases.iter().enumerate().map(async |(n, case)| (n, line(&run(case).await)));
    let observed: BTreeMap<usize, String> =
        stream::iter(numbered).buffer_unordered(MAX_CONCURRENT).collect().await;
    let observed: Vec<String> = observed.into_values().collect();
    let expected = committed(section);
    let only = |these: &[String], those: &[String]| -> String {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{line}\n")).collect()
    };
    assert!(
        observed == expected,
        "the table differs\nexpected:\n{}\nobserved:\n{}\nall rows of {section}, as observed:\n{}",
        only(&expected, &observed),
        only(&observed, &expected),
        observed.join("\n"),
    );
}

/// The row of a case; one that panics has the message as its last cell.
async fn run(case: &Case) -> Row {
    AssertUnwindSafe(observed(case)).catch_unwind().await.unwrap_or_else(|panic| {
        vec![case.call.to_owned(), case.failure.to_string(), case.extent.to_string(), panic_message(&*panic)]
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    text.replace('\n', " ")
}

fn line(row: &Row) -> String {
    format!("| {} |", row.join(" | "))
}

/// The rows of a section, without the head of its table.
fn committed(section: &str) -> Vec<String> {
    let heading = format!("## {section}");
    let lines = TABLE.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
    lines.skip(2).map(str::to_owned).collect()
}
