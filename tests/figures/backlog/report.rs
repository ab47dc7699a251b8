//! The table of one kind of task: each cell with the pipeline, without it, and as the predecessor had it.

use std::fmt;

use super::cell::Cell;
use super::measurement::{Both, Measurement};
use crate::grid::Grid;
use crate::sample::millis;

const HEAD: [&str; 11] = [
    "GPU",
    "AWS",
    "worker",
    "busy",
    "job p50",
    "gap p50",
    "gap p99",
    "ahead",
    "tasks/s",
    "CPU per task",
    "peak",
];

/// Lines so far.
#[derive(Default)]
pub(super) struct Report {
    title: String,
    lines: Vec<[String; HEAD.len()]>,
    /// Which aims were missed, by how much.
    pub(super) missed: Vec<String>,
}

impl Report {
    /// Adds a cell.
    pub(super) fn add(&mut self, cell: &Cell, both: &Both) {
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let most_memory = 20.0 + 3.0 * megabytes(cell.kind.bytes(both.image_bytes));
        self.title = format!(
            "{}; an image has {:.2} MB; peak at most {most_memory:.1} MB",
            cell.kind.title(),
            megabytes(both.image_bytes)
        );

        let [gpu, aws] = [format!("{} ms", cell.gpu_ms), format!("+{} ms", cell.aws_ms)];
        let mut line = cells(gpu, aws, "pipelined", &both.pipelined);
        let Measurement { busy, gaps, cpu_per_task, peak_megabytes, .. } = &both.pipelined;
        let is_missed = [
            (3, cell.min_busy().is_some_and(|least| *busy < least)),
            (5, cell.max_gap_ms().is_some_and(|most| millis(gaps.median()) >= most)),
            (9, cell.max_cpu_ms().is_some_and(|most| millis(*cpu_per_task) >= most)),
            (10, *peak_megabytes > most_memory),
        ];
        for (column, _) in is_missed.into_iter().filter(|(_, missed)| *missed) {
            self.missed.push(format!("{}: {} {}", cell.name(), HEAD[column], line[column]));
            line[column].push_str(" MISSED");
        }
        self.lines.push(line);
        if let Some(sequential) = &both.sequential {
            self.lines.push(cells(String::new(), String::new(), "sequential", sequential));
        }
        self.lines.extend(predecessor(cell));
    }
}

fn cells(gpu: String, aws: String, worker: &str, measured: &Measurement) -> [String; HEAD.len()] {
    let ms = |time| format!("{:.1} ms", millis(time));
    [
        gpu,
        aws,
        worker.to_owned(),
        format!("{:.2} %", measured.busy * 100.0),
        ms(measured.jobs.median()),
        ms(measured.gaps.median()),
        ms(measured.gaps.p99()),
        format!("{}/{}", measured.ahead, measured.gaps.count()),
        rate(measured.tasks_per_second),
        ms(measured.cpu_per_task),
        format!("{:.1} MB", measured.peak_megabytes),
    ]
}

fn predecessor(cell: &Cell) -> Option<[String; HEAD.len()]> {
    let (needed, pace) = cell.predecessor()?;
    let busy = pace.busy.map_or_else(String::new, |busy| format!("{busy:.1} %"));
    let rate = rate(pace.tasks_per_second);
    let texts = ["", "", "predecessor", &busy, "", needed.added, "", "", &rate, needed.cpu, needed.peak];
    Some(texts.map(str::to_owned))
}

fn rate(per_second: f64) -> String {
    let digits = if per_second < 10.0 { 2 } else { 1 };
    format!("{per_second:.digits$}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let head = HEAD.map(str::to_owned);
        write!(f, "{}", Grid(std::iter::once(head).chain(self.lines.iter().cloned()).collect()))
    }
}
