//! Lets a worker process a backlog, and measures the runtime's slot and the process meanwhile.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::future;
use integration_tests::lab::{Lab, Runtime, SubmitApi};
use integration_tests::wait;
use simulated_runtimes::{BusyInterval, Simulation};
use uuid::Uuid;

use super::cell::{Cell, Kind};
use super::images::Images;
use super::measurement::{Both, Measurement};
use crate::program::Program;
use crate::tracing::Tracing;

/// One deployment, with what its tasks need.
struct Site<'a> {
    tracing: &'a Tracing,
    kind: &'static Kind,
    lab: Lab,
    runtime: Runtime,
    api: SubmitApi,
    images: Images,
}

/// Measures a cell: `tasks` with the pipeline, and half as many without it if the cell is about that.
pub(super) async fn run(cell: &Cell, tasks: usize, tracing: &Tracing) -> Result<Both> {
    let site = Site::new(cell, tracing).await?;
    // The simulation draws its one picture; it is not measured.
    site.process_backlog(1, "true").await?;
    let pipelined = site.measure(tasks, "true").await?;
    let sequential = match cell.kind.progress {
        None => Some(site.measure((tasks / 2).max(2), "false").await?),
        Some(_) => None,
    };
    Ok(Both { pipelined, sequential, image_bytes: site.image_bytes().await? })
}

impl<'a> Site<'a> {
    async fn new(cell: &Cell, tracing: &'a Tracing) -> Result<Self> {
        let kind = cell.kind;
        let lab = Lab::start_with_latency(std::time::Duration::from_millis(cell.aws_ms.into())).await;
        let runtime = cell.runtime(&lab).await;
        let api = lab.submit_api(&[&runtime]).await;
        let images = Images::serve(kind.input_bytes.unwrap_or_default()).await?;
        Ok(Self { tracing, kind, lab, runtime, api, images })
    }

    async fn measure(&self, tasks: usize, pipeline: &str) -> Result<Measurement> {
        let (worker, cpu_per_task, jobs) = self.process_backlog(tasks, pipeline).await?;
        let posted = self.posted()?;
        let posted = &posted[posted.len().saturating_sub(tasks)..];
        Measurement::new(&jobs, posted, cpu_per_task, worker.memory()?.peak)
    }

    /// All tasks wait in the queue before the worker starts. Returns the worker, its CPU time per task after the first,
    /// which warms it up, and the jobs.
    async fn process_backlog(
        &self,
        tasks: usize,
        pipeline: &str,
    ) -> Result<(Program, std::time::Duration, Vec<BusyInterval>)> {
        let simulation = self.runtime.simulation.as_ref().context("the runtime is no simulation")?;
        let before = simulation.busy().len();
        future::join_all((0..tasks).map(|n| self.submit(before + n))).await;

        let mut more = self.tracing.variables();
        more.extend([("INPUT_ALLOW_HOSTS", "127.0.0.0/8"), ("PIPELINE", pipeline)]);
        let worker = Program::start("worker", &self.lab.worker_variables(&self.runtime, &more))?;
        worker.logs("ready")?;
        self.ran(simulation, before + 1).await;
        let (warm, counted) = (worker.cpu()?, before + tasks - simulation.busy().len());
        self.ran(simulation, before + tasks).await;
        self.lab.emptied(&self.runtime.queue.url).await;
        let cpu_per_task = (worker.cpu()? - warm).div_f64(counted.max(1) as f64);

        self.all_are_stored(before + tasks).await?;
        Ok((worker, cpu_per_task, simulation.busy().split_off(before)))
    }

    /// When each job of the simulation was posted.
    fn posted(&self) -> Result<Vec<Instant>> {
        let simulation = self.runtime.simulation.as_ref().context("the runtime is no simulation")?;
        let is_job = |path: &str| ["txt2img", "img2img", "prompt"].iter().any(|job| path.ends_with(job));
        let requests = simulation.requests().into_iter();
        Ok(requests
            .filter(|asked| asked.method == "POST" && is_job(&asked.path))
            .map(|asked| asked.at)
            .collect())
    }

    async fn submit(&self, seed: usize) {
        let id = Uuid::new_v4().to_string();
        let content = self.kind.content(seed, &self.images.url(&id));
        self.api.submit(&self.runtime.name, self.kind.task_type, &id, content).await;
    }

    /// Waits for that many jobs, as long as one comes after the other.
    async fn ran(&self, simulation: &Simulation, jobs: usize) {
        let mut so_far = simulation.busy().len();
        while so_far < jobs {
            so_far = wait::until("the next run", async || {
                let now = simulation.busy().len();
                (now > so_far).then_some(now)
            })
            .await;
        }
    }

    /// Every task was run once and has left an image and its `.out`.
    async fn all_are_stored(&self, tasks: usize) -> Result<()> {
        let keys = self.lab.keys("output/").await;
        let (outs, images): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.ends_with(".out"));
        ensure!(
            (outs.len(), images.len()) == (tasks, tasks),
            "{tasks} tasks left {} images and {} ends",
            images.len(),
            outs.len()
        );
        Ok(())
    }

    async fn image_bytes(&self) -> Result<usize> {
        let keys = self.lab.keys("output/").await;
        let image = keys.iter().find(|key| !key.ends_with(".out")).context("there is no image")?;
        Ok(self.lab.object(&format!("s3://{}/{image}", self.lab.shared.bucket)).await.0.len())
    }
}
