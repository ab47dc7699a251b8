//! A worker that processes a backlog: the share of the time that its GPU is busy, and what that costs the worker.
//!
//! Each cell is one kind of task, one duration of its run and one latency of AWS. It is measured twice, one after the other:
//! with the pipeline, and with the same worker processing strictly one task at a time.

mod cell;
mod images;
mod measurement;
mod predecessor;
mod report;
mod run;

use anyhow::{Result, ensure};

use self::cell::{Cell, KINDS, Kind};
use self::report::Report;
use crate::Effort;
use crate::tracing::Tracing;

/// Which cells are measured.
pub(crate) struct Selection(Vec<Cell>);

impl Selection {
    /// Every cell.
    pub(crate) fn all() -> Self {
        Self(KINDS.iter().flat_map(Kind::cells).collect())
    }

    /// Every cell that has all of these terms in its name.
    pub(crate) fn with_terms(words: &str) -> Self {
        let is_meant = |cell: &Cell| {
            let name = cell.name();
            words.split_whitespace().all(|wanted| name.split(' ').any(|word| word == wanted))
        };
        Self(Self::all().0.into_iter().filter(is_meant).collect())
    }

    /// A few that have everything in them that any has.
    pub(crate) fn sample() -> Self {
        let cells = [
            "sdwebui text-to-image 512 gpu-500 aws-0",
            "sdwebui image-to-image 512 gpu-0 aws-50",
            "comfyui pipeline 1024 gpu-500 aws-50",
            "sdwebui text-to-image 1024 gpu-1300 aws-50 progress-missing",
            "comfyui pipeline 1024 gpu-1300 aws-50 progress-flat",
        ];
        let all = Self::all().0.into_iter();
        Self(all.filter(|cell| cells.contains(&cell.name().as_str())).collect())
    }
}

/// Measures the selected cells and prints a table for each kind of task.
#[allow(clippy::print_stdout, reason = "the tables come one after the other, over minutes")]
pub(crate) async fn measure(effort: &Effort, Selection(cells): &Selection, tracing: &Tracing) -> Result<()> {
    ensure!(
        !cells.is_empty(),
        "there is no such cell; their names are like `{}`",
        Selection::all().0[0].name()
    );
    let mut missed = Vec::new();
    for of_one_kind in cells.chunk_by(|a, b| a.kind == b.kind) {
        let mut report = Report::default();
        for cell in of_one_kind {
            let tasks = tasks(effort, cell);
            report.add(cell, &run::run(cell, tasks, tracing).await?);
        }
        println!("\n{report}");
        missed.append(&mut report.missed);
    }
    match missed.as_slice() {
        [] => println!("no aim is missed"),
        missed => println!("{} aims are missed:\n{}", missed.len(), missed.join("\n")),
    }
    Ok(())
}

/// How many tasks the backlog of that cell has.
fn tasks(effort: &Effort, cell: &Cell) -> usize {
    let in_time = effort.gpu_seconds * 1000 / cell.gpu_ms.max(1);
    in_time.clamp(effort.least_tasks, effort.tasks) as usize
}
