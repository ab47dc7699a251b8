//! The table of spans in the documentation is what the programs record.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::collector::ExportedSpan;
use task_traces::SpanName;

const PAGE: &str = include_str!("../../../docs/observability.md");

/// A row of the table.
struct Row {
    service: String,
    kind: String,
    parent: String,
    attributes: BTreeSet<String>,
}

/// The rows by the names of the spans.
fn rows() -> BTreeMap<String, Row> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `darkroom-"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        let attributes = cells[4].split(", ").filter(|cell| !cell.is_empty()).map(code).collect();
        let row = Row { service: code(cells[0]), kind: code(cells[2]), parent: code(cells[3]), attributes };
        (code(cells[1]), row)
    })
    .collect()
}

/// Each span of a trace is as the table says.
pub(super) fn check(trace: &[ExportedSpan]) {
    let rows = rows();
    for span in trace {
        let row = rows.get(&span.name).unwrap_or_else(|| panic!("{} is not documented", span.name));
        let service = span.service.replace("darkroom-dead-letters", "darkroom-worker");
        assert_eq!((&row.service, &row.kind), (&service, &span.kind), "{span:?}");
        let undocumented: Vec<_> =
            span.attributes.keys().filter(|name| !row.attributes.contains(*name)).collect();
        assert!(undocumented.is_empty(), "{}: {undocumented:?} are not documented", span.name);
        let parent = trace.iter().find(|other| other.span_id == span.parent_id);
        let expected = if span.name == "request" { None } else { Some(row.parent.as_str()) };
        assert_eq!(parent.map(|parent| parent.name.as_str()), expected, "{span:?}");
    }
}

#[test]
fn the_table_lists_the_spans_of_the_code() {
    let of_code = |spans: &[SpanName]| -> Vec<(String, String)> {
        spans.iter().map(|span| (span.name.to_owned(), format!("{:?}", span.kind).to_lowercase())).collect()
    };
    let mut code = of_code(&api_lambda::trace::SPANS);
    code.extend(of_code(&worker::spans::SPANS));
    code.sort();
    let table: Vec<(String, String)> = rows().into_iter().map(|(name, row)| (name, row.kind)).collect();
    assert_eq!(table, code);
}

#[test]
fn the_page_lists_the_variables() {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `OTEL_"));
    let listed: BTreeSet<&str> = rows
        .flat_map(|line| line.split('|').nth(1).unwrap().split(", "))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    assert_eq!(listed, task_traces::traces::VARIABLES.into_iter().collect());
}
