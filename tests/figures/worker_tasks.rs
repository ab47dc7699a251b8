//! The worker at work: its own CPU time per task and its peak memory, while the GPU takes no time.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use integration_tests::lab::{FrontDoor, Lab, Runtime};
use serde_json::{Value, json};
use simulated_runtimes::{Behaviour, SdWebUiOptions};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::Effort;
use crate::bodies;
use crate::program::Program;
use crate::sample::millis;
use crate::table::{Row, Table};

/// What the worker needed for tasks of one kind.
struct Needed {
    cpu_per_task: Duration,
    tasks_per_second: f64,
    peak_megabytes: f64,
    image_bytes: u64,
}

/// CPU time, throughput and peak memory, each kind of task with a worker of its own.
pub(crate) async fn measure(effort: &Effort, table: &mut Table) -> Result<()> {
    let lab = Lab::start().await;
    let behaviour = Behaviour { predrawn: true, ..Behaviour::default() };
    let runtime = lab.sdwebui(SdWebUiOptions { behaviour, ..SdWebUiOptions::default() }).await;
    let door = lab.front_door(&[&runtime]).await;
    let image_url = serve_image(1_000_000).await?;

    let square = |side: u32| json!({ "prompt": "a harbour at night", "width": side, "height": side });
    let mut with_image = square(512);
    with_image["init_images"] = json!([image_url]);
    for (what, task_type, content, cpu, peak, rate) in [
        ("512² text-to-image", "text-to-image", square(512), "36-42 ms", "82 MB", "13.4"),
        ("1024² text-to-image", "text-to-image", square(1024), "59-64 ms", "96 MB", "9.9"),
        ("512² image-to-image, 1 MB by URL", "image-to-image", with_image, "73-77 ms", "89 MB", "3.26"),
    ] {
        let needed = tasks(&lab, &runtime, &door, effort.tasks, task_type, &content).await?;
        let image = format!("image {:.0} KB", needed.image_bytes as f64 / 1e3);
        table.push(
            Row::new(format!("CPU per task, {what}"), millis(needed.cpu_per_task), "ms")
                .aside(image)
                .predecessor(cpu),
        );
        table.push(Row::new(format!("peak, {what}"), needed.peak_megabytes, "MB").predecessor(peak));
        table.push(
            Row::new(format!("tasks per second, {what}"), needed.tasks_per_second, "").predecessor(rate),
        );
    }
    Ok(())
}

async fn tasks(
    lab: &Lab,
    runtime: &Runtime,
    door: &FrontDoor,
    n: usize,
    task_type: &str,
    content: &Value,
) -> Result<Needed> {
    let variables = lab.worker_variables(runtime, &[("INPUT_ALLOW_HOSTS", "127.0.0.0/8")]);
    let worker = Program::start("worker", &variables)?;
    worker.logs("ready")?;
    let run = async |ids: &[String]| {
        for id in ids {
            door.submit(&runtime.name, task_type, id, content.clone()).await;
        }
        lab.emptied(&runtime.queue.url).await;
    };
    // Opens connections, and has the simulation draw its picture of this size.
    run(&ids(2)).await;

    let measured = ids(n);
    let (cpu, started) = (worker.cpu()?, Instant::now());
    run(&measured).await;
    let (cpu, elapsed) = (worker.cpu()? - cpu, started.elapsed());
    let peak_megabytes = worker.memory()?.peak;

    let mut image_bytes = 0;
    for id in &measured {
        let ended = lab.ended(id).await;
        let [image] = ended.outputs.as_slice() else { bail!("task {id} has no image: {:?}", ended.error) };
        image_bytes = image.bytes;
    }
    Ok(Needed {
        cpu_per_task: cpu.div_f64(n as f64),
        tasks_per_second: n as f64 / elapsed.as_secs_f64(),
        peak_megabytes,
        image_bytes,
    })
}

fn ids(n: usize) -> Vec<String> {
    (0..n).map(|_| Uuid::new_v4().to_string()).collect()
}

/// Serves an image of that size on loopback, and returns its URL.
async fn serve_image(bytes: usize) -> Result<String> {
    let image = Bytes::from(bodies::image(bytes));
    let router = Router::new()
        .route("/image.png", get(async move || ([(header::CONTENT_TYPE, "image/png")], image.clone())));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/image.png", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
