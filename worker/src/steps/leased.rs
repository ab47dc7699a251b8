//! A received message, and the lease on it.

use std::sync::Arc;

use task_traces::Span;
use tracing::field::Empty;

use crate::cloud::{Delivery, Lease};
use crate::runtimes::RunHandle;
use crate::spans;
use crate::worker::Worker;

/// A received message with the lease that allows to work on it.
pub(crate) struct LeasedMessage {
    /// The delivery.
    pub(super) delivery: Delivery,
    /// Extends the visibility timeout until it is dropped.
    pub(super) lease: Lease,
    /// The run of this message that the previous process submitted.
    pub(super) adopted: Option<AdoptedRun>,
    /// The span of every log line about the message.
    pub(super) span: tracing::Span,
    /// The span of the delivery in its trace.
    pub(super) traced: Arc<Span>,
}

/// A run that the previous process had submitted to the runtime when it died.
#[derive(Debug, Clone)]
pub(crate) struct AdoptedRun {
    /// The runtime's identification of the run.
    pub(crate) run: RunHandle,
    /// Whether the run may have killed that process: then the attempt is charged.
    pub(crate) is_attempt: bool,
}

impl LeasedMessage {
    /// Whether another process may have worked on the task before.
    pub(super) fn is_redelivered(&self) -> bool {
        self.adopted.is_some() || self.delivery.receive_count > 1
    }
}

impl Worker {
    /// Leases a delivery, from its receipt on.
    pub(crate) fn lease(
        self: &Arc<Self>,
        mut delivery: Delivery,
        adopted: Option<AdoptedRun>,
    ) -> LeasedMessage {
        let start = if adopted.is_some() { spans::adopted } else { spans::received };
        let traced = start(&self.traces, &self.cloud.queue, &delivery, self.config.trace_link_ms());
        let trace = spans::of(&delivery).or_else(|| traced.context());
        // A message without a trace gets one, which its claim keeps for the next process.
        delivery.trace_header = trace.as_ref().map(|trace| trace.xray());
        let (worker, claimed) = (Arc::clone(self), delivery.without_body());
        let extended = move |until| worker.claims.set_hidden_until(&claimed, until);
        let queue = self.cloud.queue.clone();
        // A span of level `error` exists at every log level, so each line about the task names it.
        let span = tracing::error_span!(
            "task",
            task.id = Empty,
            runtime = %self.config.runtime_name,
            submission = Empty,
            message_id = %delivery.message_id,
            delivery = delivery.receive_count,
            trace_id = trace.map(|trace| trace.trace_id()),
        );
        let lease =
            span.in_scope(|| Lease::keep(queue, &delivery, self.config.visibility_timeout(), extended));
        LeasedMessage { delivery, lease, adopted, span, traced: Arc::new(traced) }
    }
}
