//! What one worker needed for one backlog.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use simulated_runtimes::BusyInterval;

use crate::sample::Sample;

/// What was measured of one worker and one backlog.
pub(super) struct Measurement {
    /// The share of the time between the first start and the last end that a job was in the runtime's slot.
    pub(super) busy: f64,
    /// How long a job was in the slot.
    pub(super) jobs: Sample,
    /// How long the slot was free between two jobs.
    pub(super) gaps: Sample,
    /// How many jobs the runtime had before the job before them ended.
    pub(super) ahead: usize,
    /// Jobs that ended, per second, after the first one.
    pub(super) tasks_per_second: f64,
    /// The CPU time of the worker, per task.
    pub(super) cpu_per_task: Duration,
    /// The most memory that the worker ever had, in MB.
    pub(super) peak_megabytes: f64,
}

/// Both ways of processing the backlog of one cell.
pub(super) struct Both {
    pub(super) pipelined: Measurement,
    pub(super) sequential: Option<Measurement>,
    /// The size of each result.
    pub(super) image_bytes: usize,
}

impl Measurement {
    /// Of the jobs, in the order in which the slot had them; when each was posted; what the process needed for them all, and at most.
    pub(super) fn new(
        jobs: &[BusyInterval],
        posted: &[Instant],
        cpu_per_task: Duration,
        peak_megabytes: f64,
    ) -> Result<Self> {
        let (first, last) = (jobs.first().context("no job was run")?, jobs.last().context("no job was run")?);
        let durations: Vec<Duration> = jobs.iter().map(|job| job.end - job.start).collect();
        let pairs = jobs.windows(2);
        ensure!(pairs.clone().all(|pair| pair[0].end <= pair[1].start), "two jobs were in the slot at once");
        ensure!(posted.len() == jobs.len(), "{} calls for {} jobs", posted.len(), jobs.len());
        let ahead = jobs.iter().zip(&posted[1..]).filter(|(before, posted)| **posted < before.end).count();
        let gaps = pairs.map(|pair| pair[1].start - pair[0].end).collect();

        let busy: Duration = durations.iter().sum();
        let after_first = last.end - first.end;
        Ok(Self {
            busy: busy.div_duration_f64(last.end - first.start),
            jobs: Sample::new(durations)?,
            gaps: Sample::new(gaps)?,
            ahead,
            tasks_per_second: (jobs.len() - 1) as f64 / after_first.as_secs_f64(),
            cpu_per_task,
            peak_megabytes,
        })
    }
}
