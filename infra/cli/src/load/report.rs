//! What a load test measured: the outcome of its tasks, and the percentiles of each stage.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::{self, Task};
use crate::output;

/// Of values: a thousandth.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The stages of a task's way, in its order: `accept` is the POST with its repetitions as the client sees it; the next four are
/// the `timings` of `v1`; `total` is from `created_at` to `finished_at`. Only succeeded tasks have the last five.
const STAGES: [&str; 6] = ["accept", "queue", "prepare", "run", "store", "total"];

const PERCENTILES: [(&str, f64); 4] = [("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)];

/// The measurements of one test.
#[derive(Debug)]
pub(super) struct Report {
    name: String,
    requested: u32,
    accepted: u32,
    started: Instant,
    took: Duration,
    /// How many tasks have each status.
    statuses: BTreeMap<String, u32>,
    /// How many requests and tasks failed with each code.
    errors: BTreeMap<String, u32>,
    stages: BTreeMap<&'static str, Histogram<u64>>,
}

impl Report {
    pub(super) fn new(name: String, requested: u32) -> Self {
        let (started, took) = (Instant::now(), Duration::ZERO);
        let (statuses, errors, stages) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { name, requested, accepted: 0, started, took, statuses, errors, stages }
    }

    pub(super) fn accepted(&mut self, took: Duration) {
        self.accepted += 1;
        self.measured("accept", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }

    pub(super) fn refused(&mut self, error: &api::Error) {
        *self.errors.entry(error.code().to_owned()).or_default() += 1;
    }

    /// A task whose status could not be read.
    pub(super) fn lost(&mut self, error: &api::Error) {
        self.refused(error);
    }

    pub(super) fn finished(&mut self, task: &Task) {
        *self.statuses.entry(task.status.clone()).or_default() += 1;
        if let Some(error) = &task.error {
            *self.errors.entry(error.code.clone()).or_default() += 1;
        }
        if !task.has_succeeded() {
            return;
        }
        if let Some(timings) = task.timings {
            self.measured("queue", timings.queue_ms);
            self.measured("prepare", timings.prepare_ms);
            self.measured("run", timings.run_ms);
            self.measured("store", timings.store_ms);
        }
        if let Some(total) = total_ms(task) {
            self.measured("total", total);
        }
    }

    fn measured(&mut self, stage: &'static str, ms: u64) {
        if let Ok(histogram) = Histogram::new(SIGNIFICANT_DIGITS) {
            // It grows as values need it, so it takes each.
            let _ = self.stages.entry(stage).or_insert(histogram).record(ms);
        }
    }

    /// The test is over.
    pub(super) fn finish(&mut self) {
        self.took = self.started.elapsed();
    }

    fn succeeded(&self) -> u32 {
        self.statuses.get("succeeded").copied().unwrap_or_default()
    }

    /// How many of the requested tasks have not succeeded.
    pub(super) fn without_success(&self) -> u32 {
        self.requested.saturating_sub(self.succeeded())
    }

    pub(super) fn print(&self, as_json: bool) -> std::io::Result<()> {
        if as_json {
            return output::json(&self.json());
        }
        let seconds = self.took.as_secs_f64();
        let statuses: Vec<String> = self.statuses.iter().map(|(status, n)| format!("{n} {status}")).collect();
        output::line(&format!(
            "{} of {} tasks accepted: {}",
            self.accepted,
            self.requested,
            statuses.join(", ")
        ))?;
        let rate = f64::from(self.succeeded()) / seconds;
        output::line(&format!("{rate:.2} tasks per second succeeded, in {seconds:.1} s"))?;
        for (code, n) in &self.errors {
            output::line(&format!("{n} times {code}"))?;
        }
        let header = ["STAGE (MS)", "COUNT", "MIN", "P50", "P90", "P95", "P99", "MAX"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for (stage, histogram) in self.stages() {
            let percentiles = PERCENTILES.map(|(_, quantile)| histogram.value_at_quantile(quantile));
            let values =
                [histogram.len(), histogram.min()].into_iter().chain(percentiles).chain([histogram.max()]);
            rows.push(std::iter::once(stage.to_owned()).chain(values.map(|ms| ms.to_string())).collect());
        }
        output::table(&rows)
    }

    fn stages(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        STAGES.into_iter().filter_map(|stage| Some((stage, self.stages.get(stage)?)))
    }

    fn json(&self) -> Value {
        let stage = |histogram: &Histogram<u64>| {
            let mut stage = json!({ "count": histogram.len(), "min_ms": histogram.min(), "max_ms": histogram.max(),
                "mean_ms": histogram.mean() });
            for (name, quantile) in PERCENTILES {
                stage[name] = json!(histogram.value_at_quantile(quantile));
            }
            stage
        };
        let stages: BTreeMap<&str, Value> =
            self.stages().map(|(name, histogram)| (name, stage(histogram))).collect();
        let seconds = self.took.as_secs_f64();
        json!({
            "load": self.name,
            "requested": self.requested,
            "accepted": self.accepted,
            "statuses": self.statuses,
            "errors": self.errors,
            "seconds": seconds,
            "succeeded_per_second": f64::from(self.succeeded()) / seconds,
            "stages": stages,
        })
    }
}

/// From the submission to the end of a task, in milliseconds.
fn total_ms(task: &Task) -> Option<u64> {
    let time = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let total = time(task.finished_at.as_deref()?)? - time(&task.created_at)?;
    u64::try_from(total.whole_milliseconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(status: &str, run_ms: u64) -> Task {
        serde_json::from_value(json!({
            "id": "i", "runtime": "r", "type": "text-to-image", "status": status,
            "created_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:02.500Z",
            "timings": { "queue_ms": 5, "prepare_ms": 1, "run_ms": run_ms, "store_ms": 3 },
            "error": if status == "failed" { json!({ "code": "runtime_failed", "message": "" }) } else { Value::Null },
        }))
        .unwrap()
    }

    #[test]
    fn stages_have_percentiles_and_failures_have_codes() {
        let mut report = Report::new("x".to_owned(), 102);
        for run_ms in 1..=100 {
            report.accepted(Duration::from_millis(10));
            report.finished(&task("succeeded", run_ms));
        }
        report.finished(&task("failed", 7));
        report.finish();
        let json = report.json();
        let run = &json["stages"]["run"];
        assert_eq!((&run["count"], &run["min_ms"], &run["max_ms"]), (&json!(100), &json!(1), &json!(100)));
        assert_eq!((&run["p50_ms"], &run["p99_ms"]), (&json!(50), &json!(99)));
        assert_eq!(json["stages"]["total"]["p50_ms"], 2_501, "to a thousandth");
        assert_eq!((&json["errors"], report.without_success()), (&json!({ "runtime_failed": 1 }), 2));
    }
}
