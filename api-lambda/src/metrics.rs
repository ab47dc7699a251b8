//! Every metric of the front door in CloudWatch: its name, its unit, its meaning. `docs/observability.md` lists them.

use shared_schema::{Registry, RuntimeName};
use task_metrics::{Document, Emitter, Metric, OTHER_RUNTIME, Unit};

/// Accepted tasks.
pub const TASKS_ACCEPTED: Metric = Metric {
    name: "TasksAccepted",
    unit: Unit::Count,
    dimensions: &["runtime"],
    help: "tasks that were published",
};

/// Refused requests.
pub const REQUESTS_REFUSED: Metric = Metric {
    name: "RequestsRefused",
    unit: Unit::Count,
    dimensions: &[],
    help: "requests that were answered with an error; the log has the code of each in `code`",
};

/// All of them.
pub const ALL: [Metric; 2] = [TASKS_ACCEPTED, REQUESTS_REFUSED];

/// A task was published. Without a registry callers choose the names of runtimes, and each name would be a metric of its own, which
/// costs: they count as [`OTHER_RUNTIME`].
pub(crate) fn accepted(metrics: &Emitter, registry: &Registry, runtime: &RuntimeName) {
    metrics.emit(|| {
        let is_known = registry.by_name(runtime.as_str()).is_some();
        let runtime = if is_known { runtime.as_str() } else { OTHER_RUNTIME };
        Document::new(vec![("runtime", runtime.to_owned())]).with(TASKS_ACCEPTED, vec![1.0])
    });
}

/// A request was answered with that code.
pub(crate) fn refused(metrics: &Emitter, code: &'static str) {
    metrics.emit(|| Document::new(Vec::new()).with(REQUESTS_REFUSED, vec![1.0]).with_property("code", code));
}
