//! Which classes of nodes a deployment lets its callers use.

use serde_json::{Map, Value};

use super::class_type;
use crate::content::NodeRules;
use crate::violation::{pointer_segment, quoted};
use crate::{Violation, ViolationCode};

/// Nodes of a class that the rules leave out.
pub(super) fn violations(nodes: &Map<String, Value>, rules: &NodeRules) -> Vec<Violation> {
    let refused = |(id, node): (&String, &Value)| {
        let class = class_type(node).filter(|class| !rules.let_through(class))?;
        let message = format!("nodes of the class {} are not allowed on this runtime", quoted(class));
        let pointer = format!("/{}/class_type", pointer_segment(id));
        Some(Violation::new(pointer, ViolationCode::NotAllowed, message))
    };
    nodes.iter().filter_map(refused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(allowed: &[&str], denied: &[&str]) -> Vec<String> {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let rules = NodeRules { allowed: list(allowed), denied: list(denied) };
        let nodes = json!({"a/b": {"class_type": "A", "inputs": {}}, "2": {"class_type": "B", "inputs": {}}});
        let found = violations(nodes.as_object().unwrap(), &rules);
        found.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn the_denied_are_refused_and_all_but_the_allowed() {
        assert!(refused(&[], &[]).is_empty());
        assert!(refused(&["A", "B"], &["C"]).is_empty());
        assert_eq!(refused(&[], &["A"]), ["/a~1b/class_type"]);
        assert_eq!(refused(&["A"], &[]), ["/2/class_type"]);
        assert_eq!(refused(&["A", "B"], &["B"]), ["/2/class_type"]);
        assert_eq!(refused(&["a"], &[]).len(), 2, "classes are case-sensitive");
    }
}
