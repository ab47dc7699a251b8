//! Measures the front door and the worker, and prints the figures beside the project's aims and its predecessors'.
//!
//! `figures/README.md` holds the command, and says how each figure comes about.

#![allow(clippy::print_stdout, reason = "a table on the terminal is what a benchmark is for")]

mod bodies;
mod front_door_calls;
mod front_door_own_time;
mod front_door_program;
mod machine;
mod program;
mod sample;
mod table;
mod worker_program;
mod worker_tasks;

use anyhow::ensure;
use integration_tests::{aws, binaries};

use crate::table::Table;

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
    /// Tasks of the worker, per kind.
    tasks: usize,
}

const FULL: Effort = Effort { requests: 3_000, calls: 400, starts: 15, invocations: 100, tasks: 30 };

/// Shows that everything still works; its figures mean little.
const QUICK: Effort = Effort { requests: 50, calls: 10, starts: 2, invocations: 5, tasks: 3 };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    ensure!(aws::external().is_none(), "unset AWS_ENDPOINT_URL: the embedded AWS APIs are measured against");
    // Cargo adds arguments of its own.
    let effort = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    for program in ["api-lambda", "worker"] {
        binaries::executable(program);
    }

    println!("{}", machine::describe()?);
    let mut front_door = Table::new("Front door");
    front_door_own_time::measure(&effort, &mut front_door).await?;
    front_door_calls::measure(&effort, &mut front_door).await?;
    front_door_program::measure(&effort, &mut front_door).await?;
    println!("\n{front_door}");

    let mut worker = Table::new("Worker beside a simulated SD WebUI");
    worker_program::measure(&effort, &mut worker).await?;
    worker_tasks::measure(&effort, &mut worker).await?;
    println!("\n{worker}");
    println!("{}", machine::load()?);
    Ok(())
}
