//! The spans of a task: one per stage, and one per call of each stage that makes several.

use std::time::{Instant, SystemTime};

use shared_schema::Task;
use shared_schema::image_source::ImageSource;
use task_traces::{Parent, Span, SpanName, TraceContext, Traces};
use url::Url;

use crate::cloud::{Delivery, Queue};
use crate::runtimes::{RunOutput, RuntimeType};
use crate::steps::read::Assignment;

/// The name of the worker in traces.
pub const WORKER: &str = "darkroom-worker";
/// The name of the dead-letter function in traces.
pub const DEAD_LETTERS: &str = "darkroom-dead-letters";

/// A delivery, from its receipt until it is deleted or released.
pub const PROCESS: SpanName = SpanName::consumer("process");
/// The part of a poll in which the message was in the queue.
pub const RECEIVE: SpanName = SpanName::client("receive");
/// Fetching and checking all inputs.
pub const PREPARE: SpanName = SpanName::internal("prepare");
/// Fetching and checking one input.
pub const INPUT: SpanName = SpanName::client("input");
/// A prepared task waits for its turn in the runtime.
pub const WAIT: SpanName = SpanName::internal("wait");
/// The runtime has the job; `darkroom.run_ms` is how long it worked on it.
pub const RUN: SpanName = SpanName::client("run");
/// Storing all results.
pub const STORE: SpanName = SpanName::internal("store");
/// Storing one result.
pub const FILE: SpanName = SpanName::client("file");
/// Writing the `.out` file.
pub const COMMIT: SpanName = SpanName::client("commit");
/// Publishing the notification.
pub const NOTIFY: SpanName = SpanName::producer("notify");
/// Deleting the message.
pub const DELETE: SpanName = SpanName::client("delete");
/// Releasing the message for another attempt.
pub const RELEASE: SpanName = SpanName::client("release");

/// All of them, in the order of a task's path.
pub const SPANS: [SpanName; 12] =
    [PROCESS, RECEIVE, PREPARE, INPUT, WAIT, RUN, STORE, FILE, COMMIT, NOTIFY, DELETE, RELEASE];

/// The trace that a delivery belongs to, if it came with one.
pub(crate) fn of(delivery: &Delivery) -> Option<TraceContext> {
    TraceContext::from_xray(delivery.trace_header.as_deref()?)
}

/// Starts the span of a delivery that was just received, with the receipt as its first child. A message that waited longer than
/// `link_after_ms` gets a trace of its own, which links to the message's.
pub(crate) fn received(
    traces: &Traces,
    queue: &Queue,
    delivery: &Delivery,
    link_after_ms: Option<u64>,
) -> Span {
    // The poll may have begun long before the message was sent.
    let now = SystemTime::now();
    let polled =
        delivery.sent_at.map_or(delivery.received_at, |sent| sent.max(delivery.received_at)).min(now);
    let span = started(traces, delivery, Some(polled), link_after_ms);
    if span.is_recording() {
        describe(&span, queue.name(), delivery);
        let receiving = span.child(&RECEIVE, Some(polled));
        receiving.set("messaging.system", "aws_sqs");
        receiving.set("messaging.operation.name", "receive");
        receiving.set("messaging.operation.type", "receive");
        receiving.set("messaging.destination.name", queue.name().to_owned());
    }
    span
}

/// Starts the span of a delivery that the previous process received.
pub(crate) fn adopted(
    traces: &Traces,
    queue: &Queue,
    delivery: &Delivery,
    link_after_ms: Option<u64>,
) -> Span {
    let span = started(traces, delivery, None, link_after_ms);
    if span.is_recording() {
        describe(&span, queue.name(), delivery);
        span.set("darkroom.adopted", true);
    }
    span
}

/// Starts the span of a message from a dead-letter queue.
pub(crate) fn dead_letter(traces: &Traces, queue_arn: &str, delivery: &Delivery) -> Span {
    let span = started(traces, delivery, None, None);
    if span.is_recording() {
        describe(&span, queue_arn.rsplit(':').next().unwrap_or_default(), delivery);
        span.set("darkroom.dead_letter", true);
    }
    span
}

fn started(traces: &Traces, delivery: &Delivery, at: Option<SystemTime>, link_after_ms: Option<u64>) -> Span {
    let sender = of(delivery);
    let is_late = link_after_ms.is_some_and(|limit| delivery.queue_ms() > limit);
    let parent = match &sender {
        Some(sender) if is_late => Parent::Linked(sender),
        sender => Parent::Remote(sender.as_ref()),
    };
    traces.start(&PROCESS, parent, at)
}

fn describe(span: &Span, queue: &str, delivery: &Delivery) {
    span.set("messaging.system", "aws_sqs");
    span.set("messaging.operation.name", "process");
    span.set("messaging.operation.type", "process");
    span.set("messaging.destination.name", queue.to_owned());
    span.set("messaging.message.id", delivery.message_id.clone());
    span.set("darkroom.delivery", i64::from(delivery.receive_count));
    span.set("darkroom.queue_ms", delivery.queue_ms() as i64);
}

/// Describes what a delivery holds.
pub(crate) fn assigned(span: &Span, assignment: &Assignment, runtime: &str) {
    if !span.is_recording() {
        return;
    }
    span.set("darkroom.task.id", assignment.id.as_str().to_owned());
    span.set("darkroom.submission", assignment.submission.as_str().to_owned());
    span.set("darkroom.runtime", runtime.to_owned());
    if let Some(task_type) = assignment.task_type {
        span.set("darkroom.task.type", task_type.as_str());
    }
}

/// Starts the span of an input. Of its address only the host or the bucket is recorded: the rest can be a secret.
pub(crate) fn input(pointer: &str, source: &str) -> Span {
    let span = INPUT.start();
    if span.is_recording() {
        span.set("darkroom.input.field", pointer.to_owned());
        match ImageSource::parse(source) {
            Ok(ImageSource::Url(url)) => {
                span.set("darkroom.input.source", "url");
                let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
                span.set("server.address", host.unwrap_or_default());
            }
            Ok(ImageSource::S3 { bucket, .. }) => {
                span.set("darkroom.input.source", "s3");
                span.set("aws.s3.bucket", bucket.to_owned());
            }
            Ok(ImageSource::Base64(_)) => span.set("darkroom.input.source", "inline"),
            Err(_) => {}
        }
    }
    span
}

/// Describes a run that succeeded, and began then.
pub(crate) fn ran(span: &Span, output: &RunOutput, began: Instant) {
    if span.is_recording() {
        span.set("darkroom.run_ms", began.elapsed().as_millis() as i64);
        span.set("darkroom.files", output.files.len() as i64);
        if let Some(seed) = output.reported.seed.as_ref().and_then(serde_json::Value::as_i64) {
            span.set("gen_ai.request.seed", seed);
        }
    }
}

/// Starts the span of a call that acknowledges a delivery.
pub(crate) fn acknowledging(name: &SpanName, queue: &Queue) -> Span {
    let span = name.start();
    span.set("messaging.system", "aws_sqs");
    span.set("messaging.operation.name", name.name);
    span.set("messaging.operation.type", "settle");
    span.set("messaging.destination.name", queue.name().to_owned());
    span
}

/// Starts the span of a run.
pub(crate) fn run(runtime_type: &RuntimeType, task: &Task) -> Span {
    let span = RUN.start();
    if span.is_recording() {
        span.set("gen_ai.operation.name", "generate_content");
        span.set("gen_ai.output.type", "image");
        if let Some((_, model)) = runtime_type.contract.named_models(&task.content).into_iter().next() {
            span.set("gen_ai.request.model", model);
        }
        span.set("darkroom.runtime.type", runtime_type.name());
    }
    span
}
