//! Numbers of one runtime that bound each other.

use crate::chart_values;
use crate::config::Runtime;

/// SQS hides a message for at most 12 hours (SQS quotas). The worker has the same rule.
const MAX_HIDDEN_SECONDS: u32 = 43_200;

/// What the worker needs after `drain` to interrupt the run, to release the message and to exit. The worker has the same rule.
const SHUTDOWN_MARGIN_SECONDS: u32 = 10;

/// What is wrong, with the place below the runtime.
pub(super) fn faults(runtime: &Runtime) -> Vec<String> {
    let Runtime { replicas, scaling, deadlines, .. } = runtime;
    let mut faults = chart_values::faults(&runtime.values);
    if replicas.min > replicas.max {
        faults.push(format!("replicas: min {} is above max {}", replicas.min, replicas.max));
    }
    for (n, schedule) in scaling.schedules.iter().enumerate() {
        if schedule.replicas > replicas.max {
            let text = format!("{} is above replicas.max {}", schedule.replicas, replicas.max);
            faults.push(format!("scaling.schedules.{n}.replicas: {text}"));
        }
        if schedule.start == schedule.end {
            faults.push(format!("scaling.schedules.{n}: start and end are the same"));
        }
    }
    if deadlines.grace < deadlines.drain.saturating_add(SHUTDOWN_MARGIN_SECONDS) {
        let text = format!("must be at least {SHUTDOWN_MARGIN_SECONDS} s above drain ({})", deadlines.drain);
        faults.push(format!("deadlines.grace: {text}"));
    }
    if deadlines.run.saturating_add(deadlines.visibility) > MAX_HIDDEN_SECONDS {
        let text = format!("with visibility at most {MAX_HIDDEN_SECONDS} s, as long as SQS hides a message");
        faults.push(format!("deadlines.run: {text}"));
    }
    faults
}
