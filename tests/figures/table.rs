//! The table: what was measured, the figure, the aim, and the predecessor's figure.

use std::fmt;

use crate::grid::Grid;

/// The rows of one subject.
pub(crate) struct Table {
    subject: &'static str,
    rows: Vec<Row>,
}

/// One figure.
pub(crate) struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    aside: String,
    aim: Option<f64>,
    predecessor: &'static str,
}

impl Table {
    pub(crate) fn new(subject: &'static str) -> Self {
        Self { subject, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }
}

impl Row {
    /// A figure without an aim, that the predecessors were not measured for.
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, aside: String::new(), aim: None, predecessor: "" }
    }

    /// What else is known about the figure, in brackets.
    pub(crate) fn aside(self, aside: impl Into<String>) -> Self {
        Self { aside: format!(" ({})", aside.into()), ..self }
    }

    /// The figure is to be below that.
    pub(crate) fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// What the predecessor needs for the same.
    pub(crate) fn predecessor(self, predecessor: &'static str) -> Self {
        Self { predecessor, ..self }
    }

    fn cells(&self) -> [String; 4] {
        let digits = if self.value < 10.0 { 2 } else { 1 };
        let ours = format!("{:.digits$} {}{}", self.value, self.unit, self.aside);
        let aim = self.aim.map_or_else(String::new, |aim| {
            let missed = if self.value < aim { "" } else { ", MISSED" };
            format!("< {aim} {}{missed}", self.unit)
        });
        [self.what.clone(), ours, aim, self.predecessor.to_owned()]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [self.subject, "ours", "aim", "predecessor"].map(str::to_owned);
        write!(f, "{}", Grid(std::iter::once(head).chain(self.rows.iter().map(Row::cells)).collect()))
    }
}
