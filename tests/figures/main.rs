//! Measures the front door and the worker, and prints the figures compared with the project's aims and its predecessors'.
//!
//! `figures/README.md` holds the commands, and describes how each figure is measured.

#![allow(clippy::print_stdout, reason = "a table on the terminal is what a benchmark is for")]

mod backlog;
mod bodies;
mod front_door_calls;
mod front_door_own_time;
mod front_door_program;
mod front_door_v1;
mod grid;
mod machine;
mod program;
mod sample;
mod sdk_time;
mod table;
mod tracing;
mod worker_program;

use anyhow::ensure;
use clap::Parser;
use integration_tests::{aws, binaries};

use crate::backlog::Selection;
use crate::table::Table;
use crate::tracing::Tracing;

/// Measures the front door and the worker, and prints the figures compared with the aims and the predecessors'.
#[derive(Parser)]
struct Arguments {
    /// Only checks that everything still works: the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Only the worker's backlog, and of it only the cells that have all of these terms, such as `1024 gpu-500 aws-50`;
    /// the empty text stands for all cells.
    #[arg(long, value_name = "WORDS")]
    cells: Option<String>,
    /// The worker records the traces of this share of the tasks, 0 to 1, and exports them to a collector in this process.
    #[arg(long, value_name = "SHARE")]
    traced: Option<f64>,
}

/// How often everything is done.
struct Effort {
    /// Requests without the SDK, per kind of body.
    requests: usize,
    /// Whole calls over HTTP, per size of body.
    calls: usize,
    /// Starts of each program.
    starts: usize,
    /// Invocations of the Lambda before its memory is read.
    invocations: usize,
    /// The approximate GPU time of the backlog of one cell, in seconds.
    gpu_seconds: u32,
    /// The most tasks of one cell.
    tasks: u32,
    /// The fewest tasks of one cell.
    least_tasks: u32,
}

const FULL: Effort = Effort {
    requests: 3_000,
    calls: 400,
    starts: 15,
    invocations: 100,
    gpu_seconds: 20,
    tasks: 40,
    least_tasks: 6,
};

/// Checks that everything still works; its figures mean little.
const QUICK: Effort =
    Effort { requests: 50, calls: 10, starts: 2, invocations: 5, gpu_seconds: 2, tasks: 4, least_tasks: 2 };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(aws::external().is_none(), "unset AWS_ENDPOINT_URL: the embedded AWS APIs are measured against");
    let effort = if arguments.quick { QUICK } else { FULL };
    for program in ["api-lambda", "worker"] {
        binaries::executable(program);
    }

    println!("{}", machine::describe()?);
    let selection = match &arguments.cells {
        Some(terms) => Selection::with_terms(terms),
        None => {
            front_door(&effort).await?;
            worker(&effort).await?;
            if arguments.quick { Selection::sample() } else { Selection::all() }
        }
    };
    let tracing = Tracing::start(arguments.traced).await;
    backlog::measure(&effort, &selection, &tracing).await?;
    println!("{}", machine::load()?);
    Ok(())
}

async fn front_door(effort: &Effort) -> anyhow::Result<()> {
    let mut table = Table::new("Front door");
    front_door_own_time::measure(effort, &mut table).await?;
    front_door_v1::measure(effort, &mut table).await?;
    front_door_calls::measure(effort, &mut table).await?;
    front_door_program::measure(effort, &mut table).await?;
    println!("\n{table}");
    Ok(())
}

async fn worker(effort: &Effort) -> anyhow::Result<()> {
    let mut table = Table::new("Worker before its first task");
    worker_program::measure(effort, &mut table).await?;
    println!("\n{table}");
    Ok(())
}
