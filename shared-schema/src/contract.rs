//! The contract in one place: both request versions, and the message as the worker reads it.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::content::NodeRules;
use crate::envelope::{Accepted, v1, v1alpha1, v1alpha2};
use crate::{Limits, Registry, Submission, Task, Violation, schema};

/// The most violations that one answer names.
const MAX_VIOLATIONS: usize = 100;

/// Checks requests and messages. Making one compiles the schemas, so that no request pays for it.
#[derive(Debug, Clone, Default)]
pub struct Contract {
    registry: Registry,
    node_rules: NodeRules,
}

impl Contract {
    /// A contract with these runtimes; an empty registry leaves runtimes and models unchecked.
    pub fn new(registry: Registry) -> Self {
        let contract = Self { registry, node_rules: NodeRules::default() };
        contract.compile_schemas();
        contract
    }

    /// Compiles the schemas of the task types that can come, so that no request has to wait for it.
    fn compile_schemas(&self) {
        schema::compile_envelopes();
        for task in self.registry.contracts().into_iter().flat_map(|contract| contract.tasks()) {
            LazyLock::force(&task.schema);
        }
    }

    /// The same, for tasks of runtimes of that type where the registry does not have the runtime of a task.
    pub fn with_runtime_type(self, runtime_type: &'static str) -> Self {
        Self { registry: self.registry.with_runtime_type(runtime_type), ..self }
    }

    /// The same, with rules for the nodes of every task that a message holds.
    pub fn with_node_rules(self, node_rules: NodeRules) -> Self {
        Self { node_rules, ..self }
    }

    /// The same, with settings of extensions that every task may override whose runtime is not known.
    pub fn with_allowed_settings(self, settings: Vec<String>) -> Self {
        Self { registry: self.registry.with_allowed_settings(settings), ..self }
    }

    /// The same, with scripts that every task may select whose runtime is not known.
    pub fn with_allowed_scripts(self, scripts: Vec<String>) -> Self {
        Self { registry: self.registry.with_allowed_scripts(scripts), ..self }
    }

    /// The same, with limits for every task whose runtime is not known, instead of the default ones.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { registry: self.registry.with_limits(limits), ..self }
    }

    /// The runtimes that are known.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A `v1alpha1` request body, or everything that is wrong with it.
    pub fn v1alpha1(&self, body: Value) -> Result<Accepted, Vec<Violation>> {
        v1alpha1::accept(body, &self.registry).map_err(bounded)
    }

    /// The body of `POST /v1/tasks`, or everything that is wrong with it. `id` is the id of the new task.
    pub fn v1(&self, body: Value, id: &Submission) -> Result<v1::Request, Vec<Violation>> {
        v1::accept(body, id, &self.registry).map_err(bounded)
    }

    /// A `v1alpha2` request body, or everything that is wrong with it.
    pub fn v1alpha2(&self, body: Value) -> Result<Accepted, Vec<Violation>> {
        v1alpha2::accept(body, &self.registry).map_err(bounded)
    }

    /// The task in a message, or everything that is wrong with it. Pointers are relative to the message.
    ///
    /// The worker checks again what a front door has checked, since a predecessor's did not.
    pub fn message(&self, message: Value) -> Result<Task, Vec<Violation>> {
        let violations = schema::task().violations(&message);
        let Accepted { task, .. } =
            v1alpha2::accept_task(message, violations, &self.registry).map_err(bounded)?;
        let Task { metadata, content, .. } = &task;
        let runtime = self.registry.by_name(metadata.runtime.as_str());
        let contract = self.registry.contract(runtime, metadata.tasktype);
        let refused = contract.refused_nodes(content, &self.node_rules);
        if refused.is_empty() {
            Ok(task)
        } else {
            Err(bounded(refused.into_iter().map(|violation| violation.below("/content")).collect()))
        }
    }
}

/// Envelope and content may both see that a field is wrong: each rule is named once per field. The last violation that is
/// listed has the number of the others.
fn bounded(mut violations: Vec<Violation>) -> Vec<Violation> {
    let mut seen = HashSet::new();
    violations.retain(|violation| seen.insert((violation.pointer.clone(), violation.code)));
    let more = violations.len().saturating_sub(MAX_VIOLATIONS);
    violations.truncate(MAX_VIOLATIONS);
    if let Some(last) = violations.last_mut().filter(|_| more > 0) {
        last.message.push_str(&format!("; {more} more violations are not listed"));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ViolationCode;

    #[test]
    fn the_last_violation_that_is_named_says_how_many_are_not() {
        let found = |count: usize| {
            let each =
                (0..count).map(|n| Violation::new(format!("/{n}"), ViolationCode::Missing, "is missing"));
            // Each twice, as envelope and content see them.
            bounded(each.clone().chain(each).collect())
        };
        assert!(found(MAX_VIOLATIONS).iter().all(|violation| violation.message == "is missing"));
        let violations = found(MAX_VIOLATIONS + 23);
        assert_eq!(violations.len(), MAX_VIOLATIONS);
        assert_eq!(violations[MAX_VIOLATIONS - 1].message, "is missing; 23 more violations are not listed");
        assert_eq!(violations[0].message, "is missing");
    }
}
