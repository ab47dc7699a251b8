//! How much of a workflow is done, from the events of its run.

use std::collections::HashMap;

use serde_json::Value;

/// The nodes of one workflow, each with the share of it that is done, 0 to 1. No share ever sinks.
///
/// Which node is `executing` says nothing here: a node that waits for inputs which it chooses at run time begins more than
/// once, and each time others seem to be done.
#[derive(Debug)]
pub(super) struct Share(HashMap<String, f64>);

impl Share {
    /// That of a workflow of which nothing is done.
    pub(super) fn of(nodes: impl Iterator<Item = String>) -> Self {
        Self(nodes.map(|node| (node, 0.0)).collect())
    }

    /// `execution_cached`: the ids of nodes that need not run.
    pub(super) fn cached(&mut self, nodes: &Value) {
        for node in nodes.as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.node(node, 1.0);
        }
    }

    /// `progress_state`: every node that ran or runs.
    pub(super) fn states(&mut self, nodes: &Value) {
        for (node, state) in nodes.as_object().into_iter().flatten() {
            let number = |key: &str| state[key].as_f64().unwrap_or_default();
            let done = if state["state"] == "finished" { 1.0 } else { number("value") / number("max") };
            self.node(node, done);
        }
    }

    /// `progress`: the steps of the node that runs.
    pub(super) fn steps(&mut self, node: &str, value: f64, max: f64) {
        self.node(node, value / max);
    }

    /// The share of the whole workflow, each node weighing the same.
    pub(super) fn total(&self) -> f64 {
        self.0.values().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// Nodes that only came into being during the run are part of the node that made them.
    fn node(&mut self, node: &str, done: f64) {
        if let Some(share) = self.0.get_mut(node)
            && done.is_finite()
        {
            *share = share.max(done.min(1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(nodes: &[&str]) -> Share {
        Share::of(nodes.iter().map(|node| (*node).to_owned()))
    }

    #[test]
    fn cached_finished_and_running_nodes_count() {
        let mut share = of(&["1", "2", "57:3", "4"]);
        share.cached(&json!(["1"]));
        assert_eq!(share.total(), 0.25);
        share.states(&json!({
            "2": {"value": 3, "max": 8, "state": "finished"},
            "57:3": {"value": 5, "max": 20, "state": "running"},
        }));
        assert_eq!(share.total(), 2.25 / 4.0);
        share.steps("57:3", 10.0, 20.0);
        assert_eq!(share.total(), 2.5 / 4.0);
    }

    #[test]
    fn a_share_never_sinks_and_is_never_odd() {
        let mut share = of(&["1", "2"]);
        share.steps("1", 3.0, 4.0);
        share.steps("1", 1.0, 4.0);
        share.states(
            &json!({"1": {"value": 0.0, "max": 0.0, "state": "running"}, "made:1": {"state": "finished"}}),
        );
        share.steps("2", 1.0, 0.0);
        assert_eq!(share.total(), 0.375);
        share.steps("1", 5.0, 4.0);
        assert_eq!(share.total(), 0.5);
        assert_eq!(of(&[]).total(), 0.0);
    }
}
