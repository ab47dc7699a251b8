//! The worker before its first task: how soon it is ready, and what it occupies while it waits.

use std::time::Duration;

use anyhow::Result;
use integration_tests::lab::Lab;
use simulated_runtimes::SdWebUiOptions;

use crate::Effort;
use crate::program::Program;
use crate::sample::{Sample, millis};
use crate::table::{Row, Table};

/// Start and idle memory.
pub(crate) async fn measure(effort: &Effort, table: &mut Table) -> Result<()> {
    let lab = Lab::start().await;
    let runtime = lab.sdwebui(SdWebUiOptions::default()).await;
    let variables = lab.worker_variables(&runtime, &[("RECEIVE_WAIT_SECONDS", "1")]);

    let mut starts = Vec::new();
    for _ in 0..effort.starts {
        starts.push(Program::start("worker", &variables)?.logs("ready")?);
    }
    let starts = Sample::new(starts)?;
    table.push(
        Row::new("start to ready, median", millis(starts.median()), "ms")
            .aside(format!("min {:.1}", millis(starts.min())))
            .aim(50.0)
            .predecessor("909 ms (756-1138)"),
    );

    let worker = Program::start("worker", &variables)?;
    worker.logs("ready")?;
    // A long poll takes a second: at least one has completed.
    tokio::time::sleep(Duration::from_secs(2)).await;
    table.push(Row::new("resident, idle", worker.memory()?.resident, "MB").aim(20.0).predecessor("72 MB"));
    Ok(())
}
