//! What has happened since the last report to CloudWatch.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use task_metrics::{Document, Metric, Unit};

use super::{Price, cloudwatch};

/// More values than a worker observes between two reports; further ones are left out.
const MAX_VALUES: usize = 10_000;

/// What has happened since the last report.
pub(super) struct Window {
    price: Option<Price>,
    state: Mutex<State>,
}

struct State {
    since: Instant,
    values: BTreeMap<&'static str, (Metric, Vec<f64>)>,
}

impl Window {
    /// Nothing happened yet.
    pub(super) fn new(price: Option<Price>) -> Self {
        Self { price, state: Mutex::new(State { since: Instant::now(), values: BTreeMap::new() }) }
    }

    /// Adds to the sum of a metric.
    pub(super) fn add(&self, metric: Metric, amount: f64) {
        self.with_values(metric, |values| match values.first_mut() {
            Some(sum) => *sum += amount,
            None => values.push(amount),
        });
    }

    /// Adds a value, of which CloudWatch computes percentiles.
    pub(super) fn observe(&self, metric: Metric, value: f64) {
        self.with_values(metric, |values| {
            if values.len() < MAX_VALUES {
                values.push(value);
            }
        });
    }

    /// Replaces the value.
    pub(super) fn set(&self, metric: Metric, value: f64) {
        self.with_values(metric, |values| *values = vec![value]);
    }

    fn with_values(&self, metric: Metric, change: impl FnOnce(&mut Vec<f64>)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.values.entry(metric.name).or_insert_with(|| (metric, Vec::new())).1);
    }

    /// Everything since the last report, with what passes by itself: the time, and the money. What did not happen is reported as 0:
    /// CloudWatch computes nothing from a metric without data.
    pub(super) fn report(&self, runtime_name: &str, is_ready: bool) -> Document {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, mut values) = (state.since, std::mem::take(&mut state.values));
        state.since = Instant::now();
        let elapsed = state.since - since;
        drop(state);
        let document = Document::new(vec![("runtime", runtime_name.to_owned())])
            .with(cloudwatch::WORKERS_READY, vec![f64::from(u8::from(is_ready))])
            .with(cloudwatch::WORKER_TIME, vec![elapsed.as_secs_f64()]);
        let document = match self.price {
            Some(price) => document.with(cloudwatch::COST, vec![price.of(elapsed)]),
            None => document,
        };
        for metric in cloudwatch::ALL
            .into_iter()
            .filter(|metric| metric.unit == Unit::Count && *metric != cloudwatch::WORKERS_READY)
        {
            values.entry(metric.name).or_insert_with(|| (metric, vec![0.0]));
        }
        values.into_values().fold(document, |document, (metric, values)| document.with(metric, values))
    }
}
