//! One connected trace per task, through the front door, SNS, SQS, the worker and the dead-letter function.

mod documented;
mod paths;
mod unavailable;

use std::collections::{BTreeMap, HashSet};

use integration_tests::aws;
use integration_tests::collector::{Collector, ExportedSpan};
use integration_tests::lab::{Lab, Runtime};
use integration_tests::process::Process;
use serde_json::{Value, json};

use crate::function::{Function, rest_post};

/// The caller's trace and span.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A deployment whose programs export to a collector.
struct Traced {
    lab: Lab,
    collector: Collector,
}

impl Traced {
    /// Nothing where the AWS APIs are not the embedded ones: moto's SNS does not pass the trace header on to its queues.
    async fn start(test: &str) -> Option<Self> {
        if aws::skipped_elsewhere(test, "other emulations of SNS drop the trace header") {
            return None;
        }
        Some(Self { lab: Lab::start().await, collector: Collector::start().await })
    }

    async fn front_door(&self, runtime: &Runtime) -> Function {
        let registry = json!([{ "name": runtime.name, "type": runtime.runtime_type, "models": [] }]);
        let table = ("RECORD_TABLE", self.lab.shared.record_table.as_str());
        let variables = [self.collector.variables().as_slice(), &[table]].concat();
        Function::start_with(&self.lab, &registry, &variables).await
    }

    async fn worker(&self, runtime: &Runtime, more: &[(&str, &str)]) -> Process {
        let table = ("RECORD_TABLE", self.lab.shared.record_table.as_str());
        let variables = [self.collector.variables().as_slice(), &[table], more].concat();
        self.lab.worker(runtime, &variables).await
    }

    /// Waits until the trace of the caller has a finished delivery with that outcome and a `request`, and returns the spans of the
    /// trace.
    async fn trace(&self, outcome: &str) -> Vec<ExportedSpan> {
        let what = format!("a trace with the outcome {outcome}");
        let trace = self
            .collector
            .until(&what, |spans| {
                let of_trace: Vec<ExportedSpan> =
                    spans.iter().filter(|span| span.trace_id == TRACE_ID).cloned().collect();
                let has = |name: &str| of_trace.iter().any(|span| span.name == name);
                let is_over = of_trace.iter().any(|span| span.attribute("darkroom.outcome") == outcome);
                (is_over && has("request")).then_some(of_trace)
            })
            .await;
        documented::check(&trace);
        trace
    }
}

/// Submits a task to `v1` with the trace of the caller; returns its id.
async fn submit(function: &Function, runtime: &Runtime, task_type: &str, content: Value) -> String {
    let task = json!({ "runtime": runtime.name, "type": task_type, "name": "traced", "content": content });
    let answer = function.answer(traced(rest_post("/v1/tasks", &task))).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

/// The event with the trace of the caller.
fn traced(mut event: Value) -> Value {
    let header = format!("00-{TRACE_ID}-{CALLER}-01");
    event["headers"]["traceparent"] = json!(header);
    event["multiValueHeaders"]["traceparent"] = json!([header]);
    event
}

/// Whether each span has its parent in the trace, and the request the caller's span.
fn assert_connected(trace: &[ExportedSpan]) {
    let ids: HashSet<&str> = trace.iter().map(|span| span.span_id.as_str()).collect();
    for span in trace {
        let is_root = span.name == "request" && span.parent_id == CALLER;
        assert!(is_root || ids.contains(span.parent_id.as_str()), "{span:?} has no parent in {trace:#?}");
    }
}

/// How many spans of each name there are.
fn counts(trace: &[ExportedSpan]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for span in trace {
        *counts.entry(span.name.as_str()).or_default() += 1;
    }
    counts
}

fn named<'a>(trace: &'a [ExportedSpan], name: &str) -> Vec<&'a ExportedSpan> {
    trace.iter().filter(|span| span.name == name).collect()
}
