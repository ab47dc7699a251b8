//! The progress bar of one task, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared_schema::printable::printable;

use crate::api::{Progress, Task};

/// The length of the bar: a thousandth of the run is the least that it shows.
const LENGTH: u64 = 1_000;
const TICK: Duration = Duration::from_millis(120);

/// A bar on standard error. Without a terminal it shows nothing.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(LENGTH), target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Whether standard error is a terminal.
    pub(crate) fn is_visible(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Shows the task as it is now.
    pub(crate) fn show(&self, task: &Task) {
        let fraction = task.progress.as_ref().map_or(0.0, |progress| progress.fraction.clamp(0.0, 1.0));
        self.0.set_position((fraction * LENGTH as f64) as u64);
        self.0.set_message(printable(&described(task)));
    }

    /// Removes it.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// The status, and what the runtime reports of its run.
fn described(task: &Task) -> String {
    let mut text = if task.cancel_requested { "canceling".to_owned() } else { task.status.clone() };
    let Some(Progress { step, steps, node, .. }) = &task.progress else { return text };
    if let Some(step) = step {
        text += &format!(", step {step}");
        if let Some(steps) = steps {
            text += &format!(" of {steps}");
        }
    }
    if let Some(node) = node {
        text += &format!(", node {node}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn status_step_and_node_are_shown() {
        let task: Task = serde_json::from_value(json!({
            "id": "i", "runtime": "r", "type": "pipeline", "status": "running", "created_at": "t",
            "progress": { "fraction": 0.5, "step": 8, "steps": 16, "node": "3" },
        }))
        .unwrap();
        assert_eq!(described(&task), "running, step 8 of 16, node 3");
        assert_eq!(described(&Task { cancel_requested: true, progress: None, ..task }), "canceling");
    }
}
