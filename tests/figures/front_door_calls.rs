//! The whole call: from a client on loopback through router and SDK to the embedded SNS, which puts the message into a
//! queue before it answers. Client, front door and SNS share this process.

use std::time::Instant;

use anyhow::Result;
use integration_tests::lab::Lab;

use crate::Effort;
use crate::bodies;
use crate::sample::{Sample, millis};
use crate::table::{Row, Table};

/// The call at 1 KB and 100 KB.
pub(crate) async fn measure(effort: &Effort, table: &mut Table) -> Result<()> {
    let lab = Lab::start().await;
    // Nobody works on the queue: only that the message arrives in it counts.
    let runtime = lab.runtime("sdruntime", "sdwebui", String::new(), None, &[]).await;
    let api = lab.submit_api(&[&runtime]).await;

    for (body, predecessor) in
        [(bodies::text_to_image(), "1.65 ms (p99 6.6)"), (bodies::image_to_image(75_000), "")]
    {
        let warm_up = effort.calls / 10;
        let mut times = Vec::with_capacity(effort.calls);
        for round in 0..warm_up + effort.calls {
            let started = Instant::now();
            let (status, answer) = api.post("/v1alpha2", &body).await;
            if round >= warm_up {
                times.push(started.elapsed());
            }
            anyhow::ensure!(status.is_success(), "answered {status}: {answer}");
        }
        let times = Sample::new(times)?;
        let size = body.to_string().len() as f64 / 1e3;
        table.push(
            Row::new(format!("whole call p50, embedded SNS, {size:.1} KB"), millis(times.median()), "ms")
                .aside(format!("p99 {:.2}", millis(times.p99())))
                .predecessor(predecessor),
        );
    }
    Ok(())
}
