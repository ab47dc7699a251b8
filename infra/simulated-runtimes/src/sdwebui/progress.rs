//! `GET /progress`, `POST /interrupt` and `POST /skip`.

use std::{sync::Arc, time::Instant};

use axum::{Json, extract::State, response::Response};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Dialect, WebUi};
use crate::behaviour::ProgressReports;

/// The state of the current run, or the remains of the last one.
pub(super) struct Progress {
    skipped: bool,
    interrupted: bool,
    job: &'static str,
    job_count: u32,
    job_number: u32,
    job_timestamp: String,
    sampling_step: u32,
    sampling_steps: u32,
    started: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            skipped: false,
            interrupted: false,
            job: "",
            job_count: 0,
            job_number: 0,
            // Of a server that has not run anything.
            job_timestamp: "0".to_owned(),
            sampling_step: 0,
            sampling_steps: 0,
            started: None,
        }
    }
}

impl Progress {
    /// A run starts: an earlier interrupt is discarded. Returns the time stamp of the run.
    pub(super) fn begin(&mut self, job: &'static str, job_count: u32, sampling_steps: u32) -> String {
        let now = OffsetDateTime::now_utc();
        let (date, time) = (now.date(), now.time());
        let stamp = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
        );
        *self = Self {
            job,
            job_count,
            job_timestamp: stamp.clone(),
            sampling_steps,
            started: Some(Instant::now()),
            ..Self::default()
        };
        stamp
    }

    pub(super) fn interrupted(&self) -> bool {
        self.interrupted
    }

    pub(super) fn skipped(&self) -> bool {
        self.skipped
    }

    /// A pass of so many steps begins.
    pub(super) fn begin_pass(&mut self, steps: u32) {
        self.sampling_steps = steps;
    }

    /// One sampling step is done. Returns false if the sampler has to stop here.
    pub(super) fn step(&mut self) -> bool {
        self.sampling_step += 1;
        !self.interrupted && !self.skipped
    }

    /// A batch begins, or an image to enlarge: it is not the one that was skipped. After the last one the flag stays.
    pub(super) fn begin_batch(&mut self) {
        self.skipped = false;
    }

    /// A pass is over, or an image of several.
    pub(super) fn next_job(&mut self) {
        self.job_number += 1;
        self.sampling_step = 0;
    }

    /// The run is done. SD.Next discards an interrupt now, the others when the next run starts.
    pub(super) fn finish(&mut self, dialect: Dialect) {
        if dialect == Dialect::SdNext {
            (self.interrupted, self.skipped) = (false, false);
        }
        self.job = "";
        self.job_count = 0;
    }

    fn describe(&self, reports: ProgressReports) -> Value {
        let is_silent = reports == ProgressReports::Missing;
        let (progress, remaining) = match (self.started, self.job_count) {
            (Some(started), 1..) if !is_silent => {
                let jobs = f64::from(self.job_count);
                let step = f64::from(self.sampling_step) / f64::from(self.sampling_steps.max(1));
                let progress = 0.01 + (f64::from(self.job_number) + step) / jobs;
                let elapsed = started.elapsed().as_secs_f64();
                (progress.min(1.0), elapsed / progress - elapsed)
            }
            _ => (0.0, 0.0),
        };
        json!({
            "progress": progress,
            "eta_relative": remaining,
            "state": {
                "skipped": self.skipped,
                "interrupted": self.interrupted,
                "stopping_generation": false,
                "job": self.job,
                "job_count": self.job_count,
                "job_timestamp": self.job_timestamp,
                "job_no": self.job_number,
                "sampling_step": if is_silent { 0 } else { self.sampling_step },
                "sampling_steps": self.sampling_steps,
            },
            "current_image": null,
            "textinfo": null,
        })
    }
}

pub(super) async fn progress(State(webui): State<Arc<WebUi>>) -> Json<Value> {
    Json(webui.progress().describe(webui.machine.behaviour.progress))
}

/// Interrupts the current run, between two steps; the next run discards it.
pub(super) async fn interrupt(State(webui): State<Arc<WebUi>>) -> Response {
    webui.progress().interrupted = true;
    webui.controlled(json!({}))
}

/// Stops the current batch; the next one runs.
pub(super) async fn skip(State(webui): State<Arc<WebUi>>) -> Response {
    webui.progress().skipped = true;
    webui.controlled(Value::Null)
}
