//! The order in which ComfyUI runs the nodes of a prompt.

use std::collections::HashSet;

use super::{
    definitions::Definitions,
    job::{Job, link},
};

/// The nodes that are still to run. A cached node runs only if it is an output, to show its output again.
pub(super) struct Plan {
    waiting: Vec<Waiting>,
}

struct Waiting {
    node: String,
    is_output: bool,
    /// The nodes that must run before.
    needs: HashSet<String>,
}

impl Plan {
    pub(super) fn new(job: &Job, definitions: &Definitions, cached: impl Fn(&str) -> bool) -> Self {
        let mut plan = Self { waiting: Vec::new() };
        for output in &job.outputs {
            // Depth first, the last input first: ComfyUI pops nodes from the end of its list.
            let mut nodes = vec![output.clone()];
            while let Some(node) = nodes.pop() {
                if plan.waiting.iter().any(|waiting| waiting.node == node) {
                    continue;
                }
                let links = job.inputs(&node).filter_map(|(_, value)| link(value)).map(|(from, _)| from);
                let needs: Vec<_> = links.filter(|from| !cached(from)).map(str::to_owned).collect();
                nodes.extend(needs.iter().cloned());
                let is_output = definitions.is_output(job.class(&node));
                plan.waiting.push(Waiting { node, is_output, needs: needs.into_iter().collect() });
            }
        }
        plan
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(|waiting| waiting.node.as_str())
    }

    /// Removes the next node that can run. Outputs are first, then nodes with a distance to an output of one or two.
    pub(super) fn next(&mut self) -> Option<String> {
        let ready = |waiting: &&Waiting| waiting.needs.is_empty();
        let chosen = (0..=2)
            .find_map(|distance| {
                self.waiting.iter().filter(ready).find(|waiting| self.leads_to_output(waiting, distance))
            })
            .or_else(|| self.waiting.iter().find(ready))?;
        let node = chosen.node.clone();
        self.waiting.retain(|waiting| waiting.node != node);
        Some(node)
    }

    /// Marks the node as done: its dependents may run.
    pub(super) fn done(&mut self, node: &str) {
        for waiting in &mut self.waiting {
            waiting.needs.remove(node);
        }
    }

    fn leads_to_output(&self, from: &Waiting, distance: u8) -> bool {
        if distance == 0 {
            return from.is_output;
        }
        let followers = self.waiting.iter().filter(|waiting| waiting.needs.contains(&from.node));
        followers.into_iter().any(|follower| self.leads_to_output(follower, distance - 1))
    }
}
