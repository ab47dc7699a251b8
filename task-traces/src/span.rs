//! Spans. The current span is that of the future that is being polled ([`Span::within`]): a new span is its child.

use std::time::SystemTime;

use opentelemetry::context::{FutureExt, WithContext};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};

use crate::TraceContext;
use crate::traces::{Parent, Traces};

/// The name of a span, and its kind.
#[derive(Debug, Clone)]
pub struct SpanName {
    /// The name: a constant, so that few different ones exist.
    pub name: &'static str,
    /// The side of a call that the span is, in OpenTelemetry's terms.
    pub kind: SpanKind,
}

impl SpanName {
    /// A part of a task within this process.
    pub const fn internal(name: &'static str) -> Self {
        Self { name, kind: SpanKind::Internal }
    }

    /// A call of another service.
    pub const fn client(name: &'static str) -> Self {
        Self { name, kind: SpanKind::Client }
    }

    /// A call of this service.
    pub const fn server(name: &'static str) -> Self {
        Self { name, kind: SpanKind::Server }
    }

    /// Sending a message.
    pub const fn producer(name: &'static str) -> Self {
        Self { name, kind: SpanKind::Producer }
    }

    /// Processing a message.
    pub const fn consumer(name: &'static str) -> Self {
        Self { name, kind: SpanKind::Consumer }
    }

    /// Starts a child of the current span. Where nothing is recorded, it stands for the current one.
    pub fn start(&self) -> Span {
        self.start_in(Context::current(), None)
    }

    fn start_in(&self, parent: Context, at: Option<SystemTime>) -> Span {
        match parent.get::<Traces>() {
            Some(traces) => traces.start(self, Parent::Current(&parent), at),
            None => Span { context: parent },
        }
    }
}

/// Continues the current span in a task of its own.
pub fn in_current_span<F: Future>(work: F) -> WithContext<F> {
    work.with_current_context()
}

/// A span, which ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    pub(crate) context: Context,
}

impl Span {
    /// A span that is not recorded, with the context of the one that it stands for.
    pub(crate) fn unrecorded(parent: Option<&TraceContext>) -> Self {
        let context = Context::new();
        Self {
            context: match parent {
                Some(TraceContext(parent)) => context.with_remote_span_context(parent.clone()),
                None => context,
            },
        }
    }

    /// Starts a child of this span; it began at `at`, or begins now.
    pub fn child(&self, name: &SpanName, at: Option<SystemTime>) -> Span {
        name.start_in(self.context.clone(), at)
    }

    /// Sets an attribute.
    pub fn set(&self, name: &'static str, value: impl Into<Value>) {
        let span = self.context.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Marks the span as failed, with a code as `error.type`.
    pub fn failed(&self, code: &str) {
        self.set("error.type", code.to_owned());
        self.context.span().set_status(Status::error(code.to_owned()));
    }

    /// Marks the span as failed if the result is an error, with the code of the error.
    pub fn result<T, E>(&self, result: &Result<T, E>, code: impl FnOnce(&E) -> &str) {
        if let Err(error) = result {
            self.failed(code(error));
        }
    }

    /// Records that something happened now.
    pub fn event(&self, name: &'static str) {
        self.context.span().add_event(name, Vec::new());
    }

    /// Whether attributes are recorded: then it is worth computing them.
    pub fn is_recording(&self) -> bool {
        self.context.span().is_recording()
    }

    /// The context for whatever continues the span; `None` outside of a trace.
    pub fn context(&self) -> Option<TraceContext> {
        TraceContext::valid(self.context.span().span_context().clone())
    }

    /// Makes this the current span while the future is polled.
    pub fn within<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.context.clone())
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.context.span().end();
    }
}
