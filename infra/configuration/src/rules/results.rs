//! The lifetime of results, compared with the retention of tasks.

use crate::config::Config;

/// The message retention of SQS, in days: its default, which the predecessors use, too.
const TASK_RETENTION_DAYS: u32 = 4;

/// The bucket's lifecycle rule has no exceptions, so it also deletes tasks that are too large for a message.
pub(super) fn faults(config: &Config) -> Vec<String> {
    let days = config.results.lifetime_days;
    let expires_first = days > 0 && days <= TASK_RETENTION_DAYS;
    let has_claim_checks = config.runtimes.iter().any(|runtime| runtime.claim_check);
    if !expires_first || !has_claim_checks {
        return Vec::new();
    }
    let text = "a large task may wait";
    vec![format!(
        "results.lifetimeDays: {text} {TASK_RETENTION_DAYS} days; take more, 0, or `claimCheck: false`"
    )]
}
